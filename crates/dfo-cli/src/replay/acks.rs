//! The application of a replay: it applies every plan, when it is told to.

use std::collections::BTreeMap;

use dfo_model::{Ack, AckStatus};
use dfo_planner::{Decisions, Notice};

use crate::args::AckMode;

/// A perfect application, at once or some windows late.
pub(crate) struct Application {
    mode: AckMode,
    /// What is still to be acknowledged, by window and in the order of the plans.
    waiting: BTreeMap<(i64, u64), Ack>,
    received: u64,
}

impl Application {
    pub(crate) fn new(mode: AckMode) -> Self {
        Application {
            mode,
            waiting: BTreeMap::new(),
            received: 0,
        }
    }

    /// Takes the plans; each is applied in its window, or that many windows later.
    pub(crate) fn receive(&mut self, decisions: &Decisions) {
        let windows = match self.mode {
            AckMode::Never => return,
            AckMode::Immediate => 0,
            AckMode::Delay(windows) => windows,
        };
        // A new run is another process: what this one had not applied is lost with it.
        if decisions
            .notices()
            .any(|n| matches!(n, Notice::NewRun { .. }))
        {
            self.waiting.clear();
        }
        for plan in decisions.plans() {
            let window = plan.window_index.saturating_add(windows);
            let ack = Ack {
                knob_id: plan.knob_id.clone(),
                old_value: plan.old_value.clone(),
                new_value: Some(plan.new_value.clone()),
                window_index: Some(window),
                target_nodes: plan.target_nodes.clone(),
                ..Ack::new(&plan.plan_id, AckStatus::Applied)
            };
            self.received += 1;
            self.waiting.insert((window, self.received), ack);
        }
    }

    /// The acknowledgements that are due in a window.
    pub(crate) fn due(&mut self, window: i64) -> Vec<Ack> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= window
        {
            due.push(first.remove());
        }
        due
    }
}
