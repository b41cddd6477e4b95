//! From a record to its consequences, one at a time: the planner's owner.
//!
//! Everything here is plain code without waiting. The tasks around it bring records and carry plans.

use std::sync::Arc;

use dfo_model::{
    Ack, ActionPlan, Decoded, Envelope, FindingView, Kind, ProblemKind, PublishMode, Registration,
};
use dfo_planner::{Command, Decisions, Event, Notice, Planner, Silence};
use dfo_transport::Record;
use tokio::time::Instant;

use crate::counts::Counts;
use crate::dead_letters::{DeadLetters, Kept};
use crate::happening::{Channel, Happening, Observer, Unsent};
use crate::outbox::{Frozen, Outbox, Standing};
use crate::roster::{Gone, Heard, News, Roster};
use crate::stand_in::StandIn;

/// What everything reaches as events.
pub(crate) struct Engine {
    pub(crate) planner: Planner,
    pub(crate) roster: Roster,
    /// In a dry run: the application that is not there.
    pub(crate) stand_in: Option<StandIn>,
    /// Where plans go, each with the name of its sink.
    pub(crate) outboxes: Vec<(String, Arc<Outbox>)>,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) counts: Counts,
}

/// What a record on the channel of findings was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// A finding, which was decided on.
    Finding,
    /// Any other record.
    Record,
    EndOfStream,
}

/// An event that belongs to no window.
const NO_WINDOW: i64 = -1;

/// The finding type of a plan that an operator asked for.
const FROM_THE_OPERATOR: &str = "operator";

impl Engine {
    /// Takes a record from the channel of findings.
    pub(crate) fn take_finding(&mut self, from: &str, record: &Record) -> Took {
        let envelope = match Envelope::decode(&record.metadata) {
            Ok(envelope) => envelope,
            Err(problem) => {
                self.refuse(Channel::Findings, from, &problem.to_string(), record);
                return Took::Record;
            }
        };
        if envelope.ends_stream {
            self.counts.ends += 1;
            return Took::EndOfStream;
        }
        match FindingView::decode(&record.payload) {
            Ok(finding) if is_summary(&envelope, &finding) => self.counts.summaries += 1,
            Ok(finding) => return self.decide(from, record, &finding),
            Err(problem) => self.refuse(Channel::Findings, from, &problem.to_string(), record),
        }
        Took::Record
    }

    fn decide(&mut self, from: &str, record: &Record, finding: &FindingView<'_>) -> Took {
        if let Err(Notice::InvalidFinding { field, why }) = Planner::check_finding(finding) {
            let problem = format!("{field}: {why}");
            self.refuse(Channel::Findings, from, &problem, record);
            return Took::Record;
        }
        self.counts.findings += 1;
        self.let_the_stand_in_answer(finding);
        let decisions = self.planner.handle(Event::Finding(finding));
        self.conclude(finding.window_index, &decisions);
        if let Some(stand_in) = &mut self.stand_in {
            stand_in.receive(finding, &decisions);
        }
        self.let_the_stand_in_answer(finding);
        Took::Finding
    }

    fn let_the_stand_in_answer(&mut self, finding: &FindingView<'_>) {
        let Some(stand_in) = &mut self.stand_in else {
            return;
        };
        for ack in stand_in.due(finding) {
            let decisions = self.planner.handle(Event::Ack(&ack));
            self.conclude(finding.window_index, &decisions);
        }
    }

    /// Takes a record from a control channel: a registration, an acknowledgement, or a farewell.
    pub(crate) fn take_control(&mut self, from: &str, record: &Record, now: Instant) {
        let envelope = match Envelope::decode(&record.metadata) {
            Ok(envelope) => envelope,
            Err(problem) => {
                return self.refuse(Channel::Control, from, &problem.to_string(), record);
            }
        };
        if envelope.ends_stream {
            return self.take_farewell(&envelope.instance);
        }
        match envelope.kind.or_else(|| kind_of_payload(&record.payload)) {
            Some(Kind::KnobRegistration) => self.take_registration(from, record, now),
            Some(Kind::ActionAck) => self.take_ack(from, record),
            Some(Kind::ActionPlan) | None => {
                let problem = "neither a registration nor an acknowledgement; say in the metadata \
                               which it is: \"type\": \"knob_registration\" or \"action_ack\"";
                self.refuse(Channel::Control, from, problem, record);
            }
        }
    }

