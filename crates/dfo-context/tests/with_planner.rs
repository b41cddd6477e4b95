//! With the planner on the other side: the loop closes, and the two agree on what a knob may be.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use dfo_context::model::{
    Ack, AckStatus, ActionPlan, FindingView, Knob, KnobType, Range, Registration, Response,
    StepMode, Value,
};
use dfo_context::{Action, Context, LiveKnob};
use dfo_planner::{Event, PlanIds, Planner, Settings};
use proptest::prelude::*;
use support::{Optimizer, wait_for};

/// The plans of a finding of this window.
fn find(planner: &mut Planner, window: i64, severity: f64) -> Vec<ActionPlan> {
    let text = format!(
        r#"{{"finding_type": "fetch_pressure", "scope": "app:window", "severity_score": {severity},
            "persistence": 10, "trend_direction": "worsening", "window_index": {window},
            "opportunity_tags": ["t"], "key_metrics": {{"fetch_frac": 0.8, "compute_frac": 0.2}}}}"#
    );
    let finding = FindingView::decode(text.as_bytes()).unwrap();
    let decisions = planner.handle(Event::Finding(&finding));
    decisions.plans().cloned().collect()
}

fn responding(mut knob: Knob, response: Response) -> Knob {
    knob.responds_to.insert("t".to_owned(), response);
    knob
}

#[test]
fn plans_go_on_past_the_first_of_each_knob() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let mut knob = Knob::new("", KnobType::Int, 1);
    knob.range = Some(Range::new(1, 1000));
    let response = Response {
        step: Some(1.into()),
        cooldown_windows: 2,
        effectiveness_threshold: -1.0,
        apply_when: "window_boundary".to_owned(),
        ..Response::default()
    };
    let knob = LiveKnob::new("k", responding(knob, response));
    let train = context.register("train", [knob]).unwrap();

    let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
    planner.handle(Event::Registration(&optimizer.next_registration()));
    let mut answered = 0;
    for window in 1..300 {
        context.set_window(window);
        for plan in find(&mut planner, window, 0.9) {
            optimizer.send(&plan);
            wait_for(&context, "the plan", |s| s.plans_waiting == 1);
            for action in train.window_boundary() {
                // Applied, but for now and then.
                match answered % 5 {
                    1 => action.rejected("out of memory"),
                    2 => action.applied_as(planner_value(&planner)).unwrap(),
                    _ => action.applied(),
                }
            }
            answered += 1;
            planner.handle(Event::Ack(&optimizer.next_ack()));
            assert_eq!(train.value("k"), Some(planner_value(&planner)));
        }
    }
    assert!(answered > 50, "{answered} plans in 300 windows");
    assert!(planner.pending().is_empty());
    assert_eq!(context.status().plans.staged, answered);
}

fn planner_value(planner: &Planner) -> Value {
    planner.value("app.k", None).unwrap().clone()
}

fn knobs() -> impl Strategy<Value = Knob> {
    let kind = prop_oneof![
        Just(KnobType::Int),
        Just(KnobType::Float),
        Just(KnobType::Bool)
    ];
    let range = proptest::option::of((-20i64..20, 0i64..40, any::<bool>()));
    let values = proptest::option::of(proptest::collection::vec(-20i64..20, 1..6));
    (kind, range, values, -20i64..20).prop_map(|(kind, range, values, default)| {
        let default = match kind {
            KnobType::Bool => Value::Bool(default > 0),
            _ => Value::Int(default),
        };
        let mut knob = Knob::new("", kind, default);
        knob.range = range.map(|(min, width, halves)| match halves {
            true => Range::new(min, min + width),
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            false => Range::new(min as f64 - 0.5, (min + width) as f64 + 0.25),
        });
        knob.values = values
            .filter(|_| kind != KnobType::Bool)
            .map(|values| values.into_iter().map(Value::Int).collect());
        knob
    })
}

fn responses() -> impl Strategy<Value = Response> {
    use dfo_context::model::Direction::{Decrease, Increase, Set};
    let direction = prop_oneof![Just(Increase), Just(Decrease), Just(Set)];
    let mode = prop_oneof![
        Just(StepMode::Add),
        Just(StepMode::Multiply),
        Just(StepMode::Evidence)
    ];
    (direction, mode, 1i64..5, -30i64..30).prop_map(|(direction, step_mode, step, set_to)| {
        Response {
            direction,
            step: Some(step.into()),
            step_mode,
            set_to: Some(set_to.into()),
            cooldown_windows: 0,
            effectiveness_threshold: -1.0,
            ..Response::default()
        }
    })
}

proptest! {
    /// Both sides check a knob, each for itself. What one takes, the other has to take.
    #[test]
    fn what_the_planner_plans_the_application_can_apply(
        knob in knobs(),
        response in responses(),
        severities in proptest::collection::vec(0.5f64..1.0, 1..12),
    ) {
        let knob = responding(knob, response);
        let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
        let registration = Registration {
            namespace: "app".to_owned(),
            function_name: "train".to_owned(),
            knobs: [("k".to_owned(), Knob {
                id: "app.k".to_owned(),
                target_function: "train".to_owned(),
                ..knob.clone()
            })].into_iter().collect(),
            ..Registration::default()
        };
        planner.handle(Event::Registration(&registration));
        let context = Context::disabled();
        let registered = context.register("train", [LiveKnob::new("k", knob)]);
        prop_assert_eq!(registered.is_ok(), planner.value("app.k", None).is_some());
        let Ok(train) = registered else {
            return Ok(());
        };
        for (window, severity) in (1..).zip(severities) {
            for plan in find(&mut planner, window, severity) {
                context.stage(plan.clone());
                let mut actions = train.epoch_boundary();
                let action = actions.next();
                prop_assert!(action.is_some(), "refused: {:?}", plan);
                let value = action.iter().map(Action::new_value).next().cloned();
                action.into_iter().for_each(Action::applied);
                let ack = Ack { new_value: value, ..Ack::new(&plan.plan_id, AckStatus::Applied) };
                planner.handle(Event::Ack(&ack));
                let agreed = train.value("k").unwrap();
                prop_assert!(planner_value(&planner).same_as(&agreed));
            }
        }
        prop_assert_eq!(context.status().plans.rejected, 0);
    }
}
