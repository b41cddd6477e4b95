//! All that the program needs to be tuned: two knobs, and a place in its loop where they may change.
//!
//! 1. [`Tuning::start`] opens the way to the optimizer and registers the knobs: their ranges, the
//!    values that they have now, and what should make them change.
//! 2. [`Tuning::take_changes`], called wherever the program can take a change, asks for those that
//!    have come, makes them, and answers for each.
//!
//! Without an optimizer, or when it goes away, nothing here waits or fails: no changes come.

use std::error::Error;

use dfo_context::{Action, Context, Function, LiveKnob};
use dfo_model::{Knob, KnobType, Number, Range, Response, StepMode};
use dfo_transport_zmq::Zmq;
use serde::Serialize;

use crate::pool::Pool;

/// Where the optimizer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimizer {
    /// Where it sends plans.
    pub plans_address: String,
    /// Where it takes registrations and acknowledgements.
    pub control_address: String,
    /// How it sends plans: `push`, or `pub` where several programs listen.
    pub plans: String,
}

/// The values of the knobs at the start, and the largest that they may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knobs {
    /// Threads that read.
    pub threads: u32,
    /// The most of them.
    pub max_threads: u32,
    /// The length of the queue of samples that were read ahead.
    pub prefetch: u32,
    /// The longest it may be.
    pub max_prefetch: u32,
}

/// The program's side of the optimizer.
pub struct Tuning {
    context: Context,
    reader: Function,
    knobs: Knobs,
    changes: Vec<Change>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// At the end of this window.
    pub window: i64,
    /// The knob.
    pub knob: String,
    /// Its value before.
    pub from: i64,
    /// Its value since.
    pub to: i64,
    /// Why, in the optimizer's words.
    pub why: String,
}

impl Tuning {
    /// Registers the knobs with the optimizer, if there is to be one.
    ///
    /// # Errors
    /// An address makes no sense, or a knob: a value at the start that is outside its range is fine,
    /// a range that is empty is not. That no optimizer listens there is no error.
    pub fn start(optimizer: Option<&Optimizer>, knobs: Knobs) -> Result<Self, Box<dyn Error>> {
        let builder = Context::builder("reader");
        let builder = match optimizer {
            None => builder,
            Some(optimizer) => {
                let options = [
                    ("plans-address", &optimizer.plans_address),
                    ("control-address", &optimizer.control_address),
                    ("plans", &optimizer.plans),
                ];
                builder.transport(Zmq, options)
            }
        };
        let context = builder.start()?;
        let reader = context.register(
            "read_samples",
            [
                LiveKnob::new("threads", threads(knobs.max_threads))
                    .with_value(i64::from(knobs.threads)),
                LiveKnob::new("prefetch", prefetch(knobs.max_prefetch))
                    .with_value(i64::from(knobs.prefetch)),
            ],
        )?;
        Ok(Tuning {
            context,
            reader,
            knobs,
            changes: Vec::new(),
        })
    }

    /// Makes the changes that have come. Called between two windows; costs nothing if there are none.
    pub fn take_changes<T: Send + 'static>(&mut self, window: i64, pool: &mut Pool<T>) {
        for action in self.reader.window_boundary() {
            match make(&action, pool) {
                Ok((from, to)) => {
                    self.changes.push(Change {
                        window,
                        knob: action.knob_id().to_owned(),
                        from: i64::from(from),
                        to: i64::from(to),
                        why: action.plan().rationale.clone(),
                    });
                    action.applied();
                }
                Err(why) => action.rejected(why),
            }
        }
    }

    /// Tells the optimizer that this program leaves, and gives the changes that were made.
    pub fn stop(&mut self) -> Vec<Change> {
        self.context.stop();
        std::mem::take(&mut self.changes)
    }

    /// The values at the start.
    pub fn knobs(&self) -> Knobs {
        self.knobs
    }

    /// The way to the optimizer.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// Makes one change. Its value is within the knob's range already. Gives the values before and since,
