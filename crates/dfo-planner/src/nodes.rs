//! The nodes that something is remembered of, the least recently seen first to go.
//!
//! Being seen only writes a number. The queue of those to go is put in order when one has to go: an
//! entry whose node was seen since goes back to its place.

mod saved;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use dfo_model::node_names_match;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
pub(crate) use saved::SavedNodes;
use smallvec::SmallVec;

use crate::account::Account;
use crate::decision::Name;
use crate::registry::KnobId;
use crate::watch::Watch;

/// A remembered node. Numbers are used again once a node is forgotten.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct NodeId(u32);

#[derive(Debug)]
struct Node {
    name: Name,
    /// Open plans that name it: it must not be forgotten under them.
    open_plans: u32,
    /// What is known of knobs there, by knob. The first ones within the node itself: with many
    /// nodes, a decision costs what it takes to fetch memory.
    accounts: SmallVec<[(KnobId, Account); 2]>,
    /// When it was seen last, as a count of all sightings.
    seen: u64,
    /// Whether it stands in the queue of those to go.
    is_queued: bool,
}

/// A node that had to make room: its name, and the knobs that had an account for it.
pub(crate) struct Forgotten {
    pub(crate) id: NodeId,
    pub(crate) name: Name,
    pub(crate) knobs: Vec<KnobId>,
    /// The plans that were observed there.
    pub(crate) watches: Vec<Watch>,
}

#[derive(Debug)]
pub(crate) struct Nodes {
    capacity: usize,
    /// The node that the planner runs on: its short and its long name mean one node.
    own: Option<String>,
    /// The numbers, found by name. Only numbers, so that the table stays small: with many nodes,
    /// looking one up costs what it takes to fetch memory.
    ids: HashTable<NodeId>,
    hasher: FixedState,
    slots: Vec<Node>,
    free: Vec<NodeId>,
    /// One entry a node, by when it was seen at the time of entering. A node met there with an open
    /// plan is left out until that is closed.
    to_go: BinaryHeap<Reverse<(u64, NodeId)>>,
    sightings: u64,
    /// How many have open plans.
    kept: usize,
}

