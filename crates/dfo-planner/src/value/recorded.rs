//! The recorded arithmetic of the original, for the parts of it that the rules keep.
//!
//! Where ours does better on purpose, the condition for it stands here by itself: a deviation is
//! never excused by being one.

use std::collections::BTreeMap;
use std::io::Read;

use dfo_model::{Direction, Evidence, FindingView, Knob, Range, Trend};
use serde_json::Value as Json;

use super::*;
use crate::gates;
use crate::settings::Patience;

const RECORDED: &[u8] = include_bytes!("../../tests/recorded/arithmetic.jsonl.gz");

const MISMATCH: &str = "MISMATCH";

/// What a row came to: the same, or ours on purpose, with the mark or rule that says so.
type Outcome = Result<(), &'static str>;

#[test]
fn the_recorded_arithmetic_conforms() {
    let mut text = String::new();
    flate2::read::GzDecoder::new(RECORDED)
        .read_to_string(&mut text)
        .unwrap();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for line in text.lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        let function = row["fn"].as_str().unwrap().to_owned();
        let outcome = compare(&function, &row);
        let label = outcome.err().unwrap_or("the same");
        *counts.entry((function, label)).or_default() += 1;
    }
    for ((function, label), count) in &counts {
        println!("{function:>14} {count:>6} {label}");
    }
    assert!(counts.keys().all(|(_, label)| *label != MISMATCH));
    assert_eq!(counts.values().sum::<usize>(), 26_013);
    let same = counts.iter().filter(|((_, label), _)| *label == "the same");
    assert_eq!(same.map(|(_, n)| n).sum::<usize>(), 23_543);
}

fn compare(function: &str, row: &Json) -> Outcome {
    let expect = &row["expect"];
    match function {
        "fmt3" => check(row, format!("{:.3}", float(&row["x"])) == *expect),
        "repr_float" => {
            let x = float(&row["x"]);
            let written = serde_json::to_string(&x).unwrap();
            let reads_back = |text: &str| text.parse::<f64>().unwrap().to_bits() == x.to_bits();
            check(
                row,
                reads_back(&written) && reads_back(expect.as_str().unwrap()),
            )
        }
        "floordiv" => check(
            row,
            floor_div(number(&row["a"]), number(&row["b"])).same_as(number(expect)),
        ),
        "mul_increase" => mul_increase(row),
        "scaled_delta" => scaled_delta(row),
        "evidence" => evidence(row),
        "cooldown" => cooldown(row),
        "clamp" => clamp(row),
        other => panic!("unknown function {other}"),
    }
}

fn mul_increase(row: &Json) -> Outcome {
    let (old, factor, expect) = (number(&row["a"]), number(&row["b"]), number(&row["expect"]));
    match old {
        Number::Int(i) => check(row, increase_by_factor(i, factor).same_as(expect)),
        Number::Float(f) => {
            let plain = f * factor.as_f64();
            if plain < f + 1.0 {
                assert!(expect.same_as(Number::Float(f + 1.0)), "{row}");
                return Err("multiply_float_plus_one");
            }
            check(row, Number::Float(plain).same_as(expect))
        }
    }
}

fn scaled_delta(row: &Json) -> Outcome {
    let step = float(&row["step"]);
    let trend = match row["trend"].as_str().unwrap() {
        "stable" => Trend::Stable,
        _ => Trend::Worsening,
    };
    let x = step * scale(float(&row["severity"]), trend);
    match row["type"].as_str().unwrap() {
        "float" => check(row, x.to_bits() == float(&row["expect"]).to_bits()),
        "int" => check(row, Some(whole_step(x)) == row["expect"].as_i64()),
        "bool" if step < 0.0 => Err("refused at registration: a step must be above 0"),
        "bool" => check(row, Some(whole_step(x) > 0) == row["expect"].as_bool()),
        other => panic!("unknown type {other}"),
    }
}

