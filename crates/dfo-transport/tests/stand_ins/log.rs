//! A log that keeps every record and remembers what was committed, as an event service does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::conformance::{Claim, Harness, OpenError, Place};
use dfo_transport::{Capabilities, Closed, Record, Sink, Source, TransportError};
use tokio::sync::watch;

/// What a log does wrong.
#[derive(Clone, Copy, PartialEq)]
pub enum Wrong {
    Nothing,
    /// It commits nothing.
    Forgets,
    /// It commits what it gave, told or not.
    Hasty,
    /// A source that is opened again begins behind what is sent next.
    SkipsOne,
    /// It passes over one record too many.
    PassesOverTooMany,
    /// It says that it passed over records, and gives them all the same.
    OnlySaysSo,
    /// It passes over records and says that it did not.
    DoesNotSaySo,
}

pub struct Log(pub Wrong);

impl Harness for Log {
    fn claims(&self) -> &[Claim] {
        &[
            Claim::Lossless,
            Claim::KeepsForReceiver,
            Claim::OpaqueMetadata,
            Claim::SeveralSenders,
            Claim::SourceReopens,
            Claim::SinkReopens,
        ]
    }

    fn place(&self) -> Box<dyn Place> {
        let (records, _) = watch::channel(Vec::new());
        Box::new(Topic {
            wrong: self.0,
            records: Arc::new(records),
            committed: Arc::default(),
        })
    }
}

#[derive(Clone)]
struct Topic {
    wrong: Wrong,
    records: Arc<watch::Sender<Vec<Record>>>,
    committed: Arc<Mutex<usize>>,
}

struct Reader {
    topic: Topic,
    records: watch::Receiver<Vec<Record>>,
    /// Where it began.
    first: usize,
    next: usize,
}

const KEPT: Capabilities = Capabilities::stream().with_replay().with_acknowledgement();

#[async_trait]
impl Place for Topic {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let mut first = *self.committed.lock().unwrap();
        let records = self.records.subscribe();
        let there = records.borrow().len();
        if self.wrong == Wrong::SkipsOne && there > 0 {
            first = there + 1;
        }
        let (topic, next) = (self.clone(), first);
        Ok(Box::new(Reader {
            topic,
            records,
            first,
            next,
        }))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Source for Reader {
    fn capabilities(&self) -> Capabilities {
        KEPT
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        tokio::task::consume_budget().await;
        let next = self.next;
        // The topic has a sender itself.
        let records = self.records.wait_for(|records| records.len() > next).await;
        let records = records.unwrap();
        let batch = records[next..].iter().take(limit.max(1)).cloned();
        let batch: Vec<_> = batch.collect();
        drop(records);
        self.next += batch.len();
        if self.topic.wrong == Wrong::Hasty {
            *self.topic.committed.lock().unwrap() = self.next;
        }
        Ok(batch)
    }

    async fn skip(&mut self, records: u64) -> Result<u64, TransportError> {
        let passed = match self.topic.wrong {
            Wrong::OnlySaysSo => 0,
            Wrong::PassesOverTooMany => records + 1,
            _ => records,
        };
        let passed = usize::try_from(passed).unwrap();
        self.next = (self.next + passed).min(self.records.borrow().len());
        Ok(match self.topic.wrong {
            Wrong::DoesNotSaySo => 0,
            _ => records,
        })
    }

    async fn commit(&mut self, records: u64) -> Result<(), TransportError> {
        if self.topic.wrong != Wrong::Forgets {
            let done = self.first + usize::try_from(records).unwrap();
            let mut committed = self.topic.committed.lock().unwrap();
            *committed = done.max(*committed);
        }
        Ok(())
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }
}

#[async_trait]
impl Sink for Topic {
    fn capabilities(&self) -> Capabilities {
        KEPT
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        tokio::task::consume_budget().await;
        self.records.send_modify(|records| records.push(record));
        Ok(())
    }

    async fn flush(&mut self, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<Closed, TransportError> {
        Ok(Closed::dropping(0))
    }
}
