//! How the registry is written down: as the knobs were declared, to be checked again.

use std::collections::BTreeMap;

use dfo_model::Knob;
use serde::{Deserialize, Serialize};

use super::{KnobId, Registry};
use crate::decision::{Decisions, Name};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedRegistry {
    /// In the order of registration, which is what numbers them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    knobs: Vec<Knob>,
    /// Who responds to a tag in which order, where it is not that of registration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    responders: BTreeMap<Name, Vec<KnobId>>,
}

impl SavedRegistry {
    pub(crate) fn is_empty(&self) -> bool {
        self.knobs.is_empty() && self.responders.is_empty()
    }
}

impl Registry {
    pub(crate) fn saved(&self) -> SavedRegistry {
        let declared = self.knobs.iter().map(|entry| {
            let declared = entry.declared.as_deref();
            declared.unwrap_or(&entry.definition).clone()
        });
        let orders = self.tags.iter().map(|tag| {
            let order = tag.responders.iter().map(|responder| responder.knob);
            (tag.name.clone(), order.collect::<Vec<KnobId>>())
        });
        SavedRegistry {
            knobs: declared.collect(),
            responders: orders.filter(|(_, order)| !order.is_sorted()).collect(),
        }
    }

    /// Every knob is checked as at its registration. What was refused of it then is so again.
    pub(crate) fn restored(saved: &SavedRegistry) -> Result<Self, String> {
        let mut registry = Registry::default();
        for knob in &saved.knobs {
            if registry.get(&knob.id).is_some() {
                return Err(format!("the knob {:?} is there twice", knob.id));
            }
            let mut refused = Decisions::default();
            let Some(checked) = Registry::check(knob, &mut refused) else {
                let why = refused.notices().next().map(ToString::to_string);
                return Err(why.unwrap_or_else(|| format!("{:?} is not a knob", knob.id)));
            };
            registry.insert(checked);
        }
        for (tag, order) in &saved.responders {
            registry.put_in_order(tag, order)?;
        }
        Ok(registry)
    }

    fn put_in_order(&mut self, name: &Name, order: &[KnobId]) -> Result<(), String> {
        let wrong = || format!("responders: {name:?}: not the knobs that respond to the tag");
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, name.as_str());
        let tag = self.tags.find_mut(hash, |tag| tag.name == *name);
        let responders = &mut tag.ok_or_else(wrong)?.responders;
        if order.len() != responders.len() {
            return Err(wrong());
        }
        let mut places = BTreeMap::new();
        places.extend(order.iter().enumerate().map(|(place, knob)| (*knob, place)));
        if !responders.iter().all(|r| places.remove(&r.knob).is_some()) {
            return Err(wrong());
        }
        places.extend(order.iter().enumerate().map(|(place, knob)| (*knob, place)));
        responders.sort_by_key(|responder| places.get(&responder.knob).copied());
        Ok(())
    }

    /// Whether a knob has this number.
    pub(crate) fn check_id(&self, knob: KnobId) -> Result<(), String> {
        match knob.index() < self.knobs.len() {
            true => Ok(()),
            false => Err(format!("there is no knob {}", knob.0)),
        }
    }
}
