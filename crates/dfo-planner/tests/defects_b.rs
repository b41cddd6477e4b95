//! Defects of the original about bad input and atomicity: none of them is here.

#![expect(clippy::expect_used, reason = "what fails here fails the test")]

mod scene;

use dfo_model::{Evidence, FindingView, Value};
use dfo_planner::{Event, Notice};
use scene::{
    Finding, Scene, applied, down, evidence, finding, global_plan, json, knob, over, set, times, up,
};

fn t() -> Finding {
    finding(&["t"])
}

fn refusal(finding: &str) -> String {
    let refused = FindingView::decode(finding.as_bytes()).expect_err(finding);
    refused.to_string()
}

#[test]
fn b01_a_bad_knob_does_not_lose_anothers_plan() {
    for settings in scene::both() {
        let mut s = Scene::under(settings);
        let bad = knob("bad", 2).on("t", up(json!(null)));
        s.register([
            knob("first", 2).on("t", up(1)),
            bad,
            knob("last", 2).on("t", up(1)),
        ]);
        let out = s.find(&t());
        assert_eq!(
            out.plans(),
            [
                ("first".to_owned(), json!(3)),
                ("last".to_owned(), json!(3))
            ]
        );
    }
}

#[test]
fn b02_a_response_without_a_step_is_refused_and_its_knob_stays() {
    let none = json!(null);
    for response in [
        up(none.clone()),
        down(none.clone()),
        times(none.clone()),
        over(none.clone()),
    ] {
        let mut s = Scene::ours();
        let out = s.register([knob("k", 2).on("t", response).on("u", up(1))]);
        let Some(Notice::KnobRefused { tag, field, .. }) = out.0.notices().next() else {
            panic!("{out:?}");
        };
        assert_eq!((tag.as_deref(), *field), (Some("t"), "step"));
        s.find(&finding(&["u"])).plan();
    }
}

#[test]
fn b02_a_mode_that_uses_no_step_needs_none() {
    for response in [set(5), evidence("increase")] {
        let mut s = Scene::ours().knob(knob("k", 2).on("t", response.with("step", -1)));
        s.find(&t()).plan();
    }
}

#[test]
fn b03_a_finding_with_a_wrong_type_is_refused_by_the_name_of_its_field() {
    for (field, wrong) in [
        ("persistence", json!("5")),
        ("scope", json!(5)),
        ("severity_score", json!([])),
        ("opportunity_tags", json!({"t": 1})),
        ("opportunity_tags", json!([1])),
        ("suppresses_tags", json!("t")),
        ("window_index", json!("now")),
        ("trend_direction", json!(1)),
        ("key_metrics", json!([])),
    ] {
        let told = refusal(&json!({field: wrong}).to_string());
        assert!(told.starts_with(field), "{told}");
    }
}

#[test]
fn b03_null_is_no_wrong_type() {
    let nulls =
        r#"{"opportunity_tags": null, "persistence": null, "scope": null, "severity_score": null}"#;
    let mut s = Scene::ours().knob(knob("k", 2));
    assert_eq!(s.receive_finding(nulls).held_by(), "no_tags");
}

#[test]
fn b04_what_is_no_finding_is_an_error_and_never_a_panic() {
    for text in [
        "[1]",
        "null",
        "3",
        "\"x\"",
        "",
        "{",
        r#"{"severity_score": "high"}"#,
    ] {
        assert!(!refusal(text).is_empty());
    }
}

