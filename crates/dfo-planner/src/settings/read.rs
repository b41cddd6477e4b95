//! How settings stand in a configuration file.

use std::fmt;

use dfo_model::Number;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};

use super::Patience;

impl<'de> Deserialize<'de> for Patience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let windows = deserializer.deserialize_any(WindowsOr(UNLIMITED))?;
        Ok(windows.map_or(Patience::Unlimited, Patience::Windows))
    }
}

/// A number of windows that may go on for ever.
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let windows = deserializer.deserialize_any(WindowsOr(UNLIMITED))?;
    Ok(windows.unwrap_or(i64::MAX))
}

/// A number of windows, or never.
pub(super) fn or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_any(WindowsOr(NEVER))
}

/// A count that may be as large as it gets.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let count = deserializer.deserialize_any(CountOr(UNLIMITED))?;
    Ok(count.unwrap_or(usize::MAX))
}

/// A number, or an infinity. JSON has none: there it is the word that TOML has for it.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(NumberOrInfinity)
}

pub(super) const UNLIMITED: &str = "unlimited";
pub(super) const NEVER: &str = "never";
pub(super) const INFINITY: &str = "inf";
pub(super) const MINUS_INFINITY: &str = "-inf";

/// A number of windows, or the one word that stands for none.
struct WindowsOr(&'static str);

impl Visitor<'_> for WindowsOr {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of windows (0 or more) or {:?}", self.0)
    }

    fn visit_i64<E: Error>(self, windows: i64) -> Result<Self::Value, E> {
        match windows {
            0.. => Ok(Some(windows)),
            _ => Err(E::invalid_value(Unexpected::Signed(windows), &self)),
        }
    }

    fn visit_u64<E: Error>(self, windows: u64) -> Result<Self::Value, E> {
        let there = i64::try_from(windows);
        let there = there.map_err(|_| E::invalid_value(Unexpected::Unsigned(windows), &self))?;
        Ok(Some(there))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        match word == self.0 {
            true => Ok(None),
            false => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }
}

/// A count, or the one word that stands for the largest.
struct CountOr(&'static str);

impl Visitor<'_> for CountOr {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number (0 or more) or {:?}", self.0)
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Self::Value, E> {
        let there = usize::try_from(count);
        let there = there.map_err(|_| E::invalid_value(Unexpected::Signed(count), &self))?;
        Ok(Some(there))
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
        let there = usize::try_from(count);
        let there = there.map_err(|_| E::invalid_value(Unexpected::Unsigned(count), &self))?;
        Ok(Some(there))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        match word == self.0 {
            true => Ok(None),
            false => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }
}

struct NumberOrInfinity;

impl Visitor<'_> for NumberOrInfinity {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number, {INFINITY:?} or {MINUS_INFINITY:?}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(Number::Int(number).as_f64())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        f64::deserialize(number.into_deserializer())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        match number.is_nan() {
            true => Err(E::invalid_value(Unexpected::Float(number), &self)),
            false => Ok(number),
        }
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<f64, E> {
        match word {
            INFINITY => Ok(f64::INFINITY),
            MINUS_INFINITY => Ok(f64::NEG_INFINITY),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn what_is_not_said_is_ours() {
        assert_eq!(read(""), Ok(Settings::default()));
        let ours = Settings {
            pending_patience: Patience::Windows(4),
            ..Settings::default()
        };
        assert_eq!(read("pending_patience = 4"), Ok(ours));
    }

    #[test]
    fn all_of_the_originals_choices_can_be_said() {
        let text = r#"
            pending_patience = "unlimited"
            ineffective_patience = "unlimited"
            ineffective_patience_limit = "unlimited"
            suppression_patience = "unlimited"
            rejection_starts_cooldown = false
            judge_by_same_tag = false
            suppress_min_severity = -inf
            suppress_min_persistence = -9223372036854775808
            scopes_hold_each_other = false
            global_plan_clears_node_values = false
            new_run_below = "never"
            rationale_says_assumed = false
            undo_after = "never"
            nodes_remembered = 7
        "#;
        let original = Settings {
            nodes_remembered: 7,
            ..Settings::original()
        };
        assert_eq!(read(text), Ok(original));
    }

    #[test]
    fn json_reads_the_same() {
        let text =
            r#"{"pending_patience": 4, "new_run_below": "never", "suppress_min_severity": 1}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.pending_patience, Patience::Windows(4));
        assert_eq!(settings.new_run_below, None);
        assert!(settings.suppress_min_severity.total_cmp(&1.0).is_eq());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, complaint) in [
            (
                "patience = 4",
                "unknown field `patience`, expected one of `pending_patience`, ",
            ),
            (
                "pending_patience = -1",
                "invalid value: integer `-1`, expected a number of windows (0 or more) or \"unlimited\"",
            ),
            (
                "pending_patience = \"never\"",
                "invalid value: string \"never\", expected a number of windows (0 or more) or \"unlimited\"",
            ),
            (
                "new_run_below = false",
                "invalid type: boolean `false`, expected a number of windows (0 or more) or \"never\"",
            ),
            (
                "suppress_min_severity = nan",
                "invalid value: floating point `NaN`, expected a number",
            ),
            (
                "suppress_min_severity = \"any\"",
                "invalid value: string \"any\", expected a number, \"inf\" or \"-inf\"",
            ),
            (
                "nodes_remembered = -1",
                "invalid value: integer `-1`, expected a whole number (0 or more) or \"unlimited\"",
            ),
            (
                "judge_by_same_tag = 1",
                "invalid type: integer `1`, expected a boolean",
            ),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.starts_with(complaint), "{text}: {told}");
        }
    }
}
