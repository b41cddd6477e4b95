//! The task of one source: it receives batches, hands them to the planner's task, and commits what
//! that is done with.

use std::time::Duration;

use dfo_transport::{ErrorKind, Losses, Operation, Record, Source, TransportError};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;

/// What the task of an end tells the planner's task.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Which end, by its place in the list of its channel.
    pub(crate) from: usize,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Records {
        records: Vec<Record>,
        /// When they were received.
        received: Instant,
        losses: Losses,
        /// The most senders there were at one time, if that is known.
        senders: Option<usize>,
    },
    /// The stream has ended.
    Ended,
    /// Something failed, so often in turn, and is tried again.
    Retrying { error: TransportError, times: u32 },
    /// A plan is larger than its sink can carry.
    TooLarge { plan_id: String },
    /// The end failed for good.
    Failed(TransportError),
    /// It was closed; this is what was lost in all.
    Closed { losses: Losses },
}

/// What the task of a source works with.
pub(crate) struct Intake {
    pub(crate) from: usize,
    /// The end's name.
    pub(crate) name: String,
    pub(crate) source: Box<dyn Source>,
    /// So many of its records are known from before a restart: a source that would give them again
    /// passes over them.
    pub(crate) skip: u64,
    /// At most so many records at once.
    pub(crate) batch: usize,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    /// How many records of this source the planner's task is done with.
    pub(crate) done: watch::Receiver<u64>,
    pub(crate) stop: watch::Receiver<bool>,
    /// How many of its records the planner's task was given, and how many are committed.
    pub(crate) handed: u64,
    pub(crate) committed: u64,
    /// How long after the stop it may still commit.
    pub(crate) commit_within: Duration,
    pub(crate) close_within: Duration,
}

impl Intake {
    pub(crate) async fn run(mut self) {
        if self.pass_over_what_is_known().await {
            self.receive().await;
        }
        if self.source.capabilities().acknowledgement {
            self.commit_the_rest().await;
        }
        // Not closed in order is no harm: nothing more is expected of it.
        let losses = self.source.losses();
        let _ = self.source.close(self.close_within).await;
        let from = self.from;
        let what = What::Closed { losses };
        // Where no one listens any more, no one wants to know.
        let _ = self.arrivals.send(Arrival { from, what }).await;
    }

    /// Whether there is more to receive, and time for it.
    async fn pass_over_what_is_known(&mut self) -> bool {
        let known = self.skip;
        let capabilities = self.source.capabilities();
        // One that commits begins behind what was committed by itself.
        if known == 0 || !capabilities.replay || capabilities.acknowledgement {
            return true;
        }
        let passed = tokio::select! {
            biased;
            () = asked(&mut self.stop) => return false,
            passed = self.source.skip(known) => passed,
        };
        let failed = match passed {
            Ok(passed) if passed == known => return true,
            Ok(passed) => TransportError::new(
                ErrorKind::Closed,
                Operation::Receive,
                self.name.as_str(),
                format!(
                    "it has {passed} records, and {known} were taken before the restart; give it the \
                     records of then, or begin another journal"
                ),
            ),
            Err(error) => error,
        };
        self.tell(What::Failed(failed)).await;
        false
    }

