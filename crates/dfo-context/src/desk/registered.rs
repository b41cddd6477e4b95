//! The functions that are registered, their knobs, and the values in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dfo_model::{ActionPlan, Knob, KnobType, Registration, Value};
use indexmap::IndexMap;

use super::Staged;
use crate::boundary::Boundary;
use crate::domain::{Domain, OutsideRange, shortened};
use crate::knobs::{KnobRefused, KnobsRefused, LiveKnob, ValueRefused};
use crate::messages::LONGEST_NAME;
use crate::speaker::Speaker;

/// The functions that are registered, and their knobs. Neither goes away again.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    by_name: IndexMap<String, Function>,
    /// Of all functions together.
    pending: Arc<Pending>,
}

#[derive(Debug, Default)]
struct Function {
    pending: Arc<Pending>,
    /// By id. The same id may be a knob of several functions: a plan says which one is to apply it.
    knobs: IndexMap<String, Registered>,
    /// The ids of the knobs that were registered, by parameter.
    parameters: IndexMap<String, String>,
    /// Whether its registration has to be sent.
    is_due: bool,
    /// Takes plans for any knob, since none was ever registered for it.
    takes_any: bool,
}

/// Where a knob is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnobIndex {
    function: usize,
    knob: usize,
}

impl KnobIndex {
    pub(crate) fn function(self) -> usize {
        self.function
    }
}

/// A knob that is registered, or was met in a plan for a function that takes any.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) parameter: String,
    pub(crate) definition: Knob,
    pub(crate) domain: Domain,
    /// The value in force.
    pub(crate) value: Value,
    pub(crate) staged: Option<Staged>,
}

/// Why a plan has no knob here.
#[derive(Debug)]
pub(crate) enum NotHere {
    /// Nobody has spoken of its function yet.
    Function(String),
    /// The function is here, and has no such knob.
    Knob(String),
}

/// More knobs than a function has. Beyond it, names from outside would fill the memory.
const MOST_UNREGISTERED: usize = 256;

/// How many plans wait for a function: all that a boundary with nothing to do looks at.
///
/// The low half counts those for a window boundary, the high half those for an epoch boundary, so
/// that either boundary has its answer from one load.
#[derive(Debug, Default)]
pub(crate) struct Pending(AtomicU64);

impl Pending {
    /// Whether nothing waits for this boundary. A plan that arrives at this moment may be seen at
    /// the next boundary only.
    #[inline]
    pub(crate) fn is_empty(&self, at: Boundary) -> bool {
        let waiting = self.0.load(Ordering::Relaxed);
        match at {
            Boundary::Epoch => waiting == 0,
            Boundary::Window => waiting & u64::from(u32::MAX) == 0,
        }
    }

    fn count<'k>(&self, knobs: impl Iterator<Item = &'k Registered>) {
        const FOR_WINDOW: u64 = 1;
        const FOR_EPOCH: u64 = 1 << 32;
        let counts = knobs.filter_map(|knob| match knob.staged.as_ref()?.boundary {
            Boundary::Window => Some(FOR_WINDOW),
            Boundary::Epoch => Some(FOR_EPOCH),
        });
        self.0.store(counts.sum(), Ordering::Relaxed);
    }

    /// The sum of several.
    fn add_up<'p>(&self, parts: impl Iterator<Item = &'p Arc<Pending>>) {
        let counts = parts.map(|part| part.0.load(Ordering::Relaxed));
        self.0.store(counts.sum(), Ordering::Relaxed);
    }
}

/// A knob that was checked and can go in.
struct Checked {
    parameter: String,
    definition: Knob,
    domain: Domain,
    value: Value,
}

impl Functions {
    pub(crate) fn index_of(&self, function: &str) -> Option<usize> {
        self.by_name.get_index_of(function)
    }

    /// How many plans wait for all functions together.
    pub(crate) fn all_pending(&self) -> Arc<Pending> {
        Arc::clone(&self.pending)
    }

