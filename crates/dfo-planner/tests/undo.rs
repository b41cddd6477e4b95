//! Plans that did harm are undone; and every plan is judged, or it is said why not.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod scene;

use dfo_planner::{Gate, NotJudged, Notice, Settings};
use scene::{
    AckWords, Finding, Knob, Out, PlanWords, Scene, applied, evidence, finding, global_plan, json,
    knob, rejected, up,
};

fn k() -> Knob {
    knob("k", 2).range(0, 64).on("t", up(1).eager())
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window).severity(0.6)
}

fn ours() -> Scene {
    Scene::ours().knob(k())
}

fn judged(out: &Out) -> Vec<&'static str> {
    let all = ["stands", "undone", "not_judged"];
    let notices = out.notices().into_iter();
    notices.filter(|name| all.contains(name)).collect()
}

/// The plan back, and nothing else.
fn undone(out: &Out) -> (String, String) {
    assert_eq!(judged(out), ["undone"], "{out:?}");
    let plan = out.plan();
    let values = format!("{} → {}", plan.old_value.as_ref().unwrap(), plan.new_value);
    (values, plan.rationale.clone())
}

#[test]
fn a_plan_that_made_it_worse_is_undone_three_windows_later() {
    let mut s = ours();
    let plan = s.act(&t(0));
    for window in [1, 2] {
        assert_eq!(judged(&s.find(&t(window).severity(0.9))), [""; 0]);
    }
    let out = s.find(&t(3).severity(0.9));
    let (values, rationale) = undone(&out);
    assert_eq!(values, "3 → 2");
    let expected = format!(
        "undo of {}: severity 0.600 then, 0.900 now: worse by 50.0 %",
        plan.plan_id
    );
    assert_eq!(rationale, expected);
    assert_eq!(s.value("k"), json!(2));
}

#[test]
fn it_must_be_worse_by_more_than_the_margin() {
    for (severity, verdict) in [(0.6, "stands"), (0.659, "stands"), (0.661, "undone")] {
        let mut s = ours();
        s.act(&t(0));
        assert_eq!(judged(&s.find(&t(3).severity(severity))), [verdict]);
    }
}

#[test]
fn it_is_undone_once_and_then_waits_as_ineffective() {
    let mut s = ours();
    s.act(&t(0));
    let back = s.find(&t(3).severity(0.9)).plan().clone();
    s.ack(&applied(&back.plan_id).at(3));
    for window in [4, 5, 6, 7] {
        let out = s.find(&t(window).severity(0.1 * 5.0));
        let Gate::Ineffective { taken_back, .. } = out.gate() else {
            panic!("{out:?}");
        };
        assert!(taken_back);
    }
    assert_eq!(s.find(&t(8).severity(0.5)).new_value(), json!(3));
}

#[test]
fn each_fruitless_retry_waits_twice_as_long() {
    let mut s = ours();
    s.act(&t(0));
    let back = s.find(&t(3).severity(0.9)).plan().clone();
    s.ack(&applied(&back.plan_id).at(3));
    s.act(&t(8));
    let back = s.find(&t(11).severity(0.9)).plan().clone();
    s.ack(&applied(&back.plan_id).at(11));
    assert_eq!(s.find(&t(20)).held_by(), "ineffective");
    s.find(&t(21)).plan();
}

#[test]
fn the_metric_that_the_plan_was_computed_from_is_compared() {
    let fetching = |window, fetch: f64| {
        let metrics = json!({"fetch_frac": fetch, "compute_frac": 0.1});
        t(window).metrics(metrics)
    };
    let scene = || Scene::ours().knob(knob("k", 1).range(1, 64).on("t", evidence("increase")));
    let begun = || {
        let mut s = scene();
        s.act(&fetching(0, 0.5));
        s
    };
    // The severity says another thing, and does not count.
    let out = begun().find(&fetching(3, 0.56).severity(0.1));
    assert_eq!(judged(&out), ["undone"]);
    let Some(Notice::Undone(judgement)) = out.0.notices().next() else {
        panic!("{out:?}");
    };
    assert_eq!(judgement.measure, "fetch_frac");
    assert_eq!(
        judged(&begun().find(&fetching(3, 0.5).severity(1.0))),
        ["stands"]
    );
    let out = begun().find(&t(3).severity(1.0));
    let Notice::NotJudged { why, .. } = out.0.notices().next().unwrap() else {
        panic!("{out:?}");
    };
    assert_eq!(*why, NotJudged::MetricMissing);
}

#[test]
fn only_its_own_evidence_counts() {
    for other in [
        t(3).kind("another"),
        t(3).scope("app:step"),
        t(3).on("n1"),
        t(3).view("epoch"),
        finding(&["u"]).at(3),
    ] {
        let mut s = ours().knob(k().on("u", up(1).with("min_severity", 2)));
        s.act(&t(0));
        assert_eq!(
            judged(&s.find(&other.severity(1.0).persistence(0))),
            [""; 0]
        );
        assert_eq!(judged(&s.find(&t(4).severity(1.0))), ["undone"]);
    }
}

#[test]
fn too_little_evidence_is_said() {
    let mut s = ours();
    let plan = s.act(&t(0));
    assert_eq!(judged(&s.find(&t(5).kind("another"))), [""; 0]);
    let out = s.find(&t(6).kind("another"));
    let expected = Notice::NotJudged {
        plan_id: plan.plan_id.as_str().into(),
        knob: "k".into(),
        node: None,
        why: NotJudged::NoEvidence,
    };
    assert_eq!(out.0.notices().next(), Some(&expected));
    assert_eq!(judged(&s.find(&t(7).severity(1.0))), [""; 0], "said once");
}

