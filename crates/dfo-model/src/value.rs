//! Values of knobs: what they are, when they are equal, which type they fit.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of a knob. Ints and floats stay apart, as on the wire.
///
/// A float is always finite: decoding refuses `NaN` and the infinities, computing saturates.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(untagged))]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, 64 bits.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A text.
    Str(String),
}

/// A number that remembers whether it was written as an int: a step, a bound of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(untagged))]
pub enum Number {
    /// A whole number, 64 bits.
    Int(i64),
    /// A finite number.
    Float(f64),
}

/// The type of a knob's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum KnobType {
    /// Whole numbers of 64 bits; `integer` on the wire too.
    #[default]
    Int,
    /// Finite numbers; `double` on the wire too.
    Float,
    /// Texts; `string` on the wire too.
    Str,
    /// `true` and `false`; `boolean` on the wire too.
    Bool,
}

impl Value {
    /// The value as a number: bools count as 0 and 1, a text is none.
    pub fn as_number(&self) -> Option<Number> {
        match *self {
            Value::Bool(b) => Some(Number::Int(i64::from(b))),
            Value::Int(i) => Some(Number::Int(i)),
            Value::Float(f) => Some(Number::Float(f)),
            Value::Str(_) => None,
        }
    }

    /// Equality by number: `2` equals `2.0` and `true` equals `1`, but `"2"` equals neither.
    ///
    /// `==` is stricter: it keeps ints, floats and bools apart.
    pub fn same_as(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Str(a), Value::Str(b)) => a == b,
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(a), Some(b)) => a.same_as(b),
                _ => false,
            },
        }
    }
}

impl Number {
    /// The nearest float.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the rounding of Python's int to float"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }

    /// The whole number it is, toward zero and held within 64 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` truncates toward zero and saturates, which is the rule"
    )]
    pub fn truncated(self) -> i64 {
        match self {
            Number::Int(i) => i,
            Number::Float(f) => f as i64,
        }
    }

    /// Exact comparison, by number: 2^53 + 1 is more than 2^53 as a float, and `-0.0` equals `0`.
    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.cmp(&b),
            (Number::Float(a), Number::Float(b)) => {
                a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b))
            }
            (Number::Int(i), Number::Float(f)) => compare_int_and_float(i, f),
            (Number::Float(f), Number::Int(i)) => compare_int_and_float(i, f).reverse(),
        }
    }

    /// Exact equality, by number.
    pub fn same_as(self, other: Number) -> bool {
        self.compare(other).is_eq()
    }
}

fn compare_int_and_float(i: i64, f: f64) -> Ordering {
    let floor = f.floor();
    if floor >= BEYOND_INTS {
        return Ordering::Less;
    }
    if floor < -BEYOND_INTS {
        return Ordering::Greater;
    }
    let by_floor = i.cmp(&Number::Float(floor).truncated());
    match by_floor {
        Ordering::Equal if f > floor => Ordering::Less,
        other => other,
    }
}

/// 2^63 is the first float above `i64::MAX`; -2^63 is `i64::MIN` itself.
const BEYOND_INTS: f64 = 9_223_372_036_854_775_808.0;

