//! What an operator asks for: to stop changing things, to go on, to take changes back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::registry::KnobId;
use crate::saved::is_default;

/// An operator's command.
///
/// It is an event like any other: decided on, recorded, replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// No more plans, for a knob or for all, until a [`Command::Thaw`]. What would have become one is
    /// held.
    Freeze {
        /// The knob; `None` is everything.
        knob: Option<String>,
    },
    /// Plans again.
    Thaw {
        /// The knob; `None` is everything, knobs that were frozen by name included.
        knob: Option<String>,
    },
    /// Back to the value before a plan. Goes through a freeze.
    Revert {
        /// The plan.
        plan_id: String,
    },
    /// Back to the values before the first plan, for every knob and node that plans have changed. Goes
    /// through a freeze.
    RevertAll,
}

impl Command {
    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Freeze { .. } => "freeze",
            Command::Thaw { .. } => "thaw",
            Command::Revert { .. } => "revert",
            Command::RevertAll => "revert_all",
        }
    }
}

/// What is frozen.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Freeze {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_everything: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    knobs: BTreeSet<KnobId>,
}

impl Freeze {
    /// Freezes a knob, or everything. Whether that is news.
    pub(crate) fn freeze(&mut self, knob: Option<KnobId>) -> bool {
        match knob {
            Some(knob) => self.knobs.insert(knob),
            None => !std::mem::replace(&mut self.is_everything, true),
        }
    }

    /// Thaws a knob, or everything. Whether that is news.
    pub(crate) fn thaw(&mut self, knob: Option<KnobId>) -> bool {
        match knob {
            Some(knob) => self.knobs.remove(&knob),
            None => {
                let was_frozen = self.is_everything || !self.knobs.is_empty();
                *self = Freeze::default();
                was_frozen
            }
        }
    }

    pub(crate) fn holds(&self, knob: KnobId) -> bool {
        self.is_everything || self.knobs.contains(&knob)
    }

    /// The knobs that are frozen by name.
    pub(crate) fn knobs(&self) -> impl Iterator<Item = KnobId> {
        self.knobs.iter().copied()
    }
}
