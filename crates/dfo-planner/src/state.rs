//! What the planner holds to be true, for people and tests.

use dfo_model::{Knob, Value};

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

    /// Knob and node of every own plan that awaits its acknowledgement, sorted; no node is job-wide.
    pub fn pending(&self) -> Vec<(&str, Option<&str>)> {
        let named = self.ledger.pending().map(|(knob, node)| {
            let node = node.map(|node| &**self.ledger.nodes.name(node));
            (&*self.registry.entry(knob).name, node)
        });
        let mut pending: Vec<_> = named.collect();
        pending.sort_unstable();
        pending
    }

    /// The tags that are suppressed, sorted.
    pub fn suppressed_tags(&self) -> Vec<&str> {
        self.suppressions.tags()
    }

    /// How many nodes something is remembered of.
    pub fn nodes_remembered(&self) -> usize {
        self.ledger.nodes.len()
    }
}
