//! Receivers share the records out among themselves, as on a work queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::conformance::{Claim, Harness, OpenError, Place};
use dfo_transport::memory::{self, MemorySink, MemorySource};
use dfo_transport::{Capabilities, Record, Sink, Source, TransportError};
use tokio::sync::Mutex;

/// A queue; a wrong one hands every tenth record to two receivers.
pub struct Shared {
    pub doubles: bool,
}

impl Harness for Shared {
    fn claims(&self) -> &[Claim] {
        &[
            Claim::Lossless,
            Claim::KeepsForReceiver,
            Claim::OpaqueMetadata,
            Claim::SeveralSenders,
            Claim::SeveralReceivers,
            Claim::SourceReopens,
            Claim::SinkReopens,
            Claim::Ends,
        ]
    }

    fn place(&self) -> Box<dyn Place> {
        let (sink, source) = memory::pair(32);
        let doubled = self.doubles.then(Vec::new);
        let queue = Arc::new(Mutex::new(Queue { source, doubled }));
        Box::new(Desk { sink, queue })
    }
}

struct Queue {
    source: MemorySource,
    /// What will be given once more, if that is what it does.
    doubled: Option<Vec<Record>>,
}

struct Desk {
    sink: MemorySink,
    queue: Arc<Mutex<Queue>>,
}

struct Worker {
    queue: Arc<Mutex<Queue>>,
    given: u64,
}

#[async_trait]
impl Place for Desk {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let queue = Arc::clone(&self.queue);
        Ok(Box::new(Worker { queue, given: 0 }))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        Ok(Box::new(self.sink.clone()))
    }
}

#[async_trait]
impl Source for Worker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let mut queue = self.queue.lock().await;
        if let Some(again) = queue.doubled.as_mut().and_then(Vec::pop) {
            return Ok(vec![again]);
        }
        let batch = queue.source.receive(limit).await?;
        self.given += batch.len() as u64;
        if let Some(doubled) = &mut queue.doubled
            && self.given.is_multiple_of(10)
        {
            doubled.extend(batch.first().cloned());
        }
        Ok(batch)
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }
}
