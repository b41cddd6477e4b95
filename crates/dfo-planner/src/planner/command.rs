//! An operator wants plans to stop, to go on, or to be taken back.

use dfo_model::{AckStatus, ActionPlan, Value};

use super::judging::TakenBack;
use crate::account::Action;
use crate::command::Command;
use crate::decision::{Decisions, Name};
use crate::ledger::{Closing, Reach, Scope};
use crate::notice::Notice;
use crate::planner::Planner;
use crate::registry::KnobId;

/// The finding type of a plan that no finding led to.
const OPERATOR: &str = "operator";

/// How the rationale of such a plan begins. No finding's plan begins so: there it is the finding's type.
const TAKEN_BACK: &str = "revert: an operator took ";

/// Whether a plan is what an operator's command came to, and not what a finding came to, whatever the
/// finding calls itself.
///
/// ```
/// use dfo_planner::{Command, Event, PlanIds, Planner, Settings, is_operators};
///
/// let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
/// let decisions = planner.handle(Event::Command(&Command::RevertAll));
/// assert!(decisions.plans().all(is_operators));
/// ```
pub fn is_operators(plan: &ActionPlan) -> bool {
    plan.finding_type == OPERATOR && plan.rationale.starts_with(TAKEN_BACK)
}

impl Planner {
    pub(super) fn obey(&mut self, command: &Command, decisions: &mut Decisions) {
        let done = match command {
            Command::Freeze { knob } => self.freeze(knob.as_deref(), decisions),
            Command::Thaw { knob } => self.thaw(knob.as_deref(), decisions),
            Command::Revert { plan_id } => self.revert(plan_id, decisions),
            Command::RevertAll => self.revert_all(decisions),
        };
        if let Err(why) = done {
            let command = command.name();
            decisions.notice(Notice::CommandRefused { command, why });
        }
    }

    fn freeze(&mut self, name: Option<&str>, decisions: &mut Decisions) -> Result<(), String> {
        let knob = self.named_knob(name)?;
        self.freeze.freeze(knob);
        decisions.notice(Notice::Frozen {
            knob: name.map(Name::from),
        });
        Ok(())
    }

    fn thaw(&mut self, name: Option<&str>, decisions: &mut Decisions) -> Result<(), String> {
        let knob = self.named_knob(name)?;
        if !self.freeze.thaw(knob) {
            return Err(match name {
                Some(name) => format!("{name} is not frozen by name"),
                None => "nothing is frozen".to_owned(),
            });
        }
        decisions.notice(Notice::Thawed {
            knob: name.map(Name::from),
        });
        Ok(())
    }

    fn named_knob(&self, name: Option<&str>) -> Result<Option<KnobId>, String> {
        let Some(name) = name else {
            return Ok(None);
        };
        match self.registry.get(name) {
            Some(knob) => Ok(Some(knob)),
            None => Err(format!("no knob {name:?} is registered")),
        }
    }

    /// Back to the value before a plan, wherever it went.
    fn revert(&mut self, plan_id: &str, decisions: &mut Decisions) -> Result<(), String> {
        let (knob, action, before) = self.change_of(plan_id)?;
        let mut done = 0;
        for (node, value) in before {
            let scope = match &node {
                None => Scope::Job,
                Some(name) => match self.ledger.remember(name, decisions) {
                    Some(node) => Scope::Node(node),
                    None => return Err(format!("there is no room to remember {name}")),
                },
            };
            let known = (Some(plan_id.into()), action.clone());
            done += usize::from(self.go_back(knob, scope, &value, known, decisions)?);
        }
        match done {
            0 => Err(format!("the values before {plan_id} are in force")),
            _ => Ok(()),
        }
    }

