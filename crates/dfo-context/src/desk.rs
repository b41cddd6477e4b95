//! The desk on which plans wait for their boundary.
//!
//! The state of a context and its rules, as a plain value: no thread, no clock, no transport. Plans,
//! boundaries and answers come in; acknowledgements and registrations are there to be fetched. Every
//! plan that is taken in ends in exactly one acknowledgement that is not `deferred`.

mod history;
mod outbox;
mod registered;
#[cfg(test)]
mod tests;
mod unclaimed;

use std::sync::Arc;

use dfo_model::{Ack, AckStatus, ActionPlan, Registration, Value};

use crate::boundary::{Boundary, unknown_boundary};
use crate::domain::{OutsideRange, shortened};
use crate::messages::Unreadable;
use crate::speaker::{Answered, Speaker};
use crate::status::{Link, PlanCounts, SentCounts, Status};
use history::{History, Seen};
pub(crate) use outbox::Fate;
use outbox::{Outbox, Put};
pub(crate) use registered::{Functions, Pending};
use registered::{KnobIndex, NotHere};
use unclaimed::{Displaced, Unclaimed};

/// The state of a context.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) speaker: Speaker,
    pub(crate) functions: Functions,
    link: Link,
    pub(crate) sent: SentCounts,
    pub(crate) openings: u64,
    /// How often something was done here: who waits for a change compares it.
    pub(crate) changes: u64,
    /// How often there was something that people should be told: see [`crate::Context::news`].
    pub(crate) news: u64,
    last_error: Option<String>,
    last_refusal: Option<String>,
    outside_range: OutsideRange,
    unclaimed: Unclaimed,
    history: History,
    outbox: Outbox,
    plans: PlanCounts,
    last_undecodable: Option<String>,
    arrivals: u64,
    disconnections: u64,
}

/// A plan that waits for its boundary: checked, and its value one of the knob's.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) plan: Arc<ActionPlan>,
    pub(crate) value: Value,
    boundary: Boundary,
    arrival: u64,
}

/// A plan in the application's hands.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) knob: KnobIndex,
    pub(crate) staged: Staged,
    pub(crate) parameter: String,
    pub(crate) old_value: Value,
}

/// What the application says to a plan.
#[derive(Debug)]
pub(crate) enum Answer {
    Applied(Value),
    Rejected(String),
    Deferred,
}

/// Who else gets the plans that come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Nobody: a plan for something unknown is nobody's.
    OnlyUs,
    /// Everyone: it may be another application's, or another process's of this one.
    Everyone,
    /// The application itself has put it in.
    Ourselves,
}

/// Why a plan is not put aside.
enum Refusal {
    /// It is for a function that nobody has spoken of yet.
    UnknownFunction(String),
    /// Its function is here, and has no such knob.
    UnknownKnob(String),
    /// It cannot be applied.
    Wrong(String),
}

/// What the background thread should send next.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Ack(Box<Ack>),
    /// With the values in force at this moment.
    Registration(Box<Registration>),
}

