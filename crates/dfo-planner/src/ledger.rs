//! Per knob and scope: the value in force, the pending plan, the last actions; and the open plans.
//!
//! A plan is opened when it is made, its value in force at once. It is closed by its
//! acknowledgement, by a global plan that takes its place, or by patience; where it came to nothing
//! the value goes back, if it is still the plan's.

mod closed;
mod saved;
mod watching;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dfo_model::{AckStatus, KnobType, Value, node_names_match};
use foldhash::fast::FixedState;

use closed::ClosedPlans;
pub(crate) use closed::{Closed, Closing};
pub(crate) use saved::SavedLedger;
use serde::{Deserialize, Serialize};

use crate::account::{Account, Action};
use crate::clock::{Clock, Stamp, Time};
use crate::decision::{Decisions, Name};
use crate::nodes::{Forgotten, NodeId, Nodes};
use crate::notice::{NotJudged, Notice};
use crate::registry::KnobId;
use crate::saved::is_default;
use crate::settings::Patience;
use crate::watch::{Grounds, Watch};

/// Whose value: the whole job's, or one node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Option<NodeId>", from = "Option<NodeId>")]
pub(crate) enum Scope {
    Job,
    Node(NodeId),
}

/// The nodes that have an account for a knob.
#[derive(Debug, Default)]
struct KnobNodes {
    all: BTreeSet<NodeId>,
    /// Those with a pending plan.
    pending: BTreeSet<NodeId>,
    /// When the latest of their cooldowns began.
    resting_since: Option<Stamp>,
    /// The open plans for the knob, job-wide ones too, in the order of making.
    open_plans: BTreeMap<u64, Name>,
}

/// A plan, ours or a global one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) id: Name,
    pub(crate) knob: KnobId,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reach: Reach,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) origin: Origin,
    pub(crate) value: Value,
    /// The action that it is, once applied.
    pub(crate) action: Action,
    /// The window that it was made in, if that is known: its acknowledgement counts from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<i64>,
    /// What it was made on, if it is to be observed once applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grounds: Option<Grounds>,
}

/// A plan that awaits its acknowledgement.
#[derive(Debug)]
struct OpenPlan {
    plan: Plan,
    /// The values that it took the place of.
    before: Vec<(Scope, Option<Value>)>,
    /// The actions that a global plan, judged from its acceptance on, took the place of.
    displaced: Vec<(Scope, Option<Action>)>,
    /// Since when it waits, and a number that tells plans of one time apart.
    waiting: (Time, u64),
}

/// A plan of ours that awaits its acknowledgement in a scope.
pub(crate) struct Pending<'l> {
    pub(crate) plan: &'l Plan,
    pub(crate) scope: Scope,
    /// The value that comes back should the plan come to nothing.
    pub(crate) value_before: &'l Value,
}

/// For whom a plan is. Nodes are sorted.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Option<Vec<NodeId>>", from = "Option<Vec<NodeId>>")]
pub(crate) enum Reach {
    #[default]
    Job,
    Nodes(Vec<NodeId>),
}

/// Who made a plan.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// This planner: its plans hold the knob until they are acknowledged.
    #[default]
    Ours,
    /// An optimizer above: its plans hold nothing.
    Global,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// The job-wide accounts, by knob. Apart from the next, which few findings need.
    job_accounts: Vec<Account>,
    knob_nodes: Vec<KnobNodes>,
    pub(crate) nodes: Nodes,
    open: HashMap<Name, OpenPlan, FixedState>,
    /// The open plans in the order of waiting.
    waiting: BTreeMap<(Time, u64), Name>,
    plans_made: u64,
    watches_started: u64,
    closed: ClosedPlans,
    /// The applied plans under observation, in the order of its end.
    watching: BTreeMap<(Time, u64), (KnobId, Scope)>,
}

impl Reach {
    fn scopes(&self) -> Vec<Scope> {
        match self {
            Reach::Job => vec![Scope::Job],
            Reach::Nodes(nodes) => nodes.iter().copied().map(Scope::Node).collect(),
        }
    }

    /// Whether several applications apply it, and each acknowledges it.
    fn is_for_many(&self) -> bool {
        match self {
            Reach::Job => true,
            Reach::Nodes(nodes) => nodes.len() > 1,
        }
    }

    /// Whether a change for `self` also concerns a plan for `other`.
    fn covers(&self, other: &Reach) -> bool {
        match (self, other) {
            (Reach::Job, _) => true,
            (Reach::Nodes(_), Reach::Job) => false,
            (Reach::Nodes(mine), Reach::Nodes(theirs)) => {
                theirs.iter().any(|node| mine.binary_search(node).is_ok())
            }
        }
    }
}

