//! The receiving end: records from everyone who connects, or from whom it connects to.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{Capabilities, ErrorKind, Losses, Operation, Record, Source, TransportError};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::frame;
use super::listener::{Listener, connect};

/// How many records are taken in ahead of who receives. Then reading stops, and the sender waits.
const ROOM: usize = 256;

/// Records as they come in. Tasks read the connections; they end when this is dropped.
pub(crate) struct Incoming {
    records: mpsc::Receiver<Record>,
    /// The one task behind it; it says why it ended.
    reading: JoinSet<TransportError>,
    disconnections: Arc<AtomicU64>,
    capabilities: Capabilities,
}

impl Incoming {
    /// Records of all who connect.
    pub(crate) fn at(listener: Listener) -> Self {
        let reading = |records, disconnections| read_all(listener, records, disconnections);
        Self::by(reading, Capabilities::stream())
    }

    /// Records of the one who listens at this path, now or later. Everyone who connects to it gets
    /// them all.
    pub(crate) fn from(path: PathBuf) -> Self {
        let reading = |records, disconnections| read_one(path, records, disconnections);
        Self::by(reading, Capabilities::stream().with_fan_out())
    }

    fn by<F>(
        reading: impl FnOnce(mpsc::Sender<Record>, Arc<AtomicU64>) -> F,
        capabilities: Capabilities,
    ) -> Self
    where
        F: Future<Output = TransportError> + Send + 'static,
    {
        let (sender, records) = mpsc::channel(ROOM);
        let disconnections = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(reading(sender, Arc::clone(&disconnections)));
        Self {
            records,
            reading: tasks,
            disconnections,
            capabilities,
        }
    }
}

/// Reads from everyone who connects, at the same time.
async fn read_all(
    listener: Listener,
    records: mpsc::Sender<Record>,
    disconnections: Arc<AtomicU64>,
) -> TransportError {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                connections.spawn(read_stream(stream, records.clone()));
            }
            Some(_) = connections.join_next() => {
                disconnections.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Reads from one, and connects again when that one went away.
async fn read_one(
    path: PathBuf,
    records: mpsc::Sender<Record>,
    disconnections: Arc<AtomicU64>,
) -> TransportError {
    loop {
        match connect(&path).await {
            Ok(stream) => read_stream(stream, records.clone()).await,
            Err(error) => return error,
        }
        disconnections.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands over the records of a connection until it ends, or no one wants them.
async fn read_stream(stream: UnixStream, records: mpsc::Sender<Record>) {
    let mut stream = BufReader::new(stream);
    while let Ok(record) = frame::read(&mut stream).await {
        if records.send(record).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Source for Incoming {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        // The channel is cancel-safe and gives others their turn, and so this is, too.
        let mut batch = Vec::new();
        self.records.recv_many(&mut batch, limit.max(1)).await;
        if !batch.is_empty() {
            return Ok(batch);
        }
        match self.reading.join_next().await {
            Some(Ok(error)) => Err(error),
            Some(Err(panic)) => {
                let (kind, operation) = (ErrorKind::Io, Operation::Receive);
                Err(TransportError::new(kind, operation, "unix", panic))
            }
            None => Ok(Vec::new()),
        }
    }

    fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        losses.disconnections = self.disconnections.load(Ordering::Relaxed);
        losses
    }

    async fn close(mut self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        // Dropped tasks end soon; this waits until they have, so that the socket is free.
        self.reading.shutdown().await;
        Ok(())
    }
}
