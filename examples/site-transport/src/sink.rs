//! The sending end that connects: for findings, and for an application's registrations and
//! acknowledgements.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dfo_transport::{Capabilities, Closed, ErrorKind, Operation, Record, Sink, TransportError};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::frame;
use super::listener::connect;

/// Sends to the one who listens at a path, now or later. It keeps no more than one record.
pub(crate) struct Connecting {
    path: PathBuf,
    stream: Option<UnixStream>,
    /// What is being sent, and how much of it was written to this connection. It stays here when
    /// sending is given up: half a record on the wire must be followed by the other half.
    frame: Bytes,
    written: usize,
}

impl Connecting {
    pub(crate) fn to(path: PathBuf) -> Self {
        Self {
            path,
            stream: None,
            frame: Bytes::new(),
            written: 0,
        }
    }

    /// Writes what is left of the record. Cancel-safe: it goes on where it was.
    async fn write_out(&mut self) -> Result<(), TransportError> {
        while self.written < self.frame.len() {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let stream = connect(&self.path).await?;
                    // Whoever had the first half is gone: begin again.
                    self.written = 0;
                    self.stream.insert(stream)
                }
            };
            match stream.write(&self.frame[self.written..]).await {
                Ok(bytes @ 1..) => self.written += bytes,
                Ok(0) | Err(_) => self.stream = None,
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[async_trait]
impl Sink for Connecting {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let frame = frame::encode(&record, &self.name())?;
        self.write_out().await?;
        // From here on the record is ours to send, also when this is given up.
        (self.frame, self.written) = (frame, 0);
        self.write_out().await
    }

    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        timeout(deadline, self.write_out())
            .await
            .unwrap_or_else(|_| {
                let (kind, operation) = (ErrorKind::TimedOut, Operation::Flush);
                let problem = format!("a record did not leave within {deadline:?}");
                Err(TransportError::new(kind, operation, self.name(), problem))
            })
    }

    async fn close(mut self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        match self.flush(deadline).await {
            Ok(()) => Ok(Closed::default()),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Closed::dropping(1)),
            Err(error) => Err(error),
        }
    }
}
