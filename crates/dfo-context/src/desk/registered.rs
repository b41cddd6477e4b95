//! The functions that are registered, their knobs, and the values in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dfo_model::{ActionPlan, Knob, Registration, Value};
use indexmap::IndexMap;

use super::Staged;
use crate::boundary::Boundary;
use crate::domain::{Domain, not_of_type, shortened};
use crate::knobs::{KnobRefused, KnobsRefused, LiveKnob, ValueRefused};
use crate::messages::LONGEST_NAME;
use crate::speaker::Speaker;

/// The functions that are registered, and their knobs. Neither goes away again.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    by_name: IndexMap<String, Function>,
    knobs: IndexMap<String, Registered>,
    /// Of all functions together.
    pending: Arc<Pending>,
}

#[derive(Debug, Default)]
struct Function {
    pending: Arc<Pending>,
    /// Its knobs, by parameter.
    parameters: IndexMap<String, usize>,
    /// Whether its registration has to be sent.
    is_due: bool,
}

/// A knob that is registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) parameter: String,
    pub(crate) definition: Knob,
    pub(crate) domain: Domain,
    /// The value in force.
    pub(crate) value: Value,
    pub(crate) function: usize,
    pub(crate) staged: Option<Staged>,
}

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

    fn count(&self, knobs: &IndexMap<String, Registered>, of: impl Fn(&Registered) -> bool) {
        const FOR_WINDOW: u64 = 1;
        const FOR_EPOCH: u64 = 1 << 32;
        let staged = knobs.values().filter(|knob| of(knob));
        let counts = staged.filter_map(|knob| match knob.staged.as_ref()?.boundary {
            Boundary::Window => Some(FOR_WINDOW),
            Boundary::Epoch => Some(FOR_EPOCH),
        });
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

    pub(crate) fn knob(&self, index: usize) -> &Registered {
        &self.knobs[index]
    }

    pub(crate) fn knob_mut(&mut self, index: usize) -> &mut Registered {
        &mut self.knobs[index]
    }

    pub(crate) fn knob_named(&self, id: &str) -> Option<&Registered> {
        self.knobs.get(id)
    }

    /// The knobs of a function, each with its index.
    pub(crate) fn knobs_of(
        &mut self,
        function: usize,
    ) -> impl Iterator<Item = (usize, &mut Registered)> {
        let knobs = self.knobs.values_mut().enumerate();
        knobs.filter(move |(_, knob)| knob.function == function)
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
        entry.or_default().is_due = true;
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
        let Some(value) = domain.kind().fit(&value) else {
            let what = not_of_type(&value, domain.kind());
            return Err(refused(("value".to_owned(), what)));
        };
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
        if let Some(known) = self.knobs.get(&knob.id) {
            let owner = &known.definition.target_function;
            if owner != function {
                let what = format!("`{}` is a knob of function `{owner}` already", knob.id);
                return Some(("id", what));
            }
            if known.parameter != parameter {
                let what = format!("`{}` is parameter `{}` already", knob.id, known.parameter);
                return Some(("id", what));
            }
        }
        let there = self.by_name.get(function);
        let there = there.and_then(|f| f.parameters.get(parameter));
        if let Some(other) = there.map(|index| &self.knobs[*index].definition.id)
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
        let staged = self.knobs.get_mut(&id).and_then(|k| k.staged.take());
        let (staged, outdated) = match staged {
            None => (None, None),
            Some(staged) => match domain.check(&staged.value) {
                Ok(_) => (Some(staged), None),
                Err(why) => (None, Some((staged, why))),
            },
        };
        let knob = Registered {
            parameter: parameter.clone(),
            definition,
            domain,
            value,
            function,
            staged,
        };
        let (index, _) = self.knobs.insert_full(id, knob);
        self.by_name[function].parameters.insert(parameter, index);
        outdated
    }

    /// The knob that a plan is for, or why it is not here. The plan may leave the function out.
    pub(crate) fn find(&self, plan: &ActionPlan) -> Result<usize, String> {
        let function = &plan.target_function;
        let Some((index, _, knob)) = self.knobs.get_full(&plan.knob_id) else {
            let is_named = !function.is_empty();
            return Err(match is_named && !self.by_name.contains_key(function) {
                true => format!("no function `{}` is registered here", shortened(function)),
                false => format!("no knob `{}` is registered here", shortened(&plan.knob_id)),
            });
        };
        let owner = &knob.definition.target_function;
        if !function.is_empty() && owner != function {
            return Err(format!(
                "knob `{}` is applied by function `{owner}` here, not by `{}`",
                plan.knob_id,
                shortened(function)
            ));
        }
        Ok(index)
    }

    /// The value in force of a function's knob, by parameter or by id.
    pub(crate) fn value(&self, function: usize, parameter: &str) -> Option<&Value> {
        Some(&self.knobs[self.of_function(function, parameter)?].value)
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
        self.knobs[index].value = self.fitting(index, value)?;
        Ok(())
    }

    /// The value as one of the knob's type.
    pub(crate) fn fitting(&self, knob: usize, value: &Value) -> Result<Value, ValueRefused> {
        let knob = &self.knobs[knob];
        let kind = knob.domain.kind();
        kind.fit(value).ok_or_else(|| ValueRefused::WrongType {
            knob_id: knob.definition.id.clone(),
            kind,
            what: not_of_type(value, kind),
        })
    }

    fn of_function(&self, function: usize, parameter: &str) -> Option<usize> {
        let by_name = self.by_name[function].parameters.get(parameter);
        let by_id = || {
            let (index, _, knob) = self.knobs.get_full(parameter)?;
            (knob.function == function).then_some(index)
        };
        by_name.copied().or_else(by_id)
    }

    /// Tells the boundaries of a function how much waits for them.
    pub(crate) fn recount(&mut self, function: usize) {
        let own = |knob: &Registered| knob.function == function;
        self.by_name[function].pending.count(&self.knobs, own);
        self.pending.count(&self.knobs, |_| true);
    }

    pub(crate) fn staged_plans(&self) -> usize {
        let staged = |knob: &&Registered| knob.staged.is_some();
        self.knobs.values().filter(staged).count()
    }

    pub(crate) fn take_all_staged(&mut self) -> Vec<Staged> {
        let knobs = self.knobs.values_mut();
        let all = knobs.filter_map(|knob| knob.staged.take()).collect();
        for function in 0..self.by_name.len() {
            self.recount(function);
        }
        all
    }

    /// Every registration has to be sent again.
    pub(crate) fn all_due(&mut self) {
        for function in self.by_name.values_mut() {
            function.is_due = true;
        }
    }

    /// A registration that has to be sent, with the values in force; it counts as sent then.
    pub(crate) fn next_due(&mut self, speaker: &Speaker) -> Option<Registration> {
        let mut functions = self.by_name.iter_mut().enumerate();
        let (index, (name, function)) = functions.find(|(_, (_, f))| f.is_due)?;
        function.is_due = false;
        let name = name.clone();
        let parameters = &self.by_name[index].parameters;
        let registered = |knob: &usize| &self.knobs[*knob];
        let registration = Registration {
            namespace: speaker.namespace.clone(),
            function_name: name,
            knobs: parameters
                .iter()
                .map(|(name, knob)| (name.clone(), registered(knob).definition.clone()))
                .collect(),
            current_values: parameters
                .iter()
                .map(|(name, knob)| (name.clone(), registered(knob).value.clone()))
                .collect(),
            instance: speaker.instance.clone(),
            node: speaker.node.clone(),
        };
        Some(registration)
    }
}
