//! The nodes that something is remembered of, the least recently seen first to go.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::decision::Name;
use crate::registry::KnobId;

/// A remembered node. Numbers are used again once a node is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

#[derive(Debug)]
struct Node {
    name: Name,
    /// Open plans that name it: it must not be forgotten under them.
    open_plans: u32,
    /// The knobs that have an account for it.
    knobs: Vec<KnobId>,
    /// The neighbours in the order of being seen; [`NONE`] at the ends.
    older: u32,
    newer: u32,
}

const NONE: u32 = u32::MAX;

/// A node that had to make room: its name, and the knobs that have an account for it.
pub(crate) struct Forgotten {
    pub(crate) id: NodeId,
    pub(crate) name: Name,
    pub(crate) knobs: Vec<KnobId>,
}

#[derive(Debug)]
pub(crate) struct Nodes {
    capacity: usize,
    ids: HashMap<Name, NodeId, FixedState>,
    slots: Vec<Node>,
    free: Vec<NodeId>,
    oldest: u32,
    newest: u32,
    /// How many have open plans.
    kept: usize,
}

impl Nodes {
    pub(crate) fn new(capacity: usize) -> Self {
        Nodes {
            capacity: capacity.min(NONE as usize),
            ids: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            kept: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<NodeId> {
        self.ids.get(name).copied()
    }

    pub(crate) fn name(&self, id: NodeId) -> &Name {
        &self.slots[id.0 as usize].name
    }

    /// Takes note that a node was heard of just now.
    pub(crate) fn touch(&mut self, id: NodeId) {
        if self.newest != id.0 {
            self.unlink(id.0);
            self.link_newest(id.0);
        }
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
        Some((self.insert(name.into()), forgotten))
    }

    pub(crate) fn add_knob(&mut self, id: NodeId, knob: KnobId) {
        self.slots[id.0 as usize].knobs.push(knob);
    }

    /// Keeps a node from being forgotten until [`Nodes::release`] was called as often.
    pub(crate) fn keep(&mut self, id: NodeId) {
        let open = &mut self.slots[id.0 as usize].open_plans;
        self.kept += usize::from(*open == 0);
        *open += 1;
    }

    pub(crate) fn release(&mut self, id: NodeId) {
        let open = &mut self.slots[id.0 as usize].open_plans;
        self.kept -= usize::from(*open == 1);
        *open = open.saturating_sub(1);
    }

    fn insert(&mut self, name: Name) -> NodeId {
        let node = Node {
            name: Arc::clone(&name),
            open_plans: 0,
            knobs: Vec::new(),
            older: NONE,
            newer: NONE,
        };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = node;
            id
        } else {
            self.slots.push(node);
            // The capacity is below `NONE`, so that every index fits.
            NodeId(u32::try_from(self.slots.len() - 1).unwrap_or(NONE))
        };
        self.ids.insert(name, id);
        self.link_newest(id.0);
        id
    }

    /// Nodes with open plans are passed over, and count as seen just now, so that the next search
    /// does not pass over them again.
    fn forget_oldest(&mut self) -> Option<Forgotten> {
        while self.kept < self.ids.len() {
            let id = NodeId(self.oldest);
            let node = self.slots.get_mut(id.0 as usize)?;
            if node.open_plans > 0 {
                self.touch(id);
                continue;
            }
            let knobs = std::mem::take(&mut node.knobs);
            let name = Arc::clone(&node.name);
            self.unlink(id.0);
            self.ids.remove(&name);
            self.free.push(id);
            return Some(Forgotten { id, name, knobs });
        }
        None
    }

    fn unlink(&mut self, at: u32) {
        let (older, newer) = {
            let node = &self.slots[at as usize];
            (node.older, node.newer)
        };
        match older {
            NONE => self.oldest = newer,
            _ => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            _ => self.slots[newer as usize].older = older,
        }
    }

    fn link_newest(&mut self, at: u32) {
        let newest = self.newest;
        let node = &mut self.slots[at as usize];
        node.older = newest;
        node.newer = NONE;
        match newest {
            NONE => self.oldest = at,
            _ => self.slots[newest as usize].newer = at,
        }
        self.newest = at;
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
