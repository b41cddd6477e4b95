//! A channel within one process: for tests, and for a program that is diagnoser and optimizer in one.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::ends::{Capabilities, Closed, Sink, Source};
use crate::error::{ErrorKind, Operation, TransportError};
use crate::record::Record;

/// A sink and the source that receives what it sends. At most `capacity` records (of which 0 counts
/// as 1) are on their way; then sending waits.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// use dfo_transport::{Record, Sink, Source, memory};
///
/// let (mut sink, mut source) = memory::pair(16);
/// sink.send(Record::new("", "{}")).await?;
/// assert_eq!(source.receive(8).await?, [Record::new("", "{}")]);
/// drop(sink);
/// assert!(source.receive(8).await?.is_empty()); // the end
/// # Ok::<(), dfo_transport::TransportError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pair(capacity: usize) -> (MemorySink, MemorySource) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (MemorySink { sender }, MemorySource { receiver })
}

/// The sending end. A clone is another sender to the same source; the stream ends when all of them
/// are gone.
#[derive(Debug, Clone)]
pub struct MemorySink {
    sender: mpsc::Sender<Record>,
}

/// The receiving end.
#[derive(Debug)]
pub struct MemorySource {
    receiver: mpsc::Receiver<Record>,
}

const CONTEXT: &str = "memory";

#[async_trait]
impl Source for MemorySource {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let mut batch = Vec::new();
        self.receiver.recv_many(&mut batch, limit.max(1)).await;
        Ok(batch)
    }

    async fn close(mut self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        self.receiver.close();
        Ok(())
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let gone = |_| {
            let what = "the source was closed";
            TransportError::new(ErrorKind::Closed, Operation::Send, CONTEXT, what)
        };
        self.sender.send(record).await.map_err(gone)
    }

    /// Waits until the source has received everything.
    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        match self.until_received(deadline).await {
            0 => Ok(()),
            left => Err(TransportError::new(
                ErrorKind::TimedOut,
                Operation::Flush,
                CONTEXT,
                format!("{left} records were not received within {deadline:?}"),
            )),
        }
    }

    /// Waits until the source has received everything; the rest stays for it to receive.
    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        self.until_received(deadline).await;
        let lost = match self.sender.is_closed() {
            true => self.unreceived(),
            false => 0,
        };
        Ok(Closed::dropping(lost as u64))
    }
}

impl MemorySink {
    fn unreceived(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// How many records are left when all are received, the source is gone, or time is up.
    async fn until_received(&self, deadline: Duration) -> usize {
        let all = self.sender.max_capacity();
        tokio::select! {
            biased;
            // The whole capacity can be had only when nothing is on its way.
            _ = self.sender.reserve_many(all) => {}
            () = sleep(deadline) => {}
        }
        self.unreceived()
    }
}
