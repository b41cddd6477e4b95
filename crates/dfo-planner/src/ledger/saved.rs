//! How the ledger is written down: each fact once. What only says where a fact is to be found, or
//! counts facts, is made anew.

use dfo_model::Value;
use serde::{Deserialize, Serialize};

use super::closed::{Closed, SavedId};
use super::{KnobNodes, Ledger, OpenPlan, Origin, Plan, Reach, Scope};
use crate::account::{Account, Action, SavedAccount};
use crate::clock::{Clock, Stamp, Time};
use crate::nodes::{NodeId, Nodes, SavedNodes};
use crate::plan_ids::PlanIds;
use crate::registry::{KnobId, Registry};
use crate::saved::is_default;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedLedger {
    /// By knob.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    knobs: Vec<SavedKnob>,
    #[serde(skip_serializing_if = "SavedNodes::is_empty")]
    nodes: SavedNodes,
    /// In the order of making.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<SavedPlan>,
    /// In the order of closing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    closed: Vec<(SavedId, Closed)>,
    #[serde(skip_serializing_if = "is_default")]
    watches_started: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedKnob {
    job: SavedAccount,
    /// When the latest cooldown of any node began; that node may be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nodes_resting_since: Option<Stamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPlan {
    plan: Plan,
    before: Vec<(Scope, Option<Value>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    displaced: Vec<(Scope, Option<Action>)>,
    waiting_since: Time,
}

impl SavedLedger {
    pub(crate) fn is_empty(&self) -> bool {
        let SavedLedger {
            knobs,
            nodes,
            open,
            closed,
            watches_started: _,
        } = self;
        knobs.is_empty() && nodes.is_empty() && open.is_empty() && closed.is_empty()
    }
}

impl Ledger {
    pub(crate) fn saved(&self, ids: &PlanIds) -> SavedLedger {
        let knobs = self.job_accounts.iter().zip(&self.knob_nodes);
        let mut open: Vec<&OpenPlan> = self.open.values().collect();
        open.sort_unstable_by_key(|open| open.waiting.1);
        SavedLedger {
            knobs: knobs
                .map(|(account, nodes)| SavedKnob {
                    job: account.saved(),
                    nodes_resting_since: nodes.resting_since,
                })
                .collect(),
            nodes: self.nodes.saved(),
            open: open
                .into_iter()
                .map(|open| SavedPlan {
                    plan: open.plan.clone(),
                    before: open.before.clone(),
                    displaced: open.displaced.clone(),
                    waiting_since: open.waiting.0,
                })
                .collect(),
            closed: self.closed.saved(ids),
            watches_started: self.watches_started,
        }
    }

    pub(crate) fn restored(
        nodes_remembered: usize,
        saved: SavedLedger,
        registry: &Registry,
        clock: &Clock,
        ids: &PlanIds,
    ) -> Result<Self, String> {
        let mut ledger = Ledger::new(nodes_remembered);
        // It is counted on from: no planner comes that far.
        if saved.watches_started >> 62 != 0 {
            return Err("watches_started: out of range".to_owned());
        }
        ledger.watches_started = saved.watches_started;
        let registered = registry.entries().count();
        if saved.knobs.len() != registered {
            let there = saved.knobs.len();
            return Err(format!("knobs: {there}, but {registered} are registered"));
        }
        for ((id, entry), knob) in registry.entries().zip(saved.knobs) {
            let account = restored_account(id, knob.job, registry, clock);
            let account = account.and_then(|account| match account.value() {
                Some(_) => Ok(account),
                None => Err("its value in force is missing".to_owned()),
            });
            let wrong = |why| format!("the knob {:?}: {why}", entry.name);
            let account = account.map_err(wrong)?;
            ledger
                .watch_again(id, Scope::Job, &account)
                .map_err(wrong)?;
            ledger.job_accounts.push(account);
            let since = knob.nodes_resting_since;
            since.map_or(Ok(()), |since| clock.check(since).map_err(wrong))?;
            ledger.knob_nodes.push(KnobNodes {
                resting_since: since,
                ..KnobNodes::default()
            });
        }
        let of_node = |node, knob: KnobId, account| {
            let account = restored_account(knob, account, registry, clock)?;
            ledger.watch_again(knob, Scope::Node(node), &account)?;
            // The knob's number was just found to be good.
            ledger.knob_nodes[knob.index()].all.insert(node);
            Ok(account)
        };
        let nodes = Nodes::restored(nodes_remembered, saved.nodes, of_node)?;
        ledger.nodes = nodes;
        for open in saved.open {
            let id = open.plan.id.clone();
            let wrong = |why| format!("the open plan {id:?}: {why}");
            open.check(registry, clock, &ledger.nodes).map_err(wrong)?;
            ledger.open_again(open)?;
        }
        for (id, closed) in saved.closed {
            let id = id.restored(ids)?;
            let wrong = |why| format!("the closed plan {id:?}: {why}");
            registry.check_id(closed.knob).map_err(wrong)?;
            if ledger.knows_plan(&id) {
                return Err(wrong("it is there twice".to_owned()));
            }
            ledger.closed.add(id, closed.in_full());
        }
        while let Some(forgotten) = ledger.nodes.forget_one_too_many() {
            ledger.close_accounts_of(&forgotten);
        }
        Ok(ledger)
    }

    /// Observes the plan that an account says is observed.
    fn watch_again(&mut self, knob: KnobId, scope: Scope, account: &Account) -> Result<(), String> {
        let Some(watch) = account.watch() else {
            return Ok(());
        };
        let is_known = watch.until.1 <= self.watches_started;
        match self.watching.insert(watch.until, (knob, scope)) {
            None if is_known => Ok(()),
            _ => Err("the number of its observed plan is taken, or out of range".to_owned()),
        }
    }

    /// Opens a plan that has been in force for long, or was pushed aside since.
    fn open_again(&mut self, saved: SavedPlan) -> Result<(), String> {
        let SavedPlan {
            plan,
            before,
            displaced,
            waiting_since,
        } = saved;
        let (id, knob) = (plan.id.clone(), plan.knob);
        if self.knows_plan(&id) {
            return Err(format!("the open plan {id:?} is there twice"));
        }
        for (scope, _) in &before {
            if let Scope::Node(node) = scope {
                self.nodes.keep(*node);
            }
        }
        if plan.origin == Origin::Ours {
            for scope in plan.reach.scopes() {
                self.account_mut(knob, scope).set_pending(Some(id.clone()));
                if let Scope::Node(node) = scope {
                    self.knob_nodes[knob.index()].pending.insert(node);
                }
            }
        }
        self.plans_made += 1;
        let waiting = (waiting_since, self.plans_made);
        self.waiting.insert(waiting, id.clone());
        let open_plans = &mut self.knob_nodes[knob.index()].open_plans;
        open_plans.insert(self.plans_made, id.clone());
        let open = OpenPlan {
            plan,
            before,
            displaced,
            waiting,
        };
        self.open.insert(id, open);
        Ok(())
    }
}

impl SavedPlan {
    /// Whether all that it names is there.
    fn check(&self, registry: &Registry, clock: &Clock, nodes: &Nodes) -> Result<(), String> {
        registry.check_id(self.plan.knob)?;
        let displaced = self
            .displaced
            .iter()
            .filter_map(|(_, action)| action.as_ref());
        let actions = displaced.chain([&self.plan.action]);
        actions.map(|a| a.at).try_for_each(|at| clock.check(at))?;
        let before = self.before.iter().map(|(scope, _)| *scope);
        let displaced = self.displaced.iter().map(|(scope, _)| *scope);
        for scope in before.clone().chain(displaced.clone()) {
            if let Scope::Node(node) = scope {
                nodes.check(node)?;
            }
        }
        if let Reach::Nodes(nodes) = &self.plan.reach
            && (nodes.is_empty() || !nodes.is_sorted_by(|a, b| a < b))
        {
            return Err("reach: its nodes are none, or not in order".to_owned());
        }
        let scopes = self.plan.reach.scopes();
        if !before.take(scopes.len()).eq(scopes.iter().copied()) {
            return Err("before: not the values of those that it is for".to_owned());
        }
        if self.plan.origin == Origin::Global && !displaced.eq(scopes) {
            return Err("displaced: not the actions of those that it is for".to_owned());
        }
        Ok(())
    }
}

/// An account of a knob that is registered, with a value of its type.
fn restored_account(
    knob: KnobId,
    saved: SavedAccount,
    registry: &Registry,
    clock: &Clock,
) -> Result<Account, String> {
    registry.check_id(knob)?;
    let kind = registry.entry(knob).domain.kind();
    if let Some(value) = &saved.value
        && kind.fit(value).as_ref() != Some(value)
    {
        return Err(format!("the value in force is not of type {kind}"));
    }
    Account::restored(saved, clock)
}

impl From<Scope> for Option<NodeId> {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Job => None,
            Scope::Node(node) => Some(node),
        }
    }
}

impl From<Option<NodeId>> for Scope {
    fn from(node: Option<NodeId>) -> Self {
        node.map_or(Scope::Job, Scope::Node)
    }
}

impl From<Reach> for Option<Vec<NodeId>> {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Job => None,
            Reach::Nodes(nodes) => Some(nodes),
        }
    }
}

impl From<Option<Vec<NodeId>>> for Reach {
    fn from(nodes: Option<Vec<NodeId>>) -> Self {
        nodes.map_or(Reach::Job, Reach::Nodes)
    }
}
