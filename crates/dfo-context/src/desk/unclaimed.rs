//! Plans for functions that nobody has spoken of yet, where nobody can be told of it.

use dfo_model::ActionPlan;
use indexmap::IndexMap;

/// More than there are knobs in an application. Where plans are sent to everyone, those of all other
/// applications come here too.
const MOST: usize = 1024;

/// Plans for functions that nobody has spoken of yet: for each knob the latest.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    /// By function and knob, oldest first.
    plans: IndexMap<(String, String), ActionPlan>,
}

/// What had to go for a plan that was put in.
pub(crate) enum Displaced {
    Nothing,
    /// An earlier plan for the same knob.
    Earlier(Box<ActionPlan>),
    /// The oldest of too many.
    Oldest(Box<ActionPlan>),
}

impl Unclaimed {
    pub(crate) fn len(&self) -> usize {
        self.plans.len()
    }

    pub(crate) fn put(&mut self, plan: ActionPlan) -> Displaced {
        let key = (plan.target_function.clone(), plan.knob_id.clone());
        let earlier = self.plans.shift_remove(&key);
        self.plans.insert(key, plan);
        if let Some(earlier) = earlier {
            return Displaced::Earlier(Box::new(earlier));
        }
        match self.plans.len() > MOST {
            true => match self.plans.shift_remove_index(0) {
                Some((_, oldest)) => Displaced::Oldest(Box::new(oldest)),
                None => Displaced::Nothing,
            },
            false => Displaced::Nothing,
        }
    }

    /// What is for a function, oldest first.
    pub(crate) fn take(&mut self, function: &str) -> Vec<ActionPlan> {
        let of_function = |(owner, _): &(String, String), _: &mut ActionPlan| owner == function;
        let taken = self.plans.extract_if(.., of_function);
        taken.map(|(_, plan)| plan).collect()
    }

    pub(crate) fn take_all(&mut self) -> Vec<ActionPlan> {
        std::mem::take(&mut self.plans).into_values().collect()
    }
}