    pub(crate) fn pending(&self, function: usize) -> Arc<Pending> {
        Arc::clone(&self.by_name[function].pending)
    }

    pub(crate) fn knob(&self, index: KnobIndex) -> &Registered {
        &self.by_name[index.function].knobs[index.knob]
    }

    pub(crate) fn knob_mut(&mut self, index: KnobIndex) -> &mut Registered {
        &mut self.by_name[index.function].knobs[index.knob]
    }

    /// A knob of this id, whichever function it is of.
    pub(crate) fn knob_named(&self, id: &str) -> Option<&Registered> {
        let mut functions = self.by_name.values();
        functions.find_map(|function| function.knobs.get(id))
    }

    /// The knobs of a function, each with where it is found.
    pub(crate) fn knobs_of(
        &mut self,
        function: usize,
    ) -> impl Iterator<Item = (KnobIndex, &mut Registered)> {
        let knobs = self.by_name[function].knobs.values_mut().enumerate();
        knobs.map(move |(knob, registered)| (KnobIndex { function, knob }, registered))
    }

    /// A function that takes plans for any knob, unless knobs are registered for it.
    pub(crate) fn listen(&mut self, function: &str) -> usize {
        let entry = self.by_name.entry(function.to_owned());
        let index = entry.index();
        entry.or_insert_with(|| Function {
            takes_any: true,
            ..Function::default()
        });
        index
    }

    /// Registers knobs of a function, or none of them. A knob that is there already is defined anew.
    /// Gives the function and what was staged for knobs that may not have that value any more.
    pub(crate) fn register(
        &mut self,
        function: &str,
        knobs: impl IntoIterator<Item = LiveKnob>,
        namespace: &str,
    ) -> Result<(usize, Vec<(Staged, String)>), KnobsRefused> {
        let mut checked: Vec<Checked> = Vec::new();
        let mut refused = Vec::new();
        for knob in knobs {
            match self.check(function, knob, namespace, &checked) {
                Ok(knob) => checked.push(knob),
                Err(knob) => refused.push(knob),
            }
        }
        if !refused.is_empty() {
            return Err(KnobsRefused { refused });
        }
        let entry = self.by_name.entry(function.to_owned());
        let index = entry.index();
        let registered = entry.or_default();
        registered.is_due = true;
        registered.takes_any = false;
        let outdated = checked
            .into_iter()
            .filter_map(|knob| self.insert(index, knob))
            .collect();
        self.recount(index);
        Ok((index, outdated))
    }

    fn check(
        &self,
        function: &str,
        live: LiveKnob,
        namespace: &str,
        earlier: &[Checked],
    ) -> Result<Checked, KnobRefused> {
        let LiveKnob {
            parameter,
            mut knob,
            value,
        } = live;
        if knob.id.is_empty() {
            knob.id = format!("{namespace}.{parameter}");
        }
        if knob.target_function.is_empty() {
            function.clone_into(&mut knob.target_function);
        }
        let refused = |(field, what): (String, String)| KnobRefused {
            parameter: parameter.clone(),
            knob_id: knob.id.clone(),
            field,
            what,
        };
        let wrong = self.wrong_name(function, &parameter, &knob, earlier);
        if let Some((field, what)) = wrong {
            return Err(refused((field.to_owned(), what)));
        }
        let domain = Domain::of(&knob).map_err(refused)?;
        let value = domain
            .fit(&value)
            .map_err(|(_, what)| refused(("value".to_owned(), what)))?;
        Ok(Checked {
            parameter,
            definition: knob,
            domain,
            value,
        })
    }

