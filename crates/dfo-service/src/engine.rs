//! From a record to its consequences, one at a time: the planner's owner.
//!
//! Everything here is plain code without waiting. The tasks around it bring records and carry plans.

use std::sync::Arc;

use dfo_journal::{Mark, Report};
use dfo_model::{
    Ack, ActionPlan, Decoded, Envelope, FindingView, Kind, ProblemKind, PublishMode, Registration,
};
use dfo_planner::{Command, Decisions, Event, Notice, Planner, Silence, is_operators};
use dfo_transport::Record;
use tokio::time::Instant;

use crate::counts::Counts;
use crate::dead_letters::{DeadLetters, Kept};
use crate::happening::{Channel, Happening, Observer, Unsent};
use crate::journal::{Journal, JournalNews, OpenPlan, now_ms};
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
    pub(crate) journal: Option<Journal>,
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

/// Where a record came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From<'a> {
    /// The end's name.
    pub(crate) end: &'a str,
    /// How many of its records, this one included, have been taken.
    pub(crate) n: u64,
    /// Wall time, for people.
    pub(crate) at_ms: u64,
}

/// An event that belongs to no window.
const NO_WINDOW: i64 = -1;

impl Engine {
    /// Takes a record from the channel of findings.
    pub(crate) fn take_finding(&mut self, from: From<'_>, record: &Record) -> Took {
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

    fn decide(&mut self, from: From<'_>, record: &Record, finding: &FindingView<'_>) -> Took {
        if let Err(Notice::InvalidFinding { field, why }) = Planner::check_finding(finding) {
            let problem = format!("{field}: {why}");
            self.refuse(Channel::Findings, from, &problem, record);
            return Took::Record;
        }
        self.counts.findings += 1;
        self.let_the_stand_in_answer(finding, from.at_ms);
        let event = Event::Finding(finding);
        let decisions = self.handle(event, finding.window_index, from.at_ms, Some(from));
        if let Some(stand_in) = &mut self.stand_in {
            stand_in.receive(finding, &decisions);
        }
        self.let_the_stand_in_answer(finding, from.at_ms);
        Took::Finding
    }

    fn let_the_stand_in_answer(&mut self, finding: &FindingView<'_>, at_ms: u64) {
        if let Some(stand_in) = &mut self.stand_in {
            let due = stand_in.due(finding);
            self.answer(&due, finding.window_index, at_ms);
        }
    }

    fn answer(&mut self, acks: &[Ack], window: i64, at_ms: u64) {
        for ack in acks {
            self.handle(Event::Ack(ack), window, at_ms, None);
        }
    }

    /// Goes on where a journal ended: who was known, what nobody had answered.
    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(journal) = &self.journal else {
            return;
        };
        let companion = journal.companion.clone();
        self.roster.restore(&companion.applications, now);
        let Some(stand_in) = &mut self.stand_in else {
            companion
                .open_plans
                .iter()
                .for_each(|open| self.send(&open.plan));
            return;
        };
        let of_this_run = |open: &&OpenPlan| !open.is_of_an_earlier_run;
        for open in companion.open_plans.iter().filter(of_this_run) {
            stand_in.take(&open.plan, open.view.as_deref());
        }
        if let Some((window, view)) = &companion.last_finding {
            let due = stand_in.due_in(*window, view.as_deref());
            self.answer(&due, *window, now_ms());
        }
    }

