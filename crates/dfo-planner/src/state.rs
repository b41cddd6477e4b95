//! What the planner holds to be true, for people and tests.

use dfo_model::{Knob, Value};

use crate::ledger::{Pending, Scope};
use crate::planner::Planner;

/// A value in force.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce<'p> {
    /// The knob.
    pub knob: &'p str,
    /// The node whose value it is; `None` is the job-wide value.
    pub node: Option<&'p str>,
    /// The value.
    pub value: &'p Value,
}

/// A plan of ours that awaits its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PendingPlan<'p> {
    /// What the acknowledgement will name.
    pub plan_id: &'p str,
    /// The knob that it changes.
    pub knob: &'p str,
    /// The node that it is for; `None` is the whole job.
    pub node: Option<&'p str>,
    /// The value that it sets.
    pub value: &'p Value,
    /// The value that counts again should it be rejected or expire.
    pub value_before: &'p Value,
    /// The tag that the knob responded to.
    pub opportunity_tag: &'p str,
    /// The severity score of the finding that led to it.
    pub severity: f64,
    /// The window of that finding.
    pub window_index: i64,
}

impl Planner {
    /// The knobs, in the order of registration.
    pub fn knobs(&self) -> impl Iterator<Item = &Knob> {
        self.registry.entries().map(|(_, entry)| &entry.definition)
    }

    /// The value in force of a knob: a node's own, if it has one, else the job-wide one.
    pub fn value(&self, knob: &str, node: Option<&str>) -> Option<&Value> {
        let knob = self.registry.get(knob)?;
        let node = node.and_then(|name| self.ledger.nodes.get(name));
        let own = node.and_then(|node| self.ledger.node_value(knob, node));
        Some(own.unwrap_or_else(|| self.ledger.job_value(knob)))
    }

    /// The job-wide values in force, in the order of registration.
    pub fn job_values(&self) -> impl Iterator<Item = InForce<'_>> {
        self.registry.entries().map(|(id, entry)| InForce {
            knob: &entry.name,
            node: None,
            value: self.ledger.job_value(id),
        })
    }

    /// The values that nodes have of their own: knobs in the order of registration, nodes by name.
    pub fn node_values(&self) -> Vec<InForce<'_>> {
        let mut values = Vec::new();
        for (id, entry) in self.registry.entries() {
            let start = values.len();
            for node in self.ledger.nodes_with_value(id) {
                if let Some(value) = self.ledger.node_value(id, node) {
                    values.push(InForce {
                        knob: &entry.name,
                        node: Some(self.ledger.nodes.name(node)),
                        value,
                    });
                }
            }
            values[start..].sort_unstable_by_key(|v| v.node);
        }
        values
    }

    /// Our own plans that await their acknowledgement: by knob, then by node, job-wide ones first.
    pub fn pending(&self) -> Vec<PendingPlan<'_>> {
        let mut pending: Vec<_> = self.ledger.pending().map(|p| self.named(&p)).collect();
        pending.sort_unstable_by_key(|plan| (plan.knob, plan.node, plan.plan_id));
        pending
    }

    fn named<'p>(&'p self, pending: &Pending<'p>) -> PendingPlan<'p> {
        let plan = pending.plan;
        PendingPlan {
            plan_id: &plan.id,
            knob: &self.registry.entry(plan.knob).name,
            node: match pending.scope {
                Scope::Job => None,
                Scope::Node(node) => Some(self.ledger.nodes.name(node)),
            },
            value: &plan.value,
            value_before: pending.value_before,
            opportunity_tag: &plan.action.tag,
            severity: plan.action.severity,
            // Our own plans always have one.
            window_index: plan.window.unwrap_or(-1),
        }
    }

    /// The tags that are suppressed, sorted.
    pub fn suppressed_tags(&self) -> Vec<&str> {
        self.suppressions.tags()
    }

    /// Whether an operator has frozen everything.
    pub fn is_frozen(&self) -> bool {
        self.freeze.is_everything
    }

    /// The knobs that an operator has frozen by name, in the order of registration.
    pub fn frozen_knobs(&self) -> impl Iterator<Item = &str> {
        let names = self.freeze.knobs().map(|id| &self.registry.entry(id).name);
        names.map(smol_str::SmolStr::as_str)
    }

    /// How many nodes something is remembered of.
    pub fn nodes_remembered(&self) -> usize {
        self.ledger.nodes.len()
    }
}
