//! How the nodes are written down: in the order of being seen, so that the same one goes next.
//!
//! How many open plans each has is not: the open plans tell.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Node, NodeId, Nodes};
use crate::account::{Account, SavedAccount};
use crate::decision::Name;
use crate::registry::KnobId;
use crate::saved::is_default;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedNodes {
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<String>,
    /// The least recently seen first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seen: Vec<SavedNode>,
    /// The numbers that no node has, the next to be used last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    free: Vec<NodeId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedNode {
    id: NodeId,
    name: Name,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<(KnobId, SavedAccount)>,
}

impl SavedNodes {
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_none() && self.seen.is_empty() && self.free.is_empty()
    }
}

impl Nodes {
    pub(crate) fn saved(&self) -> SavedNodes {
        let mut ids: Vec<NodeId> = self.ids.iter().copied().collect();
        ids.sort_unstable_by_key(|id| self.slots[id.0 as usize].seen);
        let seen = ids.into_iter().map(|id| {
            let node = &self.slots[id.0 as usize];
            let accounts = node.accounts.iter().map(|(knob, a)| (*knob, a.saved()));
            SavedNode {
                id,
                name: node.name.clone(),
                accounts: accounts.filter(|(_, a)| !is_default(a)).collect(),
            }
        });
        SavedNodes {
            own: self.own.clone(),
            seen: seen.collect(),
            free: self.free.clone(),
        }
    }

    /// `restore_account` makes an account of a knob and what is saved of it, if that makes sense.
    pub(crate) fn restored(
        capacity: usize,
        saved: SavedNodes,
        mut restore_account: impl FnMut(NodeId, KnobId, SavedAccount) -> Result<Account, String>,
    ) -> Result<Self, String> {
        let mut nodes = Nodes::new(capacity);
        nodes.own = saved.own;
        let all = saved.seen.len() + saved.free.len();
        nodes.slots.extend((0..all).map(|_| Node::nobody()));
        for node in saved.seen {
            nodes.put_back(node, &mut restore_account)?;
        }
        let mut free = BTreeSet::new();
        for id in &saved.free {
            let slot = nodes.slots.get(id.0 as usize);
            if slot.is_none_or(|slot| slot.seen > 0) || !free.insert(*id) {
                return Err(format!("free: {} is not a number to be used again", id.0));
            }
        }
        nodes.free = saved.free;
        Ok(nodes)
    }

    fn put_back(
        &mut self,
        saved: SavedNode,
        mut restore_account: impl FnMut(NodeId, KnobId, SavedAccount) -> Result<Account, String>,
    ) -> Result<(), String> {
        let SavedNode { id, name, accounts } = saved;
        let wrong = |why: &str| Err(format!("node {name:?}: {why}"));
        let slot = self.slots.get(id.0 as usize);
        if slot.is_none_or(|slot| slot.seen > 0) {
            return wrong(&format!("the number {} is out of range or taken", id.0));
        }
        if self.get(&name).is_some() || self.usual(&name) != name {
            return wrong("there is another of this name");
        }
        let mut restored = SmallVec::with_capacity(accounts.len());
        for (knob, account) in accounts {
            if restored.last().is_some_and(|(last, _)| *last >= knob) {
                return wrong("its knobs are not in order");
            }
            match restore_account(id, knob, account) {
                Ok(account) => restored.push((knob, account)),
                Err(why) => return wrong(&why),
            }
        }
        self.sightings += 1;
        let (seen, hash) = (self.sightings, self.hasher.hash_one(name.as_str()));
        self.slots[id.0 as usize] = Node {
            name,
            open_plans: 0,
            accounts: restored,
            seen,
            is_queued: true,
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |id: &NodeId| hasher.hash_one(slots[id.0 as usize].name.as_str());
        self.ids.insert_unique(hash, id, hash_of);
        self.to_go.push(Reverse((seen, id)));
        Ok(())
    }

    /// Whether a node has this number.
    pub(crate) fn check(&self, id: NodeId) -> Result<(), String> {
        match self.slots.get(id.0 as usize) {
            Some(slot) if slot.seen > 0 => Ok(()),
            _ => Err(format!("there is no node {}", id.0)),
        }
    }
}

impl Node {
    /// What stands at a number that no node has.
    fn nobody() -> Self {
        Node {
            name: Name::default(),
            open_plans: 0,
            accounts: SmallVec::new(),
            seen: 0,
            is_queued: false,
        }
    }
}
