//! What a check works with: the transport under test, and places to open its ends.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::ends::{Receiver, Sender, fans_out, within};
use super::failure::Fault;
use super::harness::{Claim, Harness, OpenError, Place};
use super::join;
use super::numbered::{Series, probe, probe_id};

/// Between two tries of what can only be tried.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Numbers for series and probes, so that no record of one check looks like another's.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A transport under test.
#[derive(Clone)]
pub(super) struct Stage {
    pub harness: Arc<dyn Harness>,
    pub patience: Duration,
}

impl Stage {
    pub fn claims(&self, claim: Claim) -> bool {
        self.harness.claims().contains(&claim)
    }

    /// A fresh place.
    pub fn spot(&self) -> Spot {
        Spot {
            place: self.harness.place().into(),
            stage: self.clone(),
        }
    }

    /// A fresh place with one sender and one receiver that hears it.
    pub async fn pair(&self) -> Result<(Spot, Sender, Receiver), Fault> {
        let spot = self.spot();
        let mut receiver = spot.source().await?;
        let mut sender = spot.sink().await?;
        self.meet(&mut sender, std::slice::from_mut(&mut receiver))
            .await?;
        Ok((spot, sender, receiver))
    }

    /// Records of a sender of its own.
    pub fn series(size: usize) -> Series {
        Series {
            id: next_id(),
            size,
        }
    }

    /// Waits until what the sender sends arrives, where that takes time: see [`Stage::until_heard`].
    pub async fn meet(&self, sender: &mut Sender, receivers: &mut [Receiver]) -> Result<(), Fault> {
        match self.claims(Claim::KeepsForReceiver) {
            true => Ok(()),
            false => self.until_heard(sender, receivers).await,
        }
    }

    /// Sends probes until one arrives at the receiver; with fan-out, at each of them.
    pub async fn until_heard(
        &self,
        sender: &mut Sender,
        receivers: &mut [Receiver],
    ) -> Result<(), Fault> {
        let id = next_id();
        let enough = match fans_out(sender, receivers) {
            true => receivers.len(),
            false => 1,
        };
        let (tries, heard_by) = (Cell::new(0), Cell::new(0));
        let sending = async {
            while heard_by.get() < enough {
                sender.try_send(probe(id)).await?;
                tries.set(tries.get() + 1);
                sleep(TICK).await;
            }
            Ok(())
        };
        let receiving = join::all(receivers.iter_mut().map(async |receiver| {
            let mut heard = false;
            loop {
                let batch = receiver.any_batch(16).await?;
                if batch.is_empty() {
                    return Err(Fault::new("probes", "the end of the stream"));
                }
                if !heard && batch.iter().any(|record| probe_id(record) == Some(id)) {
                    heard = true;
                    heard_by.set(heard_by.get() + 1);
                }
            }
        }));
        // Receiving goes on until the last probe was taken: a small buffer is no obstacle.
        let probing = async {
            tokio::select! {
                sent = sending => sent,
                failed = receiving => failed.map(|_: Vec<()>| ()),
            }
        };
        timeout(self.patience, probing).await.unwrap_or_else(|_| {
            let (tries, heard_by) = (tries.get(), heard_by.get());
            let whom = match enough {
                1 => "the receiver".to_owned(),
                _ => format!("each of {enough} receivers"),
            };
            Err(Fault::new(
                format!("that records reach {whom} once the ends are open"),
                format!(
                    "{heard_by} of them got one of {tries} records sent within {:?}",
                    self.patience
                ),
            ))
        })
    }
}

/// A place, and how long to wait at it.
#[derive(Clone)]
pub(super) struct Spot {
    place: Arc<dyn Place>,
    stage: Stage,
}

impl Spot {
    pub async fn source(&self) -> Result<Receiver, Fault> {
        let source = self.opened("a source", self.place.source()).await?;
        Ok(Receiver::new(source?, self.stage.patience))
    }

    pub async fn sink(&self) -> Result<Sender, Fault> {
        let sink = self.opened("a sink", self.place.sink()).await?;
        Ok(Sender::new(sink?, self.stage.patience))
    }

    /// Opens it where one was dropped, not closed: it may take a while until the place is free.
    pub async fn source_again(&self) -> Result<Receiver, Fault> {
        let started = Instant::now();
        loop {
            match self.opened("a source", self.place.source()).await? {
                Err(_) if started.elapsed() < self.stage.patience => sleep(TICK).await,
                source => return Ok(Receiver::new(source?, self.stage.patience)),
            }
        }
    }

    /// As [`Spot::source_again`].
    pub async fn sink_again(&self) -> Result<Sender, Fault> {
        let started = Instant::now();
        loop {
            match self.opened("a sink", self.place.sink()).await? {
                Err(_) if started.elapsed() < self.stage.patience => sleep(TICK).await,
                sink => return Ok(Sender::new(sink?, self.stage.patience)),
            }
        }
    }

    async fn opened<T>(
        &self,
        what: &'static str,
        opening: impl Future<Output = Result<T, OpenError>>,
    ) -> Result<Result<T, Fault>, Fault> {
        let opened = within(self.stage.patience, format!("{what} to open"), opening).await?;
        Ok(opened.map_err(|error| Fault::new(format!("{what} to open"), format!("\"{error}\""))))
    }
}
