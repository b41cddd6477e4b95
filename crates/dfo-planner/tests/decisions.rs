//! What people and machines read: each hold with its gate, numbers, knob, tag and node, and the
//! sentences.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod scene;

use dfo_planner::{Gate, Hold, Settings, Violation};
use scene::{
    AckWords, Finding, Out, PlanWords, Scene, applied, deferred, finding, global_plan, json, knob,
    rejected, set, suppressing, up,
};

fn t() -> Finding {
    finding(&["t"])
}

/// A knob that rests three windows.
fn ours() -> Scene {
    Scene::ours().knob(knob("k", 2).range(0, 16).on("t", up(1)))
}

/// Every gate, by what leads to it. The finding held is in window 7.
fn every_hold() -> Vec<Hold> {
    let at = |finding: Finding| finding.at(7);
    let on_n1 = |finding: Finding| at(finding).on("n1");
    let mut holds = Vec::new();
    let mut held = |scene: &mut Scene, finding: Finding| {
        let out = scene.find(&finding);
        out.gate();
        holds.push(out.0.holds().next().unwrap().clone());
    };

    held(
        &mut ours(),
        at(suppressing(&["t"]).severity(0.25).persistence(1)),
    );
    held(&mut Scene::ours(), on_n1(t()));
    held(&mut ours(), on_n1(t()).trend("improving"));
    held(&mut ours(), on_n1(finding(&[])));

    let mut s = ours();
    s.find(&suppressing(&["t"]).severity(0.8));
    held(&mut s, on_n1(t()).severity(0.75));

    held(&mut ours(), on_n1(finding(&["nobodys"])));

    let mut s = ours();
    s.find(&t().at(6));
    held(&mut s, on_n1(t()));

    let mut s = ours();
    s.silence("k", Some("n1"));
    held(&mut s, on_n1(t()));

    held(&mut ours(), on_n1(t()).severity(0.25));
    held(&mut ours(), on_n1(t()).persistence(1));

    let mut s = ours();
    s.act(&on_n1(t()).at(6));
    held(&mut s, on_n1(t()));

    let mut s = ours();
    s.act(&on_n1(t()).at(3));
    held(&mut s, on_n1(t()).severity(0.95));

    held(
        &mut ours().knob(knob("k", 16).range(0, 16).on("t", up(1)).live(16)),
        on_n1(t()),
    );

    let mut s = ours();
    s.freeze(None);
    held(&mut s, on_n1(t()));

    for limits in [
        "knobs = ['other.*']",
        "largest_step = 0.25",
        "constraints = ['k * 8 <= 16']",
        "plans_per_window = 0",
        "plans_per_job = 0",
    ] {
        let mut settings = Settings::default();
        settings.limits = toml::from_str(limits).unwrap();
        let mut s = Scene::under(settings).knob(knob("k", 2).range(0, 16).on("t", up(1)));
        held(&mut s, on_n1(t()));
    }

    let mut settings = Settings::default();
    settings.nodes_remembered = 1;
    let mut s = Scene::under(settings).knob(knob("k", 2).on("t", up(1)));
    s.find(&t().on("n0"));
    held(&mut s, on_n1(t()));
    holds
}

#[test]
fn every_hold_carries_its_numbers() {
    let plan_of_the_job = "plan_2e7e8e136f77aad31981f140a4fd1429";
    let gates = [
        Gate::WeakSuppression {
            severity: 0.25,
            min_severity: 0.5,
            persistence: 1,
            min_persistence: 2,
        },
        Gate::NoKnobs,
        Gate::Trend,
        Gate::NoTags,
        Gate::Suppressed {
            by: "contention".into(),
            value: 0.75,
            threshold: 0.8,
        },
        Gate::NoResponse,
        Gate::Pending {
            plan_id: plan_of_the_job.into(),
            plan_node: None,
        },
        Gate::Silent {
            node: Some("n1".into()),
        },
        Gate::Severity {
            value: 0.25,
            threshold: 0.5,
        },
        Gate::Persistence {
            value: 1,
            threshold: 2,
        },
        Gate::Cooldown {
            value: 1,
            threshold: 3,
        },
        Gate::Ineffective {
            value: (1.0 - 0.95) / 1.0,
            threshold: 0.1,
            severity_then: 1.0,
            windows_waited: 4,
            patience: Some(5),
            taken_back: false,
        },
        Gate::NoChange { value: 16.into() },
        Gate::Frozen {
            value: 3.into(),
            everything: true,
        },
        Gate::NotAllowed {
            allowed: vec!["other.*".into()],
        },
        Gate::LargestStep {
            value: 0.5,
            threshold: 0.25,
            wanted: 3.into(),
        },
        Gate::Constraint(Box::new(Violation {
            constraint: "k * 8 <= 16".into(),
            value: Some(24.0),
            threshold: Some(16.0),
            unknown: None,
            at_node: None,
            wanted: 3.into(),
        })),
        Gate::PlansPerWindow {
            value: 0,
            threshold: 0,
        },
        Gate::PlansPerJob {
            value: 0,
            threshold: 0,
        },
        Gate::NoRoom { threshold: 1 },
    ];
    let held: Vec<Gate> = every_hold().into_iter().map(|hold| hold.gate).collect();
    assert_eq!(held, gates);
    let names: Vec<_> = held.iter().map(Gate::name).collect();
    assert_eq!(names, Gate::NAMES, "no gate is missing here");
}

