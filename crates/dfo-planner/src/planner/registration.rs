//! An application tells which knobs it has.

use std::sync::Arc;

use dfo_model::{Registration, Value};

use crate::decision::Decisions;
use crate::notice::Notice;
use crate::planner::Planner;
use crate::registry::{KnobId, Registry};

impl Planner {
    pub(super) fn register(&mut self, registration: &Registration, decisions: &mut Decisions) {
        for (parameter, knob) in &registration.knobs {
            let live = registration.current_value(parameter);
            if self.registry.is_known(knob) {
                self.take_live_value(&knob.id, live, decisions);
                continue;
            }
            let mut refused = Vec::new();
            let checked = Registry::check(knob, &mut refused);
            decisions.notices_from(&mut refused);
            if let Some(checked) = checked {
                let id = self.registry.insert(checked);
                self.open_accounts(id, live, decisions);
            }
        }
    }

    /// The value in force: the one sent along; else what is there; else the default.
    fn open_accounts(&mut self, knob: KnobId, live: Option<&Value>, decisions: &mut Decisions) {
        let entry = self.registry.entry(knob);
        let kind = entry.domain.kind();
        let name = Arc::clone(&entry.name);
        // `Registry::check` has made sure that the default fits.
        let default = kind.fit(&entry.definition.default);
        let default = default.unwrap_or_else(|| entry.definition.default.clone());

        if self.ledger.knows(knob) {
            let there = self.ledger.job_value(knob).clone();
            let in_force = kind.fit(&there).unwrap_or(default);
            self.ledger.set_job_value(knob, in_force);
            let mut notices = Vec::new();
            self.ledger
                .refit_node_values(knob, kind, &name, &mut notices);
            decisions.notices_from(&mut notices);
        } else {
            self.ledger.add_knob(default);
        }
        self.take_live_value(&name, live, decisions);
        let value = self.ledger.job_value(knob).clone();
        decisions.notice(Notice::KnobRegistered { knob: name, value });
    }

    fn take_live_value(&mut self, name: &str, live: Option<&Value>, decisions: &mut Decisions) {
        let (Some(knob), Some(live)) = (self.registry.get(name), live) else {
            return;
        };
        let entry = self.registry.entry(knob);
        let name = Arc::clone(&entry.name);
        let domain = &entry.domain;
        let Some(value) = domain.kind().fit(live) else {
            let default = domain.kind().fit(&entry.definition.default);
            let in_force = default.unwrap_or_else(|| entry.definition.default.clone());
            decisions.notice(Notice::ValueRefused {
                knob: name,
                node: None,
                value: live.clone(),
                in_force: in_force.clone(),
            });
            self.ledger.set_job_value(knob, in_force);
            return;
        };
        let is_news = !self.ledger.job_value(knob).same_as(&value);
        if is_news && !domain.allows(&value) {
            let value = value.clone();
            decisions.notice(Notice::ValueKept { knob: name, value });
        }
        self.ledger.set_job_value(knob, value);
    }
}
