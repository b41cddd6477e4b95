//! The two ends, as a check uses them: what should happen is waited for as long as patience lasts.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::failure::Fault;
use super::numbered::probe_id;
use super::stage::TICK;
use crate::ends::{Capabilities, Closed, Losses, Sink, Source};
use crate::error::{ErrorKind, TransportError};
use crate::record::Record;

/// How long nothing must happen for it to count as "nothing more".
const QUIET: Duration = Duration::from_millis(200);

/// Whether each of several receivers gets every record.
pub(super) fn fans_out(sender: &Sender, receivers: &[Receiver]) -> bool {
    let of_receivers = receivers.iter().any(|r| r.capabilities().fan_out);
    sender.capabilities().fan_out || of_receivers
}

/// A source that is waited for only so long.
pub(super) struct Receiver {
    source: Box<dyn Source>,
    /// How many records the source gave, probes too.
    pub given: u64,
    pub patience: Duration,
}

impl Receiver {
    pub fn new(source: Box<dyn Source>, patience: Duration) -> Self {
        Self {
            source,
            given: 0,
            patience,
        }
    }

    pub fn capabilities(&self) -> Capabilities {
        self.source.capabilities()
    }

    /// The next records, of which probes are none; none at the end of the stream.
    pub async fn batch(
        &mut self,
        limit: usize,
        expected: impl Fn() -> String,
    ) -> Result<Vec<Record>, Fault> {
        let started = Instant::now();
        while started.elapsed() < self.patience {
            let left = self.patience.saturating_sub(started.elapsed());
            let Ok(received) = timeout(left, self.any_batch(limit)).await else {
                break;
            };
            let mut batch = received?;
            if batch.is_empty() {
                return Ok(batch);
            }
            batch.retain(|record| probe_id(record).is_none());
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        let found = format!("nothing within {:?}", self.patience);
        Err(Fault::new(expected(), found))
    }

    /// The next records; the end of the stream is a fault.
    pub async fn some(
        &mut self,
        limit: usize,
        expected: impl Fn() -> String,
    ) -> Result<Vec<Record>, Fault> {
        let batch = self.batch(limit, &expected).await?;
        match batch.is_empty() {
            true => Err(Fault::new(expected(), "the end of the stream")),
            false => Ok(batch),
        }
    }

    /// What still comes, until nothing came for a while.
    pub async fn rest(&mut self) -> Result<Vec<Record>, Fault> {
        let mut rest = Vec::new();
        while let Ok(batch) = timeout(QUIET, self.any_batch(256)).await {
            let batch = batch?;
            if batch.is_empty() {
                break;
            }
            rest.extend(batch.into_iter().filter(|r| probe_id(r).is_none()));
        }
        Ok(rest)
    }

    /// The next records, probes too, however long it takes; an error that may pass is passed over.
    pub async fn any_batch(&mut self, limit: usize) -> Result<Vec<Record>, Fault> {
        loop {
            match self.source.receive(limit).await {
                Ok(batch) => {
                    self.given += batch.len() as u64;
                    return Ok(batch);
                }
                Err(error) if error.is_retryable() => sleep(TICK).await,
                Err(error) => return Err(Fault::new("records", told(&error))),
            }
        }
    }

    /// Between healthy ends a source has no losses to tell of.
    pub fn no_losses(&self) -> Result<(), Fault> {
        let losses = self.source.losses();
        match losses == Losses::default() {
            true => Ok(()),
            false => Err(Fault::new(
                "no losses between healthy ends",
                format!("{losses:?}"),
            )),
        }
    }

    /// Passes over so many records, where there are so many.
    pub async fn skip(&mut self, records: u64, there_are: u64) -> Result<(), Fault> {
        let expected = format!(
            "that {} of {records} records are passed over",
            records.min(there_are)
        );
        let passed = within(self.patience, &expected, self.source.skip(records)).await?;
        let found = match passed {
            Ok(passed) if passed == records.min(there_are) => return Ok(()),
            Ok(passed) => format!("{passed} told"),
            Err(error) => told(&error),
        };
        Err(Fault::new(expected, found))
    }

    pub async fn commit(&mut self, records: u64) -> Result<(), Fault> {
        let expected = format!("that {records} records are committed");
        let committed = self.source.commit(records);
        match within(self.patience, &expected, committed).await? {
            Ok(()) => Ok(()),
            Err(error) => Err(Fault::new(expected, told(&error))),
        }
    }

    /// Closes it, which must be done within the deadline and some slack.
    pub async fn close(self, deadline: Duration) -> Result<(), Fault> {
        let expected = format!("that the source closes within {deadline:?}");
        let allowed = with_slack(deadline, self.patience);
        match within(allowed, &expected, self.source.close(deadline)).await? {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(()),
            Err(error) => Err(Fault::new(expected, told(&error))),
        }
    }
}

/// A sink that is waited for only so long.
pub(super) struct Sender {
    pub sink: Box<dyn Sink>,
    /// How many records were handed over at most: probes too, and those that were given up.
    pub sent: u64,
    patience: Duration,
}

impl Sender {
    pub fn new(sink: Box<dyn Sink>, patience: Duration) -> Self {
        Self {
            sink,
            sent: 0,
            patience,
        }
    }

    pub fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    /// Sends a record, again and again where it was not sent and that may pass.
    pub async fn send(&mut self, record: Record) -> Result<(), Fault> {
        let patience = self.patience;
        within(patience, "a record to be sent", self.try_send(record)).await?
    }

    /// As [`Sender::send`], however long it takes.
    pub async fn try_send(&mut self, record: Record) -> Result<(), Fault> {
        self.sent += 1;
        loop {
            match self.sink.send(record.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_retryable() => sleep(TICK).await,
                Err(error) => return Err(Fault::new("a record to be sent", told(&error))),
            }
        }
    }

    /// Sends a record, or gives up when that does not happen for a while: the sender waits.
    pub async fn send_or_wait(&mut self, record: Record, while_: Duration) -> Result<bool, Fault> {
        match timeout(while_, self.try_send(record)).await {
            Ok(sent) => sent.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Flushes it, which must end within the deadline and some slack; whether all had left.
    pub async fn flush(&mut self, deadline: Duration) -> Result<bool, Fault> {
        let expected = format!("that flushing ends within {deadline:?}");
        let allowed = with_slack(deadline, self.patience);
        match within(allowed, &expected, self.sink.flush(deadline)).await? {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(Fault::new(
                format!("{expected}, or an error of kind TimedOut"),
                format!("{} (kind {:?})", told(&error), error.kind()),
            )),
        }
    }

    /// Closes it, which must be done within the deadline and some slack.
    pub async fn close(self, deadline: Duration) -> Result<Closed, Fault> {
        let expected = format!("that the sink closes within {deadline:?}");
        let allowed = with_slack(deadline, self.patience);
        within(allowed, &expected, self.sink.close(deadline))
            .await?
            .map_err(|error| Fault::new(expected, told(&error)))
    }
}

/// What a future gives, if it is done in time.
pub(super) async fn within<T>(
    time: Duration,
    expected: impl Display,
    future: impl Future<Output = T>,
) -> Result<T, Fault> {
    let late = |_| Fault::new(expected.to_string(), format!("not done within {time:?}"));
    timeout(time, future).await.map_err(late)
}

/// How long a call with a deadline may take.
fn with_slack(deadline: Duration, patience: Duration) -> Duration {
    deadline.saturating_add(patience / 3)
}

fn told(error: &TransportError) -> String {
    format!("the error \"{error}\"")
}
