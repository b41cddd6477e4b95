//! An application tells which knobs it has; or a pack or a file does, before it.

use dfo_model::{Knob, Registration, Value};

use crate::decision::Decisions;
use crate::ledger::Scope;
use crate::notice::Notice;
use crate::planner::Planner;
use crate::presence::Heard;
use crate::registry::{Entry, KnobId, Registry};

/// Who says which knobs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker<'a> {
    Application {
        /// Where it runs; empty if it does not say.
        node: &'a str,
    },
    /// A pack or a file, before any application has.
    Bootstrap,
}

impl Planner {
    pub(super) fn register(&mut self, registration: &Registration, decisions: &mut Decisions) {
        for (parameter, knob) in &registration.knobs {
            let live = registration.current_value(parameter);
            let speaker = Speaker::Application {
                node: &registration.node,
            };
            let Some(id) = self.take_knob(knob, live, speaker, decisions) else {
                continue;
            };
            self.presence.confirm(id);
            if let Some(heard) = self.presence.hear(id, &registration.node) {
                decisions.notice(Notice::KnobHeard {
                    knob: self.registry.entry(id).name.clone(),
                    node: match heard {
                        Heard::Anywhere => None,
                        Heard::OnNode => Some(registration.node.as_str().into()),
                    },
                });
            }
        }
    }

    pub(super) fn bootstrap(&mut self, registration: &Registration, decisions: &mut Decisions) {
        for (parameter, knob) in &registration.knobs {
            let earlier = self.registry.get(&knob.id);
            if earlier.is_some_and(|id| !self.presence.is_assumed(id)) {
                let knob = knob.id.as_str().into();
                decisions.notice(Notice::BootstrapPassedOver { knob });
                continue;
            }
            let live = registration.current_value(parameter);
            if let Some(id) = self.take_knob(knob, live, Speaker::Bootstrap, decisions) {
                self.presence.assume(id);
            }
        }
    }

    /// Puts a knob and its live value in, if they make sense.
    fn take_knob(
        &mut self,
        knob: &Knob,
        live: Option<&Value>,
        speaker: Speaker<'_>,
        decisions: &mut Decisions,
    ) -> Option<KnobId> {
        // Applications repeat themselves; only what is new is worth a word.
        let known = self.registry.get(&knob.id);
        let known = known.filter(|_| self.registry.is_known(knob));
        let id = known.or_else(|| self.define(knob, decisions))?;
        let before = self.ledger.job_value(id).clone();
        if let Some(live) = live {
            self.take_live_value(id, live, speaker, decisions);
        }
        let value = self.ledger.job_value(id).clone();
        let entry = self.registry.entry(id);
        if known.is_none() || !value.same_as(&before) {
            decisions.notice_if_odd(entry, &value);
        }
        let is_confirmed = speaker != Speaker::Bootstrap && self.presence.is_assumed(id);
        if known.is_none() || is_confirmed {
            let knob = entry.name.clone();
            decisions.notice(Notice::KnobRegistered { knob, value });
        }
        Some(id)
    }

    /// Puts a definition in, in the place of an earlier one. The value in force stays if there is
    /// one of the knob's type; else it is the default.
    fn define(&mut self, knob: &Knob, decisions: &mut Decisions) -> Option<KnobId> {
        let checked = Registry::check(knob, decisions)?;
        let id = self.registry.insert(checked);
        let entry = self.registry.entry(id);
        let kind = entry.domain.kind();
        if self.ledger.knows(id) {
            let there = kind.fit(self.ledger.job_value(id));
            let value = there.unwrap_or_else(|| default_of(entry));
            self.ledger.set_job_value(id, value);
            self.ledger
                .refit_node_values(id, kind, &entry.name, decisions);
        } else {
            self.ledger.add_knob(default_of(entry));
        }
        Some(id)
    }

    /// What the application says is in force, if it is of the knob's type; else the default counts.
    ///
    /// Applications repeat their registrations with the values of their node. Where a plan gave that
    /// node a value of its own, that is what they speak of: the other nodes do not have it.
    fn take_live_value(
        &mut self,
        knob: KnobId,
        live: &Value,
        speaker: Speaker<'_>,
        decisions: &mut Decisions,
    ) {
        let entry = self.registry.entry(knob);
        let value = entry.domain.kind().fit(live).unwrap_or_else(|| {
            let in_force = default_of(entry);
            decisions.notice(Notice::ValueRefused {
                knob: entry.name.clone(),
                node: None,
                value: live.clone(),
                in_force: in_force.clone(),
            });
            in_force
        });
        let scope = match speaker {
            Speaker::Application { node } => self.ledger.scope_of_speaker(knob, node),
            Speaker::Bootstrap => Scope::Job,
        };
        self.ledger.set_live_value(knob, scope, value);
    }
}

impl Decisions {
    /// A value that the optimizer would not set itself is kept: it is the application's truth.
    fn notice_if_odd(&mut self, entry: &Entry, value: &Value) {
        if !entry.domain.allows(value) {
            self.notice(Notice::ValueKept {
                knob: entry.name.clone(),
                value: value.clone(),
            });
        }
    }
}

/// The default, of the knob's type: `Registry::check` lets no other in.
fn default_of(entry: &Entry) -> Value {
    let default = &entry.definition.default;
    let fitting = entry.domain.kind().fit(default);
    fitting.unwrap_or_else(|| default.clone())
}