fn evidence(row: &Json) -> Outcome {
    let toward = match row["direction"].as_str().unwrap() {
        "increase" => Toward::Up,
        _ => Toward::Down,
    };
    let finding = serde_json::json!({ "key_metrics": row["key_metrics"] }).to_string();
    let metrics: Evidence = FindingView::decode(finding.as_bytes()).unwrap().evidence;
    let old = number(&row["old"]);
    if row["expect"].is_null() {
        // The caller of the original's primitive doubles then, whatever the direction.
        assert!(metrics.fetch().is_none(), "{row}");
        let doubled = (old.as_f64() * 2.0).max(old.as_f64() + 1.0);
        let ours = evidence_target(toward, old, &metrics);
        return match toward {
            Toward::Up => check(row, ours.same_as(Number::Float(doubled))),
            Toward::Down => Err("evidence_decrease_without_metrics_doubles"),
        };
    }
    let expect = number(&row["expect"]);
    if toward == Toward::Down && expect.as_f64() > old.as_f64() {
        return Err("decrease_raised_value");
    }
    check(row, evidence_target(toward, old, &metrics).same_as(expect))
}

fn cooldown(row: &Json) -> Outcome {
    let int = |key: &str| row[key].as_i64().unwrap();
    let since = int("window") - int("rec_window");
    let rested = gates::cooldown(since, int("cooldown_windows"));
    let (then, now) = (float(&row["rec_severity"]), float(&row["severity"]));
    let threshold = float(&row["threshold"]);
    let helped = gates::effectiveness(then, now, threshold, since, Patience::Unlimited, false);
    let ours = match (rested, helped) {
        (Err(_), _) => Some("time"),
        (_, Err(_)) => Some("ineffective"),
        _ => None,
    };
    check(row, ours == row["expect"].as_str())
}

fn clamp(row: &Json) -> Outcome {
    let kind = match row["type"].as_str().unwrap() {
        "int" => KnobType::Int,
        "float" => KnobType::Float,
        "bool" => KnobType::Bool,
        _ => KnobType::Str,
    };
    let values = row["values"].as_array();
    let knob = Knob {
        range: row["range"]
            .as_array()
            .map(|r| Range::new(number(&r[0]), number(&r[1]))),
        values: values.map(|values| values.iter().map(value).collect()),
        ..Knob::new("k", kind, value(&row["default"]))
    };
    let Ok(domain) = Domain::of(&knob) else {
        return Err("refused at registration: of another type");
    };
    let (wanted, expect) = (value(&row["value"]), value(&row["expect"]));
    if !domain.allows(&wanted) && values.is_some() {
        return Err("values_step_falls_to_default");
    }
    let set_to = Response {
        direction: Direction::Set,
        set_to: Some(wanted.clone()),
        ..Response::default()
    };
    let Ok(Change::Set(wanted)) = Change::of(&set_to, &domain) else {
        return Err("refused at registration: of another type");
    };
    let ours = match wanted.as_number() {
        Some(n) => domain.hold(n, &wanted, Toward::Up).unwrap(),
        None => wanted.clone(),
    };
    if values.is_some() && kind.fit(&expect).as_ref() != Some(&expect) {
        assert!(ours.same_as(&expect), "{row}");
        return Err("values_type_not_coerced");
    }
    let is_negative = wanted.as_number().is_some_and(|n| n.as_f64() < 0.0);
    if kind == KnobType::Bool && knob.range.is_none() && is_negative {
        return Err("a bool knob has the range 0 to 1");
    }
    let range = knob.range.map(|r| (r.min.as_f64(), r.max.as_f64()));
    if let (Some((min, max)), Some(n)) = (range, expect.as_number())
        && !(min..=max).contains(&n.as_f64())
    {
        return Err("clamp_result_outside_range");
    }
    check(row, ours == expect)
}

fn check(row: &Json, is_same: bool) -> Outcome {
    if is_same {
        return Ok(());
    }
    println!("{row}");
    Err(MISMATCH)
}

fn float(json: &Json) -> f64 {
    json.as_f64().unwrap()
}

fn number(json: &Json) -> Number {
    match json.as_i64() {
        Some(i) => Number::Int(i),
        None => Number::Float(float(json)),
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Bool(b) => Value::Bool(*b),
        Json::String(s) => Value::from(s.as_str()),
        json => number(json).into(),
    }
}