    /// The names must be names, and not mean two things.
    fn wrong_name(
        &self,
        function: &str,
        parameter: &str,
        knob: &Knob,
        earlier: &[Checked],
    ) -> Option<(&'static str, String)> {
        if parameter.is_empty() {
            return Some((
                "parameter",
                "missing: a function knows its knobs by name".into(),
            ));
        }
        if knob.target_function != function {
            let named = &knob.target_function;
            let what = format!("`{named}`, but it is registered for `{function}`");
            return Some(("target_function", what));
        }
        if knob.id.len() > LONGEST_NAME {
            return Some(("id", format!("longer than {LONGEST_NAME} bytes")));
        }
        let there = self.by_name.get(function);
        let registered_as = there.and_then(|f| {
            let (name, _) = f.parameters.iter().find(|(_, id)| **id == knob.id)?;
            Some(name)
        });
        if let Some(name) = registered_as
            && name != parameter
        {
            let what = format!("`{}` is parameter `{name}` already", knob.id);
            return Some(("id", what));
        }
        if let Some(other) = there.and_then(|f| f.parameters.get(parameter))
            && *other != knob.id
        {
            return Some(("parameter", format!("is knob `{other}` already")));
        }
        if earlier.iter().any(|e| e.parameter == parameter) {
            return Some(("parameter", "is there twice".to_owned()));
        }
        if earlier.iter().any(|e| e.definition.id == knob.id) {
            return Some(("id", format!("`{}` is there twice", knob.id)));
        }
        None
    }

    fn insert(&mut self, function: usize, checked: Checked) -> Option<(Staged, String)> {
        let Checked {
            parameter,
            definition,
            domain,
            value,
        } = checked;
        let id = definition.id.clone();
        let function = &mut self.by_name[function];
        let staged = function.knobs.get_mut(&id).and_then(|k| k.staged.take());
        let (staged, outdated) = match staged {
            None => (None, None),
            Some(staged) => match domain.check(&staged.value, OutsideRange::Refused) {
                Ok(_) => (Some(staged), None),
                Err(why) => (None, Some((staged, why))),
            },
        };
        let knob = Registered {
            parameter: parameter.clone(),
            definition,
            domain,
            value,
            staged,
        };
        function.parameters.insert(parameter, id.clone());
        function.knobs.insert(id, knob);
        outdated
    }

    /// The knob that a plan is for, or why it is not here. The plan may leave the function out: then
    /// it is the one that was registered last with the knob.
    pub(crate) fn find(&mut self, plan: &ActionPlan) -> Result<KnobIndex, NotHere> {
        let name = &plan.target_function;
        let no_knob = || format!("no knob `{}` is registered here", shortened(&plan.knob_id));
        let function = match name.is_empty() {
            true => {
                let has_it = |f: &Function| f.knobs.contains_key(&plan.knob_id);
                let function = self.by_name.values().rposition(has_it);
                function.ok_or_else(|| NotHere::Knob(no_knob()))?
            }
            false => self.by_name.get_index_of(name).ok_or_else(|| {
                let name = shortened(name);
                NotHere::Function(match self.knob_named(&plan.knob_id) {
                    Some(Registered { definition, .. }) => format!(
                        "knob `{}` is applied by function `{}` here, not by `{name}`",
                        plan.knob_id, definition.target_function
                    ),
                    None => format!("no function `{name}` is registered here"),
                })
            })?,
        };
        let index = |knob| KnobIndex { function, knob };
        let owner = &mut self.by_name[function];
        match owner.knobs.get_index_of(&plan.knob_id) {
            Some(knob) => Ok(index(knob)),
            None if !owner.takes_any => Err(NotHere::Knob(no_knob())),
            None if owner.knobs.len() >= MOST_UNREGISTERED => Err(NotHere::Knob(format!(
                "function `{name}` has {MOST_UNREGISTERED} knobs already that nobody registered"
            ))),
            None => Ok(index(owner.meet(plan))),
        }
    }

    /// The value in force of a function's knob, by parameter or by id.
    pub(crate) fn value(&self, function: usize, parameter: &str) -> Option<&Value> {
        Some(&self.knob(self.of_function(function, parameter)?).value)
    }

