//! What a knob's values may be: checked once at registration, and for every plan that arrives.
//!
//! The rules are those by which the optimizer takes a knob in, so that what is accepted here is
//! accepted there. What an optimizer would compute is not its business.

use std::fmt::Write as _;

use dfo_model::{Knob, KnobType, Number, Range, Value};

use crate::boundary::{Boundary, unknown_boundary};

/// What a knob's values may be.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    /// None of a knob that nobody registered: any value is one of it.
    kind: Option<KnobType>,
    allowed: Allowed,
}

/// What becomes of a plan whose number is outside the range of its knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OutsideRange {
    /// It is rejected.
    #[default]
    Refused,
    /// The nearest value within the range takes its place.
    Held,
}

#[derive(Debug, Clone)]
enum Allowed {
    Anything,
    Within(Range),
    Listed(Vec<Value>),
}

/// What is wrong with a definition: the field, and what to write in its place.
pub(crate) type Wrong = (String, String);

impl Domain {
    /// The domain of a knob, if its definition makes sense.
    pub(crate) fn of(knob: &Knob) -> Result<Domain, Wrong> {
        let kind = knob.kind;
        if kind.fit(&knob.default).is_none() {
            return Err(wrong("default", not_of_type(&knob.default, kind)));
        }
        if let Some(range) = knob.range {
            check_range(range, kind).map_err(|what| wrong("range", what))?;
        }
        for (tag, response) in &knob.responds_to {
            if Boundary::from_apply_when(&response.apply_when).is_none() {
                let field = format!("responds_to.{tag}.apply_when");
                return Err((field, unknown_boundary(&response.apply_when)));
            }
        }
        let allowed = match (&knob.values, knob.range) {
            (Some(values), _) => {
                Allowed::Listed(listed(values, kind).map_err(|what| wrong("values", what))?)
            }
            (None, Some(range)) => Allowed::Within(range),
            (None, None) => Allowed::Anything,
        };
        Ok(Domain {
            kind: Some(kind),
            allowed,
        })
    }

    /// The domain of a knob of which nothing is known.
    pub(crate) fn unknown() -> Domain {
        Domain {
            kind: None,
            allowed: Allowed::Anything,
        }
    }

    /// The value as one of the knob's type, or the type and what is wrong.
    pub(crate) fn fit(&self, value: &Value) -> Result<Value, (KnobType, String)> {
        match self.kind {
            None => Ok(value.clone()),
            Some(kind) => {
                let fitting = kind.fit(value);
                fitting.ok_or_else(|| (kind, not_of_type(value, kind)))
            }
        }
    }

    /// The value as one of this domain; or why it is none.
    pub(crate) fn check(&self, value: &Value, outside: OutsideRange) -> Result<Value, String> {
        let fitting = self.fit(value).map_err(|(_, what)| what)?;
        match &self.allowed {
            Allowed::Anything => Ok(fitting),
            Allowed::Within(range) if holds(*range, &fitting) => Ok(fitting),
            Allowed::Within(range) => match (outside, held(*range, &fitting)) {
                (OutsideRange::Held, Some(held)) => Ok(held),
                _ => Err(is_outside(*range, value)),
            },
            Allowed::Listed(values) if values.contains(&fitting) => Ok(fitting),
            Allowed::Listed(values) => Err(format!(
                "{} is none of the values {}",
                shown(value),
                list(values)
            )),
        }
    }

    /// What is said of a value that was held within the range.
    pub(crate) fn was_held(&self, wanted: &Value) -> Option<String> {
        match self.allowed {
            Allowed::Within(range) if !holds(range, wanted) => Some(is_outside(range, wanted)),
            _ => None,
        }
    }
}

fn is_outside(Range { min, max }: Range, value: &Value) -> String {
    format!("{} is outside the range [{min}, {max}]", shown(value))
}

/// The value of the same type within the range that is nearest.
fn held(Range { min, max }: Range, value: &Value) -> Option<Value> {
    let number = value.as_number()?;
    let bound = if number.compare(min).is_lt() {
        min
    } else {
        max
    };
    let held = match value {
        Value::Int(_) if number.compare(min).is_lt() => Value::Int(lowest_int(bound)),
        Value::Int(_) => Value::Int(highest_int(bound)),
        Value::Float(_) => Value::Float(bound.as_f64()),
        Value::Bool(_) | Value::Str(_) => return None,
    };
    holds(Range { min, max }, &held).then_some(held)
}

fn wrong(field: &str, what: String) -> Wrong {
    (field.to_owned(), what)
}

fn check_range(range: Range, kind: KnobType) -> Result<(), String> {
    let Range { min, max } = range;
    if kind == KnobType::Str {
        return Err("a str knob has no range; use `values`".to_owned());
    }
    if !(min.as_f64().is_finite() && max.as_f64().is_finite()) {
        return Err("a bound is not finite".to_owned());
    }
    if min.compare(max).is_gt() {
        return Err(format!(
            "[{min}, {max}] is reversed; write it as [{max}, {min}]"
        ));
    }
    let is_empty = match kind {
        KnobType::Int => !holds(range, &Value::from(Number::Int(lowest_int(min)))),
        KnobType::Bool => ![false, true].into_iter().any(|b| holds(range, &b.into())),
        KnobType::Float | KnobType::Str => false,
    };
    match is_empty {
        true => Err(format!("[{min}, {max}] holds no value of type {kind}")),
        false => Ok(()),
    }
}

fn lowest_int(bound: Number) -> i64 {
    match bound {
        Number::Int(i) => i,
        Number::Float(f) => Number::Float(f.ceil()).truncated(),
    }
}

