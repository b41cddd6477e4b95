//! The plans closed lately, so that a late or repeated acknowledgement is told from an unknown one.

use std::collections::{HashMap, VecDeque};

use dfo_model::{AckStatus, Value};
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::account::Action;
use crate::decision::Name;
use crate::plan_ids::PlanIds;
use crate::registry::KnobId;
use crate::saved::is_default;

/// How many are remembered; about 3 MiB.
const MOST: usize = 16_384;

/// What became of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closed {
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) closing: Closing,
    pub(crate) knob: KnobId,
    /// It went to many applications, each of which acknowledges it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) is_for_many: bool,
    /// The value that it asked for.
    pub(crate) wanted: Value,
    /// The value that the application put in force, if it applied the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) applied: Option<Value>,
    /// The values that an applied plan took the place of, by node; `None` is the job-wide one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<(Option<Name>, Value)>,
    /// The action that an applied plan was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<Action>,
}

/// How a plan was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Word", from = "Word")]
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

    /// In the order of closing.
    pub(crate) fn saved(&self, ids: &PlanIds) -> Vec<(SavedId, Closed)> {
        let all = self.order.iter();
        let all = all.filter_map(|id| Some((id, self.get(id)?)));
        all.map(|(id, closed)| {
            let ours = ids.number_of(id).map(SavedId::Ours);
            let id = ours.unwrap_or_else(|| SavedId::Other(id.clone()));
            (id, closed.shortened())
        })
        .collect()
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

/// A plan's id, as it is written down: of ours, which one it was.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SavedId {
    Ours(u64),
    Other(Name),
}

impl SavedId {
    pub(super) fn restored(self, ids: &PlanIds) -> Result<Name, String> {
        match self {
            SavedId::Other(name) => Ok(name),
            SavedId::Ours(number) => match ids.given(number) {
                Some(id) => Ok(id.into()),
                None => Err(format!("closed: no plan {number} was made")),
            },
        }
    }
}

impl Closed {
    /// Without the value that is in force where it is the one that the plan asked for.
    fn shortened(&self) -> Self {
        let applied = self.applied.as_ref().filter(|value| **value != self.wanted);
        Closed {
            applied: applied.cloned(),
            ..self.clone()
        }
    }

    /// What was [shortened](Self::shortened): a plan that was applied always has its value.
    pub(super) fn in_full(mut self) -> Self {
        if self.applied.is_none() && self.closing == Closing::default() {
            self.applied = Some(self.wanted.clone());
        }
        self
    }
}

/// How a plan was closed, as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Applied,
    Rejected,
    Deferred,
    Expired,
    Superseded,
}

/// Most plans are applied, and then it is left out.
impl Default for Closing {
    fn default() -> Self {
        Closing::Acknowledged(AckStatus::Applied)
    }
}

impl From<Closing> for Word {
    fn from(closing: Closing) -> Self {
        match closing {
            Closing::Acknowledged(AckStatus::Applied) => Word::Applied,
            Closing::Acknowledged(AckStatus::Rejected) => Word::Rejected,
            Closing::Acknowledged(AckStatus::Deferred) => Word::Deferred,
            Closing::Expired => Word::Expired,
            Closing::Superseded => Word::Superseded,
        }
    }
}

impl From<Word> for Closing {
    fn from(word: Word) -> Self {
        match word {
            Word::Applied => Closing::Acknowledged(AckStatus::Applied),
            Word::Rejected => Closing::Acknowledged(AckStatus::Rejected),
            Word::Deferred => Closing::Acknowledged(AckStatus::Deferred),
            Word::Expired => Closing::Expired,
            Word::Superseded => Closing::Superseded,
        }
    }
}