#[test]
fn every_hold_names_its_node_tag_and_knob_as_far_as_they_matter() {
    for hold in every_hold() {
        let (gate, node) = (hold.gate.name(), hold.node.as_deref());
        assert_eq!(hold.window_index, 7, "{gate}");
        let (expected_node, tag, knob) = match gate {
            "weak_suppression" => (None, None, None),
            "no_knobs" | "trend" | "no_tags" => (Some("n1"), None, None),
            "no_response" => (Some("n1"), Some("nobodys"), None),
            "suppressed" => (Some("n1"), Some("t"), None),
            _ => (Some("n1"), Some("t"), Some("k")),
        };
        assert_eq!(node, expected_node, "{gate}");
        assert_eq!(
            (hold.tag.as_deref(), hold.knob.as_deref()),
            (tag, knob),
            "{gate}"
        );
    }
    let of_the_job = ours()
        .find(&t().severity(0.1))
        .0
        .holds()
        .next()
        .unwrap()
        .clone();
    assert_eq!(of_the_job.node, None);
}

#[test]
fn the_first_gate_in_order_holds() {
    let mut s = ours();
    let weak = || t().severity(0.1).persistence(0);
    assert_eq!(s.find(&weak()).held_by(), "severity");
    assert_eq!(s.find(&weak().severity(0.9)).held_by(), "persistence");
    let plan = s.find(&t()).plan().clone();
    assert_eq!(s.find(&weak()).held_by(), "pending");
    s.ack(&applied(&plan.plan_id).at(0));
    assert_eq!(s.find(&weak()).held_by(), "severity");
    assert_eq!(
        s.find(&t().at(1)).held_by(),
        "cooldown",
        "though ineffective too"
    );
    assert_eq!(s.find(&t().at(3)).held_by(), "ineffective");
    s.find(&suppressing(&["t"]));
    assert_eq!(s.find(&weak()).held_by(), "suppressed");
    assert_eq!(s.find(&weak().trend("improving")).held_by(), "trend");
}

#[test]
fn a_tag_listed_twice_is_decided_twice() {
    let out = ours().find(&finding(&["t", "nobodys", "t"]));
    assert_eq!(out.plans().len(), 1);
    let holds: Vec<_> = out.0.holds().map(|hold| hold.gate.name()).collect();
    assert_eq!(holds, ["no_response", "pending"]);
}

#[test]
fn decisions_come_in_the_order_of_tags_and_of_registration() {
    let mut s = Scene::ours()
        .knob(knob("b", 2).on("t", up(1)))
        .knob(knob("a", 2).on("u", up(1)).on("t", up(2)));
    let out = s.find(&finding(&["u", "t"]));
    assert_eq!(
        out.plans(),
        [("a".to_owned(), json!(3)), ("b".to_owned(), json!(3))]
    );
    assert_eq!(out.0.holds().next().unwrap().knob.as_deref(), Some("a"));
}

