//! The knobs of DLIO, the deep-learning I/O benchmark, as DFOptimizer knows them.
//!
//! | knob | default | range | responds to | how |
//! |---|---|---|---|---|
//! | `dlio.prefetch_size` | 2 | 1 to 16 | `dataloader_prefetch` | increase, by a step of 2 |
//! | `dlio.read_threads` | the least | least to most threads | `reader_parallelism` | increase, by evidence |
//! | | | | `reader_contention` | decrease, by a step of 1 |
//!
//! Both are applied by `DLIOBenchmark.make_loader`. Names and numbers are those of the original
//! optimizer's bootstrap (`llnl/dfoptimizer`).
//!
//! ```
//! use dfo_knobs_dlio::DlioKnobs;
//!
//! let knobs = DlioKnobs { max_threads: 8, ..DlioKnobs::default() };
//! let bootstrap = knobs.bootstrap();
//! assert_eq!(bootstrap.registration.knobs["read_threads"].id, "dlio.read_threads");
//! ```
//!
//! # Another pack
//!
//! is a crate like this one: a type that implements [`KnobPack`], and one line in the list that
//! `dfo`'s `main` passes to the command.
//!
//! # What this crate is not for
//!
//! It is for replays and for the time before the application speaks: what DLIO itself registers
//! takes the place of these definitions.

use dfo_knobs::{Limits, cpus, whole_number};
use dfo_model::{
    Bootstrap, Direction, InvalidVariable, Knob, KnobPack, KnobType, Number, Registration,
    Response, StepMode, Value,
};

const NAMESPACE: &str = "dlio";
const TARGET_FUNCTION: &str = "DLIOBenchmark.make_loader";
const PREFETCH: Limits = Limits { least: 1, most: 16 };

/// The pack, configured by the environment: `DLIO_KNOB_BOUNDARY`, `DLIO_KNOB_MIN_THREADS`,
/// `DLIO_KNOB_MAX_THREADS`, `DFOPTIMIZER_BOOTSTRAP_READ_THREADS` and
/// `DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dlio;

/// The pack, configured by values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlioKnobs {
    /// The boundary at which changes are applied (`DLIO_KNOB_BOUNDARY`).
    pub boundary: String,
    /// The fewest read threads, at least 0 (`DLIO_KNOB_MIN_THREADS`).
    pub min_threads: i64,
    /// The most read threads, at least 0 (`DLIO_KNOB_MAX_THREADS`).
    pub max_threads: i64,
    /// The read threads now (`DFOPTIMIZER_BOOTSTRAP_READ_THREADS`). `None`: 1, or the fewest if that is
    /// more, or 0 where no threads are allowed.
    pub read_threads: Option<i64>,
    /// The prefetch size now (`DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE`).
    pub prefetch_size: i64,
}

impl Default for DlioKnobs {
    /// What DLIO has if nothing is said; the most threads are this machine's CPUs.
    fn default() -> Self {
        DlioKnobs {
            boundary: "window_boundary".to_owned(),
            min_threads: 0,
            max_threads: cpus(),
            read_threads: None,
            prefetch_size: 2,
        }
    }
}

impl KnobPack for Dlio {
    fn name(&self) -> &'static str {
        NAMESPACE
    }

    fn about(&self) -> &'static str {
        "prefetch size and read threads of DLIO"
    }

    fn bootstrap(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bootstrap, InvalidVariable> {
        let number = |name| whole_number(name, variable);
        let default = DlioKnobs::default();
        let max_threads = number("DLIO_KNOB_MAX_THREADS")?;
        let knobs = DlioKnobs {
            boundary: variable("DLIO_KNOB_BOUNDARY").unwrap_or(default.boundary),
            min_threads: number("DLIO_KNOB_MIN_THREADS")?.unwrap_or(default.min_threads),
            max_threads: max_threads.unwrap_or(default.max_threads),
            read_threads: number("DFOPTIMIZER_BOOTSTRAP_READ_THREADS")?,
            prefetch_size: number("DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE")?
                .unwrap_or(default.prefetch_size),
        };
        let mut bootstrap = knobs.bootstrap();
        if max_threads.is_none() {
            let note = format!(
                "DLIO_KNOB_MAX_THREADS is not set: up to {} read threads, the CPUs of this machine",
                knobs.max_threads
            );
            bootstrap.notes.push(note);
        }
        Ok(bootstrap)
    }
}

