//! How settings are written, so that `read` takes them, in JSON and in TOML.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "the shape that serde asks for"
)]

use serde::{Serialize, Serializer};

use super::Patience;
use super::read::{INFINITY, MINUS_INFINITY, NEVER, UNLIMITED};

impl Serialize for Patience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Patience::Windows(windows) => serializer.serialize_i64(*windows),
            Patience::Unlimited => serializer.serialize_str(UNLIMITED),
        }
    }
}

/// A number of windows that may go on for ever.
pub(super) fn limit<S: Serializer>(windows: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match *windows {
        i64::MAX => serializer.serialize_str(UNLIMITED),
        windows => serializer.serialize_i64(windows),
    }
}

/// A number of windows, or never.
pub(super) fn or_never<S: Serializer>(
    windows: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match *windows {
        Some(windows) => serializer.serialize_i64(windows),
        None => serializer.serialize_str(NEVER),
    }
}

/// A count that may be as large as it gets.
pub(super) fn count<S: Serializer>(count: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    match *count {
        usize::MAX => serializer.serialize_str(UNLIMITED),
        count => count.serialize(serializer),
    }
}

/// A number, or an infinity.
pub(super) fn number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *number {
        f64::INFINITY => serializer.serialize_str(INFINITY),
        f64::NEG_INFINITY => serializer.serialize_str(MINUS_INFINITY),
        number => serializer.serialize_f64(number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Patience, Settings};

    #[test]
    fn what_is_written_reads_back() {
        let others = Settings {
            suppress_min_severity: f64::INFINITY,
            pending_patience: Patience::Windows(0),
            new_run_below: Some(i64::MAX),
            ..Settings::default()
        };
        for settings in [Settings::default(), Settings::original(), others] {
            let json = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
            let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::from_value::<Settings>(tree).unwrap(), settings);
            let toml = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<Settings>(&toml).unwrap(), settings);
        }
    }

    #[test]
    fn the_originals_choices_have_words() {
        let tree = serde_json::to_value(Settings::original()).unwrap();
        assert_eq!(tree["pending_patience"], "unlimited");
        assert_eq!(tree["ineffective_patience_limit"], "unlimited");
        assert_eq!(tree["suppress_min_severity"], "-inf");
        assert_eq!(tree["new_run_below"], "never");
        assert_eq!(tree["nodes_remembered"], "unlimited");
    }
}
