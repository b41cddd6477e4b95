//! Defects of the original about acknowledgements and pending plans: none of them is here.
//!
//! a04 (the topics of acknowledgements disagree) is a matter of the transport.

#![expect(clippy::panic, reason = "what fails here fails the test")]

mod scene;

use dfo_model::Ack;
use dfo_planner::{AckIgnored, Notice};
use scene::{
    AckWords, Finding, Scene, applied, deferred, finding, global_plan, json, knob, rejected, up,
};

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

/// A knob at 2 that goes up by 1, whatever came of the last time.
fn eager() -> Scene {
    Scene::ours().knob(knob("k", 2).range(0, 16).on("t", up(1).eager()))
}

fn why_ignored(notice: &Notice) -> AckIgnored {
    let Notice::AckIgnored { why, .. } = notice else {
        panic!("not ignored: {notice}");
    };
    *why
}

#[test]
fn a01_an_ack_without_a_pending_plan_changes_nothing() {
    let mut s = eager();
    let plan = s.act(&t(0));
    for ack in [applied, rejected, deferred] {
        let unknown = s.ack(&ack("never_made").value(13));
        assert_eq!(why_ignored(&unknown), AckIgnored::Unknown);
    }
    let repeated = s.ack(&applied(&plan.plan_id).value(3));
    assert_eq!(why_ignored(&repeated), AckIgnored::Repeated);
    assert_eq!(s.value("k"), 3);
}

#[test]
fn a01_a_late_ack_of_an_expired_plan_changes_nothing() {
    let mut s = eager();
    let plan = s.find(&t(0)).plan().clone();
    s.find(&finding(&[]).at(10));
    let late = s.ack(&applied(&plan.plan_id).value(3));
    assert_eq!(why_ignored(&late), AckIgnored::Expired);
    assert_eq!(s.value("k"), 2);
}

#[test]
fn a02_the_ack_of_a_global_plan_is_an_ack_like_any_other() {
    for settings in scene::both() {
        let with_plan = || {
            let mut s = Scene::under(settings.clone()).knob(knob("k", 2).range(0, 16));
            s.global(&global_plan("g", "k", 8)).plan();
            s
        };
        let mut s = with_plan();
        assert_eq!(s.ack(&applied("g").value(7)).name(), "applied");
        assert_eq!(s.value("k"), 7);

        let mut s = with_plan();
        assert_eq!(s.ack(&rejected("g")).name(), "rejected");
        assert_eq!(s.value("k"), 2);
    }
}

#[test]
fn a03_an_ack_that_names_neither_window_nor_node_closes_its_plan_and_starts_the_cooldown() {
    let response = up(1).with("effectiveness_threshold", 0.0);
    let mut s = Scene::ours().knob(knob("k", 2).range(0, 16).on("t", response));
    let plan = s.find(&t(4).on("n1")).plan().clone();
    let wire = json!({"plan_id": plan.plan_id, "knob_id": "k", "status": "applied",
        "old_value": 2, "new_value": 3, "reason": ""});
    let ack = Ack::decode(wire.to_string().as_bytes());
    s.ack(&ack.into_result().unwrap());
    assert_eq!(s.pending(), []);
    for window in [5, 6] {
        assert_eq!(s.find(&t(window).on("n1")).held_by(), "cooldown");
    }
    s.find(&t(7).on("n1")).plan();
}

#[test]
fn a05_an_ack_of_another_plan_leaves_the_pending_one_alone() {
    let mut s = eager();
    let other = s.act(&t(0));
    let plan = s.find(&t(1)).plan().clone();
    for id in [other.plan_id.as_str(), "foreign", ""] {
        s.ack(&applied(id).value(13).at(1));
    }
    assert_eq!((s.pending(), s.value("k")), (vec![("k", None)], json!(4)));
    assert_eq!(s.ack(&applied(&plan.plan_id)).name(), "applied");
}

#[test]
fn a06_an_app_that_defers_every_plan_does_not_make_the_planner_climb() {
    let mut s = eager();
    let plan = s.find(&t(0)).plan().clone();
    for window in 1..50 {
        assert_eq!(s.ack(&deferred(&plan.plan_id)).name(), "deferred");
        assert_eq!(s.find(&t(window)).held_by(), "pending");
    }
}

