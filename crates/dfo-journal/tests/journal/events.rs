//! Every event reads back so that a planner decides the same on it.

use dfo_journal::{Archive, Recorded, Replay, Step};
use dfo_model::{
    Ack, AckStatus, ActionPlan, Evidence, FindingView, PublishMode, Registration, Value,
};
use dfo_planner::{Command, Event, Planner, Silence};
use proptest::prelude::*;
use proptest::sample::select;

use crate::scene::{Scene, folder, replayed};

#[derive(Debug, Clone)]
enum Happening {
    Registration(Box<Registration>),
    Bootstrap(Box<Registration>),
    Finding(Box<FindingView<'static>>),
    /// Of the plan made so many plans ago.
    Ack(usize, Box<Ack>),
    GlobalPlan(Box<ActionPlan>),
    Silence(String, Option<String>),
    Command(Command),
    Rotate,
}

/// Names that recur, and texts that need escapes.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["a", "b", "dlio.a", "t", "u", "node:n1", "node:n1:x", "global", "n1", ""])
            .prop_map(str::to_owned),
        1 => any::<String>(),
        1 => select(vec![
            "line\nend", "quo\"te\\", "\u{0}\u{1f}\u{7f}", "\u{2028}\u{feff}", "e\u{301}🦀", "\"crc\":\"",
        ])
        .prop_map(str::to_owned),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.5,
        1 => select(vec![0.0, -0.0, 1.0, f64::MIN_POSITIVE, 5e-324, 1e300, 0.1 + 0.2]),
    ]
}

fn odd_float() -> impl Strategy<Value = f64> {
    let odd = select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    prop_oneof![9 => float(), 1 => odd]
}

fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -2_i64..200, 1 => any::<i64>()]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_i64..20).prop_map(Value::Int),
        float().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        name().prop_map(Value::Str),
    ]
}

fn registration() -> impl Strategy<Value = Registration> {
    let knob = (
        name(),
        0_i64..9,
        select(vec!["int", "float", "str", "bool"]),
        name(),
        1_i64..4,
    );
    let knobs = prop::collection::vec(knob, 0..4);
    (
        name(),
        name(),
        knobs,
        prop::collection::vec((name(), value()), 0..3),
    )
        .prop_map(|(namespace, node, knobs, live)| {
            let registration = Registration {
                namespace,
                node,
                ..Registration::default()
            };
            let mut text = serde_json::to_value(&registration).unwrap();
            for (name, default, kind, tag, step) in knobs {
                text["knobs"][&name] = serde_json::json!({
                    "default": default, "type": kind, "range": [0, 16],
                    "responds_to": {tag: {"step": step, "min_persistence": 1, "cooldown_windows": 1,
                        "min_severity": 0.1, "effectiveness_threshold": -1.5}},
                });
            }
            for (name, value) in live {
                text["current_values"][&name] = serde_json::to_value(&value).unwrap();
            }
            // As it comes from outside: what cannot be used is left out.
            Registration::decode(text.to_string().as_bytes())
                .message
                .unwrap_or_default()
        })
}

fn finding() -> impl Strategy<Value = FindingView<'static>> {
    let texts = (name(), name(), prop::option::of(name()), name());
    let trend = prop_oneof![
        select(vec![
            "stable",
            "improving",
            "worsening",
            "insufficient_data"
        ])
        .prop_map(str::to_owned),
        name(),
    ];
    let numbers = (odd_float(), whole(), trend, whole());
    let tags = || prop::collection::vec(name(), 0..3);
    let metric = || prop::option::of(float());
    let metrics = (metric(), metric(), metric(), metric());
    (texts, numbers, tags(), tags(), any::<bool>(), metrics).prop_map(
        |(texts, numbers, opportunities, suppresses, is_summary, metrics)| {
            let (finding_type, scope, view_type, motif) = texts;
            let (severity_score, persistence, trend, window_index) = numbers;
            FindingView {
                finding_type: finding_type.into(),
                scope: scope.into(),
                view_type: view_type.map(Into::into),
                motif: motif.into(),
                severity_score,
                persistence,
                trend_direction: trend.into(),
                window_index,
                opportunity_tags: opportunities.into_iter().map(Into::into).collect(),
                suppresses_tags: suppresses.into_iter().map(Into::into).collect(),
                publish_mode: match is_summary {
                    true => PublishMode::Summary,
                    false => PublishMode::Control,
                },
                evidence: Evidence {
                    fetch_frac: metrics.0,
                    compute_frac: metrics.1,
                    fetch_iter_time_frac_parent: metrics.2,
                    compute_time_frac_parent: metrics.3,
                },
            }
        },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    let status = select(vec![
        AckStatus::Applied,
        AckStatus::Rejected,
        AckStatus::Deferred,
    ]);
    let window = prop::option::of(0_i64..300);
    (status, prop::option::of(value()), name(), window, name()).prop_map(
        |(status, new_value, reason, window_index, node)| Ack {
            new_value,
            reason,
            window_index,
            target_nodes: vec![node.clone()],
            node,
            ..Ack::new("plan_unknown", status)
        },
    )
}

