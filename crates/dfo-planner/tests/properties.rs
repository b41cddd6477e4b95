//! What holds whatever happens: random events over a small alphabet, odd ones among them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod scene;

use std::collections::{BTreeMap, BTreeSet};

use dfo_model::{
    Ack, AckStatus, ActionPlan, Finding, Knob, KnobType, Number, Registration, Trend, Value,
    node_names_match,
};
use dfo_planner::{
    Command, Decision, Decisions, Event, Notice, Patience, PlanIds, Planner, Settings, Silence,
};
use proptest::prelude::*;
use proptest::sample::select;
use scene::{Response, down, evidence, json, knob, over, set, times, up};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Register {
        knobs: Vec<usize>,
        live: Option<Value>,
        by: Speaker,
    },
    Silence {
        knob: String,
        node: Option<&'static str>,
    },
    Find(Box<Finding>, Window),
    Ack {
        plan: usize,
        ack: Box<Ack>,
    },
    GlobalPlan(Box<ActionPlan>),
    Command(Command),
    /// A revert of a plan: of the latest with 0.
    Revert {
        plan: usize,
    },
}

/// Who says which knobs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// An application on that node.
    Application(&'static str),
    /// A pack or a file.
    Bootstrap,
}

/// Time goes on, but for now and then.
#[derive(Debug, Clone, Copy)]
enum Window {
    Later(i64),
    At(i64),
}

/// All that happened, with the planner at its end.
struct Run {
    planner: Planner,
    /// The ids of all plans so far.
    ids: Vec<String>,
    window: i64,
    /// The values that an application or a definition named, which need not be in range.
    said: BTreeMap<String, Vec<Value>>,
}

/// Knobs that make sense. Their ranges and types never change, their responses do.
fn good_knobs() -> Vec<Knob> {
    let often = |response: Response| response.cooldown(0).with("effectiveness_threshold", -1e9);
    let soon = |response: Response| {
        response
            .with("min_severity", 0.2)
            .with("min_persistence", 0)
    };
    let (more, less) = (|| evidence("increase"), || evidence("decrease"));
    let int = || knob("int", 2).range(0, 16);
    let float = || knob("float", 0.5).range(0.1, 1);
    let knobs = [
        int().on("t", often(up(1))).on("u", soon(down(3))),
        int().on("t", more()).on("u", less()),
        float().on("t", times(2)).on("u", over(1.5)),
        float().on("v", often(up(0.3))),
        knob("bool", false)
            .on("t", often(up(1)))
            .on("u", soon(down(3)))
            .on("v", set("true")),
        knob("text", "a")
            .values(json!(["a", "b"]))
            .on("t", set("b"))
            .on("u", set("a")),
        knob("listed", 2)
            .values(json!([8, 1, 4, 2]))
            .on("t", times(3))
            .on("u", down(3)),
        knob("fractional", 1)
            .range(0.5, 8.5)
            .on("t", often(up(2.5)))
            .on("u", over(2.5)),
        knob("free", 3)
            .on("t", often(times(1e18)))
            .on("u", down(3))
            .on("v", set(-7.9)),
        knob("free_float", 3.0)
            .on("t", often(times(1e300)))
            .on("u", less()),
    ];
    knobs.map(scene::Knob::decoded).to_vec()
}

/// Knobs that are refused as a whole, each in its own way.
fn odd_knobs() -> Vec<Knob> {
    let knobs = [
        knob("odd1", 2).range(16, 0).on("t", up(1)),
        knob("odd2", "x").with("type", "int").on("t", up(1)),
        knob("odd3", 2).range(0.2, 0.8).on("t", up(1)),
        knob("odd4", "x").range(0, 1),
        knob("odd5", 2).values(json!([])),
        knob("odd6", 2.0),
    ];
    let mut knobs = knobs.map(scene::Knob::decoded);
    knobs[5].default = Value::Float(f64::NAN);
    knobs.to_vec()
}

fn registration(knobs: impl IntoIterator<Item = Knob>, live: Option<&Value>) -> Registration {
    let mut registration = Registration::default();
    for knob in knobs {
        if let Some(live) = live {
            registration
                .current_values
                .insert(knob.id.clone(), live.clone());
        }
        registration.knobs.insert(knob.id.clone(), knob);
    }
    registration
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2_i64..20).prop_map(Value::Int),
        (-1.0..2.0).prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        select(vec!["a", "b", "c", "true", "2"]).prop_map(Value::from),
        select(vec![i64::MAX, i64::MIN, 500]).prop_map(Value::Int),
        select(vec![f64::NAN, f64::INFINITY, 1e308, -0.0]).prop_map(Value::Float),
    ]
}