    /// The knob, the action and the values before a plan that is open or was applied.
    #[expect(clippy::type_complexity, reason = "named where it is taken apart")]
    fn change_of(
        &self,
        plan_id: &str,
    ) -> Result<(KnobId, Action, Vec<(Option<Name>, Value)>), String> {
        if let Some(plan) = self.ledger.open_plan(plan_id) {
            let before = self.ledger.values_before(plan_id).unwrap_or_default();
            return Ok((plan.knob, plan.action.clone(), before));
        }
        let closed = self.ledger.closed_plan(plan_id);
        let closed = closed.ok_or_else(|| format!("no plan {plan_id:?}, or one of long ago"))?;
        match closed.closing {
            Closing::Acknowledged(AckStatus::Applied) => {
                let action = closed.action.clone();
                let action = action.unwrap_or_else(|| self.no_action());
                Ok((closed.knob, action, closed.before.clone()))
            }
            Closing::Acknowledged(_) => Err(format!("{plan_id} was rejected")),
            Closing::Expired => Err(format!("{plan_id} expired, and its value went back")),
            Closing::Superseded => Err(format!("another plan took the place of {plan_id}")),
        }
    }

    /// Every knob and node back to the value before its first plan.
    fn revert_all(&mut self, decisions: &mut Decisions) -> Result<(), String> {
        let mut problems = Vec::new();
        let mut done = 0;
        let knobs: Vec<KnobId> = self.registry.entries().map(|(id, _)| id).collect();
        for knob in knobs {
            let nodes = self.ledger.nodes_with_value(knob);
            let scopes = nodes.into_iter().map(Scope::Node);
            // The whole job first: it reaches the nodes, too.
            for scope in std::iter::once(Scope::Job).chain(scopes) {
                let Some((base, action)) = self.base_of(knob, scope) else {
                    continue;
                };
                match self.go_back(knob, scope, &base, (None, action), decisions) {
                    Ok(is_change) => done += usize::from(is_change),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        match (done, problems.is_empty()) {
            (_, false) => Err(format!("not for all: {}", problems.join("; "))),
            (0, true) => Err("no plan has changed anything that is still in force".to_owned()),
            (_, true) => Ok(()),
        }
    }

    /// The value before the first plan, and the last action.
    fn base_of(&self, knob: KnobId, scope: Scope) -> Option<(Value, Action)> {
        let account = match scope {
            Scope::Job => self.ledger.job_account(knob),
            Scope::Node(node) => self.ledger.node_account(knob, node)?,
        };
        let action = account.last_action().cloned();
        let action = action.unwrap_or_else(|| self.no_action());
        Some((account.base()?.clone(), action))
    }

    /// Where no action is remembered.
    fn no_action(&self) -> Action {
        Action {
            tag: Name::default(),
            at: self.clock.present(),
            severity: 0.0,
            retries: 0,
            taken_back: false,
        }
    }

    /// Makes a plan back to a value, in the place of every plan that still waits there. Whether that
    /// is a change.
    fn go_back(
        &mut self,
        knob: KnobId,
        scope: Scope,
        to: &Value,
        (plan_id, action): (Option<Name>, Action),
        decisions: &mut Decisions,
    ) -> Result<bool, String> {
        let entry = self.registry.entry(knob);
        let name = entry.name.clone();
        let old = self.ledger.value(knob, scope).clone();
        if old.same_as(to) {
            return Ok(false);
        }
        // What the application had may be a value that it would not take from a plan.
        let held = entry.domain.hold_wanted(to, &old);
        let held = held.map_err(|why| format!("{name}: {why}"))?;
        if held.same_as(&old) {
            return Err(format!(
                "{name} allows no plan to {to}, which it had before"
            ));
        }
        let to = held;
        if self.presence.is_silent_everywhere(knob) {
            return Err(format!("no live application has {name}"));
        }
        let (reach, node) = match scope {
            Scope::Job => (Reach::Job, None),
            Scope::Node(id) => {
                let node = self.ledger.nodes.name(id).clone();
                (Reach::Nodes(vec![id]), Some(node))
            }
        };
        let what = plan_id.as_deref().unwrap_or("every plan").to_owned();
        let severity = action.severity;
        let back = TakenBack {
            knob,
            scope,
            node: node.as_ref().map(ToString::to_string),
            to,
            tag: action.tag,
            finding_type: OPERATOR.to_owned(),
            severity,
            rationale: format!("{TAKEN_BACK}{what} back"),
            window: self.clock.newest_window(),
            at: self.clock.present(),
            retries: action.retries,
            old,
        };
        let by = self.take_back(back, Some(&reach), decisions);
        self.ledger.end_watch(knob, scope);
        decisions.notice(Notice::Reverted {
            plan_id,
            by,
            knob: name,
            node,
        });
        Ok(true)
    }
}
