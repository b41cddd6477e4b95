//! The knobs of a PyTorch `DataLoader`, as DFOptimizer knows them.
//!
//! | knob | default | range | responds to | how |
//! |---|---|---|---|---|
//! | `torch.num_workers` | the fewest | fewest to most workers | `reader_parallelism` | increase, by evidence |
//! | | | | `reader_contention` | decrease, by a step of 1 |
//! | `torch.prefetch_factor` | 2 | 1 to 16 | `dataloader_prefetch` | increase, by a step of 2 |
//!
//! Both are applied by `torch.LiveDataLoader`. They are what `dfoptimizer.torch.LiveDataLoader` of the
//! Python package declares, with the same ids; the file `tests/registration.json` holds the two
//! together.
//!
//! ```
//! use dfo_knobs_torch::TorchKnobs;
//!
//! let knobs = TorchKnobs { max_workers: 8, ..TorchKnobs::default() };
//! let bootstrap = knobs.bootstrap();
//! assert_eq!(bootstrap.registration.knobs["num_workers"].id, "torch.num_workers");
//! ```
//!
//! # What this crate is not for
//!
//! It is for replays, for the time before a script speaks, and for scripts that only take plans: what
//! a loader itself registers takes the place of these definitions. A loader with a name of its own
//! (`LiveDataLoader(…, name="validation")`) has knobs of its own, which are not these.

use dfo_knobs::{Limits, cpus, whole_number};
use dfo_model::{
    Bootstrap, Direction, InvalidVariable, Knob, KnobPack, KnobType, Number, Registration,
    Response, StepMode, Value,
};

const NAMESPACE: &str = "torch";
const TARGET_FUNCTION: &str = "torch.LiveDataLoader";
const PREFETCH: Limits = Limits { least: 1, most: 16 };

/// The pack, configured by the environment: `TORCH_KNOB_BOUNDARY`, `TORCH_KNOB_MIN_WORKERS`,
/// `TORCH_KNOB_MAX_WORKERS`, `DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS` and
/// `DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Torch;

/// The pack, configured by values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchKnobs {
    /// The boundary at which changes are applied (`TORCH_KNOB_BOUNDARY`).
    pub boundary: String,
    /// The fewest workers, at least 0 (`TORCH_KNOB_MIN_WORKERS`).
    pub min_workers: i64,
    /// The most workers, at least 0 (`TORCH_KNOB_MAX_WORKERS`).
    pub max_workers: i64,
    /// The workers now (`DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS`). `None`: the fewest, and 0 is what a
    /// `DataLoader` has where nothing is said.
    pub num_workers: Option<i64>,
    /// The prefetch factor now (`DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR`).
    pub prefetch_factor: i64,
}

impl Default for TorchKnobs {
    /// What a `DataLoader` has if nothing is said; the most workers are this machine's CPUs.
    fn default() -> Self {
        TorchKnobs {
            boundary: "window_boundary".to_owned(),
            min_workers: 0,
            max_workers: cpus(),
            num_workers: None,
            prefetch_factor: 2,
        }
    }
}

impl KnobPack for Torch {
    fn name(&self) -> &'static str {
        NAMESPACE
    }

    fn about(&self) -> &'static str {
        "workers and prefetch factor of PyTorch's DataLoader"
    }

    fn bootstrap(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bootstrap, InvalidVariable> {
        let number = |name| whole_number(name, variable);
        let default = TorchKnobs::default();
        let max_workers = number("TORCH_KNOB_MAX_WORKERS")?;
        let knobs = TorchKnobs {
            boundary: variable("TORCH_KNOB_BOUNDARY").unwrap_or(default.boundary),
            min_workers: number("TORCH_KNOB_MIN_WORKERS")?.unwrap_or(default.min_workers),
            max_workers: max_workers.unwrap_or(default.max_workers),
            num_workers: number("DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS")?,
            prefetch_factor: number("DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR")?
                .unwrap_or(default.prefetch_factor),
        };
        let mut bootstrap = knobs.bootstrap();
        if max_workers.is_none() {
            let note = format!(
                "TORCH_KNOB_MAX_WORKERS is not set: up to {} workers, the CPUs of this machine",
                knobs.max_workers
            );
            bootstrap.notes.push(note);
        }
        Ok(bootstrap)
    }
}

/// Configured by values, it asks the environment nothing.
impl KnobPack for TorchKnobs {
    fn name(&self) -> &'static str {
        Torch.name()
    }

    fn about(&self) -> &'static str {
        Torch.about()
    }

    fn bootstrap(
        &self,
        _variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bootstrap, InvalidVariable> {
        Ok(self.bootstrap())
    }
}