/// Configured by values, it asks the environment nothing.
impl KnobPack for DlioKnobs {
    fn name(&self) -> &'static str {
        Dlio.name()
    }

    fn about(&self) -> &'static str {
        Dlio.about()
    }

    fn bootstrap(
        &self,
        _variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bootstrap, InvalidVariable> {
        Ok(self.bootstrap())
    }
}

impl DlioKnobs {
    /// The registration that DLIO would send. Values that contradict each other are put right, with
    /// a note.
    pub fn bootstrap(&self) -> Bootstrap {
        let mut notes = Vec::new();
        let threads = Limits::put_right(
            "read threads",
            self.min_threads,
            self.max_threads,
            &mut notes,
        );
        let read_threads = self
            .read_threads
            .unwrap_or(threads.least.max(1).min(threads.most));
        let mut held = |parameter: &'static str, limits: Limits, value| {
            (parameter, limits.hold(parameter, value, &mut notes))
        };
        let live = [
            held("prefetch_size", PREFETCH, self.prefetch_size),
            held("read_threads", threads, read_threads),
        ];
        let registration = Registration {
            namespace: NAMESPACE.to_owned(),
            function_name: TARGET_FUNCTION.to_owned(),
            knobs: [
                ("prefetch_size".to_owned(), self.prefetch_size_knob()),
                ("read_threads".to_owned(), self.read_threads_knob(threads)),
            ]
            .into(),
            current_values: live
                .map(|(name, v)| (name.to_owned(), Value::Int(v)))
                .into(),
            ..Registration::default()
        };
        Bootstrap {
            registration,
            notes,
        }
    }

    fn prefetch_size_knob(&self) -> Knob {
        let increase = Response {
            step: Some(Number::Int(2)),
            min_persistence: 1,
            cooldown_windows: 2,
            ..self.response(Direction::Increase, StepMode::Add)
        };
        let responds_to = [("dataloader_prefetch".to_owned(), increase)];
        Knob {
            responds_to: responds_to.into(),
            ..knob("prefetch_size", 2, PREFETCH)
        }
    }

    fn read_threads_knob(&self, threads: Limits) -> Knob {
        let increase = Response {
            min_persistence: 1,
            cooldown_windows: 1,
            ..self.response(Direction::Increase, StepMode::Evidence)
        };
        let decrease = Response {
            step: Some(Number::Int(1)),
            min_persistence: 2,
            cooldown_windows: 3,
            ..self.response(Direction::Decrease, StepMode::Add)
        };
        let responds_to = [
            ("reader_parallelism".to_owned(), increase),
            ("reader_contention".to_owned(), decrease),
        ];
        Knob {
            responds_to: responds_to.into(),
            ..knob("read_threads", threads.least, threads)
        }
    }

    fn response(&self, direction: Direction, step_mode: StepMode) -> Response {
        Response {
            direction,
            step_mode,
            apply_when: self.boundary.clone(),
            ..Response::default()
        }
    }
}

