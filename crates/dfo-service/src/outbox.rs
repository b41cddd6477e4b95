//! Plans on their way to one sink: a bounded queue in which the newest per knob and node wins.
//!
//! The planner's task puts plans in and never waits; the task of the sink takes them out as fast as
//! the other side reads. A plan stays here until the sink has it, so that a newer one for the same
//! knob and nodes can still take its place.
//!
//! What an operator has frozen waits on, also if the sink has it in hands already and has not taken it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dfo_model::ActionPlan;
use dfo_transport::Record;
use tokio::sync::Notify;

/// The queue before one sink.
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    /// One task takes plans out: it alone waits for this.
    changed: Notify,
    bound: usize,
}

#[derive(Default)]
struct Waiting {
    /// In the order of sending.
    plans: BTreeMap<Ticket, Plan>,
    /// Of these: the ones that may leave.
    ready: BTreeSet<Ticket>,
    /// Of these: the ones that count against the bound.
    ordinary: BTreeSet<Ticket>,
    frozen: Frozen,
    /// Which plan has an id.
    by_id: HashMap<String, Ticket, foldhash::fast::RandomState>,
    /// Which plan waits for a knob and its nodes.
    by_target: HashMap<Target, Ticket, foldhash::fast::RandomState>,
    next: u64,
    sent: u64,
    closed: bool,
}

/// A plan's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// A knob, and the nodes that a plan is for.
type Target = (String, Vec<String>);

struct Plan {
    id: String,
    target: Target,
    record: Record,
    standing: Standing,
}

/// Whose plan it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Ordinary,
    /// An operator takes a change back: it passes a freeze, and makes room for no other. There are at
    /// most as many as knobs and nodes.
    Operators,
}

/// What an operator has frozen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frozen {
    pub(crate) everything: bool,
    /// By name.
    pub(crate) knobs: BTreeSet<String>,
}

impl Frozen {
    fn holds(&self, plan: &Plan) -> bool {
        let is_held = self.everything || self.knobs.contains(&plan.target.0);
        is_held && plan.standing == Standing::Ordinary
    }
}

/// What made room for a plan: the ids of those that will not be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Displaced {
    /// For the same knob and nodes.
    pub(crate) superseded: Option<String>,
    /// The oldest, where the queue was full.
    pub(crate) crowded_out: Option<String>,
}

