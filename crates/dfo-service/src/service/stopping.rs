//! The end of a service: in order, and in time.
//!
//! No more comes in, what has arrived is decided on, what is planned leaves, the ends are closed.
//! Each part has its share of the time; what there was no time for is counted.

use dfo_journal::Mark;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::status::IsStopping;
use super::{Ended, Inlet, Running, after, broken};
use crate::happening::{Channel, Happening, Reason};
use crate::intake::{Arrival, What};
use crate::journal::now_ms;

impl Running {
    /// Stops in order: no more comes in, what has arrived is decided on, what is planned leaves.
    pub(super) async fn wind_down(mut self, reason: Reason) -> Ended {
        self.engine
            .observer
            .observe(&Happening::Stopping { reason: &reason });
        let (now, time) = (Instant::now(), self.settings.stop_within);
        self.stop.send_replace(true);
        // Half of the time for what has arrived; then the sinks have theirs, and a little is left, so
        // that what they say still counts.
        let failure = self.drain(after(now, time / 2)).await;
        // Plans leave only when their lines are safe, here too.
        self.settle_the_journal(after(now, time / 5 * 3)).await;
        for (_, outbox) in &self.engine.outboxes {
            outbox.close();
        }
        self.deadline.send_replace(Some(after(now, time / 5 * 4)));
        let later = self.part(after(now, time)).await;
        let reason = match reason.is_orderly() {
            true => failure.or(later).unwrap_or(reason),
            false => reason,
        };
        self.close_the_journal(&reason, after(now, time)).await;
        self.finish(reason)
    }

    /// Decides on what has arrived, until the sources are closed. What failed, if something did.
    async fn drain(&mut self, deadline: Instant) -> Option<Reason> {
        let mut failure = None;
        // Ours go, so that the channels end with the last source.
        self.findings.hang_up();
        self.control.hang_up();
        // Looked at before each: where there is always something, a timeout is never asked.
        while Instant::now() < deadline {
            let next = async {
                tokio::select! {
                    Some(arrival) = self.findings.receiver.recv() => Some((Channel::Findings, arrival)),
                    Some(arrival) = self.control.receiver.recv() => Some((Channel::Control, arrival)),
                    else => None,
                }
            };
            let next = tokio::select! {
                next = timeout_at(deadline, next) => next,
                request = self.requests.next() => {
                    self.serve(request, IsStopping::Yes);
                    continue;
                }
            };
            let Ok(Some((channel, arrival))) = next else {
                break;
            };
            let end = self.take(channel, arrival).filter(|r| !r.is_orderly());
            failure = failure.or(end);
        }
        failure
    }

    /// Has everything that was decided made safe, as far as there is time; what may leave then leaves.
    async fn settle_the_journal(&mut self, deadline: Instant) {
        if let Some(journal) = &mut self.engine.journal {
            journal.finish();
        }
        while let Some(journal) = &mut self.engine.journal
            && !journal.is_settled()
        {
            let Ok(report) = timeout_at(deadline, journal.report()).await else {
                break;
            };
            self.engine.take_report(report, Instant::now());
        }
        self.engine.release();
    }

    /// Takes the end down, and closes the journal, as far as there is time.
    async fn close_the_journal(&mut self, reason: &Reason, deadline: Instant) {
        let Some(mut journal) = self.engine.journal.take() else {
            return;
        };
        self.engine.counts.undelivered += journal.held() as u64;
        let reason = reason.to_string();
        journal.mark(now_ms(), &Mark::Stopped { reason });
        // Waits for the disk, which may hang.
        let closed = tokio::task::spawn_blocking(move || drop(journal));
        let _ = timeout_at(deadline, closed).await;
    }

    /// Waits until all tasks have ended. What failed, if something did.
    async fn part(&mut self, deadline: Instant) -> Option<Reason> {
        let mut failure = None;
        while !self.intakes.is_empty() || !self.deliveries.is_empty() {
            let end = tokio::select! {
                Some(ended) = self.intakes.join_next() => broken(ended.err()),
                Some(ended) = self.deliveries.join_next() => self.take_delivered(ended),
                Some(arrival) = self.news.1.recv() => self.take(Channel::Plans, arrival),
                request = self.requests.next() => {
                    self.serve(request, IsStopping::Yes);
                    None
                }
                // There was no time for these.
                Some(arrival) = self.findings.receiver.recv() => self.leave(Channel::Findings, arrival),
                Some(arrival) = self.control.receiver.recv() => self.leave(Channel::Control, arrival),
                () = sleep_until(deadline) => break,
            };
            failure = failure.or(end);
        }
        while let Ok(arrival) = self.news.1.try_recv() {
            self.take(Channel::Plans, arrival);
        }
        failure
    }

    /// Takes what there is no more time to decide on.
    fn leave(&mut self, channel: Channel, arrival: Arrival) -> Option<Reason> {
        if let What::Records { records, .. } = &arrival.what {
            self.engine.counts.undecided += records.len() as u64;
            return None;
        }
        self.take(channel, arrival).filter(|r| !r.is_orderly())
    }

    fn finish(mut self, reason: Reason) -> Ended {
        for inlet in [&mut self.findings, &mut self.control] {
            while let Ok(arrival) = inlet.receiver.try_recv() {
                if let What::Records { records, .. } = arrival.what {
                    self.engine.counts.undecided += records.len() as u64;
                }
            }
        }
        let waiting = self.engine.outboxes.iter().map(|(_, o)| o.len() as u64);
        self.engine.counts.undelivered += waiting.sum::<u64>();
        let counts = self.counts();
        self.engine
            .observer
            .observe(&Happening::Stopped { counts: &counts });
        Ended {
            reason,
            counts,
            planner: self.engine.planner,
        }
    }
}

impl Inlet {
    /// Gives up our own way in, so that the channel ends with the last source.
    fn hang_up(&mut self) {
        self.sender = mpsc::channel(1).0;
    }
}