impl Desk {
    pub(crate) fn new(speaker: Speaker, limits: Limits, fate: Fate) -> Self {
        Desk {
            speaker,
            functions: Functions::default(),
            link: match fate {
                Fate::Unheard => Link::Disabled,
                Fate::Waits | Fate::TooLate => Link::Opening,
            },
            sent: SentCounts::default(),
            openings: 0,
            changes: 0,
            news: 0,
            last_error: None,
            last_refusal: None,
            outside_range: limits.outside_range,
            unclaimed: Unclaimed::default(),
            history: History::remembering(limits.remembered_plans),
            outbox: Outbox::new(limits.waiting_acks, fate),
            plans: PlanCounts::default(),
            last_undecodable: None,
            arrivals: 0,
            disconnections: 0,
        }
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            link: self.link,
            plans: self.plans,
            sent: self.sent,
            plans_waiting: self.functions.staged_plans(),
            plans_unclaimed: self.unclaimed.len(),
            acks_waiting: self.outbox.len(),
            openings: self.openings,
            disconnections: self.disconnections,
            last_error: self.last_error.clone(),
            last_undecodable: self.last_undecodable.clone(),
            last_refusal: self.last_refusal.clone(),
        }
    }

    /// Something went wrong on the way to the optimizer.
    pub(crate) fn fail(&mut self, why: String) {
        if self.last_error.as_ref() != Some(&why) {
            self.news += 1;
        }
        self.last_error = Some(why);
    }

    /// A plan has arrived.
    ///
    /// One for a function that nobody has spoken of *yet* is refused where the optimizer can be told:
    /// it has the knob from somewhere else, and plans again when it sees it registered. Where nobody can
    /// be told, it waits: an application that only takes plans may be slow to ask for its first.
    pub(crate) fn receive(&mut self, plan: ActionPlan, audience: Audience) {
        self.plans.received += 1;
        if !self.speaker.is_meant(&plan.target_nodes) {
            self.plans.not_for_this_node += 1;
            return;
        }
        match self.history.look_up(&plan) {
            Seen::No => {}
            Seen::Open => {
                self.plans.repeated += 1;
                return;
            }
            Seen::Done(ack) => {
                self.plans.repeated += 1;
                self.put(*ack);
                return;
            }
        }
        self.place(plan, audience);
    }

    fn place(&mut self, plan: ActionPlan, audience: Audience) {
        match self.check(&plan) {
            Ok((knob, value, boundary)) => {
                self.arrivals += 1;
                let staged = Staged {
                    plan: Arc::new(plan),
                    value,
                    boundary,
                    arrival: self.arrivals,
                };
                self.stage(knob, staged);
            }
            Err(Refusal::Wrong(why)) => self.refuse_on_arrival(&plan, why),
            Err(Refusal::UnknownFunction(_)) if self.keeps_unclaimed(audience) => self.keep(plan),
            Err(Refusal::UnknownFunction(why) | Refusal::UnknownKnob(why)) => {
                self.plans.unknown_function += 1;
                if audience != Audience::Everyone {
                    self.refuse_on_arrival(&plan, why);
                }
            }
        }
    }

    fn keeps_unclaimed(&self, audience: Audience) -> bool {
        let nobody_is_told = self.outbox.fate() == Fate::Unheard;
        self.link != Link::Stopped && (nobody_is_told || audience == Audience::Ourselves)
    }

    /// The latest plan for a knob wins, here too.
    fn keep(&mut self, plan: ActionPlan) {
        self.history.open(&plan.plan_id);
        let newer = plan.plan_id.clone();
        match self.unclaimed.put(plan) {
            Displaced::Nothing => {}
            Displaced::Earlier(earlier) => self.supersede(&earlier, &newer),
            Displaced::Oldest(oldest) => {
                self.plans.unknown_function += 1;
                let why = format!(
                    "no function `{}` is registered here",
                    oldest.target_function
                );
                self.refuse_on_arrival(&oldest, shortened(&why));
            }
        }
    }

    /// A function is here now: what was kept for it finds its knobs.
    pub(crate) fn claim(&mut self, function: &str) {
        for plan in self.unclaimed.take(function) {
            self.place(plan, Audience::Ourselves);
        }
    }

    /// Something has arrived that is no plan. Where its id can be read, it is rejected, so that the
    /// optimizer does not wait.
    pub(crate) fn receive_unreadable(&mut self, record: Unreadable, audience: Audience) {
        self.plans.received += 1;
        self.plans.undecodable += 1;
        let Unreadable {
            plan_id,
            knob_id,
            target_nodes,
            why,
        } = record;
        let may_be_others =
            audience == Audience::Everyone && self.functions.knob_named(&knob_id).is_none();
        let is_answered = plan_id
            .filter(|id| !self.history.knows(id))
            .filter(|_| self.speaker.is_meant(&target_nodes) && !may_be_others);
        if let Some(plan_id) = is_answered {
            self.plans.rejected += 1;
            let ack = self.rejection(&plan_id, &knob_id, why.clone());
            self.put(ack);
        }
        self.news += 1;
        self.last_undecodable = Some(why);
    }

    /// What the transport could not hand over, since this was last said.
    pub(crate) fn note_losses(&mut self, too_large: u64, disconnections: u64) {
        self.plans.too_large += too_large;
        self.disconnections += disconnections;
    }

    /// What a function can take at a boundary, in the order in which it arrived, of the parameters wanted.
    pub(crate) fn take(
        &mut self,
        function: usize,
        at: Boundary,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (index, knob) in self.functions.knobs_of(function) {
            let parameter = &knob.parameter;
            let old_value = &knob.value;
            let fits = |staged: &mut Staged| at.takes(staged.boundary) && is_wanted(parameter);
            if let Some(staged) = knob.staged.take_if(fits) {
                taken.push(Taken {
                    knob: index,
                    staged,
                    parameter: parameter.clone(),
                    old_value: old_value.clone(),
                });
            }
        }
        taken.sort_by_key(|taken| taken.staged.arrival);
        self.functions.recount(function);
        taken
    }

    /// The application's answer to what it took.
    pub(crate) fn answer(&mut self, taken: Taken, answer: Answer) {
        let Taken { knob, staged, .. } = taken;
        match answer {
            Answer::Applied(value) => {
                let knob = self.functions.knob_mut(knob);
                let was_held = knob.domain.was_held(&staged.plan.new_value);
                let was_held = was_held.filter(|_| value == staged.value);
                let reason = was_held.map(|what| format!("{what}; held at {value}"));
                let old_value = std::mem::replace(&mut knob.value, value.clone());
                let ack = self.speaker.ack(Answered {
                    plan_id: &staged.plan.plan_id,
                    knob_id: &staged.plan.knob_id,
                    status: AckStatus::Applied,
                    old_value: Some(old_value),
                    new_value: Some(value),
                    reason: reason.unwrap_or_default(),
                });
                self.plans.applied += 1;
                self.close(&staged.plan, ack);
            }
            Answer::Rejected(why) => self.refuse(&staged.plan, why),
            Answer::Deferred => self.defer(knob, staged),
        }
    }

    /// Back on the desk, where nothing newer lies for the knob and it may still have that value.
    fn defer(&mut self, index: KnobIndex, staged: Staged) {
        let knob = self.functions.knob_mut(index);
        if let Some(newer) = &knob.staged {
            let newer = newer.plan.plan_id.clone();
            self.supersede(&staged.plan, &newer);
            return;
        }
        if let Err(why) = knob.domain.check(&staged.value, OutsideRange::Refused) {
            self.refuse(&staged.plan, format!("new_value: {why}"));
            return;
        }
        if self.link == Link::Stopped {
            self.refuse(&staged.plan, STOPPED.to_owned());
            return;
        }
        let in_force = Some(knob.value.clone());
        let ack = self.speaker.ack(Answered {
            plan_id: &staged.plan.plan_id,
            knob_id: &staged.plan.knob_id,
            status: AckStatus::Deferred,
            old_value: in_force.clone(),
            new_value: in_force,
            reason: String::new(),
        });
        knob.staged = Some(staged);
        self.functions.recount(index.function());
        self.plans.deferred += 1;
        self.put(ack);
    }

    /// Everything that waits is rejected, and nothing is taken in any more.
    pub(crate) fn stop(&mut self) {
        self.link = Link::Stopped;
        for staged in self.functions.take_all_staged() {
            self.refuse(&staged.plan, STOPPED.to_owned());
        }
        for plan in self.unclaimed.take_all() {
            self.refuse(&plan, STOPPED.to_owned());
        }
    }

    /// How the way to the optimizer is. Once stopped, it stays so.
    pub(crate) fn set_link(&mut self, link: Link) {
        if self.link != Link::Stopped && self.link != link {
            self.link = link;
            self.news += 1;
        }
    }

    /// Nobody sends any more: what still waits is lost, and counted.
    pub(crate) fn give_up_sending(&mut self) {
        self.sent.acks_dropped += self.outbox.turn(Fate::TooLate) as u64;
    }

    /// Whether there is someone to send to. Where there is not, acknowledgements are not kept.
    pub(crate) fn set_heard(&mut self, fate: Fate) {
        self.sent.acks_unheard += self.outbox.turn(fate) as u64;
    }

    /// What to send next: first the registrations that are due.
    pub(crate) fn next_outgoing(&mut self) -> Option<Outgoing> {
        if let Some(registration) = self.functions.next_due(&self.speaker) {
            return Some(Outgoing::Registration(Box::new(registration)));
        }
        let ack = self.outbox.next()?;
        Some(Outgoing::Ack(Box::new(ack)))
    }

    /// The knob that a plan is for, its value as one of the knob's, and where it can be taken.
    fn check(&mut self, plan: &ActionPlan) -> Result<(KnobIndex, Value, Boundary), Refusal> {
        let index = self
            .functions
            .find(plan)
            .map_err(|not_here| match not_here {
                NotHere::Function(why) => Refusal::UnknownFunction(why),
                NotHere::Knob(why) => Refusal::UnknownKnob(why),
            })?;
        let boundary = Boundary::from_apply_when(&plan.apply_when).ok_or_else(|| {
            Refusal::Wrong(format!(
                "apply_when: {}",
                unknown_boundary(&plan.apply_when)
            ))
        })?;
        let domain = &self.functions.knob(index).domain;
        let value = domain.check(&plan.new_value, self.outside_range);
        let value = value.map_err(|why| Refusal::Wrong(format!("new_value: {why}")))?;
        Ok((index, value, boundary))
    }

    /// The latest plan for a knob wins.
    fn stage(&mut self, index: KnobIndex, staged: Staged) {
        if self.link == Link::Stopped {
            self.refuse(&staged.plan, STOPPED.to_owned());
            return;
        }
        self.history.open(&staged.plan.plan_id);
        self.plans.staged += 1;
        let newer = staged.plan.plan_id.clone();
        let earlier = self.functions.knob_mut(index).staged.replace(staged);
        self.functions.recount(index.function());
        if let Some(earlier) = earlier {
            self.supersede(&earlier.plan, &newer);
        }
    }

    fn supersede(&mut self, plan: &ActionPlan, newer: &str) {
        let why = format!("superseded by {}", shortened(newer));
        let ack = self.rejection(&plan.plan_id, &plan.knob_id, why);
        self.plans.superseded += 1;
        self.close(plan, ack);
    }

    fn refuse_on_arrival(&mut self, plan: &ActionPlan, why: String) {
        self.news += 1;
        let (plan_id, knob_id) = (shortened(&plan.plan_id), shortened(&plan.knob_id));
        self.last_refusal = Some(format!("plan {plan_id} for {knob_id}: {why}"));
        self.refuse(plan, why);
    }

    pub(crate) fn refuse(&mut self, plan: &ActionPlan, why: String) {
        let ack = self.rejection(&plan.plan_id, &plan.knob_id, why);
        self.plans.rejected += 1;
        self.close(plan, ack);
    }

    fn rejection(&self, plan_id: &str, knob_id: &str, reason: String) -> Ack {
        let knob = self.functions.knob_named(knob_id);
        let in_force = knob.map(|knob| knob.value.clone());
        self.speaker.ack(Answered {
            plan_id,
            knob_id,
            status: AckStatus::Rejected,
            old_value: in_force.clone(),
            new_value: in_force,
            reason,
        })
    }

    fn close(&mut self, plan: &ActionPlan, ack: Ack) {
        self.history.close(plan, ack.clone());
        self.put(ack);
    }

    fn put(&mut self, ack: Ack) {
        match self.outbox.put(ack) {
            Put::InPlace => {}
            Put::Dropped => self.sent.acks_dropped += 1,
            Put::Unheard => self.sent.acks_unheard += 1,
        }
    }
}

const STOPPED: &str = "the application stopped taking plans before it applied this one";

/// How much a context remembers and keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) remembered_plans: usize,
    pub(crate) waiting_acks: usize,
    pub(crate) outside_range: OutsideRange,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            remembered_plans: 1024,
            waiting_acks: 1024,
            outside_range: OutsideRange::default(),
        }
    }
}