    /// Takes a record from a control channel: a registration, an acknowledgement, or a farewell.
    pub(crate) fn take_control(&mut self, from: From<'_>, record: &Record, now: Instant) {
        let envelope = match Envelope::decode(&record.metadata) {
            Ok(envelope) => envelope,
            Err(problem) => {
                return self.refuse(Channel::Control, from, &problem.to_string(), record);
            }
        };
        if envelope.ends_stream {
            return self.take_farewell(&envelope.instance, from.at_ms);
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

    fn take_registration(&mut self, from: From<'_>, record: &Record, now: Instant) {
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
        let event = Event::Registration(&registration);
        self.handle(event, NO_WINDOW, from.at_ms, Some(from));
    }

    fn take_ack(&mut self, from: From<'_>, record: &Record) {
        let decoded = Ack::decode(&record.payload);
        let problem = problem_of(&decoded);
        let Some(ack) = decoded.message else {
            return self.refuse(Channel::Control, from, &problem.unwrap_or_default(), record);
        };
        self.counts.acks += 1;
        let window = ack.window_index.unwrap_or(NO_WINDOW);
        self.handle(Event::Ack(&ack), window, from.at_ms, Some(from));
    }

    fn take_farewell(&mut self, instance: &str, at_ms: u64) {
        let Some(gone) = self.roster.remove(instance) else {
            self.counts.unknown_farewells += 1;
            return;
        };
        self.counts.left += 1;
        self.observer.observe(&Happening::Left {
            instance: &gone.instance,
            node: &gone.node,
        });
        self.silence(&gone, true, at_ms);
    }

    /// An operator asks for something. What came of it.
    pub(crate) fn take_command(&mut self, command: &Command) -> Decisions {
        // A freeze counts before anything else leaves.
        let decisions = self.planner.handle(Event::Command(command));
        self.keep_what_is_frozen();
        self.conclude(
            Event::Command(command),
            NO_WINDOW,
            now_ms(),
            None,
            &decisions,
        );
        if let Some(stand_in) = &self.stand_in {
            let answers = decisions.plans().filter_map(|plan| stand_in.at_once(plan));
            let answers: Vec<Ack> = answers.collect();
            self.answer(&answers, NO_WINDOW, now_ms());
        }
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

    /// Looks at the clock: who was not heard for too long, what the disk has not had for too long.
    pub(crate) fn look_around(&mut self, now: Instant) {
        if let Some(journal) = &mut self.journal {
            journal.sync_what_is_old(now);
        }
        for gone in self.roster.overdue(now) {
            self.counts.silent += 1;
            self.observer.observe(&Happening::Silent {
                instance: &gone.instance,
                node: &gone.node,
            });
            self.silence(&gone, false, now_ms());
        }
    }

    fn silence(&mut self, gone: &Gone, left: bool, at_ms: u64) {
        for orphan in &gone.orphans {
            let silence = Silence {
                knob: &orphan.knob,
                node: orphan.node.as_deref(),
            };
            self.handle(Event::Silence(silence), NO_WINDOW, at_ms, None);
        }
        // Last: one that is only half told of is told of again after a restart.
        if let Some(journal) = &mut self.journal {
            let mark = Mark::Gone {
                instance: gone.instance.clone(),
                node: gone.node.clone(),
                left,
            };
            journal.mark(at_ms, &mark);
        }
    }

    /// Has the planner decide on an event, and puts that into effect.
    fn handle(
        &mut self,
        event: Event<'_>,
        window: i64,
        at_ms: u64,
        from: Option<From<'_>>,
    ) -> Decisions {
        let decisions = self.planner.handle(event);
        self.conclude(event, window, at_ms, from, &decisions);
        decisions
    }

    /// Takes down what was decided, tells of it, and puts it into effect.
    fn conclude(
        &mut self,
        event: Event<'_>,
        window: i64,
        at_ms: u64,
        from: Option<From<'_>>,
        decisions: &Decisions,
    ) {
        if let Some(journal) = &mut self.journal {
            let from = from.map(|from| (from.end, from.n));
            journal.append(at_ms, from, event, decisions);
        }
        if decisions.is_empty() {
            return;
        }
        self.counts.decisions.count(decisions);
        self.observer
            .observe(&Happening::Decided { window, decisions });
        for notice in decisions.notices() {
            if let Notice::PlanExpired { plan_id, .. } | Notice::PlanSuperseded { plan_id, .. } =
                notice
            {
                self.withdraw(plan_id);
            }
        }
        match &self.journal {
            // They leave when their line is safe.
            Some(_) => {}
            None => self.send_all(decisions.plans()),
        }
    }

    /// Sends the plans whose lines are safe.
    pub(crate) fn release(&mut self) {
        while let Some(plan) = self.journal.as_mut().and_then(Journal::next_free) {
            self.send_all([&plan]);
        }
    }

    fn send_all<'p>(&mut self, plans: impl IntoIterator<Item = &'p ActionPlan>) {
        // In a dry run no plan leaves.
        if self.stand_in.is_none() {
            plans.into_iter().for_each(|plan| self.send(plan));
        }
    }

    /// Hands the journal what was taken down; a new segment, where it is time for one. Sends what may leave.
    pub(crate) fn keep_journal(&mut self, now: Instant) {
        self.release();
        let Some(journal) = &mut self.journal else {
            return;
        };
        journal.flush(now);
        if journal.wants_new_segment()
            && let Some(news) = journal.rotate(&self.planner, self.roster.known())
        {
            self.observer.observe(&Happening::Journal(&news));
        }
    }

    /// Whether findings should wait for the disk.
    pub(crate) fn is_behind(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_behind)
    }

    /// Takes what the journal's thread tells.
    pub(crate) fn take_report(&mut self, report: Report, now: Instant) {
        let news = self.journal.as_mut().and_then(|j| j.take(report));
        if let Some(news) = news {
            self.observer.observe(&Happening::Journal(&news));
            if matches!(news, JournalNews::Failed { .. }) {
                self.go_on_without_lines();
            }
        }
        self.keep_journal(now);
    }

    /// Lines are lost. A service that starts from what is left makes the same plan ids as those of the
    /// lost lines: such plans do not leave, and others get ids that it does not make.
    fn go_on_without_lines(&mut self) {
        while let Some(plan) = self.journal.as_mut().and_then(Journal::next_safe) {
            self.send_all([&plan]);
        }
        while let Some(plan) = self.journal.as_mut().and_then(Journal::next_lost) {
            for at in 0..self.outboxes.len() {
                self.leave_unsent(at, &plan.plan_id, Unsent::Unrecorded);
            }
        }
        if let Some(journal) = &mut self.journal {
            self.planner.take_plan_ids_from(journal.other_plan_ids());
        }
    }

    fn send(&mut self, plan: &ActionPlan) {
        let record = record_of(plan);
        let standing = match is_operators(plan) {
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

    /// A plan that is open no longer and that no one took must not be taken later: its value is no
    /// longer meant.
    fn withdraw(&mut self, plan_id: &str) {
        let is_held = self.journal.as_mut().is_some_and(|j| j.withdraw(plan_id));
        for at in 0..self.outboxes.len() {
            if is_held || self.outboxes[at].1.withdraw(plan_id) {
                self.leave_unsent(at, plan_id, Unsent::Withdrawn);
            }
        }
    }

    /// A plan that a sink, by its place in the list, will not get.
    pub(crate) fn leave_unsent(&mut self, at: usize, plan_id: &str, why: Unsent) {
        match why {
            Unsent::Superseded => self.counts.superseded += 1,
            Unsent::CrowdedOut => self.counts.crowded_out += 1,
            Unsent::Withdrawn | Unsent::Unrecorded => self.counts.withdrawn += 1,
            Unsent::TooLarge => self.counts.oversized += 1,
        }
        let Some((to, _)) = self.outboxes.get(at) else {
            return;
        };
        if let Some(journal) = &mut self.journal {
            let mark = Mark::Unsent {
                plan_id: plan_id.to_owned(),
                why: why.to_string(),
            };
            journal.mark(now_ms(), &mark);
        }
        let happening = Happening::Unsent { plan_id, to, why };
        self.observer.observe(&happening);
    }

    /// A record that cannot be used.
    fn refuse(&mut self, channel: Channel, from: From<'_>, problem: &str, record: &Record) {
        match channel {
            Channel::Findings => self.counts.bad_findings += 1,
            Channel::Control | Channel::Plans => self.counts.bad_control += 1,
        }
        self.lay_aside(channel, from, problem, record);
    }

    /// Tells what is wrong with a record, and keeps it if there is where.
    fn lay_aside(&mut self, channel: Channel, from: From<'_>, problem: &str, record: &Record) {
        self.observer.observe(&Happening::BadRecord {
            channel,
            from: from.end,
            problem,
            record,
        });
        let Some(letters) = &mut self.dead_letters else {
            return;
        };
        match letters.keep(channel.name(), from.end, problem, record) {
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