fn knob(parameter: &str, default: i64, limits: Limits) -> Knob {
    Knob {
        range: Some(limits.range()),
        target_function: TARGET_FUNCTION.to_owned(),
        ..Knob::new(format!("{NAMESPACE}.{parameter}"), KnobType::Int, default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Bootstrap, InvalidVariable> {
        Dlio.bootstrap(&|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    fn range_and_live(bootstrap: &Bootstrap, parameter: &str) -> (String, String) {
        let range = bootstrap.registration.knobs[parameter].range.unwrap();
        let live = bootstrap.registration.current_value(parameter).unwrap();
        (format!("{}..{}", range.min, range.max), live.to_string())
    }

    fn pair(range: &str, live: &str) -> (String, String) {
        (range.to_owned(), live.to_owned())
    }

    #[test]
    fn the_definitions_are_those_of_the_original() {
        let bootstrap = from(&[("DLIO_KNOB_MAX_THREADS", "8")]).unwrap();
        assert_eq!(bootstrap.notes, [""; 0]);
        let written = serde_json::to_value(&bootstrap.registration).unwrap();
        let knob = &written["knobs"]["prefetch_size"];
        assert_eq!(
            knob.to_string(),
            r#"{"id":"dlio.prefetch_size","default":2,"type":"int","range":[1,16],"values":null,"scope":"job","responds_to":{"dataloader_prefetch":{"direction":"increase","step":2,"step_mode":"add","set_to":null,"min_severity":0.5,"min_persistence":1,"cooldown_windows":2,"apply_when":"window_boundary","effectiveness_threshold":0.1}},"target_function":"DLIOBenchmark.make_loader"}"#
        );
        let knob = &written["knobs"]["read_threads"];
        assert_eq!(
            knob.to_string(),
            r#"{"id":"dlio.read_threads","default":0,"type":"int","range":[0,8],"values":null,"scope":"job","responds_to":{"reader_parallelism":{"direction":"increase","step":null,"step_mode":"evidence","set_to":null,"min_severity":0.5,"min_persistence":1,"cooldown_windows":1,"apply_when":"window_boundary","effectiveness_threshold":0.1},"reader_contention":{"direction":"decrease","step":1,"step_mode":"add","set_to":null,"min_severity":0.5,"min_persistence":2,"cooldown_windows":3,"apply_when":"window_boundary","effectiveness_threshold":0.1}},"target_function":"DLIOBenchmark.make_loader"}"#
        );
        assert_eq!(
            range_and_live(&bootstrap, "prefetch_size"),
            pair("1..16", "2")
        );
        assert_eq!(
            range_and_live(&bootstrap, "read_threads"),
            pair("0..8", "1")
        );
    }

    #[test]
    fn z12_environment_values_are_held_within_the_range_and_said() {
        let bootstrap = from(&[
            ("DLIO_KNOB_MAX_THREADS", "8"),
            ("DFOPTIMIZER_BOOTSTRAP_READ_THREADS", "50"),
            ("DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE", "99"),
        ])
        .unwrap();
        assert_eq!(range_and_live(&bootstrap, "prefetch_size").1, "16");
        assert_eq!(range_and_live(&bootstrap, "read_threads").1, "8");
        assert_eq!(
            bootstrap.notes,
            [
                "prefetch_size 99 is outside [1, 16]: 16 counts",
                "read_threads 50 is outside [0, 8]: 8 counts"
            ]
        );
    }

    #[test]
    fn z12_a_text_that_is_no_number_is_an_error() {
        for text in ["eight", "", "8.5"] {
            let error = from(&[("DLIO_KNOB_MAX_THREADS", text)]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "DLIO_KNOB_MAX_THREADS: expected a whole number, found {text:?}; correct it or unset it"
                )
            );
        }
    }

    #[test]
    fn z12_the_cpus_of_this_machine_are_said_to_be_assumed() {
        let bootstrap = from(&[]).unwrap();
        assert!(bootstrap.notes[0].starts_with("DLIO_KNOB_MAX_THREADS is not set: up to "));
    }

    #[test]
    fn a_minimum_above_the_maximum_becomes_the_maximum() {
        let variables = [
            ("DLIO_KNOB_MIN_THREADS", "9"),
            ("DLIO_KNOB_MAX_THREADS", "4"),
        ];
        let bootstrap = from(&variables).unwrap();
        assert_eq!(
            range_and_live(&bootstrap, "read_threads"),
            pair("4..4", "4")
        );
        assert_eq!(
            bootstrap.notes,
            ["the fewest read threads, 9, are more than the most: 4 counts"]
        );
    }

    #[test]
    fn where_no_threads_are_allowed_there_are_none() {
        let bootstrap = from(&[("DLIO_KNOB_MAX_THREADS", "0")]).unwrap();
        assert_eq!(
            range_and_live(&bootstrap, "read_threads"),
            pair("0..0", "0")
        );
        assert_eq!(bootstrap.notes, [""; 0]);
    }
}
