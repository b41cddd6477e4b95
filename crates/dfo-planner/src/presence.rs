//! Who stands behind a knob: whether an application has spoken for it, and where none is alive.
//!
//! The value of a knob that is known from a pack or a file is *assumed*, until an application
//! registers the knob or has applied a plan for it. A knob is *silent* where its applications are
//! gone. What gone means (so many heartbeats missed) is for those to say who have a clock.

mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

pub(crate) use saved::SavedPresence;
use serde::{Deserialize, Serialize};
use smol_str::format_smolstr;

use crate::decision::{Gate, Name};
use crate::notice::SilenceIgnored;
use crate::planner::LONGEST_NAME;
use crate::registry::KnobId;
use crate::saved::is_default;

#[derive(Debug)]
pub(crate) struct Presence {
    /// Of one knob, so many nodes can be silent.
    most_nodes: usize,
    /// The knobs that no application has spoken for.
    assumed: BTreeSet<KnobId>,
    /// The knobs that are silent somewhere. Mostly none, and then asking costs nothing.
    silent: BTreeMap<KnobId, Silent>,
}

/// Where a knob is silent.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Silent {
    #[serde(skip_serializing_if = "is_default")]
    is_everywhere: bool,
    #[serde(skip_serializing_if = "is_default")]
    nodes: NodeNames,
}

/// Which silence of a knob has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// That everywhere.
    Anywhere,
    /// That on one node.
    OnNode,
}

impl Presence {
    pub(crate) fn new(most_nodes: usize) -> Self {
        Presence {
            most_nodes,
            assumed: BTreeSet::new(),
            silent: BTreeMap::new(),
        }
    }

    /// The knob was defined by other than an application.
    pub(crate) fn assume(&mut self, knob: KnobId) {
        self.assumed.insert(knob);
    }

    /// An application has spoken for the knob.
    pub(crate) fn confirm(&mut self, knob: KnobId) {
        self.assumed.remove(&knob);
    }

    /// Whether the knob's value is only assumed.
    pub(crate) fn is_assumed(&self, knob: KnobId) -> bool {
        self.assumed.contains(&knob)
    }

    /// No live application has the knob any more, on a node or anywhere. Whether that is news.
    pub(crate) fn silence(
        &mut self,
        knob: KnobId,
        node: Option<&str>,
    ) -> Result<bool, SilenceIgnored> {
        let Some(node) = node else {
            let silent = self.silent.entry(knob).or_default();
            return Ok(!std::mem::replace(&mut silent.is_everywhere, true));
        };
        if node.is_empty() || node.len() > LONGEST_NAME {
            return Err(SilenceIgnored::InvalidNode);
        }
        let there = self.silent.get(&knob).map(|silent| &silent.nodes.0);
        if there.is_some_and(|nodes| nodes.contains(node)) {
            return Ok(false);
        }
        if there.map_or(0, BTreeSet::len) >= self.most_nodes {
            return Err(SilenceIgnored::NoRoom);
        }
        let silent = self.silent.entry(knob).or_default();
        Ok(silent.nodes.0.insert(node.into()))
    }

    /// An application on that node has registered the knob; without a name, on any. What this ends.
    pub(crate) fn hear(&mut self, knob: KnobId, node: &str) -> Option<Heard> {
        let mut silent = self.silent.remove(&knob)?;
        let was_on_node = silent.nodes.remove_matching(node);
        if !node.is_empty() && !silent.nodes.0.is_empty() {
            let others = Silent {
                is_everywhere: false,
                nodes: silent.nodes,
            };
            self.silent.insert(knob, others);
        }
        match silent.is_everywhere || node.is_empty() {
            true => Some(Heard::Anywhere),
            false => was_on_node.then_some(Heard::OnNode),
        }
    }

    pub(crate) fn is_silent_everywhere(&self, knob: KnobId) -> bool {
        self.silent.get(&knob).is_some_and(|s| s.is_everywhere)
    }

    /// Is there a live application for a plan of this knob: for a node, or for all?
    pub(crate) fn gate(&self, knob: KnobId, node: Option<&str>) -> Result<(), Gate> {
        let Some(silent) = self.silent.get(&knob) else {
            return Ok(());
        };
        if silent.is_everywhere {
            return Err(Gate::Silent { node: None });
        }
        match node.and_then(|node| silent.nodes.matching(node)) {
            Some(node) => Err(Gate::Silent {
                node: Some(node.clone()),
            }),
            None => Ok(()),
        }
    }
}

/// Names of nodes, to be found by their short and their long forms as
/// [`dfo_model::node_names_match`] compares them, without comparing each.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct NodeNames(BTreeSet<Name>);

impl NodeNames {
    fn matching(&self, name: &str) -> Option<&Name> {
        if let Some(same) = self.0.get(name) {
            return Some(same);
        }
        match name.split_once('.') {
            Some((short, _)) => self.0.get(short),
            None if name.is_empty() => None,
            None => {
                let beginning = format_smolstr!("{name}.");
                let from = (Bound::Included(beginning.as_str()), Bound::Unbounded);
                let next = self.0.range::<str, _>(from).next();
                next.filter(|long| long.starts_with(beginning.as_str()))
            }
        }
    }

    /// Whether there was one.
    fn remove_matching(&mut self, name: &str) -> bool {
        let mut was_there = false;
        while let Some(found) = self.matching(name).cloned() {
            was_there |= self.0.remove(&found);
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfo_model::node_names_match;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_found_as_they_are_compared(
            names in prop::collection::btree_set("[ab.-]{1,5}", 0..6), name in "[ab.-]{0,5}",
        ) {
            let mut set = NodeNames(names.iter().map(Name::from).collect());
            let matches = |n: &str| node_names_match(n, &name);
            prop_assert_eq!(set.matching(&name).is_some(), names.iter().any(|n| matches(n)));
            set.remove_matching(&name);
            let left: Vec<_> = names.iter().filter(|n| !matches(n)).collect();
            prop_assert_eq!(set.0.iter().collect::<Vec<_>>(), left);
        }
    }
}