fn global_plan() -> impl Strategy<Value = ActionPlan> {
    (
        name(),
        name(),
        value(),
        float(),
        prop::collection::vec(name(), 0..2),
    )
        .prop_map(
            |(plan_id, knob, new_value, severity, target_nodes)| ActionPlan {
                plan_id,
                knob_id: format!("k{knob}"),
                target_function: String::new(),
                old_value: None,
                new_value,
                apply_when: "epoch_boundary".to_owned(),
                rationale: "above\n".to_owned(),
                finding_type: String::new(),
                severity,
                opportunity_tag: String::new(),
                window_index: -1,
                target_nodes,
            },
        )
}

fn command() -> impl Strategy<Value = Command> {
    let knob = || prop::option::of(select(vec!["a.a", "a.b", "none"]).prop_map(str::to_owned));
    prop_oneof![
        knob().prop_map(|knob| Command::Freeze { knob }),
        knob().prop_map(|knob| Command::Thaw { knob }),
        name().prop_map(|plan_id| Command::Revert { plan_id }),
        Just(Command::RevertAll),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => registration().prop_map(|r| Happening::Registration(Box::new(r))),
        1 => registration().prop_map(|r| Happening::Bootstrap(Box::new(r))),
        8 => finding().prop_map(|f| Happening::Finding(Box::new(f))),
        3 => (0_usize..3, ack()).prop_map(|(plan, ack)| Happening::Ack(plan, Box::new(ack))),
        1 => global_plan().prop_map(|plan| Happening::GlobalPlan(Box::new(plan))),
        1 => (name(), prop::option::of(name())).prop_map(|(k, n)| Happening::Silence(k, n)),
        1 => command().prop_map(Happening::Command),
        1 => Just(Happening::Rotate),
    ]
}

fn state(planner: &Planner) -> String {
    serde_json::to_string(&planner.state()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_reads_back_to_the_same_decisions(
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let folder = folder();
        let mut scene = Scene::start(folder.path());
        let mut plans: Vec<String> = Vec::new();
        for happening in happenings {
            let made = match happening {
                Happening::Registration(r) => scene.event(Event::Registration(&r)).1,
                Happening::Bootstrap(r) => scene.event(Event::Bootstrap(&r)).1,
                Happening::Finding(finding) => scene.event(Event::Finding(&finding)).1,
                Happening::Ack(back, mut ack) => {
                    if let Some(at) = plans.len().checked_sub(back + 1) {
                        ack.plan_id.clone_from(&plans[at]);
                    }
                    scene.event(Event::Ack(&ack)).1
                }
                Happening::GlobalPlan(plan) => scene.event(Event::GlobalPlan(&plan)).1,
                Happening::Silence(knob, node) => {
                    let node = node.as_deref();
                    scene.event(Event::Silence(Silence { knob: &knob, node })).1
                }
                Happening::Command(command) => scene.event(Event::Command(&command)).1,
                Happening::Rotate => {
                    scene.rotate();
                    Vec::new()
                }
            };
            plans.extend(made.into_iter().map(|plan| plan.plan_id));
        }
        let known = state(&scene.planner);
        let last = scene.writer.last_seq();
        drop(scene);

        let told = replayed(folder.path());
        prop_assert_eq!(told.sentences(), Vec::<String>::new());
        prop_assert_eq!(state(&told.planner.unwrap()), known.clone());
        let again = crate::scene::recovered(folder.path());
        prop_assert_eq!(state(&again.planner), known);
        prop_assert_eq!(again.go_on.next_seq, last + 1);
    }
}

/// Holds are written in a faster way than `serde`'s, to the same bytes.
#[test]
fn decisions_stand_in_a_line_as_serde_has_them() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.some_events();
    let text = r#"{"finding_type": "t", "scope": "node:a\"b", "severity_score": 0.1,
        "opportunity_tags": ["x\ny", "dataloader_prefetch"]}"#;
    let finding = FindingView::decode(text.as_bytes()).unwrap();
    scene.event(Event::Finding(&finding));
    drop(scene);
    let archive = Archive::open(folder.path()).unwrap();
    let mut compared = 0;
    Replay::new().run(&archive, |step| {
        if let Step::Entry {
            entry,
            decided: Some(decided),
            ..
        } = step
            && let Recorded::Event { decisions, .. } = &entry.what
        {
            let list: Vec<_> = decided.iter().collect();
            assert_eq!(*decisions, serde_json::to_string(&list).unwrap());
            compared += decided.holds().count();
        }
        std::ops::ControlFlow::Continue(())
    });
    assert!(compared >= 3, "{compared}");
}

#[test]
fn a_severity_that_is_no_number_is_refused_again() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.register();
    let finding = FindingView {
        severity_score: f64::NAN,
        ..FindingView::decode(b"{\"scope\": \"app\"}").unwrap()
    };
    let (seq, _) = scene.event(Event::Finding(&finding));
    drop(scene);
    let told = replayed(folder.path());
    assert_eq!(told.sentences(), [""; 0]);
    assert_eq!(told.seqs.last(), Some(&seq));
}