impl Ledger {
    pub(crate) fn new(nodes_remembered: usize) -> Self {
        Ledger {
            job_accounts: Vec::new(),
            knob_nodes: Vec::new(),
            nodes: Nodes::new(nodes_remembered),
            open: HashMap::default(),
            waiting: BTreeMap::new(),
            plans_made: 0,
            watches_started: 0,
            closed: ClosedPlans::default(),
            watching: BTreeMap::new(),
        }
    }

    /// Opens the accounts of a knob that was registered for the first time.
    pub(crate) fn add_knob(&mut self, value: Value) {
        self.job_accounts.push(Account::with_value(value));
        self.knob_nodes.push(KnobNodes::default());
    }

    pub(crate) fn knows(&self, knob: KnobId) -> bool {
        knob.index() < self.job_accounts.len()
    }

    pub(crate) fn job_account(&self, knob: KnobId) -> &Account {
        &self.job_accounts[knob.index()]
    }

    pub(crate) fn node_account(&self, knob: KnobId, node: NodeId) -> Option<&Account> {
        self.nodes.account(node, knob)
    }

    /// The job-wide value in force.
    pub(crate) fn job_value(&self, knob: KnobId) -> &Value {
        // Set when the account is opened, and never taken away.
        const UNSET: &Value = &Value::Bool(false);
        self.job_account(knob).value().unwrap_or(UNSET)
    }

    /// The value of its own that a node has.
    pub(crate) fn node_value(&self, knob: KnobId, node: NodeId) -> Option<&Value> {
        self.node_account(knob, node)?.value()
    }

    /// The value in force in a scope.
    pub(crate) fn value(&self, knob: KnobId, scope: Scope) -> &Value {
        let own = match scope {
            Scope::Job => None,
            Scope::Node(node) => self.node_value(knob, node),
        };
        own.unwrap_or_else(|| self.job_value(knob))
    }

    /// The value in force in a scope, but for what plans for the whole job have made of it.
    fn value_before_plans(&self, knob: KnobId, scope: Scope) -> &Value {
        let own = match scope {
            Scope::Job => None,
            Scope::Node(node) => self.node_value(knob, node),
        };
        let of_job = || self.job_account(knob).base();
        own.or_else(of_job).unwrap_or_else(|| self.job_value(knob))
    }

    pub(crate) fn set_job_value(&mut self, knob: KnobId, value: Value) {
        self.job_accounts[knob.index()].set_value(Some(value));
    }

    /// What an application on a node speaks of: the node's own value, where it has one.
    pub(crate) fn scope_of_speaker(&self, knob: KnobId, node: &str) -> Scope {
        let short = node.split_once('.').map_or(node, |(short, _)| short);
        let named = [node, short].into_iter().filter(|name| !name.is_empty());
        let mut known = named.filter_map(|name| self.nodes.get(name));
        let own = known.find(|id| self.node_value(knob, *id).is_some());
        // The finding may have named it in full, and the application in short.
        let own = own.or_else(|| {
            let is_it = |id: &NodeId| node_names_match(self.nodes.name(*id), node);
            let is_short = !node.is_empty() && short == node;
            let with_value = is_short.then(|| self.nodes_with_value(knob));
            with_value.into_iter().flatten().find(is_it)
        });
        own.map_or(Scope::Job, Scope::Node)
    }

    /// The application says what is in force. A plan that comes to nothing does not undo that.
    pub(crate) fn set_live_value(&mut self, knob: KnobId, speaker: Scope, value: Value) {
        let mut is_news = !self.value(knob, speaker).same_as(&value);
        let of_job = self.job_value(knob).clone();
        for id in self.knob_nodes[knob.index()].open_plans.values() {
            let before = self.open.get_mut(id).map(|plan| plan.before.iter_mut());
            for (scope, earlier) in before.into_iter().flatten() {
                if *scope == speaker {
                    // It has not applied the plan yet, and says what was before.
                    is_news &= !earlier.as_ref().unwrap_or(&of_job).same_as(&value);
                    *earlier = Some(value.clone());
                }
            }
        }
        let account = self.account_mut(knob, speaker);
        if is_news {
            account.forget_base();
        }
        account.set_value(Some(value));
    }

    /// The nodes that have a value of their own.
    pub(crate) fn nodes_with_value(&self, knob: KnobId) -> Vec<NodeId> {
        let nodes = self.knob_nodes[knob.index()].all.iter().copied();
        nodes
            .filter(|n| self.node_value(knob, *n).is_some())
            .collect()
    }