impl KnobType {
    /// The value as one of this type, if it fits: a whole float is an int, an int is a float, 0 and
    /// 1 are bools and the other way round, and the texts `true` and `false` mean what they say for
    /// a bool knob. Nothing is cut off or guessed.
    ///
    /// ```
    /// use dfo_model::{KnobType, Value};
    /// assert_eq!(KnobType::Int.fit(&Value::Float(2.0)), Some(Value::Int(2)));
    /// assert_eq!(KnobType::Int.fit(&Value::Float(2.5)), None);
    /// assert_eq!(KnobType::Bool.fit(&Value::Str("false".into())), Some(Value::Bool(false)));
    /// ```
    pub fn fit(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (KnobType::Str, Value::Str(_)) => Some(value.clone()),
            (KnobType::Bool, Value::Str(s)) => match s.as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            (KnobType::Str, _) | (_, Value::Str(_)) => None,
            (KnobType::Int, v) => whole_number(v.as_number()?).map(Value::Int),
            (KnobType::Float, v) => Some(v.as_number()?.as_f64())
                .filter(|f| f.is_finite())
                .map(Value::Float),
            (KnobType::Bool, v) => match whole_number(v.as_number()?)? {
                0 => Some(Value::Bool(false)),
                1 => Some(Value::Bool(true)),
                _ => None,
            },
        }
    }

    /// The name on the wire: `int`, `float`, `str` or `bool`.
    pub fn name(self) -> &'static str {
        match self {
            KnobType::Int => "int",
            KnobType::Float => "float",
            KnobType::Str => "str",
            KnobType::Bool => "bool",
        }
    }

    /// The type of that name or alias.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "int" | "integer" => Some(KnobType::Int),
            "float" | "double" => Some(KnobType::Float),
            "str" | "string" => Some(KnobType::Str),
            "bool" | "boolean" => Some(KnobType::Bool),
            _ => None,
        }
    }
}

fn whole_number(n: Number) -> Option<i64> {
    match n {
        Number::Int(i) => Some(i),
        Number::Float(f) => whole(f),
    }
}

/// The int that this float is exactly, if there is one within 64 bits.
fn whole(f: f64) -> Option<i64> {
    let in_range = (-BEYOND_INTS..BEYOND_INTS).contains(&f);
    (in_range && f.trunc().total_cmp(&f).is_eq()).then(|| Number::Float(f).truncated())
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(b) => b.fmt(f),
            Value::Int(i) => i.fmt(f),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Str(s) => f.write_str(s),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(i) => i.fmt(f),
            Number::Float(x) => write!(f, "{x:?}"),
        }
    }
}

impl fmt::Display for KnobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            Value::Float(f) => serializer.serialize_f64(*f),
            Value::Str(s) => serializer.serialize_str(s),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Number::Int(i) => serializer.serialize_i64(i),
            Number::Float(f) => serializer.serialize_f64(f),
        }
    }
}

/// Reads back exactly what [`Serialize`] gives, from a format that says what stands in it. Messages
/// are decoded otherwise, and take more: see each message's `decode`.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// As for [`Value`].
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyValue;