fn odd_window() -> impl Strategy<Value = i64> {
    select(vec![0, 3, 5_000, -1, -40, i64::MAX, i64::MIN, i64::MAX - 5])
}

fn severity() -> impl Strategy<Value = f64> {
    let odd = vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e308,
        -1e308,
        1e-308,
        -1.0,
    ];
    prop_oneof![8 => select(vec![0.0, 0.3, 0.5, 0.6, 0.9, 1.0]), 1 => select(odd)]
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    let tag = select(vec!["t", "t", "u", "v", "nobodys"]).prop_map(str::to_owned);
    prop::collection::vec(tag, 0..4)
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn a_finding() -> impl Strategy<Value = Step> {
    let scope = names(&[
        "app:window",
        "node:n1",
        "node:n2:x",
        "node:n3",
        "node:n4",
        "node",
        "global",
        "global:x",
        "node:",
    ]);
    let trend = names(&[
        "worsening",
        "stable",
        "worsening",
        "insufficient_data",
        "improving",
    ]);
    let persistence = prop_oneof![6 => 0_i64..9, 1 => select(vec![-3, i64::MIN, i64::MAX])];
    let view = prop::option::of(names(&["window", "epoch"]));
    let metric = select(vec![0.0, 0.03, 0.2, 0.3, 0.6, 0.9, -1.0, 1e300, f64::NAN]);
    let metrics = prop::collection::vec((select(vec!["fetch_frac", "compute_frac"]), metric), 0..3);
    let later = (0_i64..4).prop_map(Window::Later);
    let window = prop_oneof![12 => later, 1 => odd_window().prop_map(Window::At)];
    let kind = names(&["a", "b"]);
    let first = (scope, severity(), persistence, trend, view);
    (
        first,
        metrics,
        tags(),
        prop::option::weighted(0.3, tags()),
        kind,
        window,
    )
        .prop_map(
            |(
                (scope, severity_score, persistence, trend, view),
                metrics,
                tags,
                suppresses,
                kind,
                window,
            )| {
                let metrics = metrics.into_iter().filter(|(_, m)| m.is_finite());
                let finding = Finding {
                    finding_type: kind,
                    scope,
                    severity_score,
                    persistence,
                    trend_direction: trend,
                    view_type: view,
                    opportunity_tags: tags,
                    suppresses_tags: suppresses.unwrap_or_default(),
                    key_metrics: metrics
                        .map(|(k, m)| (k.to_owned(), Number::Float(m)))
                        .collect(),
                    ..Finding::default()
                };
                Step::Find(Box::new(finding), window)
            },
        )
}

fn an_ack() -> impl Strategy<Value = Step> {
    let status = select(vec![
        AckStatus::Applied,
        AckStatus::Applied,
        AckStatus::Rejected,
        AckStatus::Deferred,
    ]);
    let window = prop_oneof![4 => Just(None), 1 => odd_window().prop_map(Some)];
    // Mostly the latest plan, sometimes an earlier one, sometimes none at all.
    let plan = prop_oneof![4 => 0_usize..2, 1 => 2_usize..40];
    (plan, status, prop::option::weighted(0.3, value()), window).prop_map(
        |(plan, status, value, window)| {
            let ack = Ack {
                new_value: value,
                window_index: window,
                ..Ack::new("", status)
            };
            Step::Ack {
                plan,
                ack: Box::new(ack),
            }
        },
    )
}

fn a_global_plan() -> impl Strategy<Value = Step> {
    let ids = good_knobs()
        .into_iter()
        .map(|k| k.id)
        .chain(["unknown".to_owned()]);
    let nodes = prop::collection::vec(names(&["n1", "n2", "n3", "n4", "n5"]), 0..4);
    let plan_id = (0..6).prop_map(|i| {
        if i == 0 {
            String::new()
        } else {
            format!("global{i}")
        }
    });
    let knob = select(ids.collect::<Vec<_>>());
    let window = prop_oneof![4 => Just(-1), 1 => odd_window()];
    (plan_id, knob, value(), nodes, severity(), window).prop_map(
        |(plan_id, knob, value, nodes, severity, window)| {
            let mut plan = scene::global_plan(&plan_id, &knob, 0);
            plan.new_value = value;
            plan.target_nodes = nodes;
            plan.severity = severity;
            plan.window_index = window;
            Step::GlobalPlan(Box::new(plan))
        },
    )
}

fn a_registration() -> impl Strategy<Value = Step> {
    let knobs = prop::collection::vec(0..good_knobs().len(), 1..4);
    let live = prop::option::weighted(0.3, value());
    let node = select(vec!["", "n1", "n1.site", "n2"]);
    let by = prop_oneof![
        2 => node.prop_map(Speaker::Application),
        1 => Just(Speaker::Bootstrap),
    ];
    (knobs, live, by).prop_map(|(knobs, live, by)| Step::Register { knobs, live, by })
}

