//! Any sequence of events, over few names and odd numbers.
//!
//! Nothing may panic; the same events give the same decisions, also to a planner that is saved and
//! restored now and then; there is never more than one pending plan for a knob and node; every plan
//! is a change to a finite value; a plan is undone once at most; what is remembered is bounded.

#![no_main]

use std::collections::HashSet;

use arbitrary::{Arbitrary, Result, Unstructured};
use dfo_model::{
    Ack, AckStatus, ActionPlan, Direction, Evidence, FindingView, Knob, KnobType, Number,
    PublishMode, Range, Registration, Response, StepMode, Value,
};
use dfo_planner::{
    Command, Decisions, Event, Limits, Notice, Pattern, PlanIds, Planner, Settings, Silence,
};
use libfuzzer_sys::fuzz_target;

const NODES_REMEMBERED: usize = 2;
const NAMES: [&str; 4] = ["a", "b", "c", ""];
const SCOPES: [&str; 7] = [
    "app:epoch",
    "node:n1:x",
    "node:n2",
    "node:n3:x",
    "node:",
    "global",
    "global:window",
];
const NODES: [Option<&str>; 5] = [None, Some("n1"), Some("n1.x"), Some("n2"), Some("")];
const TRENDS: [&str; 3] = ["stable", "worsening", "improving"];
const VIEWS: [Option<&str>; 3] = [None, Some("window"), Some("epoch")];

fuzz_target!(|bytes: &[u8]| {
    let mut one = planner(bytes);
    let mut other = planner(bytes);
    let mut events = Unstructured::new(bytes);
    let mut plan_ids = vec![String::new()];
    let mut undone = HashSet::new();
    while !events.is_empty() {
        let Ok(event) = Happening::arbitrary_with(&mut events, &plan_ids) else {
            break;
        };
        if matches!(event, Happening::Restart) {
            other = restored(&other, settings(bytes));
        }
        let decisions = event.told_to(&mut one);
        let again = event.told_to(&mut other);
        assert_eq!(format!("{decisions:?}"), format!("{again:?}"));
        check(&one, &decisions, matches!(event, Happening::Finding(_)));
        for notice in decisions.notices() {
            if let Notice::Undone(judgement) = notice {
                assert!(undone.insert(judgement.plan_id.clone()), "{judgement:?}");
            }
        }
        plan_ids.extend(decisions.plans().map(|plan| plan.plan_id.clone()));
    }
    assert_eq!(state(&one), state(&other));
});

fn planner(bytes: &[u8]) -> Planner {
    Planner::new(settings(bytes), PlanIds::from_seed(0)).on_node("n1")
}

fn state(planner: &Planner) -> String {
    serde_json::to_string(&planner.state()).expect("there is no odd number in it")
}

fn restored(planner: &Planner, settings: Settings) -> Planner {
    let state = state(planner);
    let mut from = serde_json::Deserializer::from_str(&state);
    let restored = Planner::restored(settings, &mut from);
    let restored = restored.unwrap_or_else(|e| panic!("{e} in {state}"));
    assert_eq!(self::state(&restored), state);
    restored
}

fn settings(bytes: &[u8]) -> Settings {
    let is_original = bytes.first().is_some_and(|b| b & 1 == 1);
    let mut settings = if is_original {
        Settings::original()
    } else {
        Settings::default()
    };
    settings.nodes_remembered = NODES_REMEMBERED;
    let chosen = bytes.get(1).copied().unwrap_or_default();
    settings.undo_after = [Some(3), Some(0), Some(1), None][usize::from(chosen % 4)];
    settings.limits = limits(chosen / 4);
    settings
}

/// An operator's limits, a few of them.
fn limits(chosen: u8) -> Limits {
    let mut limits = Limits::default();
    let constraints: &[&str] = match chosen % 4 {
        0 => return limits,
        1 => &["a * b <= 16"],
        2 => &["a - b < c / 2", "-`c` >= -(3 + a)"],
        _ => &["a / b > 0", "c + 1 <= 1e3 * d"],
    };
    let constraints = constraints.iter().map(|text| text.parse());
    limits.constraints = constraints
        .collect::<std::result::Result<_, _>>()
        .expect("they make sense");
    limits.plans_per_window = (chosen & 4 != 0).then_some(1);
    limits.plans_per_job = (chosen & 8 != 0).then_some(5);
    limits.largest_step = (chosen & 16 != 0).then_some(1.5);
    if chosen & 32 != 0 {
        limits.knobs = vec![Pattern::new("a*"), Pattern::new("*b")];
    }
    limits
}

