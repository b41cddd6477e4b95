//! Which decisions are asked for.

use std::collections::BTreeSet;

use dfo_journal::RecordedEvent;
use dfo_model::node_names_match;
use dfo_planner::{Decision, Gate, Hold, Notice, Planner};
use serde_json::Value as Json;

use super::chain::Chains;

/// What must be so of a decision: all that was named.
pub(super) struct Filter {
    plan: Option<String>,
    knob: Option<String>,
    window: Option<i64>,
    node: Option<String>,
    /// The tags that the knob responds to, by its latest definition.
    tags: BTreeSet<String>,
    /// Whether the definitions have been looked at.
    knows_tags: bool,
}

impl Filter {
    pub(super) fn new(
        plan: Option<String>,
        knob: Option<String>,
        window: Option<i64>,
        node: Option<String>,
    ) -> Self {
        Filter {
            plan,
            knob,
            window,
            node,
            tags: BTreeSet::new(),
            knows_tags: false,
        }
    }

    /// Keeps up with the knob's definition.
    pub(super) fn learn(&mut self, event: &RecordedEvent<'_>, planner: &Planner) {
        let is_definition = matches!(
            event,
            RecordedEvent::Registration(_) | RecordedEvent::Bootstrap(_)
        );
        let Some(name) = &self.knob else {
            return;
        };
        if is_definition || !self.knows_tags {
            self.knows_tags = true;
            self.tags = tags_of(name, planner);
        }
    }

    /// Whether a decision is asked for, or belongs to a plan that was.
    pub(super) fn takes(
        &self,
        decision: &Decision,
        event: &RecordedEvent<'_>,
        window: i64,
        chains: &Chains,
    ) -> bool {
        match decision {
            Decision::Plan(plan) => {
                let nodes = plan.target_nodes.iter();
                self.plan.as_ref().is_none_or(|id| *id == plan.plan_id)
                    && self.knob.as_ref().is_none_or(|knob| *knob == plan.knob_id)
                    && self.window.is_none_or(|n| n == plan.window_index)
                    && self.is_node(nodes.map(String::as_str))
            }
            Decision::Hold(hold) => self.takes_hold(hold, event),
            Decision::Notice(notice) => self.takes_notice(notice, window, chains),
        }
    }

    fn takes_hold(&self, hold: &Hold, event: &RecordedEvent<'_>) -> bool {
        self.window.is_none_or(|n| n == hold.window_index)
            && self.is_node(hold.node.as_deref().into_iter())
            && match (&self.plan, &hold.gate) {
                (None, _) => true,
                (Some(id), Gate::Pending { plan_id, .. }) => **id == **plan_id,
                (Some(_), _) => false,
            }
            && (self.knob.is_none() || self.concerns_knob(hold, event))
    }

    /// Whether a hold names the knob, a tag that it responds to, or a finding with such a tag.
    fn concerns_knob(&self, hold: &Hold, event: &RecordedEvent<'_>) -> bool {
        concerns(
            hold,
            event,
            self.knob.as_deref().unwrap_or_default(),
            &self.tags,
        )
    }

    fn takes_notice(&self, notice: &Notice, window: i64, chains: &Chains) -> bool {
        let details = serde_json::to_value(notice).unwrap_or_default();
        let text = |name: &str| details.get(name).and_then(Json::as_str);
        let plans = [text("plan_id"), text("by")];
        if plans.into_iter().flatten().any(|id| chains.has(id)) {
            return true;
        }
        let knobs = match text("knob") {
            Some(knob) => self.knob.as_ref().is_none_or(|asked| asked == knob),
            // What is of no knob is of none that was asked for; but a freeze of everything is.
            None => {
                let is_of_all = matches!(notice.name(), "frozen" | "thawed" | "new_run");
                self.knob.is_none()
                    || is_of_all
                    || text("tag").is_some_and(|t| self.tags.contains(t))
            }
        };
        knobs
            && self
                .plan
                .as_ref()
                .is_none_or(|id| plans.contains(&Some(id.as_str())))
            && self.window.is_none_or(|n| n == window)
            && self.is_node(text("node").into_iter())
    }

    fn is_node<'n>(&self, mut nodes: impl Iterator<Item = &'n str>) -> bool {
        match &self.node {
            None => true,
            Some(asked) => nodes.any(|node| node_names_match(node, asked)),
        }
    }
}

/// The tags that a knob responds to; none where it is not registered.
pub(super) fn tags_of(name: &str, planner: &Planner) -> BTreeSet<String> {
    let knob = planner.knobs().find(|knob| knob.id == name);
    let tags = knob.map(|knob| knob.responds_to.keys().cloned().collect());
    tags.unwrap_or_default()
}

/// Whether a hold names a knob, one of its tags, or held a finding with one of its tags as a whole.
pub(super) fn concerns(
    hold: &Hold,
    event: &RecordedEvent<'_>,
    knob: &str,
    tags: &BTreeSet<String>,
) -> bool {
    match (&hold.knob, &hold.tag) {
        (Some(name), _) => name == knob,
        (None, Some(tag)) => tags.contains(tag.as_str()),
        (None, None) => match event {
            RecordedEvent::Finding(finding) => {
                let mut named = finding.opportunity_tags.iter();
                !matches!(hold.gate, Gate::WeakSuppression { .. })
                    && named.any(|tag| tags.contains(&**tag))
            }
            _ => false,
        },
    }
}