    /// A pending plan for some node.
    pub(crate) fn pending_for_a_node(&self, knob: KnobId) -> Option<(NodeId, &Name)> {
        let node = *self.knob_nodes[knob.index()].pending.first()?;
        Some((node, self.node_account(knob, node)?.pending()?))
    }

    /// When the latest cooldown of any node began.
    pub(crate) fn nodes_resting_since(&self, knob: KnobId) -> Option<Stamp> {
        self.knob_nodes[knob.index()].resting_since
    }

    /// Remembers a node. `None` if there is no room for it.
    pub(crate) fn remember(&mut self, name: &str, decisions: &mut Decisions) -> Option<NodeId> {
        let (node, forgotten) = self.nodes.remember(name)?;
        if let Some(forgotten) = forgotten {
            self.close_accounts_of(&forgotten);
            decisions.notice(Notice::NodeForgotten {
                node: forgotten.name.clone(),
            });
            for watch in forgotten.watches {
                decisions.notice(Notice::NotJudged {
                    plan_id: watch.plan_id,
                    knob: watch.grounds.knob_name,
                    node: Some(forgotten.name.clone()),
                    why: NotJudged::Forgotten,
                });
            }
        }
        Some(node)
    }

    fn close_accounts_of(&mut self, forgotten: &Forgotten) {
        for knob in &forgotten.knobs {
            self.knob_nodes[knob.index()].all.remove(&forgotten.id);
        }
        for watch in &forgotten.watches {
            self.watching.remove(&watch.until);
        }
    }

    /// Drops the nodes' values that are not of the knob's type, which was changed.
    pub(crate) fn refit_node_values(
        &mut self,
        knob: KnobId,
        kind: KnobType,
        name: &Name,
        decisions: &mut Decisions,
    ) {
        let in_force = self.job_value(knob).clone();
        for node in self.nodes_with_value(knob) {
            let account = self.account_mut(knob, Scope::Node(node));
            let Some(value) = account.set_value(None) else {
                continue;
            };
            let fitting = kind.fit(&value);
            account.set_value(fitting.clone());
            if fitting.is_none() {
                decisions.notice(Notice::ValueRefused {
                    knob: name.clone(),
                    node: Some(self.nodes.name(node).clone()),
                    value,
                    in_force: in_force.clone(),
                });
            }
        }
    }

    /// Opens a plan: its value is in force from now on.
    pub(crate) fn open(&mut self, plan: Plan, now: Time) {
        let knob = plan.knob;
        let mut before = Vec::new();
        let mut displaced = Vec::new();
        for scope in plan.reach.scopes() {
            if let Scope::Node(node) = scope {
                self.nodes.keep(node);
            }
            let base = self.value_before_plans(knob, scope).clone();
            let account = self.account_mut(knob, scope);
            account.keep_base(&base);
            before.push((scope, account.set_value(Some(plan.value.clone()))));
            if plan.origin == Origin::Global {
                displaced.push((scope, account.record(plan.action.clone())));
                self.note_node_rest(knob, scope, plan.action.at);
            } else {
                account.set_pending(Some(plan.id.clone()));
                if let Scope::Node(node) = scope {
                    self.knob_nodes[knob.index()].pending.insert(node);
                }
            }
        }
        self.plans_made += 1;
        let waiting = (now, self.plans_made);
        self.waiting.insert(waiting, plan.id.clone());
        self.knob_nodes[knob.index()]
            .open_plans
            .insert(self.plans_made, plan.id.clone());
        let id = plan.id.clone();
        let open = OpenPlan {
            plan,
            before,
            displaced,
            waiting,
        };
        self.open.insert(id, open);
    }

    /// Takes away the nodes' own values; they come back should the plan come to nothing.
    pub(crate) fn clear_node_values(&mut self, knob: KnobId, plan_id: &str) {
        for node in self.nodes_with_value(knob) {
            let value = self.account_mut(knob, Scope::Node(node)).set_value(None);
            if let Some(open) = self.open.get_mut(plan_id) {
                self.nodes.keep(node);
                open.before.push((Scope::Node(node), value));
            }
        }
    }

    /// The plan of that name, if it is open.
    pub(crate) fn open_plan(&self, id: &str) -> Option<&Plan> {
        self.open.get(id).map(|open| &open.plan)
    }

    /// Whether a plan of that name is open, or was not too long ago.
    pub(crate) fn knows_plan(&self, id: &str) -> bool {
        self.open.contains_key(id) || self.closed.get(id).is_some()
    }

    /// What became of a plan that was closed not too long ago.
    pub(crate) fn closed_plan(&self, id: &str) -> Option<&Closed> {
        self.closed.get(id)
    }