    fn take_registration(&mut self, from: &str, record: &Record, now: Instant) {
        let decoded = Registration::decode(&record.payload);
        let problem = problem_of(&decoded);
        let Some(registration) = decoded.message else {
            return self.refuse(Channel::Control, from, &problem.unwrap_or_default(), record);
        };
        match self.roster.hear(&registration, &record.payload, now) {
            Heard::Heartbeat => {
                self.counts.heartbeats += 1;
                return;
            }
            Heard::News(News::NotTracked) => self.counts.not_tracked += 1,
            Heard::News(News::Joined | News::Changed) => {}
        }
        self.counts.registrations += 1;
        // What is right of it counts; what is not is told once, not with every heartbeat.
        if let Some(problem) = problem {
            self.counts.registrations_in_part += 1;
            self.lay_aside(Channel::Control, from, &problem, record);
        }
        self.observer.observe(&Happening::Joined {
            instance: &registration.instance,
            node: &registration.node,
            function: &registration.function_name,
            knobs: registration.knobs.len(),
        });
        let decisions = self.planner.handle(Event::Registration(&registration));
        self.conclude(NO_WINDOW, &decisions);
    }

    fn take_ack(&mut self, from: &str, record: &Record) {
        let decoded = Ack::decode(&record.payload);
        let problem = problem_of(&decoded);
        let Some(ack) = decoded.message else {
            return self.refuse(Channel::Control, from, &problem.unwrap_or_default(), record);
        };
        self.counts.acks += 1;
        let decisions = self.planner.handle(Event::Ack(&ack));
        self.conclude(ack.window_index.unwrap_or(NO_WINDOW), &decisions);
    }

    fn take_farewell(&mut self, instance: &str) {
        let Some(gone) = self.roster.remove(instance) else {
            self.counts.unknown_farewells += 1;
            return;
        };
        self.counts.left += 1;
        self.observer.observe(&Happening::Left {
            instance: &gone.instance,
            node: &gone.node,
        });
        self.silence(&gone);
    }

    /// An operator asks for something. What came of it.
    pub(crate) fn take_command(&mut self, command: &Command) -> Decisions {
        let decisions = self.planner.handle(Event::Command(command));
        // Before anything else leaves.
        self.keep_what_is_frozen();
        self.conclude(NO_WINDOW, &decisions);
        decisions
    }

    /// What an operator has frozen stays where it waits.
    pub(crate) fn keep_what_is_frozen(&self) {
        for (_, outbox) in &self.outboxes {
            let knobs = self.planner.frozen_knobs().map(str::to_owned);
            outbox.freeze(Frozen {
                everything: self.planner.is_frozen(),
                knobs: knobs.collect(),
            });
        }
    }

    /// Looks at the clock: who was not heard for too long.
    pub(crate) fn look_around(&mut self, now: Instant) {
        for gone in self.roster.overdue(now) {
            self.counts.silent += 1;
            self.observer.observe(&Happening::Silent {
                instance: &gone.instance,
                node: &gone.node,
            });
            self.silence(&gone);
        }
    }

    fn silence(&mut self, gone: &Gone) {
        for orphan in &gone.orphans {
            let silence = Silence {
                knob: &orphan.knob,
                node: orphan.node.as_deref(),
            };
            let decisions = self.planner.handle(Event::Silence(silence));
            self.conclude(NO_WINDOW, &decisions);
        }
    }

    /// Puts what was decided into effect, and tells of it.
    fn conclude(&mut self, window: i64, decisions: &Decisions) {
        if decisions.is_empty() {
            return;
        }
        self.counts.decisions.count(decisions);
        self.observer
            .observe(&Happening::Decided { window, decisions });
        for notice in decisions.notices() {
            if let Notice::PlanExpired {
                plan_id,
                knob,
                node,
                ..
            } = notice
            {
                self.withdraw(plan_id, knob, node.as_deref());
            }
        }
        if self.stand_in.is_none() {
            decisions.plans().for_each(|plan| self.send(plan));
        }
    }

