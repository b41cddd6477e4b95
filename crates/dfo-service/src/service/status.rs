//! What the planner's task answers to those who ask.

use tokio::time::Instant;

use super::Running;
use crate::counts::Counts;
use crate::happening::Channel;
use crate::remote::{ApplicationsStatus, KnobStatus, Request, SinkStatus, SourceStatus, Status};

/// Whether the service is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsStopping {
    No,
    Yes,
}

impl Running {
    /// Answers a request.
    pub(super) fn serve(&mut self, request: Request, is_stopping: IsStopping) {
        // An answer that nobody waits for any more is no one's loss.
        match request {
            Request::Command(command, answer) => {
                let _ = answer.send(self.engine.take_command(&command));
            }
            Request::Status(answer) => {
                let _ = answer.send(Box::new(self.status(is_stopping)));
            }
            Request::Ping(answer) => {
                let _ = answer.send(());
            }
        }
    }

    fn status(&self, is_stopping: IsStopping) -> Status {
        let planner = &self.engine.planner;
        let knobs = planner.overview().into_iter().map(|knob| KnobStatus {
            knob: knob.knob.to_owned(),
            value: knob.value.clone(),
            nodes_with_own_value: knob.nodes_with_own_value,
            pending: knob.pending,
            is_frozen: knob.is_frozen,
        });
        Status {
            uptime: self.started.elapsed(),
            is_stopping: is_stopping == IsStopping::Yes,
            is_dry_run: self.engine.stand_in.is_some(),
            is_frozen: planner.is_frozen(),
            knobs: knobs.collect(),
            nodes_remembered: planner.nodes_remembered(),
            applications: ApplicationsStatus {
                alive: self.engine.roster.len(),
                silent: self.engine.counts.silent,
            },
            sources: self.sources(),
            sinks: self.sinks(),
            batches_of_findings: self.findings.receiver.len(),
            batches_of_control: self.control.receiver.len(),
            decision_latency: self.latency.clone(),
            journal: self
                .engine
                .journal
                .as_ref()
                .map(|j| j.status(Instant::now())),
            counts: self.counts(),
        }
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let findings = self.findings.sources.iter();
        let findings = findings.map(|tap| (Channel::Findings, tap));
        let control = self.control.sources.iter();
        let all = findings.chain(control.map(|tap| (Channel::Control, tap)));
        let told = all.map(|(channel, tap)| SourceStatus {
            name: tap.name.clone(),
            channel,
            is_over: tap.is_over,
            records: *tap.done.borrow(),
            trouble: tap.trouble.clone(),
        });
        told.collect()
    }

    fn sinks(&self) -> Vec<SinkStatus> {
        let sinks = self.engine.outboxes.iter().zip(&self.sink_troubles);
        let told = sinks.map(|((name, outbox), trouble)| {
            let sent = outbox.count_sent();
            let trouble = trouble.as_ref().filter(|(_, then)| *then == sent);
            SinkStatus {
                name: name.clone(),
                waiting: outbox.len(),
                sent,
                trouble: trouble.map(|(what, _)| what.clone()),
            }
        });
        told.collect()
    }

    /// What was seen and done so far, with what the ends and the roster know.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.engine.counts.clone();
        for tap in self.findings.sources.iter().chain(&self.control.sources) {
            counts.too_large += tap.losses.too_large;
            counts.disconnections += tap.losses.disconnections;
        }
        let outboxes = self.engine.outboxes.iter();
        counts.sent = outboxes.map(|(_, outbox)| outbox.count_sent()).sum();
        counts.applications = self.engine.roster.len() as u64;
        counts
    }

    /// An end failed, and tries again.
    pub(super) fn note_trouble(&mut self, channel: Channel, from: usize, what: String) {
        if channel == Channel::Plans {
            let sent = self.engine.outboxes.get(from).map(|(_, o)| o.count_sent());
            if let (Some(sent), Some(trouble)) = (sent, self.sink_troubles.get_mut(from)) {
                *trouble = Some((what, sent));
            }
        } else if let Some(tap) = self.tap(channel, from) {
            tap.trouble = Some(what);
        }
    }
}