fn a_silence() -> impl Strategy<Value = Step> {
    let ids = good_knobs().into_iter().map(|k| k.id);
    let knob = select(ids.chain(["nobodys".to_owned()]).collect::<Vec<_>>());
    let node = select(vec!["", "n1", "n1.site", "n2", "n3"]);
    (knob, prop::option::weighted(0.8, node)).prop_map(|(knob, node)| Step::Silence { knob, node })
}

fn a_command() -> impl Strategy<Value = Step> {
    let ids = good_knobs().into_iter().map(|k| k.id);
    let knob = select(ids.chain(["nobodys".to_owned()]).collect::<Vec<_>>());
    let knob = prop::option::weighted(0.8, knob);
    (knob, any::<bool>()).prop_map(|(knob, freezes)| {
        Step::Command(match freezes {
            true => Command::Freeze { knob },
            false => Command::Thaw { knob },
        })
    })
}

fn a_revert() -> impl Strategy<Value = Step> {
    let plan = prop_oneof![4 => 0_usize..4, 1 => 4_usize..40];
    prop_oneof![
        3 => plan.prop_map(|plan| Step::Revert { plan }),
        1 => Just(Step::Command(Command::RevertAll)),
    ]
}

/// A planner that is frozen makes no plans: few of these, or little else happens.
fn a_thaw() -> impl Strategy<Value = Step> {
    Just(Step::Command(Command::Thaw { knob: None }))
}

/// Most of it findings and their acks, mostly after a registration of every knob.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => a_finding(),
        6 => an_ack(),
        2 => a_global_plan(),
        2 => a_registration(),
        1 => a_silence(),
    ];
    steps_of(step)
}

/// Operators too.
fn steps_and_commands() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        16 => a_finding(),
        12 => an_ack(),
        5 => a_global_plan(),
        4 => a_registration(),
        2 => a_silence(),
        1 => a_command(),
        2 => a_thaw(),
        2 => a_revert(),
    ];
    steps_of(step)
}

/// Little that is odd: plans are made and applied, and do good or harm.
fn calm_steps() -> impl Strategy<Value = Vec<Step>> {
    let scope = names(&["app:window", "app:window", "node:n1", "node:n2"]);
    let tags = select(vec![vec!["t"], vec!["t", "u"], vec!["v"]]);
    let severity = select(vec![0.6, 0.6, 0.7, 0.9]);
    let found = (scope, tags, severity, 0_i64..3);
    let finding = found.prop_map(|(scope, tags, severity_score, later)| {
        let finding = Finding {
            finding_type: "a".to_owned(),
            scope,
            severity_score,
            persistence: 9,
            opportunity_tags: tags.into_iter().map(str::to_owned).collect(),
            ..Finding::default()
        };
        Step::Find(Box::new(finding), Window::Later(later))
    });
    let ack = (0_usize..6).prop_map(|plan| Step::Ack {
        plan,
        ack: Box::new(Ack::new("", AckStatus::Applied)),
    });
    let step = prop_oneof![
        20 => finding,
        30 => ack,
        1 => a_command(),
        2 => a_thaw(),
        1 => a_revert(),
    ];
    steps_of(step)
}

