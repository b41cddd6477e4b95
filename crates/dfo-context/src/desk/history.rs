//! The plans seen so far, so that one that comes twice is not applied twice.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use dfo_model::{Ack, ActionPlan};

/// The plans seen so far. Of those that are done with, only the latest are remembered; the others
/// are as many as there are knobs and actions in the application's hands.
#[derive(Debug)]
pub(crate) struct History {
    plans: HashMap<String, Entry>,
    /// The ids of those done with, oldest first.
    done: VecDeque<String>,
    remembered: usize,
}

#[derive(Debug)]
enum Entry {
    Open,
    Done(Box<Done>),
}

#[derive(Debug)]
struct Done {
    content: u64,
    ack: Ack,
}

/// Whether a plan was seen before.
pub(crate) enum Seen {
    /// Never.
    No,
    /// It waits for its boundary, or for the application's answer.
    Open,
    /// It was answered with this.
    Done(Box<Ack>),
}

impl History {
    pub(crate) fn remembering(remembered: usize) -> Self {
        History {
            plans: HashMap::new(),
            done: VecDeque::new(),
            remembered,
        }
    }

    /// An id that was done with and comes back with other content is a new plan: an optimizer that
    /// was started again may count its ids from the beginning.
    pub(crate) fn look_up(&self, plan: &ActionPlan) -> Seen {
        match self.plans.get(&plan.plan_id) {
            Some(Entry::Open) => Seen::Open,
            Some(Entry::Done(done)) if done.content == content_of(plan) => {
                Seen::Done(Box::new(done.ack.clone()))
            }
            _ => Seen::No,
        }
    }

    pub(crate) fn knows(&self, plan_id: &str) -> bool {
        self.plans.contains_key(plan_id)
    }

    #[cfg(test)]
    pub(crate) fn is_open(&self, plan_id: &str) -> bool {
        matches!(self.plans.get(plan_id), Some(Entry::Open))
    }

    pub(crate) fn open(&mut self, plan_id: &str) {
        self.forget(plan_id);
        self.plans.insert(plan_id.to_owned(), Entry::Open);
    }

    pub(crate) fn close(&mut self, plan: &ActionPlan, ack: Ack) {
        self.forget(&plan.plan_id);
        let content = content_of(plan);
        let done = Box::new(Done { content, ack });
        self.plans.insert(plan.plan_id.clone(), Entry::Done(done));
        self.done.push_back(plan.plan_id.clone());
        while self.done.len() > self.remembered {
            if let Some(oldest) = self.done.pop_front() {
                self.plans.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, plan_id: &str) {
        let was_done = matches!(self.plans.remove(plan_id), Some(Entry::Done(_)));
        if was_done {
            self.done.retain(|id| id != plan_id);
        }
    }
}

/// A hash, so that what is remembered of a plan stays small.
fn content_of(plan: &ActionPlan) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(plan)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}
