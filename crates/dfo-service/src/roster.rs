//! Which applications are alive, and which knobs they own.
//!
//! A process that says who it is (`instance`) repeats its registration; when it misses several in
//! turn, or says that it leaves, it counts no longer. What that means for plans is the planner's
//! rule: here is only the clock that the planner does not have. Programs that give no instance
//! register once and are never missed.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::time::Duration;

use dfo_model::Registration;
use tokio::time::Instant;

use crate::journal::{KnownApplication, KnownApplications};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The applications.
pub(crate) struct Roster {
    /// After so long without a registration an application is silent.
    patience: Duration,
    /// At most so many applications are remembered.
    bound: usize,
    applications: Map<String, Application>,
    owners: Map<String, Owners>,
    hasher: foldhash::fast::RandomState,
}

struct Application {
    node: String,
    last_heard: Instant,
    /// What it registered, by namespace and function.
    functions: Map<(String, String), Registered>,
}

struct Registered {
    digest: Option<u64>,
    knobs: Vec<String>,
}

/// Who has a knob.
#[derive(Default)]
struct Owners {
    /// Registrations of live applications, by node.
    by_node: BTreeMap<String, usize>,
    /// Someone who cannot be missed has it.
    is_lasting: bool,
}

/// What a registration is to the roster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was not known, or says something new: the planner should hear it.
    News(News),
    /// What it said before: it lives.
    Heartbeat,
}

/// What is new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The application.
    Joined,
    /// What it says.
    Changed,
    /// The application, of which there is no room to remember: it will not be missed.
    NotTracked,
}

/// An application that is no longer there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) instance: String,
    pub(crate) node: String,
    pub(crate) orphans: Vec<Orphan>,
}

/// A knob that no live application has any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) knob: String,
    /// On this node; `None` is anywhere.
    pub(crate) node: Option<String>,
}

