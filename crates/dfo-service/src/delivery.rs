//! The task of one sink: it takes plans from its outbox as fast as the other side reads.

use std::sync::Arc;
use std::time::Duration;

use dfo_transport::{ErrorKind, Sink, TransportError};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::backoff::Backoff;
use crate::intake::{Arrival, What};
use crate::outbox::Outbox;

/// What the task of a sink works with.
pub(crate) struct Delivery {
    pub(crate) to: usize,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) news: mpsc::UnboundedSender<Arrival>,
    /// When everything has to have left, once that is known.
    pub(crate) deadline: watch::Receiver<Option<Instant>>,
}

/// How it went.
pub(crate) struct Delivered {
    pub(crate) to: usize,
    /// Plans that the sink had taken, and that did not leave. What it did not take waits in the
    /// outbox.
    pub(crate) dropped: u64,
    /// Why the sink can take no more, if it cannot.
    pub(crate) failed: Option<TransportError>,
}

impl Delivery {
    pub(crate) async fn run(mut self) -> Delivered {
        let failed = self.deliver().await.err();
        let deadline = *self.deadline.borrow();
        let left = deadline.map_or(Duration::ZERO, |end| end - Instant::now());
        let closed = self.sink.close(left).await;
        Delivered {
            to: self.to,
            dropped: closed.as_ref().map_or(0, |closed| closed.dropped),
            failed: failed.or(closed.err()),
        }
    }

    /// Sends until the outbox is closed and empty, or time is up.
    async fn deliver(&mut self) -> Result<(), TransportError> {
        let mut backoff = Backoff::default();
        loop {
            let next = tokio::select! {
                biased;
                () = passed(self.deadline.clone()) => return Ok(()),
                next = self.outbox.next() => next,
            };
            let Some((ticket, record)) = next else {
                return Ok(());
            };
            let sent = tokio::select! {
                biased;
                () = passed(self.deadline.clone()) => return Ok(()),
                // A newer plan is in its place.
                () = self.outbox.until_gone(ticket) => continue,
                sent = self.sink.send(record) => sent,
            };
            match sent {
                Ok(()) => {
                    self.outbox.sent(ticket);
                    backoff = Backoff::default();
                }
                // At once, but for the others' turn.
                Err(error) if error.kind() == ErrorKind::Interrupted => yield_now().await,
                Err(error) if error.is_retryable() => {
                    let times = backoff.failed();
                    self.tell(What::Retrying { error, times });
                    tokio::select! {
                        () = passed(self.deadline.clone()) => return Ok(()),
                        () = backoff.wait() => {}
                    }
                }
                // The plan's fault, not the sink's.
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    if let Some(plan_id) = self.outbox.drop_plan(ticket) {
                        self.tell(What::TooLarge { plan_id });
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, what: What) {
        let from = self.to;
        // Fails only where the planner's task is gone.
        let _ = self.news.send(Arrival { from, what });
    }
}

/// Waits until a deadline is known and over.
async fn passed(mut deadline: watch::Receiver<Option<Instant>>) {
    let known = deadline.wait_for(Option::is_some).await.ok();
    // Where the service is gone, so is the time.
    if let Some(at) = known.and_then(|at| *at) {
        sleep_until(at).await;
    }
}
