//! What a service knows besides its planner, and wants to find again after a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dfo_journal::{Mark, Recorded, RecordedEvent, Since};
use dfo_model::{ActionPlan, Registration};
use dfo_planner::{Decisions, Notice, Planner};
use serde::{Deserialize, Deserializer, Serialize};

/// What a service knows besides its planner.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Companion {
    pub(crate) applications: KnownApplications,
    pub(crate) open_plans: OpenPlans,
    /// The window of the last finding, and its axis.
    pub(crate) last_finding: Option<(i64, Option<String>)>,
    /// Why what a head says of all this cannot be read, if it cannot.
    #[serde(skip)]
    pub(crate) unreadable: Option<String>,
    /// Whether a stand-in applied the plans.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_dry_run: bool,
}

/// The applications that live, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KnownApplications {
    /// Those that say who they are, by instance.
    pub(crate) by_instance: BTreeMap<String, KnownApplication>,
    /// Knobs of those that do not.
    pub(crate) lasting: BTreeSet<String>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownApplication {
    pub(crate) node: String,
    /// Namespace, function, and its knobs.
    pub(crate) functions: Vec<(String, String, Vec<String>)>,
}

/// Plans that nobody has answered, in the order of making.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(into = "Vec<OpenPlan>", from = "Vec<OpenPlan>")]
pub(crate) struct OpenPlans {
    by_number: BTreeMap<u64, OpenPlan>,
    numbers: HashMap<String, u64, foldhash::fast::RandomState>,
    made: u64,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenPlan {
    #[serde(deserialize_with = "plan")]
    pub(crate) plan: ActionPlan,
    /// The axis of the finding that led to it.
    pub(crate) view: Option<String>,
    /// A new run began: the application that it was for is another one now.
    pub(crate) is_of_an_earlier_run: bool,
}

impl Companion {
    /// Takes what a journal tells.
    pub(crate) fn fold(&mut self, since: &Since<'_>) {
        match since {
            Since::Head(head) => {
                *self = Companion::deserialize(&head.companion).unwrap_or_else(|why| Companion {
                    unreadable: Some(why.to_string()),
                    ..Companion::default()
                });
            }
            Since::Entry { entry, decided } => match &entry.what {
                Recorded::Event { event, .. } => self.fold_event(event, *decided),
                Recorded::Mark(Mark::Gone { instance, .. }) => {
                    self.applications.by_instance.remove(instance);
                }
                Recorded::Mark(Mark::Unsent { plan_id, .. }) => self.open_plans.remove(plan_id),
                Recorded::Mark(_) => {}
            },
        }
    }

    fn fold_event(&mut self, event: &RecordedEvent<'_>, decided: Option<&Decisions>) {
        let mut view = None;
        match event {
            RecordedEvent::Registration(registration) => self.applications.join(registration),
            RecordedEvent::Finding(finding) => {
                view = finding.view_type.as_deref();
                self.last_finding = Some((finding.window_index, view.map(str::to_owned)));
            }
            _ => {}
        }
        if let Some(decided) = decided {
            self.open_plans.note(decided, view);
        }
    }

    /// Forgets the plans that the planner does not wait for.
    pub(crate) fn keep_open_plans(&mut self, planner: &Planner) {
        let pending = planner.pending();
        let pending: BTreeSet<&str> = pending.iter().map(|plan| plan.plan_id).collect();
        let open = std::mem::take(&mut self.open_plans).into_iter();
        let pending = open.filter(|open| pending.contains(open.plan.plan_id.as_str()));
        self.open_plans = pending.collect::<Vec<_>>().into();
    }

    /// For the head of a segment.
    pub(crate) fn saved(&self) -> serde_json::Value {
        // Plain data with text keys: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl KnownApplications {
    fn join(&mut self, said: &Registration) {
        let knobs = said.knobs.values().map(|knob| knob.id.clone());
        if said.instance.is_empty() {
            return self.lasting.extend(knobs);
        }
        let known = self.by_instance.entry(said.instance.clone()).or_default();
        known.node.clone_from(&said.node);
        let (namespace, function) = (said.namespace.clone(), said.function_name.clone());
        known
            .functions
            .retain(|(n, f, _)| (n, f) != (&namespace, &function));
        known.functions.push((namespace, function, knobs.collect()));
    }
}

impl OpenPlans {
    /// Takes note of new plans, and of those that are open no longer. `view` is the axis of the
    /// finding that was decided on.
    pub(crate) fn note(&mut self, decisions: &Decisions, view: Option<&str>) {
        for notice in decisions.notices() {
            match notice {
                Notice::Applied { plan_id, .. }
                | Notice::Rejected { plan_id, .. }
                | Notice::PlanExpired { plan_id, .. }
                | Notice::PlanSuperseded { plan_id, .. } => {
                    self.remove(plan_id);
                }
                Notice::NewRun { .. } => {
                    for open in self.by_number.values_mut() {
                        open.is_of_an_earlier_run = true;
                    }
                }
                _ => {}
            }
        }
        for plan in decisions.plans() {
            self.add(OpenPlan {
                plan: plan.clone(),
                view: view.map(str::to_owned),
                is_of_an_earlier_run: false,
            });
        }
    }

    fn add(&mut self, open: OpenPlan) {
        self.made += 1;
        self.numbers.insert(open.plan.plan_id.clone(), self.made);
        self.by_number.insert(self.made, open);
    }

    /// It is answered, or will never be sent.
    pub(crate) fn remove(&mut self, plan_id: &str) {
        if let Some(number) = self.numbers.remove(plan_id) {
            self.by_number.remove(&number);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OpenPlan> {
        self.by_number.values()
    }
}

impl IntoIterator for OpenPlans {
    type Item = OpenPlan;
    type IntoIter = std::collections::btree_map::IntoValues<u64, OpenPlan>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_number.into_values()
    }
}

impl From<OpenPlans> for Vec<OpenPlan> {
    fn from(plans: OpenPlans) -> Self {
        plans.into_iter().collect()
    }
}

impl From<Vec<OpenPlan>> for OpenPlans {
    fn from(plans: Vec<OpenPlan>) -> Self {
        let mut open = OpenPlans::default();
        for plan in plans {
            open.add(plan);
        }
        open
    }
}

fn plan<'de, D: Deserializer<'de>>(from: D) -> Result<ActionPlan, D::Error> {
    let json = serde_json::Value::deserialize(from)?;
    let plan = ActionPlan::decode(json.to_string().as_bytes()).into_result();
    plan.map_err(serde::de::Error::custom)
}
