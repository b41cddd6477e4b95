//! Values and knobs read back as they were written, to the last bit.

use dfo_model::{Direction, Knob, KnobScope, KnobType, Number, Range, Response, StepMode, Value};
use indexmap::IndexMap;
use proptest::prelude::*;
use proptest::sample::select;

fn finite() -> impl Strategy<Value = f64> {
    let odd = vec![
        2.0,
        -0.0,
        1e16,
        1e300,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        0.1,
    ];
    let any = any::<f64>().prop_filter("finite", |f| f.is_finite());
    prop_oneof![any, select(odd)]
}

fn number() -> impl Strategy<Value = Number> {
    let odd = select(vec![0, 2, -1, i64::MAX, i64::MIN]);
    prop_oneof![
        prop_oneof![any::<i64>(), odd].prop_map(Number::Int),
        finite().prop_map(Number::Float),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let words = select(vec![
        "",
        "2",
        "2.0",
        "true",
        "null",
        "\u{0}NaN",
        "\u{1F980}\"\\",
    ]);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::from),
        prop_oneof![words.prop_map(str::to_owned), any::<String>()].prop_map(Value::Str),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let words = (
        select(vec![
            Direction::Increase,
            Direction::Decrease,
            Direction::Set,
        ]),
        select(vec![StepMode::Add, StepMode::Multiply, StepMode::Evidence]),
        prop::option::of(number()),
        prop::option::of(value()),
    );
    let numbers = (
        finite(),
        any::<i64>(),
        any::<i64>(),
        any::<String>(),
        finite(),
    );
    (words, numbers).prop_map(
        |(
            (direction, step_mode, step, set_to),
            (min_severity, min_persistence, cooldown_windows, apply_when, threshold),
        )| Response {
            direction,
            step,
            step_mode,
            set_to,
            min_severity,
            min_persistence,
            cooldown_windows,
            apply_when,
            effectiveness_threshold: threshold,
        },
    )
}

fn a_knob() -> impl Strategy<Value = Knob> {
    use KnobType::{Bool, Float, Int, Str};
    let range = (number(), number()).prop_map(|(min, max)| Range::new(min, max));
    let of_values = (
        value(),
        prop::option::of(range),
        prop::option::of(prop::collection::vec(value(), 0..4)),
    );
    let scope = select(vec![KnobScope::Job, KnobScope::RankLocal, KnobScope::Node]);
    let responses = prop::collection::vec((any::<String>(), response()), 0..3);
    let names = (any::<String>(), any::<String>());
    let kind = select(vec![Int, Float, Bool, Str]);
    (names, kind, of_values, scope, responses).prop_map(
        |((id, target_function), kind, (default, range, values), scope, responses)| Knob {
            id,
            default,
            kind,
            range,
            values,
            scope,
            responds_to: responses.into_iter().collect::<IndexMap<_, _>>(),
            target_function,
        },
    )
}

/// The text is compared too: it tells `-0.0` from `0.0`, and the order of tags.
fn assert_reads_back<T>(written: &T) -> serde_json::Result<()>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(written)?;
    let tree: serde_json::Value = serde_json::from_str(&text)?;
    let read: [T; 2] = [serde_json::from_str(&text)?, serde_json::from_value(tree)?];
    for again in read {
        assert_eq!(again, *written);
        assert_eq!(serde_json::to_string(&again)?, text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_reads_back(value in value()) {
        assert_reads_back(&value).unwrap();
    }

    #[test]
    fn a_knob_reads_back(knob in a_knob()) {
        assert_reads_back(&knob).unwrap();
    }
}

#[test]
fn an_int_stays_an_int_and_a_float_a_float() {
    for value in [
        Value::Int(2),
        Value::Float(2.0),
        Value::from("2"),
        Value::Bool(true),
    ] {
        assert_reads_back(&value).unwrap();
    }
}