    async fn receive(&mut self) {
        let commits = self.source.capabilities().acknowledgement;
        let mut backoff = Backoff::default();
        loop {
            let received = tokio::select! {
                biased;
                () = asked(&mut self.stop) => return,
                Some(done) = more_than(&mut self.done, self.committed), if commits => {
                    self.source.commit(done).await.map(|()| {
                        self.committed = done;
                        None
                    })
                }
                received = self.source.receive(self.batch) => received.map(Some),
            };
            let what = match received {
                Ok(None) => continue,
                Ok(Some(records)) if records.is_empty() => {
                    self.tell(What::Ended).await;
                    return;
                }
                Ok(Some(records)) => {
                    backoff = Backoff::default();
                    self.handed += records.len() as u64;
                    What::Records {
                        records,
                        received: Instant::now(),
                        losses: self.source.losses(),
                        senders: self.source.senders(),
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    // At once, but for the others' turn.
                    yield_now().await;
                    continue;
                }
                Err(error) if error.is_retryable() => {
                    let times = backoff.failed();
                    self.tell(What::Retrying { error, times }).await;
                    tokio::select! {
                        () = asked(&mut self.stop) => return,
                        () = backoff.wait() => continue,
                    }
                }
                Err(error) => {
                    self.tell(What::Failed(error)).await;
                    return;
                }
            };
            self.tell(what).await;
        }
    }

    /// Commits the last records as soon as they are decided on. Once the service stops there is not
    /// much time left for it; what is not committed then will come again.
    async fn commit_the_rest(&mut self) {
        let mut stop = self.stop.clone();
        let within = self.commit_within;
        let time_is_up = async move {
            asked(&mut stop).await;
            sleep(within).await;
        };
        tokio::select! {
            () = time_is_up => {}
            () = self.until_all_is_committed() => {}
        }
    }

    async fn until_all_is_committed(&mut self) {
        let mut backoff = Backoff::default();
        while self.committed < self.handed {
            let Some(done) = more_than(&mut self.done, self.committed).await else {
                return;
            };
            match self.source.commit(done).await {
                Ok(()) => self.committed = done,
                Err(error) if error.kind() == ErrorKind::Interrupted => yield_now().await,
                Err(error) if error.is_retryable() => {
                    let times = backoff.failed();
                    self.tell(What::Retrying { error, times }).await;
                    backoff.wait().await;
                }
                Err(error) => return self.tell(What::Failed(error)).await,
            }
        }
    }

    async fn tell(&mut self, what: What) {
        let from = self.from;
        // Fails only where the planner's task is gone; then `stop` comes, or the runtime ends.
        let _ = self.arrivals.send(Arrival { from, what }).await;
    }
}

/// Waits until more than so many records are done with; how many are. `None`: no more will be.
async fn more_than(done: &mut watch::Receiver<u64>, committed: u64) -> Option<u64> {
    let done = done.wait_for(|done| *done > committed).await;
    done.ok().map(|done| *done)
}

/// Waits until the service stops.
async fn asked(stop: &mut watch::Receiver<bool>) {
    // Fails only where the service is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use dfo_transport::{FileSource, Pace, Records};

    use super::*;

    /// What the task tells of a file of these lines, of which so many are known: the records, then
    /// how it ended.
    async fn told(lines: &'static str, skip: u64) -> (Vec<String>, Option<What>) {
        let records = Records::from_reader("f", Cursor::new(lines));
        let (arrivals, mut told) = mpsc::channel(100);
        let (_stop, stop) = watch::channel(false);
        let intake = Intake {
            from: 0,
            name: "f".to_owned(),
            source: Box::new(FileSource::new(records, Pace::Full).unwrap()),
            skip,
            batch: 2,
            arrivals,
            done: watch::channel(0).1,
            stop,
            handed: 0,
            committed: 0,
            commit_within: Duration::ZERO,
            close_within: Duration::ZERO,
        };
        intake.run().await;
        let (mut came, mut end) = (Vec::new(), None);
        while let Some(arrival) = told.recv().await {
            match arrival.what {
                What::Records { records, .. } => {
                    let payloads = records.iter().map(|r| r.payload.escape_ascii().to_string());
                    came.extend(payloads);
                }
                What::Closed { .. } => {}
                what => end = Some(what),
            }
        }
        (came, end)
    }

    #[tokio::test]
    async fn what_is_known_is_passed_over() {
        for (skip, rest) in [(0, vec!["1", "2", "3"]), (2, vec!["3"]), (3, vec![])] {
            let (came, end) = told("1\n2\n3\n", skip).await;
            assert_eq!(came, rest);
            assert!(matches!(end, Some(What::Ended)), "{end:?}");
        }
    }

    #[tokio::test]
    async fn other_records_than_those_of_before_are_an_error() {
        let (came, end) = told("1\n2\n3\n", 4).await;
        assert!(came.is_empty());
        let Some(What::Failed(error)) = end else {
            panic!("{end:?}");
        };
        let text = error.to_string();
        assert!(
            text.contains("it has 3 records, and 4 were taken before"),
            "{text}"
        );
    }
}
