//! How it is written down who is there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Presence, Silent};
use crate::registry::{KnobId, Registry};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedPresence {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    assumed: BTreeSet<KnobId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silent: Vec<(KnobId, Silent)>,
}

impl Presence {
    pub(crate) fn saved(&self) -> SavedPresence {
        let silent = self.silent.iter();
        SavedPresence {
            assumed: self.assumed.clone(),
            silent: silent.map(|(knob, s)| (*knob, s.clone())).collect(),
        }
    }

    pub(crate) fn restored(
        most_nodes: usize,
        saved: SavedPresence,
        registry: &Registry,
    ) -> Result<Self, String> {
        let mut presence = Presence::new(most_nodes);
        for knob in &saved.assumed {
            registry.check_id(*knob)?;
        }
        presence.assumed = saved.assumed;
        for (knob, silent) in saved.silent {
            registry.check_id(knob)?;
            let name = &registry.entry(knob).name;
            if silent == Silent::default() {
                return Err(format!("silent: {name:?} is silent nowhere"));
            }
            if presence.silent.insert(knob, silent).is_some() {
                return Err(format!("silent: {name:?} is there twice"));
            }
        }
        Ok(presence)
    }
}