    fn send(&mut self, plan: &ActionPlan) {
        let record = record_of(plan);
        let standing = match plan.finding_type == FROM_THE_OPERATOR {
            true => Standing::Operators,
            false => Standing::Ordinary,
        };
        for at in 0..self.outboxes.len() {
            let displaced = self.outboxes[at].1.push(plan, record.clone(), standing);
            if let Some(plan_id) = displaced.superseded {
                self.leave_unsent(at, &plan_id, Unsent::Superseded);
            }
            if let Some(plan_id) = displaced.crowded_out {
                self.leave_unsent(at, &plan_id, Unsent::CrowdedOut);
            }
        }
    }

    /// An expired plan that no one took must not be taken later: its value is no longer meant.
    fn withdraw(&mut self, plan_id: &str, knob: &str, node: Option<&str>) {
        for at in 0..self.outboxes.len() {
            if self.outboxes[at].1.withdraw(plan_id, knob, node) {
                self.leave_unsent(at, plan_id, Unsent::Withdrawn);
            }
        }
    }

    /// A plan that a sink, by its place in the list, will not get.
    pub(crate) fn leave_unsent(&mut self, at: usize, plan_id: &str, why: Unsent) {
        match why {
            Unsent::Superseded => self.counts.superseded += 1,
            Unsent::CrowdedOut => self.counts.crowded_out += 1,
            Unsent::Withdrawn => self.counts.withdrawn += 1,
            Unsent::TooLarge => self.counts.oversized += 1,
        }
        let Some((to, _)) = self.outboxes.get(at) else {
            return;
        };
        let happening = Happening::Unsent { plan_id, to, why };
        self.observer.observe(&happening);
    }

    /// A record that cannot be used.
    fn refuse(&mut self, channel: Channel, from: &str, problem: &str, record: &Record) {
        match channel {
            Channel::Findings => self.counts.bad_findings += 1,
            Channel::Control | Channel::Plans => self.counts.bad_control += 1,
        }
        self.lay_aside(channel, from, problem, record);
    }

    /// Tells what is wrong with a record, and keeps it if there is where.
    fn lay_aside(&mut self, channel: Channel, from: &str, problem: &str, record: &Record) {
        self.observer.observe(&Happening::BadRecord {
            channel,
            from,
            problem,
            record,
        });
        let Some(letters) = &mut self.dead_letters else {
            return;
        };
        match letters.keep(channel.name(), from, problem, record) {
            Ok(Kept::Yes) => self.counts.dead_letters += 1,
            Ok(Kept::NoRoom) => self.counts.dead_letters_dropped += 1,
            Err(error) => {
                self.counts.dead_letters_dropped += 1;
                self.observer
                    .observe(&Happening::DeadLetterFailed { error: &error });
            }
        }
    }
}

fn is_summary(envelope: &Envelope<'_>, finding: &FindingView<'_>) -> bool {
    let modes = [envelope.publish_mode, Some(finding.publish_mode)];
    modes.contains(&Some(PublishMode::Summary))
}

/// For those whose metadata do not say what the payload is.
fn kind_of_payload(payload: &[u8]) -> Option<Kind> {
    if Ack::decode(payload).message.is_some() {
        return Some(Kind::ActionAck);
    }
    let registration = Registration::decode(payload).message?;
    (!registration.knobs.is_empty()).then_some(Kind::KnobRegistration)
}

/// What is wrong with a message, if anything that matters is.
fn problem_of<T>(decoded: &Decoded<T>) -> Option<String> {
    let wrong = decoded.problems.iter();
    let wrong = wrong.filter(|problem| problem.kind == ProblemKind::Wrong);
    let texts: Vec<_> = wrong.map(ToString::to_string).collect();
    match (texts.is_empty(), &decoded.message) {
        (true, Some(_)) => None,
        (true, None) => Some("not a message".to_owned()),
        (false, _) => Some(texts.join("; ")),
    }
}

/// A plan as it travels.
fn record_of(plan: &ActionPlan) -> Record {
    #[expect(
        clippy::expect_used,
        reason = "text keys, and writing to memory cannot fail"
    )]
    let json = |part: Result<Vec<u8>, serde_json::Error>| part.expect("plain data");
    Record::new(
        json(serde_json::to_vec(&plan.metadata())),
        json(serde_json::to_vec(plan)),
    )
}
