//! Each knob in short, for those who watch: numbers, and no lists that grow with the nodes.

use dfo_model::Value;

use crate::planner::Planner;

/// A knob, and how many nodes and plans there are to it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KnobOverview<'p> {
    /// The knob.
    pub knob: &'p str,
    /// The job-wide value in force.
    pub value: &'p Value,
    /// How many nodes have a value of their own.
    pub nodes_with_own_value: usize,
    /// How many plans of ours for it await their acknowledgement.
    pub pending: usize,
    /// Whether an operator has frozen it, by name or with everything.
    pub is_frozen: bool,
}

impl Planner {
    /// The knobs in short, in the order of registration.
    ///
    /// Looks at every node's value and every pending plan once, and copies none.
    pub fn overview(&self) -> Vec<KnobOverview<'_>> {
        let knobs = self.registry.entries().map(|(id, entry)| KnobOverview {
            knob: &entry.name,
            value: self.ledger.job_value(id),
            nodes_with_own_value: self.ledger.nodes_with_value(id).len(),
            pending: 0,
            is_frozen: self.freeze.holds(id),
        });
        let mut knobs: Vec<_> = knobs.collect();
        let mut counted = None;
        for pending in self.ledger.pending() {
            // One plan may be for several nodes; they come in turn.
            if counted.replace(&pending.plan.id) != Some(&pending.plan.id)
                && let Some(knob) = knobs.get_mut(pending.plan.knob.index())
            {
                knob.pending += 1;
            }
        }
        knobs
    }
}
