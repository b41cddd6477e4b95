//! A pair of the process with one thing wrong.

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::conformance::{Claim, Harness, OpenError, Place};
use dfo_transport::memory::{self, MemorySink, MemorySource};
use dfo_transport::{Capabilities, Closed, Operation, Record, Sink, Source, TransportError};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::closed;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wrong {
    DropsEveryHundredth,
    SendsEveryHundredthTwice,
    TurnsBatchesRound,
    TakesTurnsOfSendersForOrder,
    CutsAt64KiB,
    PassesOverEmptyPayloads,
    ChangesLineEnds,
    IgnoresTheLimit,
    TakesALimitOfNothingForTheEnd,
    LosesWhatAReceiveHeld,
    IsUnusableAfterASendWasGivenUp,
    SendsAgainWhatWasGivenUp,
    Starves,
    KeepsTheThread,
    DoesNotWait,
    DropsWhenFull,
    FlushesForEver,
    FlushFailsInAnotherWay,
    SourceClosesForEver,
    SinkClosesForEver,
    SinkForgetsWhenClosed,
    SinkTellsOfTooMany,
    Panics,
    NeverEnds,
    EndsBeforeTheLast,
    GoesOnAfterTheEnd,
    TakesSilenceForTheEnd,
    CommitTakesARecord,
}

use Wrong::*;

impl Harness for Wrong {
    fn claims(&self) -> &[Claim] {
        &[
            Claim::Lossless,
            Claim::KeepsForReceiver,
            Claim::OpaqueMetadata,
            Claim::SeveralSenders,
            Claim::SinkReopens,
            Claim::Ends,
        ]
    }

    fn place(&self) -> Box<dyn Place> {
        let room = match self {
            DoesNotWait => 1 << 20,
            _ => 64,
        };
        let (sink, source) = memory::pair(room);
        let source = Mutex::new(Some(source));
        let wrong = *self;
        Box::new(Pair {
            wrong,
            sink,
            source,
        })
    }
}

struct Pair {
    wrong: Wrong,
    sink: MemorySink,
    source: Mutex<Option<MemorySource>>,
}

#[async_trait]
impl Place for Pair {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let source = self.source.lock().unwrap().take();
        Ok(Box::new(BrokenSource {
            wrong: self.wrong,
            inner: source.ok_or("a pair has one source")?,
            received: 0,
            ended: false,
        }))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        Ok(Box::new(BrokenSink {
            wrong: self.wrong,
            inner: self.sink.clone(),
            sent: 0,
            unfinished: None,
        }))
    }
}

struct BrokenSource {
    wrong: Wrong,
    inner: MemorySource,
    received: u64,
    ended: bool,
}

impl BrokenSource {
    async fn next(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        match self.wrong {
            IgnoresTheLimit => self.inner.receive(64).await,
            TakesALimitOfNothingForTheEnd if limit == 0 => Ok(Vec::new()),
            LosesWhatAReceiveHeld => {
                let batch = self.inner.receive(limit).await;
                yield_now().await;
                batch
            }
            Starves => tokio::task::coop::unconstrained(self.inner.receive(limit)).await,
            KeepsTheThread => loop {
                // Sleeps: a transport that keeps its thread for ever is what is wrong with it.
                std::thread::sleep(Duration::from_millis(1));
            },
            TakesSilenceForTheEnd => {
                let soon = timeout(Duration::from_millis(20), self.inner.receive(limit)).await;
                soon.unwrap_or(Ok(Vec::new()))
            }
            Panics if self.received >= 100 => panic!("one hundred is enough"),
            _ => self.inner.receive(limit).await,
        }
    }

