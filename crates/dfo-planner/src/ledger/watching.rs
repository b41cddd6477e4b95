//! The applied plans under observation: one per knob and scope, the latest.

use crate::clock::{Clock, Time};
use crate::decision::Name;
use crate::ledger::{Ledger, Scope};
use crate::registry::KnobId;
use crate::watch::Watch;

/// Who is observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) plan_id: Name,
    pub(crate) knob: KnobId,
    pub(crate) scope: Scope,
}

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
        let watched = Watched {
            plan_id: watch.plan_id.clone(),
            knob,
            scope,
        };
        self.watching.insert(watch.until, watched);
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
    /// longer. `true`: its node was forgotten meanwhile.
    pub(crate) fn take_unjudged(&mut self, clock: &Clock) -> Option<(Watched, bool)> {
        let first = self.watching.first_entry()?;
        if clock.now() < first.key().0 {
            return None;
        }
        let watched = first.remove();
        let is_there = self
            .watch(watched.knob, watched.scope)
            .is_some_and(|watch| watch.plan_id == watched.plan_id);
        if is_there {
            self.account_mut(watched.knob, watched.scope)
                .set_watch(None);
        }
        Some((watched, !is_there))
    }
}
