//! A receiver that always finds something to receive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::conformance::ends::{Receiver, within};
use crate::conformance::failure::{Fault, Verdict};
use crate::conformance::harness::Claim;
use crate::conformance::stage::{Spot, Stage};
use crate::conformance::suite::on_runtime;

/// So many times in a row may something be received before anyone else has a turn. Tokio's own
/// channels give way after 128.
const IN_A_ROW: u64 = 1_000;

/// Other tasks of the thread, and timers, get their turn under a flood.
pub(in super::super) async fn flood(stage: &Stage) -> Result<Verdict, Fault> {
    let spot = stage.spot();
    let mut receiver = spot.source().await?;
    let flood = Flood::start(stage, spot)?;
    let fair = flood.receive(&mut receiver).await;
    let ended = flood.stop(&mut receiver).await;
    // A flood that broke is why nothing came.
    ended.and(fair)?;
    let deadline = stage.patience;
    receiver.close(deadline).await?;
    Ok(Verdict::Passed)
}

/// A sender on a thread of its own that sends as fast as it can.
struct Flood {
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    stop: Arc<Semaphore>,
    ended: oneshot::Receiver<Result<(), Fault>>,
    patience: Duration,
}

impl Flood {
    fn start(stage: &Stage, spot: Spot) -> Result<Self, Fault> {
        let (tell, ended) = oneshot::channel();
        let flood = Self {
            sent: Arc::default(),
            received: Arc::default(),
            stop: Arc::new(Semaphore::new(0)),
            ended,
            patience: stage.patience,
        };
        let (sent, received) = (Arc::clone(&flood.sent), Arc::clone(&flood.received));
        let stop = Arc::clone(&flood.stop);
        let lossless = stage.claims(Claim::Lossless);
        let sending = async move || {
            let mut sender = spot.sink().await?;
            let series = Stage::series(100);
            loop {
                let n = sent.load(Ordering::Relaxed);
                // What stores records would else store them without end.
                if lossless && n > received.load(Ordering::Relaxed) + 10_000 {
                    tokio::task::yield_now().await;
                    if stop.is_closed() {
                        break;
                    }
                    continue;
                }
                tokio::select! {
                    biased;
                    _ = stop.acquire() => break,
                    done = sender.try_send(series.record(n)) => done?,
                }
                sent.store(n + 1, Ordering::Relaxed);
            }
            sender.close(Duration::from_millis(100)).await.map(|_| ())
        };
        thread::Builder::new()
            .name("conformance-flood-sender".to_owned())
            .spawn(move || tell.send(on_runtime(sending)))
            .map_err(|error| Fault::new("a thread for the sender", error.to_string()))?;
        Ok(flood)
    }

    async fn receive(&self, receiver: &mut Receiver) -> Result<(), Fault> {
        let mut fairness = Fairness::watch(self.patience);
        while fairness.goes_on() {
            let batch = receiver.some(4, || "records of a flood".to_owned()).await?;
            let batch = batch.len() as u64;
            let so_far = self.received.fetch_add(batch, Ordering::Relaxed) + batch;
            fairness.received()?;
            self.let_it_get_ahead(so_far);
        }
        fairness.judge()
    }

    /// Holds the thread for a moment, so that there is always something to receive.
    fn let_it_get_ahead(&self, received: u64) {
        let started = Instant::now();
        while self.sent.load(Ordering::Relaxed) < received + 64
            && started.elapsed() < Duration::from_micros(200)
        {
            thread::yield_now();
        }
    }

    async fn stop(self, receiver: &mut Receiver) -> Result<(), Fault> {
        self.stop.close();
        let expected = "that a sender can be stopped and closed under a flood";
        let emptied = async {
            loop {
                receiver.any_batch(64).await?;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = within(self.patience, expected, self.ended) => {
                ended?.unwrap_or_else(|_| Err(Fault::new(expected, "a panic in the sender")))
            }
            fault = emptied => fault,
        }
    }
}

/// Whether others of the same thread have their turn.
pub(in super::super) struct Fairness {
    turns: Arc<AtomicU64>,
    ticks: Arc<AtomicU64>,
    others: [JoinHandle<()>; 2],
    started: Instant,
    patience: Duration,
    receives: u64,
    turns_before: u64,
    in_a_row: u64,
}

impl Fairness {
    pub fn watch(patience: Duration) -> Self {
        let (turns, ticks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (turned, ticked) = (Arc::clone(&turns), Arc::clone(&ticks));
        let turning = tokio::spawn(async move {
            loop {
                turned.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let ticking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticked.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            turns,
            ticks,
            others: [turning, ticking],
            started: Instant::now(),
            patience,
            receives: 0,
            turns_before: 0,
            in_a_row: 0,
        }
    }

    /// Whether there is not enough to judge by.
    pub fn goes_on(&self) -> bool {
        let enough = self.receives >= 3 * IN_A_ROW && self.ticks() >= 3 && self.turns() >= 3;
        !enough && self.started.elapsed() < self.patience
    }

    pub fn received(&mut self) -> Result<(), Fault> {
        self.receives += 1;
        let turns = self.turns();
        match turns == self.turns_before {
            true => self.in_a_row += 1,
            false => self.in_a_row = 0,
        }
        self.turns_before = turns;
        match self.in_a_row < IN_A_ROW {
            true => Ok(()),
            false => Err(Fault::new(
                "that another task of the same thread has its turn under a flood",
                format!("that it had none while {IN_A_ROW} batches were received"),
            )),
        }
    }

    pub fn judge(&self) -> Result<(), Fault> {
        match (self.ticks(), self.turns()) {
            (3.., 3..) => Ok(()),
            (ticks, turns) => Err(Fault::new(
                "that a timer of 1 ms and another task have their turn under a flood",
                format!(
                    "{ticks} turns of the timer and {turns} of the task in {:?}, while {} batches \
                     were received",
                    self.started.elapsed(),
                    self.receives
                ),
            )),
        }
    }

    fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }
}

impl Drop for Fairness {
    fn drop(&mut self) {
        for other in &self.others {
            other.abort();
        }
    }
}
