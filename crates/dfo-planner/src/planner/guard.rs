//! What stands between a change that makes sense and a plan: an operator's freeze and limits.

use dfo_model::Value;

use crate::clock::Time;
use crate::command::Freeze;
use crate::decision::{Gate, Violation};
use crate::ledger::{Ledger, Scope};
use crate::limits::{Constraint, Limits, PlansMade};
use crate::nodes::NodeId;
use crate::registry::{KnobId, Registry};

/// What it may look at.
#[derive(Clone, Copy)]
pub(super) struct Guard<'p> {
    pub(super) freeze: &'p Freeze,
    pub(super) limits: &'p Limits,
    pub(super) made: &'p PlansMade,
    pub(super) registry: &'p Registry,
    pub(super) now: Time,
}

/// A change that would become a plan.
#[derive(Clone, Copy)]
pub(super) struct Change<'c> {
    pub(super) knob: KnobId,
    /// Whose values are in force there: of a node of which nothing is remembered, the job's.
    pub(super) scope: Scope,
    /// Whether it reaches every node.
    pub(super) is_job_wide: bool,
    pub(super) old: &'c Value,
    pub(super) new: &'c Value,
}

impl Guard<'_> {
    /// May it become a plan?
    pub(super) fn plan(&self, change: Change<'_>, ledger: &Ledger) -> Result<(), Gate> {
        self.change(change, ledger)?;
        self.limits.number(self.made, self.now)
    }

    /// May it, where an optimizer above wants it? Those plans are not counted.
    pub(super) fn change(&self, change: Change<'_>, ledger: &Ledger) -> Result<(), Gate> {
        self.frozen(change.knob, change.new)?;
        self.limits.knob(&self.registry.entry(change.knob).name)?;
        self.limits.step(change.old, change.new)?;
        self.constraints(change, ledger)
    }

    /// May it, where it takes a change back?
    pub(super) fn undo(&self, change: Change<'_>, ledger: &Ledger) -> Result<(), Gate> {
        self.frozen(change.knob, change.new)?;
        self.constraints(change, ledger)
    }

    fn frozen(&self, knob: KnobId, new: &Value) -> Result<(), Gate> {
        match self.freeze.holds(knob) {
            false => Ok(()),
            true => Err(Gate::Frozen {
                value: new.clone(),
                everything: self.freeze.is_everything,
            }),
        }
    }

    fn constraints(&self, change: Change<'_>, ledger: &Ledger) -> Result<(), Gate> {
        let knob = &self.registry.entry(change.knob).name;
        let all = self.limits.constraints.iter();
        for constraint in all.filter(|constraint| constraint.names(knob)) {
            self.constraint(constraint, change, None, ledger)?;
            for node in self.nodes_apart(constraint, change, ledger) {
                self.constraint(constraint, change, Some(node), ledger)?;
            }
        }
        Ok(())
    }

    /// The nodes that a job-wide change reaches, and that have other values of the other knobs.
    fn nodes_apart(
        &self,
        constraint: &Constraint,
        change: Change<'_>,
        ledger: &Ledger,
    ) -> Vec<NodeId> {
        if !change.is_job_wide {
            return Vec::new();
        }
        let knobs = constraint
            .knobs()
            .filter_map(|knob| self.registry.get(knob));
        let others = knobs.filter(|knob| *knob != change.knob);
        let nodes = others.flat_map(|knob| ledger.nodes_with_value(knob));
        let reached = nodes.filter(|node| ledger.node_value(change.knob, *node).is_none());
        let mut nodes: Vec<_> = reached.collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Does the constraint hold with the new value, or is it at least missed by less than with the old?
    fn constraint(
        &self,
        constraint: &Constraint,
        change: Change<'_>,
        at: Option<NodeId>,
        ledger: &Ledger,
    ) -> Result<(), Gate> {
        let scope = at.map_or(change.scope, Scope::Node);
        let sides = |candidate: &Value| {
            constraint.sides(|name| {
                let knob = self.registry.get(name)?;
                let value = match knob == change.knob {
                    true => candidate,
                    false => ledger.value(knob, scope),
                };
                Some(value.as_number()?.as_f64())
            })
        };
        let at_node = at.map(|node| ledger.nodes.name(node).clone());
        let finite = |side: f64| side.is_finite().then_some(side);
        let (new, old) = match (sides(change.new), sides(change.old)) {
            (Ok(new), Ok(old)) => (new, old),
            (Err(unknown), _) | (_, Err(unknown)) => {
                return Err(Gate::Constraint(Box::new(Violation {
                    constraint: constraint.text().clone(),
                    value: None,
                    threshold: None,
                    unknown: Some(unknown.clone()),
                    at_node,
                    wanted: change.new.clone(),
                })));
            }
        };
        if new.holds || constraint.miss(new) < constraint.miss(old) {
            return Ok(());
        }
        Err(Gate::Constraint(Box::new(Violation {
            constraint: constraint.text().clone(),
            value: finite(new.left),
            threshold: finite(new.right),
            unknown: None,
            at_node,
            wanted: change.new.clone(),
        })))
    }
}
