//! How an account is written down. Its pending plan is not: the open plans tell.

use dfo_model::Value;
use serde::{Deserialize, Serialize};

use super::{Account, Action, MOST_ACTIONS, Standing};
use crate::clock::{Clock, Stamp};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedAccount {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// Left out where it is the time of the last action: an action always starts the cooldown.
    #[serde(skip_serializing_if = "Option::is_none")]
    resting_since: Option<Stamp>,
}

impl Account {
    pub(crate) fn saved(&self) -> SavedAccount {
        let last = self.last_action().map(|action| action.at);
        SavedAccount {
            value: self.standing.value.clone(),
            actions: self.standing.actions.clone(),
            resting_since: self.resting_since.filter(|since| Some(*since) != last),
        }
    }

    pub(crate) fn restored(saved: SavedAccount, clock: &Clock) -> Result<Self, String> {
        if saved.actions.len() > MOST_ACTIONS {
            return Err(format!("actions: more than {MOST_ACTIONS}"));
        }
        let last = saved.actions.last().map(|action| action.at);
        let resting_since = saved.resting_since.or(last);
        let times = saved.actions.iter().map(|action| action.at);
        for time in times.chain(resting_since) {
            clock.check(time)?;
        }
        Ok(Account {
            resting_since,
            is_pending: false,
            standing: Box::new(Standing {
                pending: None,
                value: saved.value,
                actions: saved.actions,
            }),
        })
    }
}