#[test]
fn b05_a_text_is_no_list_of_tags() {
    assert_eq!(
        refusal(r#"{"opportunity_tags": "tttt"}"#),
        "opportunity_tags: expected a list of strings, found \"tttt\""
    );
}

#[test]
fn b06_a_severity_that_is_not_finite_is_an_invalid_finding() {
    for odd in ["NaN", "Infinity", "-Infinity"] {
        assert!(refusal(&format!("{{\"severity_score\": {odd}}}")).starts_with("severity_score"));
    }
    let mut s = Scene::ours().knob(knob("k", 2).on("t", set(5)));
    let text = serde_json::Value::Object(t().0).to_string();
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut finding = FindingView::decode(text.as_bytes()).unwrap();
        finding.severity_score = odd;
        let out = scene::Out(s.planner.handle(Event::Finding(&finding)));
        assert!(matches!(
            out.notice(),
            Notice::InvalidFinding {
                field: "severity_score",
                ..
            }
        ));
        assert_eq!(out.plans(), []);
    }
}

#[test]
fn b06_no_value_that_is_not_finite_comes_into_force() {
    let mut s = Scene::ours().knob(knob("k", 2.0).range(0.0, 16.0).on("t", up(1.0)));
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut plan = global_plan("g", "k", 8);
        plan.new_value = Value::Float(odd);
        assert_eq!(s.global(&plan).notices(), ["global_plan_refused"]);
        plan.severity = odd;
        plan.new_value = Value::Int(8);
        assert_eq!(s.global(&plan).notices(), ["global_plan_refused"]);
        assert_eq!(s.value("k"), 2.0);
    }
    let plan = s.find(&t()).plan().clone();
    let mut ack = applied(&plan.plan_id);
    ack.new_value = Some(Value::Float(f64::NAN));
    assert_eq!(s.ack(&ack).name(), "ack_refused");
}

/// Nothing on the wire is like this; a program that makes its knobs by itself can be.
#[test]
fn b06_a_knob_made_of_numbers_that_are_not_finite_is_refused() {
    use dfo_model::{Direction, Number, Range, Registration, Response};
    let text = json!({"knobs": [{"id": "k", "type": "float", "default": 2.0}]}).to_string();
    let good = Registration::decode(text.as_bytes()).into_result().unwrap();
    let changed = |change: fn(&mut dfo_model::Knob)| {
        let mut registration = good.clone();
        change(&mut registration.knobs["k"]);
        registration
    };
    let nan = |direction| Response {
        direction,
        step: Some(Number::Float(f64::NAN)),
        set_to: Some(Value::Float(f64::NAN)),
        ..Response::default()
    };
    let mut odd = vec![
        changed(|k| k.default = Value::Float(f64::NAN)),
        changed(|k| k.range = Some(Range::new(f64::NAN, 1.0))),
        changed(|k| k.range = Some(Range::new(0.0, f64::INFINITY))),
        changed(|k| k.values = Some(vec![Value::Float(f64::NAN)])),
    ];
    for direction in [Direction::Increase, Direction::Decrease, Direction::Set] {
        let mut registration = good.clone();
        let responses = &mut registration.knobs["k"].responds_to;
        responses.insert("t".to_owned(), nan(direction));
        odd.push(registration);
    }
    for registration in odd {
        let mut s = Scene::ours();
        let out = scene::Out(s.planner.handle(Event::Registration(&registration)));
        assert_eq!(out.notices()[0], "knob_refused", "{registration:?}");
    }
}

#[test]
fn b07_a_metric_that_is_no_finite_number_counts_as_missing() {
    let odd = [
        "NaN",
        "Infinity",
        "\"x\"",
        "[1]",
        "null",
        "true",
        "{}",
        "99999999999999999999",
    ];
    for metric in odd {
        let text = format!("{{\"key_metrics\": {{\"fetch_frac\": {metric}}}}}");
        let finding = FindingView::decode(text.as_bytes()).unwrap();
        assert_eq!(finding.evidence, Evidence::default(), "{metric}");
    }
    let mut s = Scene::ours().knob(knob("k", 2).on("t", evidence("increase")));
    let metrics = json!({"fetch_frac": "x", "fetch_iter_time_frac_parent": 0.8});
    assert_eq!(
        s.find(&t().metrics(metrics)).new_value(),
        4,
        "0.8 ÷ (1 − 0.8)"
    );
}