impl TorchKnobs {
    /// The registration that a loader would send. Values that contradict each other are put right,
    /// with a note.
    pub fn bootstrap(&self) -> Bootstrap {
        let mut notes = Vec::new();
        let workers = Limits::put_right("workers", self.min_workers, self.max_workers, &mut notes);
        let num_workers = self.num_workers.unwrap_or(workers.least);
        let mut held = |parameter: &str, limits: Limits, value| {
            let held = limits.hold(parameter, value, &mut notes);
            (parameter.to_owned(), Value::Int(held))
        };
        let current_values = [
            held("num_workers", workers, num_workers),
            held("prefetch_factor", PREFETCH, self.prefetch_factor),
        ];
        let knobs = [
            ("num_workers".to_owned(), self.num_workers_knob(workers)),
            ("prefetch_factor".to_owned(), self.prefetch_factor_knob()),
        ];
        let registration = Registration {
            namespace: NAMESPACE.to_owned(),
            function_name: TARGET_FUNCTION.to_owned(),
            knobs: knobs.into(),
            current_values: current_values.into(),
            ..Registration::default()
        };
        Bootstrap {
            registration,
            notes,
        }
    }

    fn num_workers_knob(&self, workers: Limits) -> Knob {
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
            ..knob("num_workers", workers.least, workers)
        }
    }

    fn prefetch_factor_knob(&self) -> Knob {
        let increase = Response {
            step: Some(Number::Int(2)),
            min_persistence: 1,
            cooldown_windows: 2,
            ..self.response(Direction::Increase, StepMode::Add)
        };
        let responds_to = [("dataloader_prefetch".to_owned(), increase)];
        Knob {
            responds_to: responds_to.into(),
            ..knob("prefetch_factor", 2, PREFETCH)
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
        Torch.bootstrap(&|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    /// The range of `num_workers`, and both values.
    fn workers_and_values(bootstrap: &Bootstrap) -> (String, String) {
        let Registration {
            knobs,
            current_values,
            ..
        } = &bootstrap.registration;
        let range = knobs["num_workers"].range.unwrap();
        let values: Vec<String> = current_values.values().map(Value::to_string).collect();
        (format!("{}..{}", range.min, range.max), values.join(", "))
    }

    #[test]
    fn every_variable_is_heard() {
        let bootstrap = from(&[
            ("TORCH_KNOB_BOUNDARY", "epoch_boundary"),
            ("TORCH_KNOB_MIN_WORKERS", "2"),
            ("TORCH_KNOB_MAX_WORKERS", "12"),
            ("DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS", "4"),
            ("DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR", "8"),
        ])
        .unwrap();
        assert_eq!(bootstrap.notes, [""; 0]);
        assert_eq!(
            workers_and_values(&bootstrap),
            ("2..12".to_owned(), "4, 8".to_owned())
        );
        let knobs = bootstrap.registration.knobs;
        assert_eq!(knobs["num_workers"].default, Value::Int(2));
        let mut responses = knobs.values().flat_map(|knob| knob.responds_to.values());
        assert!(responses.all(|response| response.apply_when == "epoch_boundary"));
    }

    #[test]
    fn values_outside_the_range_are_held_within_it_and_said() {
        let bootstrap = from(&[
            ("TORCH_KNOB_MAX_WORKERS", "8"),
            ("DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS", "50"),
            ("DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR", "0"),
        ])
        .unwrap();
        assert_eq!(
            workers_and_values(&bootstrap),
            ("0..8".to_owned(), "8, 1".to_owned())
        );
        assert_eq!(
            bootstrap.notes,
            [
                "num_workers 50 is outside [0, 8]: 8 counts",
                "prefetch_factor 0 is outside [1, 16]: 1 counts"
            ]
        );
    }

    #[test]
    fn a_minimum_above_the_maximum_becomes_the_maximum() {
        let bootstrap = from(&[
            ("TORCH_KNOB_MIN_WORKERS", "9"),
            ("TORCH_KNOB_MAX_WORKERS", "4"),
        ])
        .unwrap();
        assert_eq!(
            workers_and_values(&bootstrap),
            ("4..4".to_owned(), "4, 2".to_owned())
        );
        assert_eq!(
            bootstrap.notes,
            ["the fewest workers, 9, are more than the most: 4 counts"]
        );
    }

    #[test]
    fn a_text_that_is_no_number_is_an_error() {
        for name in [
            "TORCH_KNOB_MIN_WORKERS",
            "TORCH_KNOB_MAX_WORKERS",
            "DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS",
            "DFOPTIMIZER_BOOTSTRAP_PREFETCH_FACTOR",
        ] {
            let error = from(&[(name, "some")]).unwrap_err().to_string();
            let said = "expected a whole number, found \"some\"; correct it or unset it";
            assert_eq!(error, format!("{name}: {said}"));
        }
    }

    #[test]
    fn the_cpus_of_this_machine_are_said_to_be_assumed() {
        let bootstrap = from(&[]).unwrap();
        assert!(bootstrap.notes[0].starts_with("TORCH_KNOB_MAX_WORKERS is not set: up to "));
    }
}