#[test]
fn a_plan_says_what_to_change_where_when_and_why() {
    let k = knob("dlio.prefetch_size", 2).with("target_function", "make_loader");
    let response = up(2).with("apply_when", "window_boundary");
    let mut s = Scene::ours().knob(k.range(1, 16).on("dataloader_prefetch", response));
    let finding = finding(&["dataloader_prefetch"]).kind("fetch_pressure");
    let finding = finding.with("motif", "persistent_pressure").trend("stable");
    let out = s.find(&finding.at(9).persistence(10).scope("node:n1:app:epoch"));
    insta::assert_snapshot!(serde_json::to_string_pretty(out.plan()).unwrap(), @r#"
    {
      "plan_id": "plan_2e7e8e136f77aad31981f140a4fd1429",
      "knob_id": "dlio.prefetch_size",
      "target_function": "make_loader",
      "old_value": 2,
      "new_value": 3,
      "apply_when": "window_boundary",
      "rationale": "fetch_pressure: persistent_pressure (severity=1.000, persistence=10, trend=stable, scope=node:n1:app:epoch) -> dataloader_prefetch",
      "finding_type": "fetch_pressure",
      "severity": 1.0,
      "opportunity_tag": "dataloader_prefetch",
      "window_index": 9,
      "target_nodes": [
        "n1"
      ]
    }
    "#);
}

#[test]
fn a_global_plan_without_a_reason_goes_on_with_the_originals_words() {
    for settings in scene::both() {
        let mut s = Scene::under(settings).knob(knob("k", 2).range(0, 16));
        let out = s.global(&global_plan("g1", "k", 8));
        let plan = out.plan();
        let words = [&plan.rationale, &plan.finding_type].map(String::as_str);
        assert_eq!(words, ["global optimizer", "global"]);

        let mut told = global_plan("g2", "k", 9);
        "half the nodes starve".clone_into(&mut told.rationale);
        "starvation".clone_into(&mut told.finding_type);
        let out = s.global(&told);
        let plan = out.plan();
        let words = [&plan.rationale, &plan.finding_type].map(String::as_str);
        assert_eq!(words, ["half the nodes starve", "starvation"]);
    }
}

#[test]
fn a_pending_plan_shows_what_it_changes_and_what_comes_back() {
    let mut s = ours();
    s.act(&t().on("n2"));
    let of_n2 = s.find(&t().at(20).on("n2")).plan().plan_id.clone();
    let of_n1 = s.find(&t().at(21).severity(0.75).on("n1"));
    let of_n1 = of_n1.plan().plan_id.clone();
    s.register([knob("k", 2).range(0, 16).on("t", up(1)).live(9)]);

    let pending = s.planner.pending();
    let [n1, n2] = pending[..] else {
        panic!("{pending:?}");
    };
    assert_eq!((n1.knob, n1.node, n1.plan_id), ("k", Some("n1"), &*of_n1));
    assert_eq!((n2.knob, n2.node, n2.plan_id), ("k", Some("n2"), &*of_n2));
    assert_eq!((n1.value, n1.value_before), (&3.into(), &9.into()));
    assert_eq!((n2.value, n2.value_before), (&4.into(), &3.into()));
    assert_eq!((n1.opportunity_tag, n1.severity), ("t", 0.75));
    assert_eq!((n1.window_index, n2.window_index), (21, 20));
}

/// Half to even on the exact binary value, as Python's `{:.3f}`.
#[test]
fn the_rationale_rounds_to_three_decimals() {
    for (severity, written) in [
        (0.5625, "0.562"),
        (0.8125, "0.812"),
        (0.6875, "0.688"),
        (2.0, "2.000"),
    ] {
        let out = ours().find(&t().severity(severity));
        let expected = format!("(severity={written}, ");
        assert!(
            out.plan().rationale.contains(&expected),
            "{}",
            out.plan().rationale
        );
    }
}

#[test]
fn the_sentences_of_the_gates() {
    let sentences = every_hold().into_iter().map(|hold| hold.gate.to_string());
    insta::assert_snapshot!(sentences.collect::<Vec<_>>().join("\n"), @r#"
    too weak to suppress: severity 0.250 of at least 0.5, persistence 1 of at least 2
    no knobs registered
    improving: the last action is working
    the finding names no opportunity tag
    suppressed by contention: severity 0.750, needs a node's above 0.800
    no knob responds to this tag
    plan_2e7e8e136f77aad31981f140a4fd1429 for all nodes awaits its acknowledgement
    no live application has it on n1
    severity 0.250, needs at least 0.5
    persistence 1, needs at least 2
    1 window since the last action, rests 3
    severity fell by 5.0 % from 1.000, needs 10.0 %; 4 windows since, tries again after 5
    stays at 16
    an operator froze everything; it would become 3
    only knobs of other.* are allowed to change
    a change to 3 is one by 50.0 %, at most 25.0 % are allowed
    with 3, k * 8 <= 16 would be 24 against 16
    0 plans in this window, 0 are allowed
    0 plans in this job, 0 are allowed
    no room for another node: all 1 have open plans
    "#);
}

#[test]
fn a_gate_that_never_opens_again_says_so() {
    let mut s = Scene::original().knob(knob("k", 2).on("t", up(1)));
    s.act(&t());
    insta::assert_snapshot!(s.find(&t().at(9)).gate(), @"severity fell by 0.0 % from 1.000, needs 10.0 %; 9 windows since, never tries again");
}

/// All that was told in a scene, without the plans' long names.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn add(&mut self, out: &Out) {
        self.0.extend(out.0.notices().map(ToString::to_string));
    }

    fn text(&self) -> String {
        let mut text = self.0.join("\n");
        let long_names: Vec<String> = text
            .split_whitespace()
            .filter(|word| word.starts_with("plan_") && word.len() > 32)
            .map(str::to_owned)
            .collect();
        for name in long_names {
            text = text.replace(&name, "plan_…");
        }
        text
    }
}