fn check(planner: &Planner, decisions: &Decisions, is_of_a_finding: bool) {
    for plan in decisions.plans() {
        let old = plan.old_value.as_ref().expect("plans say what they change");
        assert!(
            !is_of_a_finding || !old.same_as(&plan.new_value),
            "{plan:?}"
        );
        let number = plan.new_value.as_number();
        assert!(number.is_none_or(|n| n.as_f64().is_finite()), "{plan:?}");
    }
    let pending = planner.pending().into_iter();
    let pending: Vec<_> = pending.map(|plan| (plan.knob, plan.node)).collect();
    let mut distinct = pending.clone();
    distinct.dedup();
    assert_eq!(pending, distinct);
    assert!(planner.nodes_remembered() <= NODES_REMEMBERED);
}

/// An event that owns what it tells.
enum Happening {
    Registration(Registration),
    Bootstrap(Registration),
    Silence {
        knob: String,
        node: Option<&'static str>,
    },
    Finding(FindingView<'static>),
    Ack(Ack),
    GlobalPlan(ActionPlan),
    Command(Command),
    /// Of the process: one planner is saved and restored. No event of the planner's.
    Restart,
}

impl Happening {
    fn arbitrary_with(u: &mut Unstructured<'_>, plan_ids: &[String]) -> Result<Self> {
        Ok(match u.int_in_range(0..=12)? {
            0 => Happening::Registration(registration(u)?),
            8 => Happening::Bootstrap(registration(u)?),
            9 => Happening::Silence {
                knob: name(u)?,
                node: *u.choose(&NODES)?,
            },
            10 => Happening::Command(command(u, plan_ids)?),
            11 | 12 => Happening::Restart,
            1 | 2 => Happening::Ack(ack(u, plan_ids)?),
            3 => Happening::GlobalPlan(global_plan(u, plan_ids)?),
            _ => Happening::Finding(finding(u)?),
        })
    }

