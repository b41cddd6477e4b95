//! How an account is written down. Its pending plan is not: the open plans tell.

use dfo_model::Value;
use serde::{Deserialize, Serialize};

use super::{Account, Action, MOST_ACTIONS, Standing};
use crate::clock::{Clock, Stamp};
use crate::watch::Watch;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<Box<Watch>>,
}

impl Account {
    pub(crate) fn saved(&self) -> SavedAccount {
        let last = self.last_action().map(|action| action.at);
        SavedAccount {
            value: self.standing.value.clone(),
            actions: self.standing.actions.clone(),
            resting_since: self.resting_since.filter(|since| Some(*since) != last),
            base: self.standing.base.clone(),
            watch: self.standing.watch.clone(),
        }
    }

    pub(crate) fn restored(saved: SavedAccount, clock: &Clock) -> Result<Self, String> {
        if saved.actions.len() > MOST_ACTIONS {
            return Err(format!("actions: more than {MOST_ACTIONS}"));
        }
        let last = saved.actions.last().map(|action| action.at);
        let resting_since = saved.resting_since.or(last);
        let times = saved.actions.iter().map(|action| action.at);
        let watched = saved.watch.as_ref().map(|watch| watch.applied_at());
        for time in times.chain(resting_since).chain(watched) {
            clock.check(time)?;
        }
        Ok(Account {
            resting_since,
            is_pending: false,
            standing: Box::new(Standing {
                pending: None,
                value: saved.value,
                actions: saved.actions,
                base: saved.base,
                watch: saved.watch,
            }),
        })
    }
}
