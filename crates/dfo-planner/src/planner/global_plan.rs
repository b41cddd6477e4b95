//! An optimizer above wants a change.

use dfo_model::{ActionPlan, Value, node_names_match};

use super::guard::Change;
use crate::account::Action;
use crate::decision::{Decisions, Name};
use crate::ledger::{Origin, Plan, Reach, Scope};
use crate::nodes::NodeId;
use crate::notice::{GlobalPlanIgnored, Notice};
use crate::planner::{LONGEST_NAME, Planner};
use crate::registry::KnobId;

impl Planner {
    pub(super) fn take_global_plan(&mut self, plan: &ActionPlan, decisions: &mut Decisions) {
        match self.accept(plan, decisions) {
            Ok(accepted) => decisions.plan(accepted),
            Err(notice) => decisions.notice(notice),
        }
    }

    fn accept(
        &mut self,
        plan: &ActionPlan,
        decisions: &mut Decisions,
    ) -> Result<ActionPlan, Notice> {
        let plan_id: Name = plan.plan_id.as_str().into();
        let ignore = |why| Notice::GlobalPlanIgnored {
            plan_id: plan_id.clone(),
            why,
        };
        let refuse = |field, why| Notice::GlobalPlanRefused {
            plan_id: plan_id.clone(),
            field,
            why,
        };
        if plan_id.is_empty() {
            return Err(refuse(
                "plan_id",
                "missing: it could not be acknowledged".to_owned(),
            ));
        }
        if plan_id.len() > LONGEST_NAME || plan.opportunity_tag.len() > LONGEST_NAME {
            let why = format!("longer than {LONGEST_NAME} bytes");
            return Err(refuse("plan_id or opportunity_tag", why));
        }
        if !self.is_for_us(&plan.target_nodes) {
            return Err(ignore(GlobalPlanIgnored::NotForThisNode));
        }
        let is_known = self.ledger.open_plan(&plan_id).is_some();
        if is_known || self.ledger.closed_plan(&plan_id).is_some() {
            return Err(ignore(GlobalPlanIgnored::Repeated));
        }
        let Some(knob) = self.registry.get(&plan.knob_id) else {
            let why = format!("no knob {:?} is registered", plan.knob_id);
            return Err(refuse("knob_id", why));
        };
        if self.presence.is_silent_everywhere(knob) {
            let why = format!("no live application has {:?}", plan.knob_id);
            return Err(refuse("knob_id", why));
        }
        if !plan.severity.is_finite() {
            return Err(refuse("severity", "not finite".to_owned()));
        }
        let scope = self.scope_in_force(&plan.target_nodes);
        let old = self.ledger.value(knob, scope).clone();
        let domain = &self.registry.entry(knob).domain;
        let new = domain.hold_wanted(&plan.new_value, &old);
        let new = new.map_err(|why| refuse("new_value", why))?;
        // A value that the knob does not allow stays where it is, and goes nowhere else.
        let stays = new.same_as(&old) && !domain.allows(&new);
        if stays || self.is_in_force(&new, knob, &plan.target_nodes) {
            return Err(ignore(GlobalPlanIgnored::NoChange));
        }

        let change = Change {
            knob,
            scope,
            is_job_wide: plan.target_nodes.is_empty(),
            old: &old,
            new: &new,
        };
        if let Err(gate) = self.guard().change(change, &self.ledger) {
            return Err(refuse("new_value", format!("{}: {gate}", gate.name())));
        }
        let (reach, left_out) = self.reach_of(&plan.target_nodes, decisions);
        if reach == Reach::Nodes(Vec::new()) {
            let why = "no room to remember them: every remembered node has an open plan";
            return Err(refuse("target_nodes", why.to_owned()));
        }
        for node in left_out {
            decisions.notice(Notice::NodeNotRemembered { node });
        }
        self.ledger.supersede(knob, &reach, &plan_id, decisions);
        self.put_in_force(plan, knob, reach, &new);
        Ok(ActionPlan {
            old_value: Some(old),
            new_value: new,
            rationale: or_else(&plan.rationale, "global optimizer"),
            finding_type: or_else(&plan.finding_type, "global"),
            ..plan.clone()
        })
    }

    fn is_for_us(&self, target_nodes: &[String]) -> bool {
        let own = self.ledger.nodes.own();
        target_nodes.is_empty() || target_nodes.iter().any(|node| node_names_match(node, own))
    }

    /// Whose value a global plan takes the place of, as this planner sees it.
    fn scope_in_force(&self, target_nodes: &[String]) -> Scope {
        let own = self.ledger.nodes.own();
        let ours = target_nodes.iter().find(|node| node_names_match(node, own));
        let remembered = ours.and_then(|node| self.ledger.nodes.get(node));
        remembered.map_or(Scope::Job, Scope::Node)
    }

    fn is_in_force(&self, value: &Value, knob: KnobId, target_nodes: &[String]) -> bool {
        let is_at = |scope| self.ledger.value(knob, scope).same_as(value);
        if !target_nodes.is_empty() {
            let known = target_nodes.iter().map(|name| self.ledger.nodes.get(name));
            return known.map(|n| n.map_or(Scope::Job, Scope::Node)).all(is_at);
        }
        let clears = self.settings.global_plan_clears_node_values;
        let overrides = self.ledger.nodes_with_value(knob);
        is_at(Scope::Job) && !(clears && overrides.into_iter().any(|n| !is_at(Scope::Node(n))))
    }

    /// For whom a plan is, and the nodes that there is no room for.
    fn reach_of(
        &mut self,
        target_nodes: &[String],
        decisions: &mut Decisions,
    ) -> (Reach, Vec<Name>) {
        if target_nodes.is_empty() {
            return (Reach::Job, Vec::new());
        }
        let mut nodes: Vec<NodeId> = Vec::with_capacity(target_nodes.len());
        let mut left_out = Vec::new();
        for name in target_nodes {
            match self.ledger.remember(name, decisions) {
                Some(node) => nodes.push(node),
                None => left_out.push(name.into()),
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        (Reach::Nodes(nodes), left_out)
    }

    fn put_in_force(&mut self, plan: &ActionPlan, knob: KnobId, reach: Reach, value: &Value) {
        let window = Some(plan.window_index).filter(|w| *w >= 0);
        let at = self.clock.plausible(window.map(|w| self.clock.stamp(w)));
        self.clock.note_action(at);
        let action = Action {
            tag: plan.opportunity_tag.as_str().into(),
            at,
            severity: plan.severity,
            retries: 0,
            taken_back: false,
        };
        let is_for_all = reach == Reach::Job;
        let taken = Plan {
            id: plan.plan_id.as_str().into(),
            knob,
            reach,
            origin: Origin::Global,
            value: value.clone(),
            action,
            window,
            grounds: None,
        };
        self.ledger.open(taken, self.clock.now());
        if is_for_all && self.settings.global_plan_clears_node_values {
            self.ledger.clear_node_values(knob, &plan.plan_id);
        }
    }
}

/// What goes on to the application where the optimizer above does not say, as the original has it.
fn or_else(text: &str, default: &str) -> String {
    match text {
        "" => default,
        _ => text,
    }
    .to_owned()
}
