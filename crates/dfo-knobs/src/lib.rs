//! What packs of knobs have in common: numbers from the environment, limits that are put right, the CPUs.
//!
//! A pack ([`KnobPack`](dfo_model::KnobPack)) for another program counts something too, and finds here
//! what to do where somebody set a variable to a value that makes no sense: a text that is no number is
//! an error, a number that is out of place is put right, with a note.
//!
//! ```
//! use dfo_knobs::{Limits, whole_number};
//!
//! let variable = |name: &str| (name == "MY_MAX_READERS").then(|| "4".to_owned());
//! let most = whole_number("MY_MAX_READERS", &variable)?.unwrap_or(8);
//!
//! let mut notes = Vec::new();
//! let limits = Limits::put_right("readers", 1, most, &mut notes);
//! assert_eq!(limits.hold("readers", 9, &mut notes), 4);
//! assert_eq!(notes, ["readers 9 is outside [1, 4]: 4 counts"]);
//! # Ok::<(), dfo_model::InvalidVariable>(())
//! ```
//!
//! # What this crate is not for
//!
//! What a pack is, is [dfo-model](dfo_model)'s to say; that crate asks no machine for its CPUs. The
//! definitions of knobs are each pack's own.

use dfo_model::{InvalidVariable, Range};

/// The number that an environment variable has; `None` where it is not set.
///
/// # Errors
/// Its text is no whole number.
pub fn whole_number(
    name: &'static str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<i64>, InvalidVariable> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    let expected = "a whole number";
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(InvalidVariable {
            name,
            text,
            expected,
        }),
    }
}

/// How few and how many there may be of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The fewest.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Limits {
    /// Limits of a number of things, none of them below 0: where they contradict each other, the most
    /// counts. `what` is the things' name for the notes, in the plural.
    pub fn put_right(what: &str, least: i64, most: i64, notes: &mut Vec<String>) -> Self {
        let most = at_least_none(&format!("the most {what}"), most, notes);
        let mut least = at_least_none(&format!("the fewest {what}"), least, notes);
        if least > most {
            notes.push(format!(
                "the fewest {what}, {least}, are more than the most: {most} counts"
            ));
            least = most;
        }
        Limits { least, most }
    }

    /// The nearest value within; another than the one asked for with a note.
    pub fn hold(self, what: &str, value: i64, notes: &mut Vec<String>) -> i64 {
        let Limits { least, most } = self;
        let held = value.clamp(least, most);
        if held != value {
            notes.push(format!(
                "{what} {value} is outside [{least}, {most}]: {held} counts"
            ));
        }
        held
    }

    /// The range of a knob.
    pub fn range(self) -> Range {
        Range::new(self.least, self.most)
    }
}

/// The CPUs that this process may use: as many as its threads can run at once.
pub fn cpus() -> i64 {
    const IF_UNKNOWN: i64 = 8;
    let cpus = std::thread::available_parallelism().ok();
    cpus.and_then(|n| i64::try_from(n.get()).ok())
        .unwrap_or(IF_UNKNOWN)
}

fn at_least_none(what: &str, value: i64, notes: &mut Vec<String>) -> i64 {
    if value < 0 {
        notes.push(format!("{what}, {value}, are fewer than none: 0 counts"));
    }
    value.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_right(least: i64, most: i64) -> (Limits, Vec<String>) {
        let mut notes = Vec::new();
        let limits = Limits::put_right("readers", least, most, &mut notes);
        (limits, notes)
    }

    #[test]
    fn limits_that_make_sense_stay() {
        for (least, most) in [(0, 0), (0, 8), (4, 4)] {
            let (limits, notes) = put_right(least, most);
            assert_eq!((limits.least, limits.most), (least, most));
            assert!(notes.is_empty());
        }
    }

    #[test]
    fn others_are_put_right_with_a_note() {
        for (least, most, right, note) in [
            (
                9,
                4,
                (4, 4),
                "the fewest readers, 9, are more than the most: 4 counts",
            ),
            (
                0,
                -3,
                (0, 0),
                "the most readers, -3, are fewer than none: 0 counts",
            ),
            (
                i64::MIN,
                i64::MAX,
                (0, i64::MAX),
                "the fewest readers, -9223372036854775808, are fewer than none: 0 counts",
            ),
        ] {
            let (limits, notes) = put_right(least, most);
            assert_eq!((limits.least, limits.most), right);
            assert_eq!(notes, [note]);
        }
    }

    #[test]
    fn a_number_is_read_with_spaces_around_it() {
        let variable = |name: &str| (name == "SET").then(|| " 12 ".to_owned());
        assert_eq!(whole_number("SET", &variable), Ok(Some(12)));
        assert_eq!(whole_number("NOT_SET", &variable), Ok(None));
    }

    #[test]
    fn a_text_that_is_no_number_is_an_error() {
        for text in ["eight", "", "8.5", "99999999999999999999"] {
            let error = whole_number("N", &|_| Some(text.to_owned())).unwrap_err();
            let said =
                format!("N: expected a whole number, found {text:?}; correct it or unset it");
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn there_is_a_cpu() {
        assert!(cpus() >= 1);
    }
}