fn steps_of(step: impl Strategy<Value = Step>) -> impl Strategy<Value = Vec<Step>> {
    let all = |by| Step::Register {
        knobs: (0..good_knobs().len()).collect(),
        live: None,
        by,
    };
    let first = select(vec![
        Some(Speaker::Application("")),
        Some(Speaker::Bootstrap),
        None,
    ]);
    let steps = prop::collection::vec(step, 0..50);
    (first, steps).prop_map(move |(first, mut steps)| {
        if let Some(by) = first {
            steps.insert(0, all(by));
        }
        steps
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let remembering = |nodes| {
        let mut settings = Settings::default();
        settings.nodes_remembered = nodes;
        settings.pending_patience = Patience::Windows(3);
        settings
    };
    select(vec![
        Settings::default(),
        Settings::original(),
        remembering(2),
        remembering(1),
        remembering(0),
        limited(),
    ])
}

/// An operator's limits: a few plans, of which some go past every other limit.
fn limited() -> Settings {
    let mut settings = Settings::default();
    settings.undo_after = Some(1);
    settings.limits = toml::from_str(
        r#"
        plans_per_window = 2
        plans_per_job = 12
        largest_step = 1.5
        knobs = ["int", "f*", "l*", "bool"]
        constraints = ["int * listed <= 16", "fractional - float < 6.5"]
        "#,
    )
    .unwrap();
    settings
}

/// Whether the constraints of [`limited`] hold where these are the values in force.
fn constraints_hold(value: impl Fn(&str) -> Option<f64>) -> [Option<bool>; 2] {
    let both = |one, other| Some((value(one)?, value(other)?));
    [
        both("int", "listed").map(|(int, listed)| int * listed <= 16.0),
        both("fractional", "float").map(|(fractional, float)| fractional - float < 6.5),
    ]
}

impl Step {
    /// Without the window of an action that no finding may ever reach.
    fn not_far_ahead(mut self) -> Self {
        match &mut self {
            Step::Ack { ack, .. } => ack.window_index = ack.window_index.filter(|w| *w < 100),
            Step::GlobalPlan(plan) if plan.window_index >= 100 => plan.window_index = -1,
            _ => {}
        }
        self
    }
}

impl Run {
    fn new(settings: Settings) -> Self {
        Run {
            planner: Planner::new(settings, PlanIds::from_seed(7)).on_node("n1"),
            ids: Vec::new(),
            window: 0,
            said: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: &Step) -> Decisions {
        self.take_with(step, &[])
    }

    /// With these knobs in the midst of every registration.
    fn take_with(&mut self, step: &Step, more: &[Knob]) -> Decisions {
        let decisions = match step {
            Step::Register { knobs, live, by } => {
                let all = good_knobs();
                let mut knobs: Vec<Knob> = knobs.iter().map(|&i| all[i].clone()).collect();
                for knob in &knobs {
                    let said = self.said.entry(knob.id.clone()).or_default();
                    said.push(knob.default.clone());
                    said.extend(live.clone());
                }
                let middle = knobs.len() / 2;
                knobs.splice(middle..middle, more.iter().cloned());
                let mut registration = registration(knobs, live.as_ref());
                self.planner.handle(match by {
                    Speaker::Application(node) => {
                        (*node).clone_into(&mut registration.node);
                        Event::Registration(&registration)
                    }
                    Speaker::Bootstrap => Event::Bootstrap(&registration),
                })
            }
            Step::Silence { knob, node } => {
                let silence = Silence { knob, node: *node };
                self.planner.handle(Event::Silence(silence))
            }
            Step::Find(finding, window) => {
                let mut finding = finding.clone();
                finding.window_index = match window {
                    Window::Later(windows) => {
                        self.window += windows;
                        self.window
                    }
                    Window::At(window) => *window,
                };
                self.planner.handle(Event::Finding(&finding.view()))
            }
            Step::Ack { plan, ack } => {
                let mut ack = ack.clone();
                let id = self.ids.iter().rev().nth(*plan);
                "unknown".clone_into(&mut ack.plan_id);
                if let Some(id) = id {
                    ack.plan_id.clone_from(id);
                    for said in self.said.values_mut() {
                        said.extend(ack.new_value.clone());
                    }
                }
                self.planner.handle(Event::Ack(&ack))
            }
            Step::GlobalPlan(plan) => self.planner.handle(Event::GlobalPlan(plan)),
            Step::Command(command) => self.planner.handle(Event::Command(command)),
            Step::Revert { plan } => {
                let id = self.ids.iter().rev().nth(*plan).cloned();
                let plan_id = id.unwrap_or_else(|| "unknown".to_owned());
                self.planner
                    .handle(Event::Command(&Command::Revert { plan_id }))
            }
        };
        self.ids
            .extend(decisions.plans().map(|plan| plan.plan_id.clone()));
        decisions
    }
}

fn state(planner: &Planner) -> serde_json::Result<String> {
    serde_json::to_string(&planner.state())
}

fn restored(settings: &Settings, state: &str) -> serde_json::Result<Planner> {
    let mut from = serde_json::Deserializer::from_str(state);
    Planner::restored(settings.clone(), &mut from)
}

/// Whether the knob's definition allows the value.
fn is_in_range(knob: &Knob, value: &Value) -> bool {
    if let Some(values) = &knob.values {
        return values.iter().any(|v| v.same_as(value));
    }
    match (knob.range, value.as_number()) {
        (Some(range), Some(n)) => (range.min.as_f64()..=range.max.as_f64()).contains(&n.as_f64()),
        (None, _) => true,
        (Some(_), None) => false,
    }
}

fn is_of_type(kind: KnobType, value: &Value) -> bool {
    matches!(
        (kind, value),
        (KnobType::Int, Value::Int(_))
            | (KnobType::Bool, Value::Bool(_))
            | (KnobType::Str, Value::Str(_))
    ) || matches!((kind, value), (KnobType::Float, Value::Float(f)) if f.is_finite())
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The definitions in force, by id.
fn definitions(planner: &Planner) -> BTreeMap<&str, &Knob> {
    planner.knobs().map(|k| (k.id.as_str(), k)).collect()
}

fn is_refusal_of_an_odd_knob(decision: &Decision) -> bool {
    let Decision::Notice(notice) = decision else {
        return false;
    };
    matches!(&**notice, Notice::KnobRefused { knob, .. } if knob.starts_with("odd"))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn values_in_force_are_of_their_type_and_in_range_unless_the_application_said_otherwise(
        settings in settings(), steps in steps_and_commands(),
    ) {
        let mut run = Run::new(settings);
        for step in &steps {
            run.take(step);
            let definitions = definitions(&run.planner);
            for in_force in run.planner.job_values().chain(run.planner.node_values()) {
                let knob = definitions[in_force.knob];
                prop_assert!(is_of_type(knob.kind, in_force.value), "{in_force:?} after {step:?}");
                let was_said = run.said[in_force.knob].iter().any(|v| {
                    knob.kind.fit(v).is_some_and(|v| v.same_as(in_force.value))
                });
                prop_assert!(
                    was_said || is_in_range(knob, in_force.value),
                    "{in_force:?} after {step:?}"
                );
            }
        }
    }

    #[test]
    fn a_plan_is_a_change_to_a_value_that_the_knob_allows(
        settings in settings(), steps in prop_oneof![steps_and_commands(), calm_steps()],
    ) {
        let mut run = Run::new(settings);
        for step in &steps {
            let decisions = run.take(step);
            let knobs = definitions(&run.planner);
            for plan in decisions.plans() {
                let knob = knobs[plan.knob_id.as_str()];
                prop_assert!(is_of_type(knob.kind, &plan.new_value), "{plan:?}");
                prop_assert!(is_in_range(knob, &plan.new_value), "{plan:?}");
                // A global plan may be news to some of its nodes only.
                if let (Step::Find(..), Some(old)) = (step, &plan.old_value) {
                    prop_assert!(!plan.new_value.same_as(old), "{plan:?}");
                }
                let written = serde_json::to_string(plan).unwrap();
                let read = ActionPlan::decode(written.as_bytes()).into_result();
                prop_assert_eq!(read.as_ref(), Ok(plan));
            }
        }
    }

    #[test]
    fn there_are_never_two_pending_plans_for_one_knob_and_node(
        settings in settings(), steps in prop_oneof![steps_and_commands(), calm_steps()],
    ) {
        let mut run = Run::new(settings.clone());
        // An operator takes a knob's job-wide value and its nodes' back at the same time.
        let mut taken_back = BTreeSet::new();
        for step in &steps {
            let before = pending(&run.planner);
            let decisions = run.take(step);
            let after = pending(&run.planner);
            let different: BTreeSet<_> = after.iter().collect();
            prop_assert_eq!(different.len(), after.len(), "{:?}", after);
            if let Step::Find(..) = step {
                let expired = decisions.notices().any(|n| matches!(n, Notice::PlanExpired { .. }));
                for plan in decisions.plans() {
                    let key = (plan.knob_id.clone(), plan.target_nodes.first().cloned());
                    prop_assert!(expired || !before.contains(&key), "{key:?}");
                    prop_assert!(after.contains(&key));
                }
            }
            for notice in decisions.notices() {
                if let Notice::Reverted { knob, .. } = notice {
                    taken_back.insert(knob.to_string());
                }
            }
            if settings.scopes_hold_each_other {
                let is_job_wide = |(_, node): &&(_, Option<String>)| node.is_none();
                let (job_wide, of_nodes): (Vec<_>, Vec<_>) = after.iter().partition(is_job_wide);
                let held: BTreeSet<_> = job_wide.iter().map(|(knob, _)| knob).collect();
                let both = of_nodes.iter().find(|(k, _)| held.contains(k) && !taken_back.contains(k));
                prop_assert!(both.is_none(), "{after:?}");
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_decisions(
        settings in settings(), steps in steps_and_commands(),
    ) {
        let (mut a, mut b) = (Run::new(settings.clone()), Run::new(settings));
        for step in &steps {
            prop_assert_eq!(format!("{:?}", a.take(step)), format!("{:?}", b.take(step)));
        }
        prop_assert_eq!(a.planner.node_values(), b.planner.node_values());
    }

    #[test]
    fn a_planner_that_was_saved_and_restored_goes_on_as_if_nothing_had_been(
        settings in settings(), steps in prop_oneof![steps_and_commands(), calm_steps()],
        saved_after in prop::collection::btree_set(0_usize..50, 1..4),
    ) {
        let (mut a, mut b) = (Run::new(settings.clone()), Run::new(settings.clone()));
        for (i, step) in steps.iter().enumerate() {
            prop_assert_eq!(format!("{:?}", a.take(step)), format!("{:?}", b.take(step)));
            if saved_after.contains(&i) {
                let text = state(&b.planner).unwrap();
                b.planner = restored(&settings, &text).unwrap();
                prop_assert_eq!(state(&b.planner).unwrap(), text);
            }
        }
        prop_assert_eq!(state(&a.planner).unwrap(), state(&b.planner).unwrap());
        prop_assert_eq!(a.planner.pending(), b.planner.pending());
        prop_assert_eq!(a.planner.node_values(), b.planner.node_values());
    }

    #[test]
    fn an_odd_knob_in_a_registration_changes_nothing_for_the_others(
        settings in settings(), steps in steps(),
        odd in prop::collection::vec(select(odd_knobs()), 1..4),
    ) {
        let (mut with, mut without) = (Run::new(settings.clone()), Run::new(settings));
        for step in &steps {
            let with = with.take_with(step, &odd).into_iter();
            let with: Vec<_> = with.filter(|d| !is_refusal_of_an_odd_knob(d)).collect();
            let without: Vec<_> = without.take(step).into_iter().collect();
            prop_assert_eq!(format!("{:?}", with), format!("{:?}", without));
        }
    }

    /// The original's worst: it falls silent. Here patience ends, whatever has happened; but where
    /// an action is said to lie far ahead of the findings, it is rested from.
    #[test]
    fn a_knob_acts_again_within_200_windows(steps in steps()) {
        let mut run = Run::new(Settings::default());
        for step in steps {
            run.take(&step.not_far_ahead());
        }
        let by = Speaker::Application("");
        run.take(&Step::Register { knobs: vec![0], live: Some(Value::Int(2)), by });
        let severe = Finding {
            severity_score: 1.0,
            persistence: 9,
            opportunity_tags: vec!["t".to_owned()],
            ..Finding::default()
        };
        let next = Step::Find(Box::new(severe), Window::Later(1));
        let acts = (0..200).any(|_| run.take(&next).plans().any(|plan| plan.knob_id == "int"));
        prop_assert!(acts, "{:?}", run.take(&next));
    }

    #[test]
    fn what_is_remembered_is_bounded(
        settings in settings(), steps in steps_and_commands(),
    ) {
        let mut run = Run::new(settings.clone());
        for step in &steps {
            run.take(step);
            let remembered = run.planner.nodes_remembered();
            prop_assert!(remembered <= settings.nodes_remembered);
            let of_nodes = run.planner.node_values();
            let named: BTreeSet<_> = of_nodes.iter().filter_map(|v| v.node).collect();
            prop_assert!(named.len() <= remembered);
        }
    }

    #[test]
    fn every_tag_of_a_finding_comes_to_a_decision(
        settings in settings(), steps in steps_and_commands(),
    ) {
        let mut run = Run::new(settings);
        for step in &steps {
            let decisions = run.take(step);
            let Step::Find(finding, _) = step else { continue };
            let is_invalid = !finding.severity_score.is_finite() || finding.scope == "node:";
            if is_invalid {
                let only: Vec<_> = decisions.notices().map(Notice::name).collect();
                prop_assert_eq!(only, ["invalid_finding"]);
                continue;
            }
            if run.planner.knobs().next().is_none() || finding.view().trend() == Trend::Improving {
                prop_assert!(decisions.plans().next().is_none());
                prop_assert!(decisions.holds().any(|hold| hold.tag.is_none()));
                continue;
            }
            let answered = decisions.iter().filter_map(|decision| match decision {
                Decision::Plan(plan) => Some(plan.opportunity_tag.clone()),
                Decision::Hold(hold) => Some(hold.tag.as_deref()?.to_owned()),
                Decision::Notice(_) => None,
            });
            let mut left = sorted(answered);
            for tag in &finding.opportunity_tags {
                let at = left.iter().position(|t| t == tag);
                prop_assert!(at.is_some(), "{tag} of {finding:?}: {decisions:?}");
                left.remove(at.unwrap());
            }
        }
    }

    /// A model of who is there, beside the planner's own.
    #[test]
    fn a_plan_is_made_only_where_an_application_may_be_and_says_if_none_has_spoken(
        settings in settings(), steps in steps(),
    ) {
        let mut run = Run::new(settings.clone());
        let mut spoken_for = BTreeSet::new();
        let mut silent: BTreeSet<(String, Option<String>)> = BTreeSet::new();
        for step in &steps {
            let decisions = run.take(step);
            if let Step::Find(..) = step {
                for plan in decisions.plans() {
                    let node = plan.target_nodes.first();
                    let is_silent = silent.iter().any(|(knob, there)| {
                        *knob == plan.knob_id && there.as_ref().is_none_or(|there| {
                            node.is_some_and(|node| node_names_match(there, node))
                        })
                    });
                    prop_assert!(!is_silent, "{plan:?} of {silent:?}");
                    let is_said = plan.rationale.ends_with("; old value assumed");
                    let is_assumed = !spoken_for.contains(&plan.knob_id);
                    prop_assert_eq!(is_said, is_assumed && settings.rationale_says_assumed);
                }
            }
            for notice in decisions.notices() {
                match notice {
                    Notice::KnobSilent { knob, node } => {
                        silent.insert((knob.to_string(), node.as_ref().map(ToString::to_string)));
                    }
                    Notice::Applied { knob, .. } => {
                        spoken_for.insert(knob.to_string());
                    }
                    _ => {}
                }
            }
            if let Step::Register { knobs, by: Speaker::Application(here), .. } = step {
                for knob in knobs.iter().map(|&i| good_knobs()[i].id.clone()) {
                    silent.retain(|(silent, node)| *silent != knob || node.as_ref().is_some_and(
                        |node| !here.is_empty() && !node_names_match(node, here)
                    ));
                    spoken_for.insert(knob);
                }
            }
        }
    }

    #[test]
    fn a_bootstrap_changes_nothing_that_an_application_has_said(
        settings in settings(), steps in steps(), live in value(),
    ) {
        let mut run = Run::new(settings);
        let all: Vec<usize> = (0..good_knobs().len()).collect();
        run.take(&Step::Register { knobs: all.clone(), live: None, by: Speaker::Application("") });
        for step in &steps {
            run.take(step);
            let before = in_force(&run.planner);
            let knobs: Vec<Knob> = run.planner.knobs().cloned().collect();
            let bootstrap = Step::Register {
                knobs: all.clone(),
                live: Some(live.clone()),
                by: Speaker::Bootstrap,
            };
            run.take(&bootstrap);
            prop_assert_eq!(in_force(&run.planner), before);
            prop_assert_eq!(run.planner.knobs().cloned().collect::<Vec<_>>(), knobs);
        }
    }

    #[test]
    fn while_it_is_frozen_only_an_operator_changes_a_knob(
        settings in settings(), steps in prop_oneof![steps_and_commands(), calm_steps()],
    ) {
        let mut run = Run::new(settings);
        let mut frozen = Frozen::default();
        for step in &steps {
            let decisions = run.take(step);
            for plan in decisions.plans() {
                let is_operators = matches!(step, Step::Command(_) | Step::Revert { .. });
                prop_assert_eq!(is_operators, plan.rationale.starts_with("revert: "));
                prop_assert!(is_operators || !frozen.holds(&plan.knob_id), "{plan:?}");
            }
            frozen.take(&decisions);
        }
    }

    #[test]
    fn what_takes_nothing_back_is_limited_in_number_step_and_knob(
        steps in prop_oneof![steps_and_commands(), calm_steps()],
    ) {
        let settings = limited();
        let mut run = Run::new(settings.clone());
        let (mut in_window, mut in_job) = ((None, 0), 0);
        for step in &steps {
            let decisions = run.take(step);
            let Step::Find(finding, _) = step else { continue };
            // While a view's window is the same, so is the time.
            let window = (finding.view_type.clone(), run.window, is_odd(step));
            if in_window.0.as_ref() != Some(&window) || window.2 {
                in_window = (Some(window), 0);
            }
            for plan in decisions.plans().filter(|plan| !takes_back(plan)) {
                in_window.1 += 1;
                in_job += 1;
                let allowed = ["int", "listed", "bool"].contains(&plan.knob_id.as_str());
                prop_assert!(allowed || plan.knob_id.starts_with('f'), "{plan:?}");
                let old = plan.old_value.as_ref().and_then(Value::as_number);
                if let (Some(old), Some(new)) = (old, plan.new_value.as_number()) {
                    let (old, new) = (old.as_f64(), new.as_f64());
                    prop_assert!(((new - old) / old).abs() <= 1.5, "{plan:?}");
                }
            }
            prop_assert!(in_window.1 <= 2, "{step:?}");
            prop_assert!(in_job <= 12);
        }
    }

    #[test]
    fn a_constraint_that_holds_is_not_broken_by_a_plan(
        steps in prop_oneof![steps_and_commands(), calm_steps()], more in any::<bool>(),
    ) {
        let mut settings = limited();
        // Others hold much before a constraint is asked.
        if more {
            let constraints = std::mem::take(&mut settings.limits.constraints);
            settings.limits = dfo_planner::Limits::default();
            settings.limits.constraints = constraints;
        }
        let mut run = Run::new(settings);
        for step in &steps {
            let before = constraints(&run.planner);
            let decisions = run.take(step);
            let Step::Find(..) = step else { continue };
            // What goes back because nobody answered, or what a node was forgotten with, is no plan.
            let ends = |n: &Notice| {
                matches!(n, Notice::PlanExpired { .. } | Notice::NodeForgotten { .. })
            };
            if decisions.notices().any(ends) {
                continue;
            }
            for (node, after) in constraints(&run.planner) {
                let Some(before) = before.get(&node).or_else(|| before.get(&None)) else {
                    continue;
                };
                for (before, after) in before.iter().zip(after) {
                    prop_assert!(*before != Some(true) || after != Some(false), "{node:?}: {decisions:?}");
                }
            }
        }
    }

    #[test]
    fn a_plan_is_undone_at_most_once_and_an_undo_never(
        settings in settings(), steps in prop_oneof![steps_and_commands(), calm_steps()],
    ) {
        let mut run = Run::new(settings);
        let mut undone = BTreeSet::new();
        let mut by = BTreeSet::new();
        for step in &steps {
            let decisions = run.take(step);
            for notice in decisions.notices() {
                let Notice::Undone(judgement) = notice else { continue };
                prop_assert!(undone.insert(judgement.plan_id.clone()), "{judgement:?}");
                prop_assert!(!by.contains(&judgement.plan_id), "{judgement:?}");
                let made = decisions.plans().map(|plan| plan.plan_id.as_str());
                let named = judgement.by.clone();
                prop_assert!(made.into_iter().any(|id| Some(id) == named.as_deref()));
                by.extend(named);
            }
        }
    }

    #[test]
    fn an_ack_changes_nothing_but_its_own_knob(
        settings in settings(), steps in steps_and_commands(),
    ) {
        let mut run = Run::new(settings);
        for step in &steps {
            let before = in_force(&run.planner);
            let decisions = run.take(step);
            let Step::Ack { .. } = step else { continue };
            let own = decisions.notices().find_map(|notice| match notice {
                Notice::Applied { knob, .. } | Notice::Rejected { knob, .. } => {
                    Some(knob.to_string())
                }
                _ => None,
            });
            let after = in_force(&run.planner);
            for (key, value) in &after {
                if before.get(key) != Some(value) {
                    prop_assert_eq!(Some(&key.0), own.as_ref());
                }
            }
        }
    }
}

/// A plan back to an earlier value: an undo, or an operator's.
fn takes_back(plan: &ActionPlan) -> bool {
    ["undo of ", "revert: "]
        .iter()
        .any(|begin| plan.rationale.starts_with(begin))
}

/// At a window of its own, not the run's.
fn is_odd(step: &Step) -> bool {
    matches!(step, Step::Find(_, Window::At(_)))
}

/// What is frozen, as the notices tell it.
#[derive(Debug, Default)]
struct Frozen {
    is_everything: bool,
    knobs: BTreeSet<String>,
}

impl Frozen {
    fn take(&mut self, decisions: &Decisions) {
        for notice in decisions.notices() {
            match notice {
                Notice::Frozen { knob: None } => self.is_everything = true,
                Notice::Frozen { knob: Some(knob) } => {
                    self.knobs.insert(knob.to_string());
                }
                Notice::Thawed { knob: None } => *self = Frozen::default(),
                Notice::Thawed { knob: Some(knob) } => {
                    self.knobs.remove(knob.as_str());
                }
                _ => {}
            }
        }
    }

    fn holds(&self, knob: &str) -> bool {
        self.is_everything || self.knobs.contains(knob)
    }
}

/// Whether each constraint holds: job-wide, and on each node with values of its own.
fn constraints(planner: &Planner) -> BTreeMap<Option<String>, [Option<bool>; 2]> {
    let all = in_force(planner);
    let scopes: BTreeSet<_> = all.keys().map(|(_, node)| node.clone()).collect();
    let holds = |node: &Option<String>| {
        constraints_hold(|knob| {
            let own = all.get(&(knob.to_owned(), node.clone()));
            let value = own.or_else(|| all.get(&(knob.to_owned(), None)));
            Some(value?.as_number()?.as_f64())
        })
    };
    scopes
        .into_iter()
        .map(|node| (node.clone(), holds(&node)))
        .collect()
}

fn in_force(planner: &Planner) -> BTreeMap<(String, Option<String>), Value> {
    let all = planner.job_values().chain(planner.node_values());
    let named = all.map(|v| {
        (
            (v.knob.to_owned(), v.node.map(str::to_owned)),
            v.value.clone(),
        )
    });
    named.collect()
}

fn pending(planner: &Planner) -> Vec<(String, Option<String>)> {
    let pending = planner.pending().into_iter();
    let named = pending.map(|plan| (plan.knob.to_owned(), plan.node.map(str::to_owned)));
    named.collect()
}