    /// Our own plans that await their acknowledgement, each in each of its scopes.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Pending<'_>> {
        let all = self.open.values();
        let ours = all.filter(|open| open.plan.origin == Origin::Ours);
        ours.flat_map(|OpenPlan { plan, before, .. }| {
            before.iter().map(|(scope, value)| Pending {
                plan,
                scope: *scope,
                value_before: value.as_ref().unwrap_or_else(|| self.job_value(plan.knob)),
            })
        })
    }

    /// A plan waits anew.
    pub(crate) fn wait_anew(&mut self, id: &str, now: Time) {
        if let Some(open) = self.open.get_mut(id)
            && let Some(id) = self.waiting.remove(&open.waiting)
        {
            open.waiting.0 = now;
            self.waiting.insert(open.waiting, id);
        }
    }

    /// Closes a plan that was applied: the value is the application's truth, and the knob rests. It
    /// is observed for so many windows, if it is to be; the one of its knob and scope that was
    /// observed until now.
    pub(crate) fn apply(
        &mut self,
        id: &str,
        value: &Value,
        at: Stamp,
        watch_for: Option<i64>,
    ) -> Option<Watch> {
        let closing = Closing::Acknowledged(AckStatus::Applied);
        let open = self.close(id, Some(value), closing)?;
        let OpenPlan { plan, before, .. } = open;
        let mut watched_before = None;
        for scope in plan.reach.scopes() {
            self.account_mut(plan.knob, scope)
                .set_value(Some(value.clone()));
            let action = Action {
                at,
                ..plan.action.clone()
            };
            self.rest(plan.knob, scope, action.clone());
            watched_before = match (&plan.grounds, watch_for) {
                (Some(grounds), Some(windows)) => {
                    let earlier = before.iter().find(|(s, _)| *s == scope);
                    let earlier = earlier.and_then(|(_, value)| value.clone());
                    self.watches_started += 1;
                    let watch = Watch {
                        plan_id: plan.id.clone(),
                        grounds: grounds.clone(),
                        value: value.clone(),
                        value_before: earlier.unwrap_or_else(|| self.job_value(plan.knob).clone()),
                        action,
                        until: (at.time.saturating_add(windows), self.watches_started),
                    };
                    self.start_watch(plan.knob, scope, watch)
                }
                _ => self.end_watch(plan.knob, scope),
            };
        }
        watched_before
    }

    /// Closes a plan that came to nothing: the value goes back, if it is still the plan's.
    pub(crate) fn give_back(&mut self, id: &str, kind: KnobType, closing: Closing) -> Option<Plan> {
        let open = self.close(id, None, closing)?;
        let plan = open.plan;
        for (scope, earlier) in &open.displaced {
            let account = self.account_mut(plan.knob, *scope);
            account.withdraw(&plan.action, earlier.clone());
        }
        let stands = |ledger: &Self, scope| {
            let value = match scope {
                Scope::Job => Some(ledger.job_value(plan.knob)),
                Scope::Node(node) => ledger.node_value(plan.knob, node),
            };
            value.is_some_and(|v| v.same_as(&plan.value))
        };
        let standing: Vec<Scope> = plan.reach.scopes();
        let standing: Vec<Scope> = standing.into_iter().filter(|s| stands(self, *s)).collect();
        for (scope, value) in &open.before {
            let is_the_plans = standing.contains(scope);
            // A node's own value that the plan had cleared; unless the node has another by now.
            let was_cleared = plan.reach == Reach::Job
                && *scope != Scope::Job
                && !standing.is_empty()
                && matches!(scope, Scope::Node(n) if self.node_value(plan.knob, *n).is_none());
            // The knob may have another type by now.
            let fitting = value.as_ref().and_then(|v| kind.fit(v));
            if (is_the_plans || was_cleared) && (fitting.is_some() || *scope != Scope::Job) {
                self.account_mut(plan.knob, *scope).set_value(fitting);
            }
        }
        Some(plan)
    }

    /// Lets the knob rest from `at` on, without an action to judge.
    pub(crate) fn rest_only(&mut self, knob: KnobId, reach: &Reach, at: Stamp) {
        for scope in reach.scopes() {
            self.account_mut(knob, scope).resting_since = Some(at);
            self.note_node_rest(knob, scope, at);
        }
    }

    /// Closes every open plan of the knob that a change within `reach` concerns.
    pub(crate) fn supersede(
        &mut self,
        knob: KnobId,
        reach: &Reach,
        by: &Name,
        decisions: &mut Decisions,
    ) {
        let open = self.knob_nodes[knob.index()].open_plans.values();
        let is_concerned = |id: &&Name| self.open_plan(id).is_some_and(|p| reach.covers(&p.reach));
        let concerned: Vec<Name> = open.filter(is_concerned).cloned().collect();
        for plan_id in concerned {
            self.close(&plan_id, None, Closing::Superseded);
            let by = by.clone();
            decisions.notice(Notice::PlanSuperseded { plan_id, by });
        }
    }

    /// Gives up the plans for single nodes that wait for a change of the knob: the values go back.
    pub(crate) fn give_up_nodes(
        &mut self,
        knob: KnobId,
        kind: KnobType,
        by: &Name,
        decisions: &mut Decisions,
    ) {
        let open = self.knob_nodes[knob.index()].open_plans.values();
        let is_narrow = |id: &&Name| self.open_plan(id).is_some_and(|p| p.reach != Reach::Job);
        let narrow: Vec<Name> = open.filter(is_narrow).cloned().collect();
        for plan_id in narrow {
            self.give_back(&plan_id, kind, Closing::Superseded);
            let by = by.clone();
            decisions.notice(Notice::PlanSuperseded { plan_id, by });
        }
    }

    /// The plan that waits longest, if patience with it is over; and for how long it has waited. It
    /// waits no longer, and is to be closed.
    pub(crate) fn take_overdue(
        &mut self,
        clock: &Clock,
        patience: Patience,
    ) -> Option<(Name, i64)> {
        let first = self.waiting.first_entry()?;
        let waited = clock.waited_since(first.key().0, clock.now());
        patience.is_over(waited).then(|| (first.remove(), waited))
    }

    fn close(&mut self, id: &str, applied: Option<&Value>, closing: Closing) -> Option<OpenPlan> {
        let open = self.open.remove(id)?;
        let plan = &open.plan;
        self.waiting.remove(&open.waiting);
        self.knob_nodes[plan.knob.index()]
            .open_plans
            .remove(&open.waiting.1);
        for (scope, _) in &open.before {
            if let Scope::Node(node) = scope {
                self.nodes.release(*node);
            }
        }
        for scope in plan.reach.scopes() {
            let account = self.account_mut(plan.knob, scope);
            if account.pending() == Some(&plan.id) {
                account.set_pending(None);
                if let Scope::Node(node) = scope {
                    self.knob_nodes[plan.knob.index()].pending.remove(&node);
                }
            }
        }
        let was_before = match applied {
            Some(_) => self.named_values_before(&open),
            None => Vec::new(),
        };
        let plan = &open.plan;
        let closed = Closed {
            closing,
            knob: plan.knob,
            is_for_many: plan.reach.is_for_many(),
            wanted: plan.value.clone(),
            applied: applied.cloned(),
            before: was_before,
            action: applied.map(|_| plan.action.clone()),
        };
        self.closed.add(plan.id.clone(), closed);
        Some(open)
    }

    /// The values in force before an open plan, in each of its own scopes.
    fn named_values_before(&self, open: &OpenPlan) -> Vec<(Option<Name>, Value)> {
        let scopes = open.plan.reach.scopes();
        let own = open.before.iter().filter(|(s, _)| scopes.contains(s));
        own.map(|(scope, value)| {
            let node = match scope {
                Scope::Job => None,
                Scope::Node(node) => Some(self.nodes.name(*node).clone()),
            };
            let value = value.as_ref();
            (
                node,
                value
                    .unwrap_or_else(|| self.job_value(open.plan.knob))
                    .clone(),
            )
        })
        .collect()
    }

    /// The same of an open plan, by its name.
    pub(crate) fn values_before(&self, id: &str) -> Option<Vec<(Option<Name>, Value)>> {
        Some(self.named_values_before(self.open.get(id)?))
    }

    fn rest(&mut self, knob: KnobId, scope: Scope, action: Action) {
        self.note_node_rest(knob, scope, action.at);
        self.account_mut(knob, scope).record(action);
    }

    fn note_node_rest(&mut self, knob: KnobId, scope: Scope, at: Stamp) {
        if let Scope::Node(_) = scope {
            let latest = &mut self.knob_nodes[knob.index()].resting_since;
            *latest = Stamp::later(*latest, Some(at));
        }
    }

    fn account_mut(&mut self, knob: KnobId, scope: Scope) -> &mut Account {
        match scope {
            Scope::Job => &mut self.job_accounts[knob.index()],
            Scope::Node(node) => {
                self.knob_nodes[knob.index()].all.insert(node);
                self.nodes.account_mut(node, knob)
            }
        }
    }
}