fn highest_int(bound: Number) -> i64 {
    match bound {
        Number::Int(i) => i,
        Number::Float(f) => Number::Float(f.floor()).truncated(),
    }
}

fn holds(Range { min, max }: Range, value: &Value) -> bool {
    match value.as_number() {
        // As floats, the bounds too: the optimizer holds a value at the float that a bound is.
        Some(Number::Float(f)) => (min.as_f64()..=max.as_f64()).contains(&f),
        Some(n) => n.compare(min).is_ge() && n.compare(max).is_le(),
        None => false,
    }
}

fn listed(values: &[Value], kind: KnobType) -> Result<Vec<Value>, String> {
    if values.is_empty() {
        return Err("an empty list allows nothing; leave it out to allow everything".to_owned());
    }
    let fit = |v: &Value| kind.fit(v).ok_or_else(|| not_of_type(v, kind));
    values.iter().map(fit).collect()
}

/// What a value of another type is told.
pub(crate) fn not_of_type(value: &Value, kind: KnobType) -> String {
    format!("{} is not of type {kind}", shown(value))
}

/// A value for people: a text in quotes, and not all of a long one.
fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => format!("{:?}", shortened(text)),
        other => other.to_string(),
    }
}

fn list(values: &[Value]) -> String {
    const SHOWN: usize = 8;
    let mut text = String::new();
    for (i, value) in values.iter().take(SHOWN).enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{}", shown(value));
    }
    if values.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The beginning of a text that came from outside: it may be of any length.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfo_model::Response;

    fn knob(kind: KnobType, default: impl Into<Value>) -> Knob {
        Knob::new("k", kind, default)
    }

    fn ranged(kind: KnobType, default: impl Into<Value>, range: Range) -> Knob {
        Knob {
            range: Some(range),
            ..knob(kind, default)
        }
    }

    #[test]
    fn a_definition_that_makes_no_sense_is_refused_with_its_field() {
        let no_values = Knob {
            values: Some(Vec::new()),
            ..knob(KnobType::Int, 1)
        };
        let wrong_value = Knob {
            values: Some(vec![1.into(), "two".into()]),
            ..knob(KnobType::Int, 1)
        };
        let mut unknown_boundary = knob(KnobType::Int, 1);
        let response = Response {
            apply_when: "tomorrow".to_owned(),
            ..Response::default()
        };
        unknown_boundary.responds_to.insert("t".into(), response);
        let reversed = ranged(KnobType::Int, 2, Range::new(16, 1));
        for (knob, field, what) in [
            (
                knob(KnobType::Int, 2.5),
                "default",
                "2.5 is not of type int",
            ),
            (
                reversed,
                "range",
                "[16, 1] is reversed; write it as [1, 16]",
            ),
            (
                ranged(KnobType::Int, 2, Range::new(0.2, 0.8)),
                "range",
                "[0.2, 0.8] holds no value of type int",
            ),
            (
                ranged(KnobType::Bool, true, Range::new(2, 3)),
                "range",
                "[2, 3] holds no value of type bool",
            ),
            (
                ranged(KnobType::Str, "a", Range::new(0, 1)),
                "range",
                "a str knob has no range; use `values`",
            ),
            (
                ranged(KnobType::Float, 0.5, Range::new(0.0, f64::NAN)),
                "range",
                "a bound is not finite",
            ),
            (
                no_values,
                "values",
                "an empty list allows nothing; leave it out to allow everything",
            ),
            (wrong_value, "values", "\"two\" is not of type int"),
            (
                unknown_boundary,
                "responds_to.t.apply_when",
                "unknown boundary \"tomorrow\"; one of: epoch_boundary, window_boundary, next_window",
            ),
        ] {
            let expected = (field.to_owned(), what.to_owned());
            assert_eq!(Domain::of(&knob).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_value_is_of_the_type_and_within_what_is_allowed() {
        let ints = Domain::of(&ranged(KnobType::Int, 1, Range::new(0.5, 8))).unwrap();
        assert_eq!(ints.check(&3.0.into(), OutsideRange::Refused), Ok(3.into()));
        assert_eq!(ints.check(&1.into(), OutsideRange::Refused), Ok(1.into()));
        assert_eq!(
            ints.check(&0.into(), OutsideRange::Refused).unwrap_err(),
            "0 is outside the range [0.5, 8]"
        );
        let floats = Domain::of(&knob(KnobType::Float, 0.5)).unwrap();
        assert_eq!(
            floats.check(&2.into(), OutsideRange::Refused),
            Ok(2.0.into())
        );
        assert!(
            floats
                .check(&Value::Float(f64::NAN), OutsideRange::Refused)
                .is_err()
        );
        let listed = Knob {
            values: Some(vec!["a".into(), "b".into()]),
            range: None,
            ..knob(KnobType::Str, "a")
        };
        let listed = Domain::of(&listed).unwrap();
        assert_eq!(
            listed.check(&"b".into(), OutsideRange::Refused),
            Ok("b".into())
        );
        assert_eq!(
            listed
                .check(&"c".into(), OutsideRange::Refused)
                .unwrap_err(),
            "\"c\" is none of the values \"a\", \"b\""
        );
    }

    #[test]
    fn listed_values_go_before_the_range() {
        let both = Knob {
            values: Some(vec![1.into(), 64.into()]),
            ..ranged(KnobType::Int, 1, Range::new(1, 16))
        };
        assert_eq!(
            Domain::of(&both)
                .unwrap()
                .check(&64.into(), OutsideRange::Refused),
            Ok(64.into())
        );
    }

    #[test]
    fn a_long_text_is_not_repeated_whole() {
        let kind = KnobType::Int;
        assert!(not_of_type(&"x".repeat(1 << 20).as_str().into(), kind).len() < 100);
    }
}