    async fn change(&mut self, batch: &mut Vec<Record>) {
        match self.wrong {
            TurnsBatchesRound => batch.reverse(),
            NeverEnds if batch.is_empty() => pending().await,
            GoesOnAfterTheEnd if batch.is_empty() => {
                if self.ended {
                    batch.push(Record::new("", "{}"));
                }
                self.ended = true;
            }
            PassesOverEmptyPayloads => {
                let all = batch.len();
                batch.retain(|record| !record.payload.is_empty());
                if batch.is_empty() && all > 0 {
                    pending::<()>().await;
                }
            }
            _ => {}
        }
    }
}

#[async_trait]
impl Source for BrokenSource {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let mut batch = self.next(limit).await?;
        self.received += batch.len() as u64;
        self.change(&mut batch).await;
        Ok(batch)
    }

    async fn commit(&mut self, _records: u64) -> Result<(), TransportError> {
        if self.wrong == CommitTakesARecord {
            let next = self.inner.receive(1);
            // Where nothing has come yet it takes what comes next.
            let _ = timeout(Duration::from_millis(10), next).await;
        }
        Ok(())
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<(), TransportError> {
        match self.wrong {
            SourceClosesForEver => pending().await,
            _ => Box::new(self.inner).close(deadline).await,
        }
    }
}

struct BrokenSink {
    wrong: Wrong,
    inner: MemorySink,
    sent: u64,
    unfinished: Option<Record>,
}

#[async_trait]
impl Sink for BrokenSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, mut record: Record) -> Result<(), TransportError> {
        self.sent += 1;
        let hundredth = self.sent.is_multiple_of(100);
        match self.wrong {
            DropsEveryHundredth if hundredth => return Ok(()),
            SendsEveryHundredthTwice if hundredth => self.inner.send(record.clone()).await?,
            CutsAt64KiB => record.payload.truncate(64 * 1024),
            ChangesLineEnds if &record.payload[..] == b"\r\n" => {
                record.payload = "\n".into();
            }
            TakesTurnsOfSendersForOrder => return self.send_in_pairs_swapped(record).await,
            IsUnusableAfterASendWasGivenUp => {
                if self.unfinished.replace(record.clone()).is_some() {
                    return Err(closed(Operation::Send));
                }
                self.inner.send(record).await?;
                self.unfinished = None;
                return Ok(());
            }
            SendsAgainWhatWasGivenUp => {
                if let Some(again) = self.unfinished.take() {
                    self.inner.send(again).await?;
                }
                self.unfinished = Some(record.clone());
                self.inner.send(record).await?;
                yield_now().await;
                self.unfinished = None;
                return Ok(());
            }
            DropsWhenFull => {
                // Not a timeout: on a busy machine there is room again before it is over.
                tokio::select! {
                    biased;
                    _ = self.inner.send(record) => {}
                    () = std::future::ready(()) => {}
                }
                return Ok(());
            }
            // The last one is kept back until the next one comes.
            SinkForgetsWhenClosed | EndsBeforeTheLast => {
                if let Some(before) = self.unfinished.replace(record) {
                    self.inner.send(before).await?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.inner.send(record).await
    }

    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        match self.wrong {
            FlushesForEver => self.inner.flush(Duration::from_hours(1)).await,
            FlushFailsInAnotherWay => {
                let flushed = self.inner.flush(deadline).await;
                flushed.map_err(|_| closed(Operation::Flush))
            }
            _ => self.inner.flush(deadline).await,
        }
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        match self.wrong {
            SinkClosesForEver => pending().await,
            SinkTellsOfTooMany => Ok(Closed::dropping(100_000)),
            _ => Box::new(self.inner).close(deadline).await,
        }
    }
}

impl BrokenSink {
    /// Every third record waits for the one behind it.
    async fn send_in_pairs_swapped(&mut self, record: Record) -> Result<(), TransportError> {
        if self.sent.is_multiple_of(3) && self.inner.flush(Duration::ZERO).await.is_err() {
            self.unfinished = Some(record);
            return Ok(());
        }
        self.inner.send(record).await?;
        match self.unfinished.take() {
            Some(before) => self.inner.send(before).await,
            None => Ok(()),
        }
    }
}