#[test]
fn a06_an_unknown_status_is_no_ack() {
    let decoded = Ack::decode(br#"{"plan_id": "p", "status": "superseded"}"#);
    assert_eq!(decoded.message, None);
}

#[test]
fn a07_an_app_that_rejects_keeps_its_value_and_is_not_stormed() {
    let live = knob("k", 2).range(0, 16).live(8).on("t", up(1));
    let mut s = Scene::ours().knob(live);
    let mut windows = Vec::new();
    for window in 0..10 {
        if let Some(plan) = s.find(&t(window)).0.plans().next() {
            s.ack(&rejected(&plan.plan_id));
            windows.push(window);
        }
        assert_eq!(s.value("k"), 8);
    }
    assert_eq!(windows, [0, 3, 6, 9]);
}

#[test]
fn a08_rejection_restores_the_nodes_override() {
    let mut s = eager();
    s.act(&t(0).on("n1"));
    let plan = s.find(&t(1).on("n1")).plan().clone();
    s.ack(&rejected(&plan.plan_id));
    assert_eq!(s.value_on("n1", "k"), 3);
}

#[test]
fn a09_a_lost_plan_does_not_silence_the_knob() {
    let mut s = eager();
    let plans: usize = (0..100).map(|w| s.find(&t(w)).plans().len()).sum();
    assert_eq!(plans, 10);
}

#[test]
fn a10_a_nodes_plan_does_not_build_on_a_value_that_no_one_confirmed() {
    let mut s = eager();
    let plan = s.find(&t(0)).plan().clone();
    assert_eq!(s.find(&t(0).on("n1")).held_by(), "pending");
    s.ack(&rejected(&plan.plan_id).at(0));
    let plan = s.find(&t(0).on("n1"));
    assert_eq!(plan.plan().old_value, Some(2.into()));
}

#[test]
fn a11_an_acked_value_of_the_wrong_type_is_refused_and_the_plan_stays_open() {
    let mut s = eager();
    let plan = s.find(&t(0)).plan().clone();
    for value in ["lots", "4"] {
        let notice = s.ack(&applied(&plan.plan_id).value(value));
        assert!(matches!(
            notice,
            Notice::AckRefused {
                field: "new_value",
                ..
            }
        ));
    }
    s.ack(&applied(&plan.plan_id).value(2.5));
    assert_eq!(s.pending(), [("k", None)]);

    s.ack(&applied(&plan.plan_id).value(500.0));
    assert_eq!(
        s.value("k"),
        json!(500),
        "a value outside the range is the application's truth"
    );
}

#[test]
fn a12_an_ack_with_a_null_window_counts_whole() {
    let wire = |id: &str| {
        let text = json!({"plan_id": id, "status": "applied", "window_index": null});
        Ack::decode(text.to_string().as_bytes())
            .into_result()
            .unwrap()
    };
    let mut s = Scene::ours().knob(knob("k", 2).on("t", up(1)));
    let plan = s.find(&t(6)).plan().clone();
    s.ack(&wire(&plan.plan_id));
    assert_eq!((s.pending(), s.value("k")), (vec![], json!(3)));
    assert_eq!(s.find(&t(8)).held_by(), "cooldown");
}

/// A job-wide plan goes to many applications; the first to say so closes it.
mod many_applications {
    use super::*;
    use dfo_model::AckStatus;

    #[test]
    fn a_later_ack_that_disagrees_changes_nothing_and_names_its_node() {
        let first_at_3 = || {
            let mut s = eager();
            let plan = s.find(&t(0)).plan().clone();
            s.ack(&applied(&plan.plan_id).value(3).by("n1"));
            (s, plan.plan_id)
        };
        let (mut s, id) = first_at_3();
        assert_eq!(
            why_ignored(&s.ack(&applied(&id).by("n2"))),
            AckIgnored::Repeated
        );
        let same = s.ack(&applied(&id).value(3.0).by("n2"));
        assert_eq!(why_ignored(&same), AckIgnored::Repeated);

        for ack in [applied(&id).value(4), rejected(&id), deferred(&id)] {
            let Notice::AcksDisagree {
                node, first, value, ..
            } = s.ack(&ack.by("n2"))
            else {
                panic!("they do disagree");
            };
            assert_eq!((&*node, first, value), ("n2", AckStatus::Applied, 3.into()));
            assert_eq!(s.value("k"), 3);
        }
    }

    /// Without a value an ack speaks of the plan's.
    #[test]
    fn an_ack_without_a_value_disagrees_with_one_that_changed_it() {
        let mut s = eager();
        let plan = s.find(&t(0)).plan().clone();
        s.ack(&applied(&plan.plan_id).value(5).by("n1"));
        let notice = s.ack(&applied(&plan.plan_id).by("n2"));
        assert_eq!(notice.name(), "acks_disagree");
    }

    #[test]
    fn a_rejection_after_a_rejection_says_nothing_new() {
        let mut s = eager();
        let plan = s.find(&t(0)).plan().clone();
        s.ack(&rejected(&plan.plan_id).by("n1"));
        let notice = s.ack(&rejected(&plan.plan_id).value(2).by("n2"));
        assert_eq!(why_ignored(&notice), AckIgnored::Repeated);
    }
}
