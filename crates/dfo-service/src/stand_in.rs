//! An application that is not there: for replays and dry runs, it applies every plan when told to.

use std::collections::BTreeMap;

use dfo_model::{Ack, AckStatus, ActionPlan, FindingView};
use dfo_planner::{Decisions, Notice};

/// When the stand-in acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckMode {
    /// In the window of the plan.
    Immediate,
    /// Not at all.
    Never,
    /// So many windows later.
    Delay(i64),
}

/// A perfect application, at once or some windows late.
#[derive(Debug)]
pub struct StandIn {
    mode: AckMode,
    /// What is still to be acknowledged, by window and in the order of the plans.
    waiting: BTreeMap<(i64, u64), Answer>,
    received: u64,
}

/// An acknowledgement to be given.
#[derive(Debug)]
struct Answer {
    ack: Ack,
    /// The axis of its window.
    view: Option<String>,
}

impl StandIn {
    /// One that acknowledges so.
    pub fn new(mode: AckMode) -> Self {
        StandIn {
            mode,
            waiting: BTreeMap::new(),
            received: 0,
        }
    }

    /// Takes the plans; each is applied in its window, or that many windows later.
    pub fn receive(&mut self, finding: &FindingView<'_>, decisions: &Decisions) {
        for notice in decisions.notices() {
            match notice {
                // A new run is another process: what this one had not applied is lost with it.
                Notice::NewRun { .. } => self.waiting.clear(),
                Notice::PlanExpired { plan_id, .. } => {
                    self.waiting
                        .retain(|_, answer| answer.ack.plan_id != *plan_id);
                }
                _ => {}
            }
        }
        for plan in decisions.plans() {
            self.take(plan, finding.view_type.as_deref());
        }
    }

    /// Takes one plan, whose finding had that axis.
    pub(crate) fn take(&mut self, plan: &ActionPlan, view: Option<&str>) {
        let windows = match self.mode {
            AckMode::Never => return,
            AckMode::Immediate => 0,
            AckMode::Delay(windows) => windows,
        };
        let window = plan.window_index.saturating_add(windows);
        let ack = applied(plan, window);
        let view = view.map(str::to_owned);
        self.received += 1;
        self.waiting
            .insert((window, self.received), Answer { ack, view });
    }

    /// The answer to a plan that no finding led to: an operator waits for it.
    pub(crate) fn at_once(&self, plan: &ActionPlan) -> Option<Ack> {
        (self.mode != AckMode::Never).then(|| applied(plan, plan.window_index))
    }

    /// The acknowledgements that are due in a finding's window.
    pub fn due(&mut self, finding: &FindingView<'_>) -> Vec<Ack> {
        self.due_in(finding.window_index, finding.view_type.as_deref())
    }

    /// The same, in a window of an axis.
    pub(crate) fn due_in(&mut self, window: i64, view: Option<&str>) -> Vec<Ack> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let reached = self.waiting.range(..=(window, u64::MAX));
        let of_its_view = reached.filter(|(_, a)| a.view.as_deref() == view);
        let due: Vec<(i64, u64)> = of_its_view.map(|(key, _)| *key).collect();
        let answers = due.iter().filter_map(|key| self.waiting.remove(key));
        answers.map(|answer| answer.ack).collect()
    }
}

/// A plan was applied in that window.
fn applied(plan: &ActionPlan, window: i64) -> Ack {
    Ack {
        knob_id: plan.knob_id.clone(),
        old_value: plan.old_value.clone(),
        new_value: Some(plan.new_value.clone()),
        window_index: Some(window),
        target_nodes: plan.target_nodes.clone(),
        ..Ack::new(&plan.plan_id, AckStatus::Applied)
    }
}