/// or why it could not be made.
fn make<T: Send + 'static>(action: &Action, pool: &mut Pool<T>) -> Result<(u32, u32), String> {
    let wanted = action.new_value().as_number().map(Number::truncated);
    let Some(wanted) = wanted.and_then(|n| u32::try_from(n).ok()) else {
        return Err("not a number of things".to_owned());
    };
    match action.parameter() {
        "threads" => {
            let from = pool.threads();
            let made = pool.set_threads(wanted);
            made.map_err(|error| format!("no thread to be had: {error}"))?;
            Ok((from, wanted))
        }
        "prefetch" => {
            let from = pool.prefetch();
            pool.set_prefetch(wanted);
            Ok((from, wanted))
        }
        other => Err(format!("this program has no knob {other}")),
    }
}

/// As many readers as it takes to hide reading behind computing: the optimizer computes that from
/// the finding's metrics.
fn threads(most: u32) -> Knob {
    let response = Response {
        step_mode: StepMode::Evidence,
        cooldown_windows: 1,
        ..at_window_boundary()
    };
    knob("reader.threads", 1, most, "reader_parallelism", response)
}

/// A longer queue evens out reads that take longer than others: 2 more each time, less where the
/// finding is less severe.
fn prefetch(most: u32) -> Knob {
    let response = Response {
        step: Some(2.into()),
        cooldown_windows: 2,
        ..at_window_boundary()
    };
    knob("reader.prefetch", 2, most, "dataloader_prefetch", response)
}

/// A finding of one window may be chance, of two it is not. One of less than 0.2 is not worth a
/// change.
fn at_window_boundary() -> Response {
    Response {
        min_severity: 0.2,
        min_persistence: 2,
        apply_when: "window_boundary".to_owned(),
        ..Response::default()
    }
}

fn knob(id: &str, default: i64, most: u32, tag: &str, response: Response) -> Knob {
    let mut knob = Knob::new(id, KnobType::Int, default);
    knob.range = Some(Range::new(1, i64::from(most)));
    knob.responds_to.insert(tag.to_owned(), response);
    knob
}

#[cfg(test)]
mod tests {
    use dfo_model::ActionPlan;

    use super::*;

    fn tuning() -> Tuning {
        let knobs = Knobs {
            threads: 1,
            max_threads: 8,
            prefetch: 2,
            max_prefetch: 16,
        };
        Tuning::start(None, knobs).unwrap()
    }

    fn plan(knob: &str, value: i64) -> ActionPlan {
        let json = format!(
            r#"{{"plan_id": "p-{knob}", "knob_id": "reader.{knob}", "new_value": {value},
                 "target_function": "read_samples", "apply_when": "window_boundary",
                 "rationale": "because"}}"#
        );
        ActionPlan::decode(json.as_bytes()).into_result().unwrap()
    }

    #[test]
    fn plans_for_both_knobs_change_the_pool() {
        let mut tuning = tuning();
        let mut pool = Pool::start(1, 2, 0, |_| Ok(())).unwrap();
        tuning.context().stage(plan("threads", 5));
        tuning.context().stage(plan("prefetch", 3));
        tuning.take_changes(7, &mut pool);
        assert_eq!((pool.threads(), pool.prefetch()), (5, 3));
        assert_eq!(tuning.context().status().plans.applied, 2);
        let changes = tuning.stop();
        assert_eq!(changes.len(), 2);
        let expected = Change {
            window: 7,
            knob: "reader.threads".to_owned(),
            from: 1,
            to: 5,
            why: "because".to_owned(),
        };
        assert_eq!(changes[0], expected);
    }

    #[test]
    fn a_plan_outside_the_range_never_reaches_the_pool() {
        let mut tuning = tuning();
        let mut pool = Pool::start(1, 2, 0, |_| Ok(())).unwrap();
        tuning.context().stage(plan("threads", 9));
        tuning.take_changes(1, &mut pool);
        assert_eq!(pool.threads(), 1);
        assert_eq!(tuning.context().status().plans.rejected, 1);
        assert_eq!(tuning.stop(), []);
    }

    #[test]
    fn a_range_that_is_empty_is_an_error() {
        let knobs = Knobs {
            max_threads: 0,
            ..tuning().knobs()
        };
        let error = Tuning::start(None, knobs).err().unwrap().to_string();
        assert!(error.contains("threads"), "{error}");
    }
}