    fn told_to(&self, planner: &mut Planner) -> Decisions {
        planner.handle(match self {
            Happening::Registration(registration) => Event::Registration(registration),
            Happening::Bootstrap(registration) => Event::Bootstrap(registration),
            Happening::Silence { knob, node } => Event::Silence(Silence { knob, node: *node }),
            Happening::Finding(finding) => Event::Finding(finding),
            Happening::Ack(ack) => Event::Ack(ack),
            Happening::GlobalPlan(plan) => Event::GlobalPlan(plan),
            Happening::Command(command) => Event::Command(command),
            Happening::Restart => return Decisions::default(),
        })
    }
}

fn registration(u: &mut Unstructured<'_>) -> Result<Registration> {
    let mut registration = Registration {
        node: u.choose(&NODES)?.unwrap_or_default().to_owned(),
        ..Registration::default()
    };
    for _ in 0..u.int_in_range(1..=3)? {
        let knob = knob(u)?;
        if u.arbitrary()? {
            registration
                .current_values
                .insert(knob.id.clone(), value(u)?);
        }
        registration.knobs.insert(knob.id.clone(), knob);
    }
    Ok(registration)
}

fn knob(u: &mut Unstructured<'_>) -> Result<Knob> {
    let kinds = [
        KnobType::Int,
        KnobType::Float,
        KnobType::Bool,
        KnobType::Str,
    ];
    let mut knob = Knob {
        range: u
            .arbitrary::<bool>()?
            .then(|| Ok(Range::new(number(u)?, number(u)?)))
            .transpose()?,
        ..Knob::new(name(u)?, *u.choose(&kinds)?, value(u)?)
    };
    if u.ratio(1, 4)? {
        let count = u.int_in_range(0..=4)?;
        knob.values = Some((0..count).map(|_| value(u)).collect::<Result<_>>()?);
    }
    for _ in 0..u.int_in_range(0..=2)? {
        knob.responds_to.insert(name(u)?, response(u)?);
    }
    Ok(knob)
}

fn response(u: &mut Unstructured<'_>) -> Result<Response> {
    let directions = [Direction::Increase, Direction::Decrease, Direction::Set];
    let modes = [StepMode::Add, StepMode::Multiply, StepMode::Evidence];
    Ok(Response {
        direction: *u.choose(&directions)?,
        step_mode: *u.choose(&modes)?,
        step: u.ratio(7, 8)?.then(|| number(u)).transpose()?,
        set_to: u.arbitrary::<bool>()?.then(|| value(u)).transpose()?,
        min_severity: float(u)?,
        min_persistence: int(u)?,
        cooldown_windows: int(u)?,
        effectiveness_threshold: float(u)?,
        ..Response::default()
    })
}

fn finding(u: &mut Unstructured<'_>) -> Result<FindingView<'static>> {
    let metric = |u: &mut Unstructured<'_>| u.arbitrary::<bool>()?.then(|| float(u)).transpose();
    Ok(FindingView {
        finding_type: name(u)?.into(),
        scope: (*u.choose(&SCOPES)?).into(),
        view_type: u.choose(&VIEWS)?.map(Into::into),
        motif: "m".into(),
        severity_score: float(u)?,
        persistence: int(u)?,
        trend_direction: (*u.choose(&TRENDS)?).into(),
        window_index: int(u)?,
        opportunity_tags: tags(u)?,
        suppresses_tags: tags(u)?,
        publish_mode: PublishMode::Control,
        evidence: Evidence {
            fetch_frac: metric(u)?,
            compute_frac: metric(u)?,
            ..Evidence::default()
        },
    })
}

fn tags(u: &mut Unstructured<'_>) -> Result<Vec<std::borrow::Cow<'static, str>>> {
    let count = u.int_in_range(0..=3)?;
    (0..count).map(|_| Ok(name(u)?.into())).collect()
}

fn ack(u: &mut Unstructured<'_>, plan_ids: &[String]) -> Result<Ack> {
    let statuses = [AckStatus::Applied, AckStatus::Rejected, AckStatus::Deferred];
    Ok(Ack {
        new_value: u.arbitrary::<bool>()?.then(|| value(u)).transpose()?,
        window_index: u.arbitrary::<bool>()?.then(|| int(u)).transpose()?,
        ..Ack::new(u.choose(plan_ids)?, *u.choose(&statuses)?)
    })
}

fn global_plan(u: &mut Unstructured<'_>, plan_ids: &[String]) -> Result<ActionPlan> {
    let targets: [&[&str]; 4] = [&[], &["n1"], &["n1", "n2", "n1"], &["n3"]];
    Ok(ActionPlan {
        // One of ours, too: such an id can be heard.
        plan_id: match u.ratio(3, 4)? {
            true => format!("global{}", u8::arbitrary(u)?),
            false => u.choose(plan_ids)?.clone(),
        },
        knob_id: name(u)?,
        target_function: String::new(),
        old_value: None,
        new_value: value(u)?,
        apply_when: String::new(),
        rationale: String::new(),
        finding_type: String::new(),
        severity: float(u)?,
        opportunity_tag: name(u)?,
        window_index: int(u)?,
        target_nodes: u
            .choose(&targets)?
            .iter()
            .map(|n| (*n).to_owned())
            .collect(),
    })
}

/// Thawed as often as frozen: a planner that is frozen makes no plans but an operator's.
fn command(u: &mut Unstructured<'_>, plan_ids: &[String]) -> Result<Command> {
    Ok(match u.int_in_range(0..=7)? {
        0 | 1 => Command::Freeze {
            knob: u.ratio(3, 4)?.then(|| name(u)).transpose()?,
        },
        2 => Command::Thaw {
            knob: u.ratio(1, 2)?.then(|| name(u)).transpose()?,
        },
        3 | 4 => Command::Thaw { knob: None },
        5 => Command::RevertAll,
        // One that is unknown, too: the first.
        _ => Command::Revert {
            plan_id: u.choose(plan_ids)?.clone(),
        },
    })
}

fn name(u: &mut Unstructured<'_>) -> Result<String> {
    Ok((*u.choose(&NAMES)?).to_owned())
}

fn value(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Value::Bool(u.arbitrary()?),
        1 => Value::from(u.choose(&["x", "y", "true"])?.as_ref()),
        _ => number(u)?.into(),
    })
}

fn number(u: &mut Unstructured<'_>) -> Result<Number> {
    Ok(match u.arbitrary()? {
        true => Number::Int(int(u)?),
        false => Number::Float(float(u)?),
    })
}

/// Mostly small, sometimes anything.
fn int(u: &mut Unstructured<'_>) -> Result<i64> {
    match u.ratio(7, 8)? {
        true => u.int_in_range(-2..=30),
        false => u.arbitrary(),
    }
}

fn float(u: &mut Unstructured<'_>) -> Result<f64> {
    match u.ratio(7, 8)? {
        true => Ok(f64::from(u.int_in_range::<i32>(-4..=12)?) / 8.0),
        false => u.arbitrary(),
    }
}
