//! The way of an event, top to bottom, and nothing else.

mod ack;
mod command;
mod finding;
mod global_plan;
mod guard;
mod judging;
mod registration;
mod silence;

pub use command::is_operators;
use guard::Guard;

use dfo_model::{Ack, ActionPlan, FindingView, Registration, Value};

use crate::clock::{Clock, Stamp};
use crate::command::{Command, Freeze};
use crate::decision::{Decisions, Name};
use crate::ledger::{Ledger, Plan, Reach, Scope};
use crate::limits::PlansMade;
use crate::notice::Notice;
use crate::plan_ids::PlanIds;
use crate::presence::Presence;
use crate::registry::{KnobId, Registry};
use crate::settings::Settings;
use crate::suppression::Suppressions;

/// Names come from outside, and some are remembered: what is longer, in bytes, is refused.
pub(crate) const LONGEST_NAME: usize = 1024;

/// What comes in.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// An application tells which knobs it has.
    Registration(&'a Registration),
    /// A pack or a file tells which knobs there will be. As a registration; but what an application
    /// has spoken for is passed over, and until one speaks the values in force are only assumed.
    Bootstrap(&'a Registration),
    /// The diagnoser found something.
    Finding(&'a FindingView<'a>),
    /// An application tells what became of a plan.
    Ack(&'a Ack),
    /// An optimizer above wants a change.
    GlobalPlan(&'a ActionPlan),
    /// The last application that had a knob is gone.
    Silence(Silence<'a>),
    /// An operator asks for something.
    Command(&'a Command),
}

/// A knob has no live application any more. Plans for it are held until one registers it again.
///
/// That heartbeats were missed is for those to find who have a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence<'a> {
    /// The knob.
    pub knob: &'a str,
    /// The node where there is none; `None` is everywhere.
    pub node: Option<&'a str>,
}

/// The planner: events in, decisions with reasons out.
///
/// The same events give the same decisions, byte for byte.
#[derive(Debug)]
pub struct Planner {
    pub(crate) settings: Settings,
    pub(crate) plan_ids: PlanIds,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) ledger: Ledger,
    pub(crate) suppressions: Suppressions,
    pub(crate) presence: Presence,
    pub(crate) freeze: Freeze,
    pub(crate) plans_made: PlansMade,
}

impl Planner {
    /// A planner that knows no knobs yet.
    pub fn new(settings: Settings, plan_ids: PlanIds) -> Self {
        Planner {
            clock: Clock::new(settings.new_run_below),
            ledger: Ledger::new(settings.nodes_remembered),
            suppressions: Suppressions::new(settings.suppression_patience),
            presence: Presence::new(settings.nodes_remembered),
            registry: Registry::default(),
            freeze: Freeze::default(),
            plans_made: PlansMade::default(),
            plan_ids,
            settings,
        }
    }

    /// Tells the planner the name of the node it runs on: a global plan that names nodes is taken
    /// only where it names this one. Without a name, no plan for single nodes is taken.
    #[must_use]
    pub fn on_node(mut self, name: impl Into<String>) -> Self {
        self.ledger.nodes.set_own(name.into());
        self
    }

    /// Takes the ids of plans from another source from now on. For a planner whose events are not all
    /// known any more, so that no id is given twice.
    pub fn take_plan_ids_from(&mut self, plan_ids: PlanIds) {
        self.plan_ids = plan_ids;
    }

    /// What is wrong with a finding that cannot be used. Such a finding changes nothing.
    ///
    /// # Errors
    /// [`Notice::InvalidFinding`], which [`Planner::handle`] would give too.
    pub fn check_finding(finding: &FindingView<'_>) -> Result<(), Notice> {
        finding::check(finding).map(|_| ())
    }

    /// Decides on an event.
    ///
    /// An event is checked whole before anything changes: what is wrong with it comes out as a
    /// notice, and the rest of it counts.
    pub fn handle(&mut self, event: Event<'_>) -> Decisions {
        let mut decisions = Decisions::default();
        match event {
            Event::Registration(registration) => self.register(registration, &mut decisions),
            Event::Bootstrap(registration) => self.bootstrap(registration, &mut decisions),
            Event::Finding(finding) => self.find(finding, &mut decisions),
            Event::Ack(ack) => self.acknowledge(ack, &mut decisions),
            Event::GlobalPlan(plan) => self.take_global_plan(plan, &mut decisions),
            Event::Silence(silence) => self.take_silence(&silence, &mut decisions),
            Event::Command(command) => self.obey(command, &mut decisions),
        }
        decisions
    }
}

/// What several kinds of event ask.
impl Planner {
    fn guard(&self) -> Guard<'_> {
        Guard {
            freeze: &self.freeze,
            limits: &self.settings.limits,
            made: &self.plans_made,
            registry: &self.registry,
            now: self.clock.now(),
        }
    }

    /// When a plan was applied or rejected: in the window that the application names, which counts
    /// from the plan's; else now.
    fn time_of_ack(&self, window: Option<i64>, plan: &Plan) -> Stamp {
        let window = window.filter(|w| *w >= 0);
        let stamp = window.map(|acked| match plan.window {
            Some(made) => plan.action.at.shifted(i128::from(acked) - i128::from(made)),
            None => self.clock.stamp(acked),
        });
        self.clock.plausible(stamp)
    }

    fn node_of(&self, reach: &Reach) -> Option<Name> {
        match reach {
            Reach::Job => None,
            Reach::Nodes(nodes) => nodes.first().map(|n| self.ledger.nodes.name(*n).clone()),
        }
    }

    fn value_of(&self, knob: KnobId, reach: &Reach) -> &Value {
        let node = match reach {
            Reach::Job => None,
            Reach::Nodes(nodes) => nodes.first().copied(),
        };
        self.ledger
            .value(knob, node.map_or(Scope::Job, Scope::Node))
    }
}
