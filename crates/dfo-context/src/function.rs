//! A function of the application that owns knobs.

use std::fmt;
use std::sync::Arc;

use dfo_model::Value;

use crate::action::{Action, Actions};
use crate::boundary::Boundary;
use crate::desk::Pending;
use crate::knobs::ValueRefused;
use crate::shared::{Shared, take};

/// A function of the application that owns knobs: where changes are taken, and values told.
///
/// A clone is another handle of the same. It stays usable when the context is stopped, and then
/// there is never anything to do.
#[derive(Clone)]
pub struct Function {
    shared: Arc<Shared>,
    index: usize,
    pending: Arc<Pending>,
    name: Arc<str>,
}

impl Function {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        name: &str,
        pending: Arc<Pending>,
    ) -> Self {
        Function {
            shared,
            index,
            pending,
            name: name.into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is something to change at this boundary. Costs as little as [`at`](Function::at) with
    /// nothing to do, and takes nothing.
    #[inline]
    pub fn has_changes(&self, boundary: Boundary) -> bool {
        !self.pending.is_empty(boundary)
    }

    /// What to change at this boundary, oldest first; at most one change for each knob.
    ///
    /// Never waits for the background thread. With nothing to do it costs about as much as loading
    /// an atomic, so it may be called in every step.
    #[inline]
    pub fn at(&self, boundary: Boundary) -> Actions {
        if self.pending.is_empty(boundary) {
            return Actions::none();
        }
        take(&self.shared, self.index, boundary, |_| true)
    }

    /// The same for some of its knobs, by parameter: the changes of the others stay where they are. For
    /// several places in the program that share a function's name.
    #[inline]
    pub fn at_where(&self, boundary: Boundary, is_wanted: impl Fn(&str) -> bool) -> Actions {
        if self.pending.is_empty(boundary) {
            return Actions::none();
        }
        take(&self.shared, self.index, boundary, is_wanted)
    }

    /// What to change between two epochs: everything.
    #[inline]
    pub fn epoch_boundary(&self) -> Actions {
        self.at(Boundary::Epoch)
    }

    /// What to change between two windows: what need not wait for the end of the epoch.
    #[inline]
    pub fn window_boundary(&self) -> Actions {
        self.at(Boundary::Window)
    }

    /// Makes the changes of this boundary with `change`, and answers for it: applied, or rejected
    /// with its error as the reason. Gives the number of those applied.
    ///
    /// If `change` panics, what is not answered yet is rejected, and the panic goes on.
    pub fn apply_at<E: fmt::Display>(
        &self,
        boundary: Boundary,
        mut change: impl FnMut(&Action) -> Result<(), E>,
    ) -> usize {
        let mut applied = 0;
        for action in self.at(boundary) {
            match change(&action) {
                Ok(()) => {
                    action.applied();
                    applied += 1;
                }
                Err(error) => action.rejected(error.to_string()),
            }
        }
        applied
    }

    /// The value in force of one of its knobs, by parameter or by id. None if there is no such knob,
    /// and in a forked child.
    pub fn value(&self, parameter: &str) -> Option<Value> {
        let desk = self.shared.desk()?;
        desk.functions.value(self.index, parameter).cloned()
    }

    /// Tells a value that the application changed on its own. The optimizer hears of it with the next
    /// repetition of the registration. It may lie outside what the knob allows: it is what it is.
    ///
    /// # Errors
    /// There is no such knob, or the value is not of its type; the one before stays.
    pub fn set_value(&self, parameter: &str, value: impl Into<Value>) -> Result<(), ValueRefused> {
        let value = value.into();
        match self.shared.desk() {
            None => Ok(()),
            Some(mut desk) => desk.functions.set_value(self.index, parameter, &value),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