impl Nodes {
    pub(crate) fn new(capacity: usize) -> Self {
        Nodes {
            // Numbers of nodes have 32 bits.
            capacity: capacity.min(u32::MAX as usize),
            own: None,
            ids: HashTable::new(),
            hasher: FixedState::default(),
            slots: Vec::new(),
            free: Vec::new(),
            to_go: BinaryHeap::new(),
            sightings: 0,
            kept: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn set_own(&mut self, name: String) {
        self.own = Some(name);
    }

    /// The name of the planner's own node; empty if it was not told.
    pub(crate) fn own(&self) -> &str {
        self.own.as_deref().unwrap_or_default()
    }

    pub(crate) fn get(&self, name: &str) -> Option<NodeId> {
        let name = self.usual(name);
        let is_it = |id: &NodeId| *self.slots[id.0 as usize].name == *name;
        self.ids.find(self.hasher.hash_one(name), is_it).copied()
    }

    pub(crate) fn name(&self, id: NodeId) -> &Name {
        &self.slots[id.0 as usize].name
    }

    /// Takes note that a node was heard of just now.
    pub(crate) fn touch(&mut self, id: NodeId) {
        self.sightings += 1;
        self.slots[id.0 as usize].seen = self.sightings;
    }

    /// The number of a node, remembering it if it is new. `None` if there is no room, because every
    /// remembered node has an open plan.
    pub(crate) fn remember(&mut self, name: &str) -> Option<(NodeId, Option<Forgotten>)> {
        if let Some(id) = self.get(name) {
            self.touch(id);
            return Some((id, None));
        }
        let forgotten = if self.ids.len() < self.capacity {
            None
        } else {
            Some(self.forget_oldest()?)
        };
        let name = self.usual(name).to_owned();
        Some((self.insert(&name), forgotten))
    }

    fn usual<'n>(&'n self, name: &'n str) -> &'n str {
        match &self.own {
            Some(own) if node_names_match(own, name) => own,
            _ => name,
        }
    }

    /// What is known of a knob on a node.
    pub(crate) fn account(&self, id: NodeId, knob: KnobId) -> Option<&Account> {
        let accounts = &self.slots[id.0 as usize].accounts;
        let at = accounts.binary_search_by_key(&knob, |(k, _)| *k).ok()?;
        Some(&accounts[at].1)
    }

    /// The same, to be changed; opened if there is none.
    pub(crate) fn account_mut(&mut self, id: NodeId, knob: KnobId) -> &mut Account {
        let accounts = &mut self.slots[id.0 as usize].accounts;
        let at = accounts
            .binary_search_by_key(&knob, |(k, _)| *k)
            .unwrap_or_else(|at| {
                accounts.insert(at, (knob, Account::default()));
                at
            });
        &mut accounts[at].1
    }

    /// Keeps a node from being forgotten until [`Nodes::release`] was called as often.
    pub(crate) fn keep(&mut self, id: NodeId) {
        let open = &mut self.slots[id.0 as usize].open_plans;
        self.kept += usize::from(*open == 0);
        *open += 1;
    }

    pub(crate) fn release(&mut self, id: NodeId) {
        let node = &mut self.slots[id.0 as usize];
        self.kept -= usize::from(node.open_plans == 1);
        node.open_plans = node.open_plans.saturating_sub(1);
        if node.open_plans == 0 && !node.is_queued {
            node.is_queued = true;
            self.to_go.push(Reverse((node.seen, id)));
        }
    }

    fn insert(&mut self, name: &str) -> NodeId {
        self.sightings += 1;
        let node = Node {
            name: name.into(),
            open_plans: 0,
            accounts: SmallVec::new(),
            seen: self.sightings,
            is_queued: true,
        };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = node;
            id
        } else {
            self.slots.push(node);
            // The capacity is such that every index fits.
            NodeId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |id: &NodeId| hasher.hash_one(slots[id.0 as usize].name.as_str());
        self.ids.insert_unique(hasher.hash_one(name), id, hash_of);
        self.to_go.push(Reverse((self.sightings, id)));
        id
    }

    /// Makes one node go that there is no room for, if there is one and it can go.
    pub(crate) fn forget_one_too_many(&mut self) -> Option<Forgotten> {
        match self.ids.len() > self.capacity {
            true => self.forget_oldest(),
            false => None,
        }
    }

    fn forget_oldest(&mut self) -> Option<Forgotten> {
        while self.kept < self.ids.len() {
            let Reverse((seen_then, id)) = self.to_go.pop()?;
            let node = &mut self.slots[id.0 as usize];
            if node.open_plans > 0 {
                node.is_queued = false;
                continue;
            }
            if node.seen > seen_then {
                self.to_go.push(Reverse((node.seen, id)));
                continue;
            }
            let accounts = std::mem::take(&mut node.accounts);
            let knobs = accounts.iter().map(|(knob, _)| *knob).collect();
            let accounts = accounts.into_iter();
            let watches = accounts.filter_map(|(_, mut account)| account.set_watch(None));
            let watches = watches.collect();
            let name = node.name.clone();
            let hash = self.hasher.hash_one(name.as_str());
            if let Ok(entry) = self.ids.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
            self.free.push(id);
            return Some(Forgotten {
                id,
                name,
                knobs,
                watches,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remember(nodes: &mut Nodes, name: &str) -> Option<String> {
        let (_, forgotten) = nodes.remember(name).unwrap();
        forgotten.map(|f| f.name.to_string())
    }

    #[test]
    fn the_least_recently_seen_node_makes_room() {
        let mut nodes = Nodes::new(3);
        for name in ["a", "b", "c", "a"] {
            assert_eq!(remember(&mut nodes, name), None);
        }
        assert_eq!(remember(&mut nodes, "d"), Some("b".to_owned()));
        nodes.touch(nodes.get("c").unwrap());
        assert_eq!(remember(&mut nodes, "e"), Some("a".to_owned()));
        assert_eq!(nodes.len(), 3);
        assert_eq!(&**nodes.name(nodes.get("e").unwrap()), "e");
    }

    #[test]
    fn a_node_with_an_open_plan_is_kept() {
        let mut nodes = Nodes::new(2);
        remember(&mut nodes, "a");
        remember(&mut nodes, "b");
        let (a, b) = (nodes.get("a").unwrap(), nodes.get("b").unwrap());
        nodes.keep(a);
        assert_eq!(remember(&mut nodes, "c"), Some("b".to_owned()));
        nodes.keep(b); // the number of `b` is now that of `c`
        assert!(nodes.remember("d").is_none());
        nodes.release(a);
        assert_eq!(remember(&mut nodes, "d"), Some("a".to_owned()));
    }
}