#[test]
fn late_evidence_is_evidence() {
    let mut s = ours();
    s.act(&t(0));
    assert_eq!(judged(&s.find(&t(50).severity(1.0))), ["undone"]);
}

#[test]
fn an_improving_finding_is_evidence_too() {
    let mut s = ours();
    s.act(&t(0));
    let out = s.find(&t(3).severity(0.3).trend("improving"));
    assert_eq!(judged(&out), ["stands"]);
}

#[test]
fn a_value_that_was_changed_since_is_not_undone() {
    let mut s = ours();
    s.act(&t(0));
    s.register([k().live(9)]);
    let out = s.find(&t(3).severity(1.0));
    let Some(Notice::NotJudged { why, .. }) = out.0.notices().next() else {
        panic!("{out:?}");
    };
    assert_eq!(*why, NotJudged::Changed);
    let mut s = ours();
    s.act(&t(0));
    s.global(&global_plan("g", "k", 9).at(1));
    assert_eq!(judged(&s.find(&t(3).severity(1.0))), ["not_judged"]);
}

#[test]
fn the_next_plan_of_the_knob_ends_the_observation() {
    let mut s = ours().knob(k().on("u", up(1).cooldown(0).eager()));
    s.act(&t(0));
    let next = s.find(&finding(&["u"]).at(1)).plan().clone();
    let out = s
        .planner
        .handle(dfo_planner::Event::Ack(&applied(&next.plan_id).at(1)));
    assert_eq!(judged(&Out(out)), ["not_judged"]);
}

#[test]
fn a_node_is_judged_by_its_own_findings() {
    let mut s = ours();
    s.act(&t(0).on("n1"));
    s.act(&t(0).on("n2"));
    let out = s.find(&t(3).on("n1").severity(1.0));
    assert_eq!(undone(&out).0, "3 → 2");
    assert_eq!(out.plan().target_nodes, ["n1"]);
    assert_eq!(judged(&s.find(&t(3).on("n2"))), ["stands"]);
}

#[test]
fn what_is_not_applied_is_not_judged() {
    let mut s = ours();
    let id = s.find(&t(0)).plan().plan_id.clone();
    assert_eq!(judged(&s.find(&t(5).severity(1.0))), [""; 0]);
    s.ack(&rejected(&id).at(5));
    assert_eq!(judged(&s.find(&t(9).severity(1.0))), [""; 0]);
}

#[test]
fn a_freeze_holds_an_undo_and_does_not_forget_it() {
    let mut s = ours();
    s.act(&t(0));
    s.freeze(None);
    for window in 3..30 {
        let out = s.find(&t(window).severity(1.0));
        assert_eq!(out.0.holds().next().unwrap().gate.name(), "frozen");
        assert_eq!(out.plans(), []);
    }
    s.thaw(None);
    assert_eq!(undone(&s.find(&t(30).severity(1.0))).0, "3 → 2");
}

#[test]
fn an_undo_that_is_rejected_is_not_tried_again() {
    let mut s = ours();
    s.act(&t(0));
    let back = s.find(&t(3).severity(1.0)).plan().clone();
    s.ack(&rejected(&back.plan_id).at(3));
    assert_eq!(s.value("k"), json!(3));
    for window in 4..30 {
        assert_eq!(
            judged(&s.find(&t(window).severity(1.0).persistence(0))),
            [""; 0]
        );
    }
}

#[test]
fn the_original_undoes_nothing() {
    let mut s = Scene::original().knob(k());
    s.act(&t(0));
    for window in 1..30 {
        assert_eq!(judged(&s.find(&t(window).severity(1.0))), [""; 0]);
    }
    let mut never = Settings::default();
    never.undo_after = None;
    let mut s = Scene::under(never).knob(k());
    s.act(&t(0));
    assert_eq!(judged(&s.find(&t(3).severity(1.0))), [""; 0]);
}

#[test]
fn a_forgotten_nodes_plan_is_not_judged() {
    let mut settings = Settings::default();
    settings.nodes_remembered = 1;
    let mut s = Scene::under(settings).knob(k());
    s.act(&t(0).on("n1"));
    let out = s.find(&t(1).on("n2"));
    let Some(Notice::NotJudged { why, node, .. }) = out.0.notices().nth(1) else {
        panic!("{out:?}");
    };
    assert_eq!((*why, node.as_deref()), (NotJudged::Forgotten, Some("n1")));
}

#[test]
fn a_value_that_the_knob_does_not_allow_is_not_gone_back_to() {
    let odd = || knob("k", 2).range(4, 64).on("t", up(1).eager());
    let mut s = Scene::ours().knob(odd());
    assert_eq!(s.act(&t(0)).new_value, 4.into());
    let out = s.find(&t(3).severity(1.0).persistence(0));
    assert_eq!(out.0.holds().next().unwrap().gate.name(), "no_change");
    let out = s.find(&t(4).severity(1.0).persistence(0));
    assert_eq!(out.gate().name(), "persistence", "said once");

    let mut s = Scene::ours().knob(odd());
    let plan = s.act(&t(0));
    let told = s.revert(&plan.plan_id).told();
    let expected = "revert refused: k allows no plan to 2, which it had before";
    assert_eq!(told, [expected]);
    let second = s.act(&t(30));
    assert_eq!(s.revert(&second.plan_id).new_value(), json!(4));
}
