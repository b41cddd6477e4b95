//! The plans closed lately, so that a late or repeated acknowledgement is told from an unknown one.

use std::collections::{HashMap, VecDeque};

use dfo_model::{AckStatus, Value};
use foldhash::fast::FixedState;

use crate::account::Action;
use crate::decision::Name;
use crate::registry::KnobId;

/// How many are remembered; about 3 MiB.
const MOST: usize = 16_384;

/// What became of a plan.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) closing: Closing,
    pub(crate) knob: KnobId,
    /// It went to many applications, each of which acknowledges it.
    pub(crate) is_for_many: bool,
    /// The value that it asked for.
    pub(crate) wanted: Value,
    /// The value that the application put in force, if it applied the plan.
    pub(crate) applied: Option<Value>,
    /// The values that an applied plan took the place of, by node; `None` is the job-wide one.
    pub(crate) before: Vec<(Option<Name>, Value)>,
    /// The action that it was.
    pub(crate) action: Action,
}

/// How a plan was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Acknowledged(AckStatus),
    Expired,
    Superseded,
}

#[derive(Debug, Default)]
pub(crate) struct ClosedPlans {
    by_id: HashMap<Name, Closed, FixedState>,
    order: VecDeque<Name>,
}

impl ClosedPlans {
    pub(crate) fn get(&self, id: &str) -> Option<&Closed> {
        self.by_id.get(id)
    }

    pub(crate) fn add(&mut self, id: Name, closed: Closed) {
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.by_id.insert(id, closed);
    }
}
