//! What is known of a knob in one scope: its value, its pending plan, its last actions.

mod saved;

use dfo_model::Value;
pub(crate) use saved::SavedAccount;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::decision::Name;
use crate::saved::is_default;
use crate::watch::Watch;

/// What is known of a knob in one scope: what every finding asks, and the rest apart from it, so
/// that many accounts take little memory to look through.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// When the knob's cooldown began.
    pub(crate) resting_since: Option<Stamp>,
    is_pending: bool,
    standing: Box<Standing>,
}

/// What an account is asked for once its knob may act.
#[derive(Debug, Default)]
struct Standing {
    /// Our own plan that awaits its acknowledgement.
    pending: Option<Name>,
    /// The value in force; `None` for a node without a value of its own.
    value: Option<Value>,
    /// The last action for each tag, the latest last.
    actions: Vec<Action>,
    /// The value before the first plan; `None` before there was one.
    base: Option<Value>,
    /// The last applied plan, while it is observed.
    watch: Option<Box<Watch>>,
}

/// An action that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    pub(crate) tag: Name,
    pub(crate) at: Stamp,
    /// The severity at which it was made.
    pub(crate) severity: f64,
    /// How many actions before it, in a row, did not help.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) retries: u32,
    /// It took a change back that did harm, or that an operator did not want.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) taken_back: bool,
}

/// Tags can be renamed without end; more actions than this are not remembered of one account.
const MOST_ACTIONS: usize = 32;

impl Account {
    /// An account with a value of its own.
    pub(crate) fn with_value(value: Value) -> Self {
        let mut account = Account::default();
        account.standing.value = Some(value);
        account
    }

    /// The value in force, if this scope has one of its own.
    pub(crate) fn value(&self) -> Option<&Value> {
        self.standing.value.as_ref()
    }

    /// Puts another value in force; the one before it.
    pub(crate) fn set_value(&mut self, value: Option<Value>) -> Option<Value> {
        std::mem::replace(&mut self.standing.value, value)
    }

    /// Our own plan that awaits its acknowledgement.
    pub(crate) fn pending(&self) -> Option<&Name> {
        match self.is_pending {
            true => self.standing.pending.as_ref(),
            false => None,
        }
    }

    pub(crate) fn set_pending(&mut self, plan: Option<Name>) {
        self.is_pending = plan.is_some();
        self.standing.pending = plan;
    }

    /// The value before the first plan.
    pub(crate) fn base(&self) -> Option<&Value> {
        self.standing.base.as_ref()
    }

    /// Takes note of the value before a plan, if this is the first.
    pub(crate) fn keep_base(&mut self, value: &Value) {
        self.standing.base.get_or_insert_with(|| value.clone());
    }

    /// What was before counts no longer: the application says otherwise.
    pub(crate) fn forget_base(&mut self) {
        self.standing.base = None;
    }

    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.standing.watch.as_deref()
    }

    pub(crate) fn set_watch(&mut self, watch: Option<Watch>) -> Option<Watch> {
        let earlier = std::mem::replace(&mut self.standing.watch, watch.map(Box::new));
        earlier.map(|watch| *watch)
    }

    /// The last action for a tag.
    pub(crate) fn last_action_for(&self, tag: &str) -> Option<&Action> {
        let actions = self.standing.actions.iter();
        actions.rev().find(|action| action.tag == tag)
    }

    /// The last action for any tag.
    pub(crate) fn last_action(&self) -> Option<&Action> {
        self.standing.actions.last()
    }

    /// Takes note of an action: the knob rests from it on. The earlier one for its tag is forgotten.
    pub(crate) fn record(&mut self, action: Action) -> Option<Action> {
        self.resting_since = Some(action.at);
        let actions = &mut self.standing.actions;
        let earlier = actions.iter().position(|a| a.tag == action.tag);
        let earlier = earlier.map(|at| actions.remove(at));
        if actions.len() == MOST_ACTIONS {
            actions.remove(0);
        }
        actions.push(action);
        earlier
    }

    /// An action that was noted has come to nothing: the earlier one for its tag counts again.
    pub(crate) fn withdraw(&mut self, action: &Action, earlier: Option<Action>) {
        let actions = &mut self.standing.actions;
        if let Some(at) = actions.iter().position(|a| a == action) {
            actions.remove(at);
            if let Some(earlier) = earlier {
                actions.insert(at, earlier);
            }
        }
    }
}
