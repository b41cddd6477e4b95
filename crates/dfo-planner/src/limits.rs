//! What an operator allows at most: plans in a window and in a job, the step of one plan, which knobs,
//! and what knobs may come to together.
//!
//! A limit is a gate: what it holds is a decision with its numbers. Taking a change back (an undo, an
//! operator's revert) is not limited in number, step or knob, so that no limit keeps harm in force; a
//! constraint holds an undo, too.

mod constraint;
mod pattern;

use dfo_model::Value;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use constraint::{Constraint, ConstraintError};
pub use pattern::Pattern;

use crate::clock::Time;
use crate::decision::Gate;

/// What an operator allows at most. [`Limits::default`] limits nothing.
///
/// ```
/// # use dfo_planner::Limits;
/// let limits: Limits = toml::from_str(
///     r#"
///     plans_per_window = 2
///     plans_per_job = 100
///     largest_step = 1.0
///     knobs = ["dlio.*"]
///     constraints = ["dlio.read_threads * dlio.prefetch_size * 4194304 <= 1e9"]
///     "#,
/// )?;
/// assert!(limits.knobs[0].matches("dlio.read_threads"));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// So many plans while the newest window stays the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plans_per_window: Option<u32>,
    /// So many plans in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plans_per_job: Option<u32>,
    /// The largest change of one plan against the value before, as a fraction of it: 1 allows a value
    /// to double. From 0 every change is too large.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "fraction")]
    pub largest_step: Option<f64>,
    /// Only knobs whose id matches one of these are changed; none at all means every knob.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub knobs: Vec<Pattern>,
    /// What must hold of the values in force after a plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
}

fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    match number >= 0.0 && number.is_finite() {
        true => Ok(Some(number)),
        false => Err(D::Error::custom(format!(
            "expected a number, 0 or more, found {number}"
        ))),
    }
}

/// How much of the limits on numbers is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PlansMade {
    in_job: u64,
    in_window: u64,
    window: Option<Time>,
}

impl PlansMade {
    /// Counts a plan.
    pub(crate) fn count(&mut self, now: Time) {
        self.pass_to(now);
        self.in_job = self.in_job.saturating_add(1);
        self.in_window = self.in_window.saturating_add(1);
    }

    fn pass_to(&mut self, now: Time) {
        if self.window != Some(now) {
            self.window = Some(now);
            self.in_window = 0;
        }
    }

    fn in_window(&self, now: Time) -> u64 {
        match self.window == Some(now) {
            true => self.in_window,
            false => 0,
        }
    }
}

impl Limits {
    /// May this knob be changed at all?
    pub(crate) fn knob(&self, knob: &str) -> Result<(), Gate> {
        if self.knobs.is_empty() || self.knobs.iter().any(|pattern| pattern.matches(knob)) {
            return Ok(());
        }
        let allowed = self.knobs.iter().map(|pattern| pattern.as_str().into());
        Err(Gate::NotAllowed {
            allowed: allowed.collect(),
        })
    }

    /// Is the step small enough?
    pub(crate) fn step(&self, old: &Value, new: &Value) -> Result<(), Gate> {
        let wanted = new;
        let (Some(threshold), Some(old), Some(new)) =
            (self.largest_step, old.as_number(), new.as_number())
        else {
            return Ok(());
        };
        let (old, new) = (old.as_f64(), new.as_f64());
        // A step away from 0 is larger than every fraction of it. Finite, so that it can be written.
        let value = ((new - old) / old).abs().min(f64::MAX);
        match value <= threshold {
            true => Ok(()),
            false => Err(Gate::LargestStep {
                value,
                threshold,
                wanted: wanted.clone(),
            }),
        }
    }

    /// Is there a plan left?
    pub(crate) fn number(&self, made: &PlansMade, now: Time) -> Result<(), Gate> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        if let Some(threshold) = self.plans_per_window
            && made.in_window(now) >= u64::from(threshold)
        {
            return Err(Gate::PlansPerWindow {
                value: count(made.in_window(now)),
                threshold: threshold.into(),
            });
        }
        if let Some(threshold) = self.plans_per_job
            && made.in_job >= u64::from(threshold)
        {
            return Err(Gate::PlansPerJob {
                value: count(made.in_job),
                threshold: threshold.into(),
            });
        }
        Ok(())
    }
}
