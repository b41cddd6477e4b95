//! The applied plans under observation: one per knob and scope, the latest.

use crate::clock::{Clock, Time};
use crate::ledger::{Ledger, Scope};
use crate::registry::KnobId;
use crate::watch::Watch;

impl Ledger {
    /// Whether anything is observed at all.
    pub(crate) fn is_watching(&self) -> bool {
        !self.watching.is_empty()
    }

    pub(crate) fn watch(&self, knob: KnobId, scope: Scope) -> Option<&Watch> {
        match scope {
            Scope::Job => self.job_account(knob).watch(),
            Scope::Node(node) => self.node_account(knob, node)?.watch(),
        }
    }

    /// Observes a plan from now on; the one that was observed until now, if there was one.
    pub(super) fn start_watch(
        &mut self,
        knob: KnobId,
        scope: Scope,
        watch: Watch,
    ) -> Option<Watch> {
        let earlier = self.end_watch(knob, scope);
        self.watching.insert(watch.until, (knob, scope));
        self.account_mut(knob, scope).set_watch(Some(watch));
        earlier
    }

    /// Observes it no longer.
    pub(crate) fn end_watch(&mut self, knob: KnobId, scope: Scope) -> Option<Watch> {
        self.watch(knob, scope)?;
        let watch = self.account_mut(knob, scope).set_watch(None)?;
        self.watching.remove(&watch.until);
        Some(watch)
    }

    /// Observes a plan for longer.
    pub(crate) fn extend_watch(&mut self, knob: KnobId, scope: Scope, until: Time) {
        if let Some(mut watch) = self.end_watch(knob, scope) {
            watch.until.0 = until;
            self.start_watch(knob, scope, watch);
        }
    }

    /// One that has been observed for long enough, and for whom nothing was found. It is observed no
    /// longer.
    pub(crate) fn take_unjudged(&mut self, clock: &Clock) -> Option<(Scope, Watch)> {
        let (until, (knob, scope)) = self.watching.first_key_value()?;
        let (knob, scope) = (*knob, *scope);
        match clock.now() < until.0 {
            true => None,
            false => Some((scope, self.end_watch(knob, scope)?)),
        }
    }
}