impl Visitor<'_> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bool, an int of 64 bits, a finite number or a string")
    }

    fn visit_bool<E: de::Error>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E: de::Error>(self, i: i64) -> Result<Value, E> {
        AnyNumber.visit_i64(i).map(Value::from)
    }

    fn visit_u64<E: de::Error>(self, i: u64) -> Result<Value, E> {
        AnyNumber.visit_u64(i).map(Value::from)
    }

    fn visit_f64<E: de::Error>(self, f: f64) -> Result<Value, E> {
        AnyNumber.visit_f64(f).map(Value::from)
    }

    fn visit_str<E: de::Error>(self, s: &str) -> Result<Value, E> {
        Ok(Value::from(s))
    }

    fn visit_string<E: de::Error>(self, s: String) -> Result<Value, E> {
        Ok(Value::Str(s))
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an int of 64 bits or a finite number")
    }

    fn visit_i64<E: de::Error>(self, i: i64) -> Result<Number, E> {
        Ok(Number::Int(i))
    }

    fn visit_u64<E: de::Error>(self, i: u64) -> Result<Number, E> {
        let beyond = |_| E::invalid_value(de::Unexpected::Unsigned(i), &self);
        i64::try_from(i).map(Number::Int).map_err(beyond)
    }

    fn visit_f64<E: de::Error>(self, f: f64) -> Result<Number, E> {
        match f.is_finite() {
            true => Ok(Number::Float(f)),
            false => Err(E::invalid_value(de::Unexpected::Float(f), &self)),
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}
impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Value::Float(f)
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.to_owned())
    }
}
impl From<Number> for Value {
    fn from(n: Number) -> Self {
        match n {
            Number::Int(i) => Value::Int(i),
            Number::Float(f) => Value::Float(f),
        }
    }
}
impl From<i64> for Number {
    fn from(i: i64) -> Self {
        Number::Int(i)
    }
}
impl From<f64> for Number {
    fn from(f: f64) -> Self {
        Number::Float(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_by_number() {
        assert!(Value::Int(2).same_as(&Value::Float(2.0)));
        assert!(Value::Bool(true).same_as(&Value::Int(1)));
        assert!(!Value::Int(2).same_as(&Value::from("2")));
        assert!(!Value::Int(2).same_as(&Value::Float(2.5)));
        assert!(!Value::Int((1 << 53) + 1).same_as(&Value::Float(9_007_199_254_740_992.0)));
        assert!(!Value::Int(i64::MAX).same_as(&Value::Float(9_223_372_036_854_775_808.0)));
        assert!(Value::Int(i64::MIN).same_as(&Value::Float(-9_223_372_036_854_775_808.0)));
        assert!(Value::Int(0).same_as(&Value::Float(-0.0)));
    }

    #[test]
    fn numbers_are_compared_exactly() {
        use Number::{Float, Int};
        use Ordering::{Equal, Greater, Less};
        for (a, b, ordering) in [
            (Int(2), Float(2.0), Equal),
            (Int(2), Float(2.5), Less),
            (Int(-2), Float(-2.5), Greater),
            (Int((1 << 53) + 1), Float(9_007_199_254_740_992.0), Greater),
            (Int(i64::MAX), Float(BEYOND_INTS), Less),
            (Int(i64::MIN), Float(-BEYOND_INTS), Equal),
            (Int(i64::MIN), Float(f64::MIN), Greater),
            (Int(0), Float(-0.0), Equal),
            (Float(-0.0), Float(0.0), Equal),
            (Int(0), Float(f64::INFINITY), Less),
        ] {
            assert_eq!(a.compare(b), ordering, "{a:?} {b:?}");
            assert_eq!(b.compare(a), ordering.reverse(), "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_value_fits_a_type_only_without_loss() {
        use KnobType::{Bool, Float, Int, Str};
        let table = [
            (Int, Value::Int(3), Some(Value::Int(3))),
            (Int, Value::Float(3.0), Some(Value::Int(3))),
            (Int, Value::Float(-0.0), Some(Value::Int(0))),
            (Int, Value::Float(3.5), None),
            (Int, Value::Float(1e300), None),
            (Int, Value::Bool(true), Some(Value::Int(1))),
            (Int, Value::from("3"), None),
            (Float, Value::Int(3), Some(Value::Float(3.0))),
            (Float, Value::Float(f64::NAN), None),
            (Float, Value::from("x"), None),
            (Bool, Value::Int(1), Some(Value::Bool(true))),
            (Bool, Value::Float(0.0), Some(Value::Bool(false))),
            (Bool, Value::Int(2), None),
            (Bool, Value::from("true"), Some(Value::Bool(true))),
            (Bool, Value::from("True"), None),
            (Str, Value::from("posix"), Some(Value::from("posix"))),
            (Str, Value::Int(2), None),
        ];
        for (kind, value, expected) in table {
            assert_eq!(kind.fit(&value), expected, "{kind} of {value:?}");
        }
    }

    #[test]
    fn ints_are_written_as_ints_and_floats_as_floats() {
        let json = |v: &Value| serde_json::to_string(v).unwrap();
        assert_eq!(json(&Value::Int(2)), "2");
        assert_eq!(json(&Value::Float(2.0)), "2.0");
        assert_eq!(json(&Value::Bool(true)), "true");
        assert_eq!(json(&Value::from("2")), "\"2\"");
    }

    #[test]
    fn what_is_no_value_does_not_read_back() {
        for text in ["null", "[1]", "{}", "9223372036854775808", "1e999"] {
            let read = serde_json::from_str::<Value>(text);
            assert!(read.is_err(), "{text}: {read:?}");
        }
        let read = serde_json::from_str::<Number>("true");
        let told = read.unwrap_err().to_string();
        let expected =
            "invalid type: boolean `true`, expected an int of 64 bits or a finite number";
        assert!(told.starts_with(expected), "{told}");
    }
}