impl Roster {
    pub(crate) fn new(patience: Duration, bound: usize) -> Self {
        Self {
            patience,
            bound,
            applications: Map::default(),
            owners: Map::default(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// Takes over who was known before a restart. They have as long to be heard of as if they had been
    /// heard just now.
    pub(crate) fn restore(&mut self, known: &KnownApplications, now: Instant) {
        for knob in &known.lasting {
            self.owners.entry(knob.clone()).or_default().is_lasting = true;
        }
        for (instance, known) in &known.by_instance {
            let mut functions = Map::default();
            for (namespace, function, knobs) in &known.functions {
                for knob in knobs {
                    self.owners
                        .entry(knob.clone())
                        .or_default()
                        .join(&known.node);
                }
                let registered = Registered {
                    // What it said to the letter is not known: its next heartbeat is taken as news.
                    digest: None,
                    knobs: knobs.clone(),
                };
                functions.insert((namespace.clone(), function.clone()), registered);
            }
            let application = Application {
                node: known.node.clone(),
                last_heard: now,
                functions,
            };
            self.applications.insert(instance.clone(), application);
        }
    }

    /// Who is known, to be restored.
    pub(crate) fn known(&self) -> KnownApplications {
        let mut known = KnownApplications::default();
        let lasting = self.owners.iter().filter(|(_, owners)| owners.is_lasting);
        known.lasting.extend(lasting.map(|(knob, _)| knob.clone()));
        for (instance, application) in &self.applications {
            let functions = application.functions.iter();
            let functions = functions.map(|((namespace, function), registered)| {
                let knobs = registered.knobs.clone();
                (namespace.clone(), function.clone(), knobs)
            });
            let mut functions: Vec<_> = functions.collect();
            functions.sort_unstable();
            let application = KnownApplication {
                node: application.node.clone(),
                functions,
            };
            known.by_instance.insert(instance.clone(), application);
        }
        known
    }

    /// How many applications live.
    pub(crate) fn len(&self) -> usize {
        self.applications.len()
    }

    /// Takes a registration; `payload` is its bytes.
    pub(crate) fn hear(&mut self, said: &Registration, payload: &[u8], now: Instant) -> Heard {
        let knobs = || said.knobs.values().map(|knob| knob.id.clone());
        if said.instance.is_empty() {
            for knob in knobs() {
                self.owners.entry(knob).or_default().is_lasting = true;
            }
            return Heard::News(News::Joined);
        }
        let digest = self.hasher.hash_one(payload);
        let is_known = self.applications.contains_key(&said.instance);
        if !is_known && self.applications.len() >= self.bound {
            for knob in knobs() {
                self.owners.entry(knob).or_default().is_lasting = true;
            }
            return Heard::News(News::NotTracked);
        }
        let application = self
            .applications
            .entry(said.instance.clone())
            .or_insert_with(|| Application {
                node: said.node.clone(),
                last_heard: now,
                functions: Map::default(),
            });
        application.last_heard = now;
        let function = (said.namespace.clone(), said.function_name.clone());
        let before = application.functions.get(&function);
        if before.is_some_and(|registered| registered.digest == Some(digest)) {
            return Heard::Heartbeat;
        }
        let registered = Registered {
            digest: Some(digest),
            knobs: knobs().collect(),
        };
        let node = application.node.clone();
        for knob in &registered.knobs {
            self.owners.entry(knob.clone()).or_default().join(&node);
        }
        let before = application.functions.insert(function, registered);
        for knob in before.iter().flat_map(|registered| &registered.knobs) {
            self.leave(knob, &node);
        }
        Heard::News(if is_known {
            News::Changed
        } else {
            News::Joined
        })
    }

    /// The applications that were not heard for too long. They are forgotten: one that is heard
    /// again joins anew.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Gone> {
        let is_overdue = |a: &Application| now.duration_since(a.last_heard) > self.patience;
        let overdue = self.applications.iter().filter(|(_, a)| is_overdue(a));
        let mut instances: Vec<String> = overdue.map(|(instance, _)| instance.clone()).collect();
        instances.sort();
        let gone = instances
            .iter()
            .filter_map(|instance| self.remove(instance));
        gone.collect()
    }

    /// Forgets an application that is gone.
    pub(crate) fn remove(&mut self, instance: &str) -> Option<Gone> {
        let application = self.applications.remove(instance)?;
        let mut functions: Vec<_> = application.functions.into_iter().collect();
        functions.sort_by(|(a, _), (b, _)| a.cmp(b));
        let knobs = functions.into_iter().flat_map(|(_, r)| r.knobs);
        let orphans = knobs.flat_map(|knob| self.leave(&knob, &application.node));
        Some(Gone {
            instance: instance.to_owned(),
            orphans: orphans.collect(),
            node: application.node,
        })
    }

    /// One registration less has the knob. Where it has no one any more: on the node, and then
    /// perhaps anywhere. Both are said, for an application on another node may come back first.
    fn leave(&mut self, knob: &str, node: &str) -> Vec<Orphan> {
        let Some(owners) = self.owners.get_mut(knob) else {
            return Vec::new();
        };
        owners.leave(node);
        let is_on_node = node.is_empty() || owners.are_on(node);
        let is_anywhere = !owners.by_node.is_empty();
        if owners.is_lasting {
            return Vec::new();
        }
        if !is_anywhere {
            self.owners.remove(knob);
        }
        let on_node = (!is_on_node).then(|| Some(node.to_owned()));
        let anywhere = (!is_anywhere).then_some(None);
        let orphan = |node| Orphan {
            knob: knob.to_owned(),
            node,
        };
        on_node.into_iter().chain(anywhere).map(orphan).collect()
    }
}

impl Owners {
    fn join(&mut self, node: &str) {
        *self.by_node.entry(node.to_owned()).or_default() += 1;
    }

    fn leave(&mut self, node: &str) {
        if let Some(left) = self.by_node.get_mut(node) {
            *left -= 1;
            if *left == 0 {
                self.by_node.remove(node);
            }
        }
    }

    /// Whether one of them is on a node, by its short or its long name: as
    /// [`dfo_model::node_names_match`] compares them, without comparing each.
    fn are_on(&self, node: &str) -> bool {
        if self.by_node.contains_key(node) {
            return true;
        }
        if let Some((short, _)) = node.split_once('.') {
            return self.by_node.contains_key(short);
        }
        let beginning = format!("{node}.");
        let from = (Bound::Included(beginning.as_str()), Bound::Unbounded);
        let next = self.by_node.range::<str, _>(from).next();
        next.is_some_and(|(long, _)| long.starts_with(&beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Scene {
        roster: Roster,
        now: Instant,
    }

    impl Scene {
        fn new(bound: usize) -> Self {
            Self {
                roster: Roster::new(PATIENCE, bound),
                now: Instant::now(),
            }
        }

        fn hear(&mut self, instance: &str, node: &str, knobs: &str) -> Heard {
            let knobs: Vec<_> = knobs.split_whitespace().collect();
            let knobs: Vec<_> = knobs
                .iter()
                .map(|k| format!(r#""{k}": {{"default": 1}}"#))
                .collect();
            let text = format!(
                r#"{{"namespace": "app", "function_name": "f", "knobs": {{{}}}, "instance": "{instance}", "node": "{node}"}}"#,
                knobs.join(",")
            );
            let registration = Registration::decode(text.as_bytes()).message.unwrap();
            self.roster.hear(&registration, text.as_bytes(), self.now)
        }

        fn after(&mut self, seconds: u64) -> Vec<Orphan> {
            self.now += Duration::from_secs(seconds);
            let gone = self.roster.overdue(self.now);
            gone.into_iter().flat_map(|gone| gone.orphans).collect()
        }
    }

    fn orphan(knob: &str, node: Option<&str>) -> Orphan {
        Orphan {
            knob: knob.to_owned(),
            node: node.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_said_before_is_a_heartbeat() {
        let mut s = Scene::new(10);
        assert_eq!(s.hear("i", "n1", "a"), Heard::News(News::Joined));
        assert_eq!(s.hear("i", "n1", "a"), Heard::Heartbeat);
        assert_eq!(s.hear("i", "n1", "a b"), Heard::News(News::Changed));
    }

    #[test]
    fn an_application_that_is_not_heard_is_gone_and_its_knobs_with_it() {
        let mut s = Scene::new(10);
        s.hear("i", "n1", "a b");
        assert_eq!(s.after(30), []);
        s.hear("i", "n1", "a b");
        assert_eq!(s.after(29), []);
        let on_node = |knob| orphan(knob, Some("n1"));
        let anywhere = |knob| orphan(knob, None);
        let (a, b) = ("app.a", "app.b");
        assert_eq!(
            s.after(2),
            [on_node(a), anywhere(a), on_node(b), anywhere(b)]
        );
        assert_eq!(s.roster.len(), 0);
        assert_eq!(s.hear("i", "n1", "a b"), Heard::News(News::Joined));
    }

    #[test]
    fn a_knob_is_orphaned_only_where_its_last_owner_was() {
        let mut s = Scene::new(10);
        s.hear("1", "n1", "a");
        s.hear("2", "n1", "a");
        s.hear("3", "n2", "a");
        assert_eq!(s.roster.remove("1").unwrap().orphans, []);
        assert_eq!(
            s.roster.remove("2").unwrap().orphans,
            [orphan("app.a", Some("n1"))]
        );
        assert_eq!(
            s.roster.remove("3").unwrap().orphans,
            [orphan("app.a", Some("n2")), orphan("app.a", None)]
        );
        assert_eq!(s.roster.remove("3"), None);
    }

    #[test]
    fn a_program_without_an_instance_is_never_missed() {
        let mut s = Scene::new(10);
        s.hear("", "", "a");
        s.hear("i", "n1", "a");
        assert_eq!(s.after(1000), []);
    }

    #[test]
    fn a_knob_that_is_no_longer_registered_is_no_longer_owned() {
        let mut s = Scene::new(10);
        s.hear("i", "n1", "a b");
        s.hear("i", "n1", "b");
        let orphans = [orphan("app.b", Some("n1")), orphan("app.b", None)];
        assert_eq!(s.after(31), orphans);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_others_are_not_missed() {
        let mut s = Scene::new(1);
        s.hear("1", "n1", "a");
        assert_eq!(s.hear("2", "n1", "b"), Heard::News(News::NotTracked));
        let orphans = [orphan("app.a", Some("n1")), orphan("app.a", None)];
        assert_eq!(s.after(31), orphans);
    }
}
