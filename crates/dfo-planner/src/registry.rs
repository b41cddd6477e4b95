//! The knobs, and which of them respond to a tag.
//!
//! Names become small integers here, and every response is checked and prepared, so that deciding
//! on a finding costs as much as the knobs that respond to its tags, and can miss nothing.

mod saved;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use dfo_model::{Knob, Number, Value};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
pub(crate) use saved::SavedRegistry;
use smallvec::SmallVec;

use crate::decision::{Decisions, Name};
use crate::notice::Notice;
use crate::planner::LONGEST_NAME;
use crate::value::{Change, Domain};

/// A registered knob, by its place in the order of registration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct KnobId(u32);

impl KnobId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A knob with a definition that makes sense.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) domain: Domain,
    /// Without the responses that were refused.
    pub(crate) definition: Knob,
    /// As it was declared, where that is something else.
    declared: Option<Box<Knob>>,
}

/// A response that makes sense: what every finding asks, and the rest apart from it.
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) knob: KnobId,
    /// The knob's name, here too: a hold needs no more of the knob.
    pub(crate) knob_name: Name,
    pub(crate) min_severity: f64,
    pub(crate) min_persistence: i64,
    pub(crate) cooldown_windows: i64,
    pub(crate) action: Box<Response>,
}

/// What a responder does once it may.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) change: Change,
    pub(crate) effectiveness_threshold: f64,
    pub(crate) apply_when: String,
}

/// A tag and those who respond to it, in the order of registration.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: Name,
    /// Mostly one, and then within the tag itself.
    pub(crate) responders: SmallVec<[Responder; 1]>,
}

/// A knob before it goes in: checked, with what was refused of it.
pub(crate) struct Checked {
    name: Name,
    domain: Domain,
    declared: Knob,
    responses: Vec<(Name, CheckedResponse)>,
}

struct CheckedResponse {
    change: Change,
    response: dfo_model::Response,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    knobs: Vec<Entry>,
    by_name: HashMap<Name, KnobId, FixedState>,
    tags: HashTable<Tag>,
    hasher: FixedState,
}

