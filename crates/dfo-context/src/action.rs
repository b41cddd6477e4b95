//! A change in the application's hands.

use std::fmt;
use std::sync::Arc;

use dfo_model::{ActionPlan, Value};

use crate::desk::{Answer, Taken};
use crate::knobs::ValueRefused;
use crate::shared::Shared;

/// A change to make now, and to answer.
///
/// Its value is of the knob's type and within what the knob allows. Answer it with one of
/// [`applied`](Action::applied), [`applied_as`](Action::applied_as), [`rejected`](Action::rejected)
/// and [`deferred`](Action::deferred). One that is dropped without an answer, as by an early return
/// or a panic, answers for itself: rejected, because it failed.
#[must_use = "a change that is dropped without an answer is rejected"]
pub struct Action {
    shared: Arc<Shared>,
    /// None once it is answered.
    taken: Option<Taken>,
    parameter: String,
    plan: Arc<ActionPlan>,
    old_value: Value,
    new_value: Value,
}

impl Action {
    pub(crate) fn new(shared: Arc<Shared>, taken: Taken) -> Self {
        Action {
            shared,
            parameter: taken.parameter.clone(),
            plan: Arc::clone(&taken.staged.plan),
            old_value: taken.old_value.clone(),
            new_value: taken.staged.value.clone(),
            taken: Some(taken),
        }
    }

    /// The function's name for the knob.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The knob.
    pub fn knob_id(&self) -> &str {
        &self.plan.knob_id
    }

    /// The value in force, as far as it was told.
    pub fn old_value(&self) -> &Value {
        &self.old_value
    }

    /// The value wanted.
    pub fn new_value(&self) -> &Value {
        &self.new_value
    }

    /// The plan behind it: why, for which finding, in which window.
    pub fn plan(&self) -> &ActionPlan {
        &self.plan
    }

    /// The value wanted is in force.
    pub fn applied(mut self) {
        let value = self.new_value.clone();
        self.answer(Answer::Applied(value));
    }

    /// This value is in force, which is another than the one wanted. It may lie outside what the
    /// knob allows: it is what it is.
    ///
    /// # Errors
    /// It is not of the knob's type. The plan is rejected then, and the value before still counts:
    /// tell the true one with [`Function::set_value`](crate::Function::set_value).
    pub fn applied_as(mut self, value: impl Into<Value>) -> Result<(), ValueRefused> {
        let value = value.into();
        let fitting = self.taken.as_ref().and_then(|taken| {
            let desk = self.shared.desk()?;
            Some(desk.functions.fitting(taken.knob, &value))
        });
        match fitting {
            // In a forked child nobody is told.
            None => Ok(()),
            Some(Ok(value)) => {
                self.answer(Answer::Applied(value));
                Ok(())
            }
            Some(Err(refused)) => {
                let why = format!("failed: the application applied something else: {refused}");
                self.answer(Answer::Rejected(why));
                Err(refused)
            }
        }
    }

    /// It is not done, and will not be: the old value is in force. The reason is for people.
    pub fn rejected(mut self, reason: impl Into<String>) {
        self.answer(Answer::Rejected(reason.into()));
    }

    /// Not now: it comes back at the next boundary, unless a newer plan takes its place.
    pub fn deferred(mut self) {
        self.answer(Answer::Deferred);
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(taken) = self.taken.take() {
            self.shared
                .at_desk_to_send(|desk| desk.answer(taken, answer));
        }
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        let why = match std::thread::panicking() {
            true => "failed: the application panicked before it answered",
            false => "failed: the application gave no answer",
        };
        self.answer(Answer::Rejected(why.to_owned()));
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action")
            .field("parameter", &self.parameter)
            .field("old_value", &self.old_value)
            .field("new_value", &self.new_value)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// The changes to make at a boundary, oldest first. What is not looked at is rejected.
///
/// Without any it is no more than an empty pointer, so that a boundary with nothing to do costs
/// nothing.
#[derive(Debug, Default)]
#[must_use = "changes that are dropped without an answer are rejected"]
pub struct Actions(Option<Box<std::vec::IntoIter<Action>>>);

impl Actions {
    /// No changes.
    #[inline]
    pub(crate) fn none() -> Self {
        Actions(None)
    }

    /// Whether there are none left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<Action>> for Actions {
    fn from(actions: Vec<Action>) -> Self {
        Actions(Some(Box::new(actions.into_iter())))
    }
}

impl Iterator for Actions {
    type Item = Action;

    #[inline]
    fn next(&mut self) -> Option<Action> {
        self.0.as_mut()?.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.as_ref().map_or(0, ExactSizeIterator::len);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Actions {}