#[test]
fn the_sentences_about_registrations() {
    let mut told = Told::default();
    let mut s = Scene::ours();
    told.add(
        &s.register([
            knob("good", 2)
                .range(0, 16)
                .on("t", up(json!(null)))
                .live(40),
            knob("reversed", 2).range(16, 0),
            knob("unfit", "four").with("type", "int"),
            knob("text", "a").on("t", up(1)).live(5),
            knob("listed", 2)
                .values(json!([1, 2]))
                .on("t", set(3))
                .on("u", up(-1)),
            knob("empty", 2).values(json!([])),
            knob("none", 2).range(0.2, 0.8),
        ]),
    );
    insta::assert_snapshot!(told.text(), @r#"
    knob good refused: response to t: step: missing: this step mode needs one
    good is at 40, which the optimizer would not set; it stays until a plan changes it
    good registered at 40
    knob reversed refused: range: [16, 0] is reversed; write it as [0, 16]
    knob unfit refused: default: four is not of type int
    knob text refused: response to t: direction: a str knob cannot be computed with; use the direction `set`
    text: 5 is not of its type; a counts
    text registered at a
    knob listed refused: response to t: set_to: 3 is none of the knob's values
    knob listed refused: response to u: step: -1 is not above 0; the direction says which way
    listed registered at 2
    knob empty refused: values: an empty list allows nothing; leave it out to allow everything
    knob none refused: range: [0.2, 0.8] holds no value of type int
    "#);
}

#[test]
fn the_sentences_about_plans_and_their_acks() {
    let mut told = Told::default();
    let mut s = ours();
    let ack = |s: &mut Scene, told: &mut Told, ack| told.0.push(s.ack(&ack).to_string());

    let plan = s.find(&t()).plan().clone();
    ack(&mut s, &mut told, applied(&plan.plan_id).value("lots"));
    ack(&mut s, &mut told, deferred(&plan.plan_id));
    ack(&mut s, &mut told, applied(&plan.plan_id).value(5).at(0));
    ack(&mut s, &mut told, applied(&plan.plan_id).value(5).by("n2"));
    ack(&mut s, &mut told, applied(&plan.plan_id).value(4).by("n2"));
    ack(&mut s, &mut told, rejected(&plan.plan_id).by("n3"));
    ack(&mut s, &mut told, applied("never_made"));

    let plan = s.find(&t().at(5).on("n1")).plan().clone();
    let mut refused = rejected(&plan.plan_id);
    "out of memory".clone_into(&mut refused.reason);
    ack(&mut s, &mut told, refused);

    let plan = s.find(&t().at(8).on("n1")).plan().clone();
    told.add(&s.find(&finding(&[]).at(18)));
    ack(&mut s, &mut told, applied(&plan.plan_id));

    let plan = s.find(&t().at(18).on("n1")).plan().clone();
    told.add(&s.global(&global_plan("above", "k", 12)));
    ack(&mut s, &mut told, applied(&plan.plan_id));
    insta::assert_snapshot!(told.text(), @r#"
    acknowledgement of plan_… refused: new_value: lots is not of type int
    plan_… deferred: k
    plan_… applied: k is at 5
    acknowledgement of plan_… ignored: the plan was acknowledged before
    acknowledgements of plan_… disagree: n2 says applied at 4, the first said applied and 5 is in force
    acknowledgements of plan_… disagree: n3 says rejected, the first said applied and 5 is in force
    acknowledgement of never_made ignored: no such plan is open
    plan_… rejected: k on n1 is at 5 (out of memory)
    plan_… expired after 10 windows without an acknowledgement: k on n1 is at 5
    acknowledgement of plan_… ignored: the plan had expired
    plan_… is superseded by above
    acknowledgement of plan_… ignored: the plan was superseded
    "#);
}

#[test]
fn the_sentences_about_global_plans_that_come_to_nothing() {
    let mut told = Told::default();
    let mut s = ours();
    told.add(&s.global(&global_plan("g1", "k", 9).on(&["n9"])));
    told.add(&s.global(&global_plan("g2", "k", 2)));
    told.add(&s.global(&global_plan("g3", "other", 2)));
    told.add(&s.global(&global_plan("g4", "k", "many")));
    told.add(&s.global(&global_plan("", "k", 9)));
    s.global(&global_plan("g5", "k", 9)).plan();
    told.add(&s.global(&global_plan("g5", "k", 10)));
    insta::assert_snapshot!(told.text(), @r#"
    global plan g1 ignored: it is for other nodes
    global plan g2 ignored: its value is in force
    global plan g3 refused: knob_id: no knob "other" is registered
    global plan g4 refused: new_value: many is not of type int
    global plan  refused: plan_id: missing: it could not be acknowledged
    global plan g5 ignored: it was here before
    "#);
}

#[test]
fn the_sentences_about_findings() {
    let mut told = Told::default();
    let mut settings = Settings::default();
    settings.nodes_remembered = 1;
    let mut s = Scene::under(settings).knob(knob("k", 2).on("t", up(1)));
    told.add(&s.find(&t().scope("node::app")));
    s.act(&t().on("n1"));
    told.add(&s.find(&t().at(3).on("n2")));
    told.add(&s.find(&suppressing(&["u", "v"]).at(3)));
    told.add(&s.find(&suppressing(&["u"]).at(4)));
    told.add(&s.find(&finding(&[]).at(24)));
    told.add(&s.find(&finding(&[]).at(0)));
    insta::assert_snapshot!(told.text(), @r#"
    invalid finding: scope: "node::app" names no node; write `node:<name>`
    n1 had to make room and is forgotten
    whether plan_… for k on n1 did harm cannot be said: the node had to make room
    u is suppressed by contention (severity 1.000)
    v is suppressed by contention (severity 1.000)
    v is no longer suppressed by contention
    plan_… expired after 21 windows without an acknowledgement: k on n2 is at 2
    contention was not heard of again: u is suppressed by it no longer
    a new run: window 0 after 24; cooldowns and patience begin anew
    "#);
}

#[test]
fn a_global_plan_with_the_id_of_one_of_ours_takes_nothing_away() {
    let predicted = ours().find(&t()).plan().plan_id.clone();
    let mut s = ours();
    let global = s.global(&global_plan(&predicted, "k", 9));
    assert_eq!(global.plan().plan_id, predicted);
    let plan = s.find(&t().at(50)).plan().clone();
    assert_ne!(plan.plan_id, predicted);
    // Both expire, and time goes on.
    let told = s.find(&t().at(70)).told();
    assert!(!told.is_empty());
}

#[test]
fn a_rejected_global_plan_is_no_action_to_judge_by() {
    let mut s = ours();
    let mut plan = global_plan("g", "k", 9);
    plan.severity = 0.9;
    plan.opportunity_tag = "t".to_owned();
    s.global(&plan);
    s.ack(&rejected("g"));
    assert_eq!(s.find(&t().at(5).severity(0.9)).new_value(), 3);
}

#[test]
fn what_the_application_registers_while_a_plan_waits_is_not_undone() {
    let mut s = ours();
    s.find(&t().at(1));
    s.register([knob("k", 2).range(0, 16).on("t", up(1)).live(3)]);
    s.find(&t().at(40).severity(0.1));
    assert_eq!(s.value("k"), 3);
}

#[test]
fn a_late_refresh_does_not_shorten_a_suppression() {
    let mut s = ours();
    s.find(&suppressing(&["t"]).at(100));
    s.find(&suppressing(&["t"]).at(95));
    assert_eq!(s.find(&t().at(116)).held_by(), "suppressed");
}