impl Outbox {
    /// A queue for so many plans; 0 counts as 1.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Notify::new(),
            bound: bound.max(1),
        }
    }

    /// Puts a plan at the end.
    pub(crate) fn push(&self, plan: &ActionPlan, record: Record, standing: Standing) -> Displaced {
        let mut waiting = self.lock();
        let target = (plan.knob_id.clone(), plan.target_nodes.clone());
        let superseded = waiting.remove_target(&target);
        let is_full = standing == Standing::Ordinary && waiting.ordinary.len() >= self.bound;
        let crowded_out = is_full.then(|| waiting.remove_oldest()).flatten();
        waiting.insert(Plan {
            id: plan.plan_id.clone(),
            target,
            record,
            standing,
        });
        drop(waiting);
        self.changed.notify_one();
        Displaced {
            superseded,
            crowded_out,
        }
    }

    /// Takes a plan out that is open no longer. Whether it was still here.
    pub(crate) fn withdraw(&self, plan_id: &str) -> bool {
        let mut waiting = self.lock();
        let Some(ticket) = waiting.by_id.get(plan_id).copied() else {
            return false;
        };
        waiting.remove(ticket);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// What is frozen waits on, from now on; all else may leave.
    pub(crate) fn freeze(&self, frozen: Frozen) {
        let mut waiting = self.lock();
        if waiting.frozen == frozen {
            return;
        }
        let may_leave = waiting.plans.iter().filter(|(_, plan)| !frozen.holds(plan));
        waiting.ready = may_leave.map(|(ticket, _)| *ticket).collect();
        waiting.frozen = frozen;
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next plan to send, when there is one. It stays until [`Outbox::sent`]. `None`: closed,
    /// and everything was sent that may leave.
    pub(crate) async fn next(&self) -> Option<(Ticket, Record)> {
        loop {
            {
                let waiting = self.lock();
                let next = waiting.ready.first().copied();
                if let Some((ticket, plan)) = next.and_then(|t| Some((t, waiting.plans.get(&t)?))) {
                    return Some((ticket, plan.record.clone()));
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Waits until a plan is not to be sent: it is open no longer, or frozen.
    pub(crate) async fn until_gone(&self, ticket: Ticket) {
        while self.lock().ready.contains(&ticket) {
            self.changed.notified().await;
        }
    }

    /// The sink has it.
    pub(crate) fn sent(&self, ticket: Ticket) {
        let mut waiting = self.lock();
        waiting.remove(ticket);
        waiting.sent += 1;
    }

    /// The sink cannot have it. Its id, if it was still here.
    pub(crate) fn drop_plan(&self, ticket: Ticket) -> Option<String> {
        self.lock().remove(ticket)
    }

    /// How many plans the sink took.
    pub(crate) fn count_sent(&self) -> u64 {
        self.lock().sent
    }

    /// No more plans will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// How many plans wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().plans.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No one panics while holding it; and if, the queue is whole between two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn remove_target(&mut self, target: &Target) -> Option<String> {
        let ticket = *self.by_target.get(target)?;
        self.remove(ticket)
    }

    fn insert(&mut self, plan: Plan) {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.by_id.insert(plan.id.clone(), ticket);
        self.by_target.insert(plan.target.clone(), ticket);
        if plan.standing == Standing::Ordinary {
            self.ordinary.insert(ticket);
        }
        if !self.frozen.holds(&plan) {
            self.ready.insert(ticket);
        }
        self.plans.insert(ticket, plan);
    }

    fn remove_oldest(&mut self) -> Option<String> {
        let ticket = *self.ordinary.first()?;
        self.remove(ticket)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<String> {
        let plan = self.plans.remove(&ticket)?;
        self.by_id.remove(&plan.id);
        self.by_target.remove(&plan.target);
        self.ready.remove(&ticket);
        self.ordinary.remove(&ticket);
        Some(plan.id)
    }
}

#[cfg(test)]
mod tests {
    use dfo_model::Value;
    use tokio::time::{Duration, timeout};

    use super::*;

    fn plan(id: &str, knob: &str, node: &str) -> ActionPlan {
        ActionPlan {
            plan_id: id.to_owned(),
            knob_id: knob.to_owned(),
            target_function: String::new(),
            old_value: None,
            new_value: Value::Int(1),
            apply_when: String::new(),
            rationale: String::new(),
            finding_type: String::new(),
            severity: 0.0,
            opportunity_tag: String::new(),
            window_index: 0,
            target_nodes: vec![node.to_owned()],
        }
    }

    fn push(outbox: &Outbox, id: &str, knob: &str, node: &str) -> Displaced {
        let record = Record::new("", id.to_owned());
        outbox.push(&plan(id, knob, node), record, Standing::Ordinary)
    }

    fn push_of_the_operator(outbox: &Outbox, id: &str, knob: &str, node: &str) -> Displaced {
        let record = Record::new("", id.to_owned());
        outbox.push(&plan(id, knob, node), record, Standing::Operators)
    }

    fn everything() -> Frozen {
        Frozen {
            everything: true,
            ..Frozen::default()
        }
    }

    fn knob(name: &str) -> Frozen {
        Frozen {
            everything: false,
            knobs: [name.to_owned()].into(),
        }
    }

    async fn rest(outbox: &Outbox) -> Vec<String> {
        outbox.close();
        let mut ids = Vec::new();
        while let Some((ticket, record)) = outbox.next().await {
            ids.push(String::from_utf8(record.payload.to_vec()).unwrap());
            outbox.sent(ticket);
        }
        ids
    }

    #[tokio::test]
    async fn the_newest_per_knob_and_node_wins() {
        let outbox = Outbox::new(10);
        push(&outbox, "1", "k", "n1");
        push(&outbox, "2", "k", "n2");
        let displaced = push(&outbox, "3", "k", "n1");
        assert_eq!(displaced.superseded.as_deref(), Some("1"));
        assert_eq!(rest(&outbox).await, ["2", "3"]);
    }

    #[tokio::test]
    async fn a_full_queue_makes_room_at_its_old_end() {
        let outbox = Outbox::new(2);
        push(&outbox, "1", "a", "");
        push(&outbox, "2", "b", "");
        let displaced = push(&outbox, "3", "c", "");
        assert_eq!(displaced.crowded_out.as_deref(), Some("1"));
        assert_eq!(displaced.superseded, None);
        // One that takes another's place needs no room.
        assert_eq!(push(&outbox, "4", "b", "").crowded_out, None);
        assert_eq!(rest(&outbox).await, ["3", "4"]);
    }

    #[tokio::test]
    async fn a_plan_that_ended_is_withdrawn() {
        let outbox = Outbox::new(2);
        push(&outbox, "1", "a", "n1");
        assert!(!outbox.withdraw("0"));
        assert!(outbox.withdraw("1"));
        assert!(!outbox.withdraw("1"));
        assert_eq!(outbox.len(), 0);
    }

    #[tokio::test]
    async fn what_is_frozen_waits_on_and_keeps_its_place() {
        let outbox = Outbox::new(10);
        push(&outbox, "1", "a", "");
        push(&outbox, "2", "b", "");
        outbox.freeze(knob("a"));
        push(&outbox, "3", "a", "n1");
        let (ticket, record) = outbox.next().await.unwrap();
        assert_eq!(&record.payload[..], b"2");
        outbox.sent(ticket);
        assert_eq!(outbox.len(), 2);
        outbox.freeze(Frozen::default());
        assert_eq!(rest(&outbox).await, ["1", "3"]);
    }

    #[tokio::test]
    async fn a_plan_in_the_hands_of_the_sink_is_taken_out_of_them_by_a_freeze() {
        let outbox = Outbox::new(2);
        push(&outbox, "1", "a", "");
        let (ticket, _) = outbox.next().await.unwrap();
        outbox.freeze(everything());
        let gone = timeout(Duration::from_secs(30), outbox.until_gone(ticket));
        gone.await.unwrap();
        assert_eq!(outbox.len(), 1);
    }

    #[tokio::test]
    async fn an_operators_plan_passes_a_freeze_and_is_not_crowded_out() {
        let outbox = Outbox::new(1);
        outbox.freeze(everything());
        push_of_the_operator(&outbox, "1", "a", "n1");
        let displaced = push_of_the_operator(&outbox, "2", "a", "n2");
        assert_eq!(displaced, Displaced::default());
        push(&outbox, "3", "b", "");
        assert_eq!(
            push(&outbox, "4", "c", "").crowded_out.as_deref(),
            Some("3")
        );
        // What is frozen does not leave at the end, either, and does not hold it up.
        assert_eq!(rest(&outbox).await, ["1", "2"]);
        assert_eq!(outbox.len(), 1);
    }

    #[tokio::test]
    async fn a_plan_in_the_hands_of_the_sink_can_be_superseded() {
        let outbox = Outbox::new(2);
        push(&outbox, "1", "a", "");
        let (ticket, _) = outbox.next().await.unwrap();
        push(&outbox, "2", "a", "");
        let gone = timeout(Duration::from_secs(30), outbox.until_gone(ticket));
        gone.await.unwrap();
        assert_eq!(rest(&outbox).await, ["2"]);
    }
}