    pub(crate) fn set_value(
        &mut self,
        function: usize,
        parameter: &str,
        value: &Value,
    ) -> Result<(), ValueRefused> {
        let Some(index) = self.of_function(function, parameter) else {
            let name = self.by_name.get_index(function).map(|(name, _)| name);
            return Err(ValueRefused::UnknownParameter {
                function: name.cloned().unwrap_or_default(),
                parameter: parameter.to_owned(),
            });
        };
        self.knob_mut(index).value = self.fitting(index, value)?;
        Ok(())
    }

    /// The value as one of the knob's type.
    pub(crate) fn fitting(&self, knob: KnobIndex, value: &Value) -> Result<Value, ValueRefused> {
        let knob = self.knob(knob);
        let fitting = knob.domain.fit(value);
        fitting.map_err(|(kind, what)| ValueRefused::WrongType {
            knob_id: knob.definition.id.clone(),
            kind,
            what,
        })
    }

    fn of_function(&self, function: usize, parameter: &str) -> Option<KnobIndex> {
        let knobs = &self.by_name[function].knobs;
        let id = self.by_name[function].parameters.get(parameter);
        let knob = knobs.get_index_of(id.map_or(parameter, String::as_str))?;
        Some(KnobIndex { function, knob })
    }

    /// Tells the boundaries of a function how much waits for them.
    pub(crate) fn recount(&mut self, function: usize) {
        let function = &self.by_name[function];
        function.pending.count(function.knobs.values());
        let functions = self.by_name.values();
        self.pending.add_up(functions.map(|f| &f.pending));
    }

    pub(crate) fn staged_plans(&self) -> usize {
        let knobs = self.by_name.values().flat_map(|f| f.knobs.values());
        knobs.filter(|knob| knob.staged.is_some()).count()
    }

    pub(crate) fn take_all_staged(&mut self) -> Vec<Staged> {
        let functions = self.by_name.values_mut();
        let knobs = functions.flat_map(|f| f.knobs.values_mut());
        let all = knobs.filter_map(|knob| knob.staged.take()).collect();
        for function in 0..self.by_name.len() {
            self.recount(function);
        }
        all
    }

    /// Every registration has to be sent again.
    pub(crate) fn all_due(&mut self) {
        for function in self.by_name.values_mut() {
            function.is_due = !function.takes_any;
        }
    }

    /// A registration that has to be sent, with the values in force; it counts as sent then.
    pub(crate) fn next_due(&mut self, speaker: &Speaker) -> Option<Registration> {
        let mut functions = self.by_name.iter_mut();
        let (name, function) = functions.find(|(_, f)| f.is_due)?;
        function.is_due = false;
        let parameters = function.parameters.iter();
        let registered = parameters.map(|(name, id)| (name.clone(), &function.knobs[id]));
        let knobs = registered.clone();
        let registration = Registration {
            namespace: speaker.namespace.clone(),
            function_name: name.clone(),
            knobs: knobs
                .map(|(name, knob)| (name, knob.definition.clone()))
                .collect(),
            current_values: registered
                .map(|(name, knob)| (name, knob.value.clone()))
                .collect(),
            instance: speaker.instance.clone(),
            node: speaker.node.clone(),
        };
        Some(registration)
    }
}

impl Function {
    /// A knob that nobody has registered: all that is known of it is what the plan says.
    fn meet(&mut self, plan: &ActionPlan) -> usize {
        let value = plan.old_value.as_ref().unwrap_or(&plan.new_value).clone();
        let knob = Registered {
            parameter: plan.knob_id.clone(),
            definition: Knob {
                target_function: plan.target_function.clone(),
                ..Knob::new(plan.knob_id.clone(), kind_of(&value), value.clone())
            },
            domain: Domain::unknown(),
            value,
            staged: None,
        };
        let (index, _) = self.knobs.insert_full(plan.knob_id.clone(), knob);
        index
    }
}

fn kind_of(value: &Value) -> KnobType {
    match value {
        Value::Bool(_) => KnobType::Bool,
        Value::Int(_) => KnobType::Int,
        Value::Float(_) => KnobType::Float,
        Value::Str(_) => KnobType::Str,
    }
}