impl Registry {
    pub(crate) fn is_empty(&self) -> bool {
        self.knobs.is_empty()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (KnobId, &Entry)> {
        // A knob takes hundreds of bytes: memory ends long before the numbers do.
        (0..).map(KnobId).zip(&self.knobs)
    }

    pub(crate) fn get(&self, name: &str) -> Option<KnobId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn entry(&self, knob: KnobId) -> &Entry {
        &self.knobs[knob.index()]
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&Tag> {
        let hash = self.hasher.hash_one(name);
        self.tags.find(hash, |tag| tag.name == name)
    }

    /// Checks a definition. What is wrong with it is a notice; a knob without its wrong responses is
    /// still a knob.
    pub(crate) fn check(knob: &Knob, decisions: &mut Decisions) -> Option<Checked> {
        let name: Name = knob.id.as_str().into();
        let mut refuse = |tag: Option<&str>, (field, why): (&'static str, String)| {
            decisions.notice(Notice::KnobRefused {
                knob: name.clone(),
                tag: tag.map(Name::from),
                field,
                why,
            });
        };
        if knob.id.is_empty() {
            refuse(None, ("id", "missing: a knob needs a name".to_owned()));
            return None;
        }
        if let Some(name) = too_long(knob) {
            refuse(None, (name, format!("longer than {LONGEST_NAME} bytes")));
            return None;
        }
        let domain = match Domain::of(knob) {
            Ok(domain) => domain,
            Err(refusal) => {
                refuse(None, refusal);
                return None;
            }
        };
        let mut responses = Vec::with_capacity(knob.responds_to.len());
        for (tag, response) in &knob.responds_to {
            match CheckedResponse::of(response, &domain) {
                Ok(checked) => responses.push((Name::from(tag.as_str()), checked)),
                Err(refusal) => refuse(Some(tag), refusal),
            }
        }
        Some(Checked {
            name,
            domain,
            declared: knob.clone(),
            responses,
        })
    }

    /// Whether this very definition is registered already: applications repeat themselves.
    pub(crate) fn is_known(&self, knob: &Knob) -> bool {
        let known = self.get(&knob.id).map(|id| {
            let entry = self.entry(id);
            entry.declared.as_deref().unwrap_or(&entry.definition)
        });
        known == Some(knob)
    }

    /// Puts a knob in, in the place of an earlier one of its name, with all its responses.
    pub(crate) fn insert(&mut self, checked: Checked) -> KnobId {
        let Checked {
            name,
            domain,
            declared,
            responses,
        } = checked;
        let is_whole = responses.len() == declared.responds_to.len();
        let mut definition = declared.clone();
        let accepted: HashSet<&str, FixedState> =
            responses.iter().map(|(tag, _)| tag.as_str()).collect();
        definition
            .responds_to
            .retain(|tag, _| accepted.contains(tag.as_str()));
        let entry = Entry {
            name: name.clone(),
            domain,
            definition,
            // What nothing equals need not be kept to be compared with, and could not be saved.
            declared: (!is_whole && is_finite(&declared)).then(|| Box::new(declared)),
        };
        let known = self.get(&name);
        let knob = known.unwrap_or_else(|| {
            // A knob takes hundreds of bytes: memory ends long before the numbers do.
            KnobId(u32::try_from(self.knobs.len()).unwrap_or(u32::MAX))
        });
        let mut earlier = Vec::new();
        if known.is_some() {
            let replaced = std::mem::replace(&mut self.knobs[knob.index()], entry);
            earlier.extend(replaced.definition.responds_to.keys().map(Name::from));
        } else {
            self.knobs.push(entry);
            self.by_name.insert(name, knob);
        }
        self.replace_responses(knob, &earlier, responses);
        knob
    }

    /// A response to a tag that the knob responded to before keeps its place; others go last.
    fn replace_responses(
        &mut self,
        knob: KnobId,
        earlier: &[Name],
        responses: Vec<(Name, CheckedResponse)>,
    ) {
        let now: HashSet<&Name, FixedState> = responses.iter().map(|(name, _)| name).collect();
        for tag in earlier.iter().filter(|tag| !now.contains(tag)) {
            self.remove_response(tag, knob);
        }
        let earlier: HashSet<&Name, FixedState> = earlier.iter().collect();
        for (name, checked) in responses {
            let responder = checked.responder(knob, self.entry(knob).name.clone());
            let responders = &mut self.tag_named(&name).responders;
            let mut there = responders.iter_mut().filter(|_| earlier.contains(&name));
            match there.find(|r| r.knob == knob) {
                Some(earlier) => *earlier = responder,
                None => responders.push(responder),
            }
        }
    }

    fn remove_response(&mut self, tag: &str, knob: KnobId) {
        let hash = self.hasher.hash_one(tag);
        if let Ok(mut entry) = self.tags.find_entry(hash, |t| t.name == tag) {
            let responders = &mut entry.get_mut().responders;
            responders.retain(|r| r.knob != knob);
            if responders.is_empty() {
                entry.remove();
            }
        }
    }

    fn tag_named(&mut self, name: &Name) -> &mut Tag {
        let Registry { tags, hasher, .. } = self;
        let hash = hasher.hash_one(name.as_str());
        let entry = tags.entry(
            hash,
            |tag| tag.name == *name,
            |tag| hasher.hash_one(tag.name.as_str()),
        );
        let new = || Tag {
            name: name.clone(),
            responders: SmallVec::new(),
        };
        entry.or_insert_with(new).into_mut()
    }
}

/// The field of a knob's name, or of its tags, if one is too long to be remembered.
fn too_long(knob: &Knob) -> Option<&'static str> {
    let is_long = |name: &String| name.len() > LONGEST_NAME;
    if is_long(&knob.id) {
        return Some("id");
    }
    knob.responds_to
        .keys()
        .any(is_long)
        .then_some("responds_to")
}

/// Whether every number of the knob's responses is one.
fn is_finite(knob: &Knob) -> bool {
    knob.responds_to.values().all(|response| {
        let set_to = response.set_to.as_ref().and_then(Value::as_number);
        let numbers = [response.step, set_to];
        let limits = [response.min_severity, response.effectiveness_threshold];
        let numbers = numbers.into_iter().flatten().map(Number::as_f64);
        numbers.chain(limits).all(f64::is_finite)
    })
}

impl CheckedResponse {
    fn of(response: &dfo_model::Response, domain: &Domain) -> Result<Self, (&'static str, String)> {
        let finite = |field, x: f64| match x.is_finite() {
            true => Ok(()),
            false => Err((field, "not finite".to_owned())),
        };
        finite("min_severity", response.min_severity)?;
        finite("effectiveness_threshold", response.effectiveness_threshold)?;
        let change = Change::of(response, domain)?;
        let set_to = response.set_to.as_ref().and_then(Value::as_number);
        for (field, number) in [("step", response.step), ("set_to", set_to)] {
            number.map_or(Ok(()), |n| finite(field, n.as_f64()))?;
        }
        Ok(CheckedResponse {
            change,
            response: response.clone(),
        })
    }

    fn responder(self, knob: KnobId, knob_name: Name) -> Responder {
        Responder {
            knob,
            knob_name,
            min_severity: self.response.min_severity,
            min_persistence: self.response.min_persistence,
            cooldown_windows: self.response.cooldown_windows,
            action: Box::new(Response {
                change: self.change,
                effectiveness_threshold: self.response.effectiveness_threshold,
                apply_when: self.response.apply_when,
            }),
        }
    }
}
