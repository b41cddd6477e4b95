//! Plans on their way to one sink: a bounded queue in which the newest per knob and node wins.
//!
//! The planner's task puts plans in and never waits; the task of the sink takes them out as fast as
//! the other side reads. A plan stays here until the sink has it, so that a newer one for the same
//! knob and nodes can still take its place.

use std::collections::{BTreeMap, HashMap};
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
    pub(crate) fn push(&self, plan: &ActionPlan, record: Record) -> Displaced {
        let mut waiting = self.lock();
        let target = (plan.knob_id.clone(), plan.target_nodes.clone());
        let superseded = waiting.remove_target(&target);
        let is_full = waiting.plans.len() >= self.bound;
        let crowded_out = is_full.then(|| waiting.remove_oldest()).flatten();
        let ticket = Ticket(waiting.next);
        waiting.next += 1;
        waiting.by_target.insert(target.clone(), ticket);
        waiting.plans.insert(
            ticket,
            Plan {
                id: plan.plan_id.clone(),
                target,
                record,
            },
        );
        drop(waiting);
        self.changed.notify_one();
        Displaced {
            superseded,
            crowded_out,
        }
    }

    /// Takes a plan out that is open no longer; `node` is the one it is for, `None` is all. Whether
    /// it was still here.
    pub(crate) fn withdraw(&self, plan_id: &str, knob: &str, node: Option<&str>) -> bool {
        let target = (
            knob.to_owned(),
            node.into_iter().map(str::to_owned).collect(),
        );
        let mut waiting = self.lock();
        let ticket = waiting.by_target.get(&target).copied();
        let is_it = |t: &Ticket| waiting.plans.get(t).is_some_and(|p| p.id == plan_id);
        let Some(ticket) = ticket.filter(is_it) else {
            return false;
        };
        waiting.remove(ticket);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// The next plan to send, when there is one. It stays until [`Outbox::sent`]. `None`: closed,
    /// and everything was sent.
    pub(crate) async fn next(&self) -> Option<(Ticket, Record)> {
        loop {
            {
                let waiting = self.lock();
                if let Some((ticket, plan)) = waiting.plans.first_key_value() {
                    return Some((*ticket, plan.record.clone()));
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Waits until a plan is no longer to be sent.
    pub(crate) async fn until_gone(&self, ticket: Ticket) {
        while self.lock().plans.contains_key(&ticket) {
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

    fn remove_oldest(&mut self) -> Option<String> {
        let ticket = *self.plans.first_key_value()?.0;
        self.remove(ticket)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<String> {
        let plan = self.plans.remove(&ticket)?;
        self.by_target.remove(&plan.target);
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
        outbox.push(&plan(id, knob, node), Record::new("", id.to_owned()))
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
        assert!(!outbox.withdraw("0", "a", Some("n1")));
        assert!(outbox.withdraw("1", "a", Some("n1")));
        assert!(!outbox.withdraw("1", "a", Some("n1")));
        assert_eq!(outbox.len(), 0);
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
