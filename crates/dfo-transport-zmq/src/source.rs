//! Receiving: PULL and SUB.

use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{Capabilities, ErrorKind, Losses, Operation, Record, Source, TransportError};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::error;
use crate::frames;
use crate::settings::Settings;
use crate::socket::{GRACE, Socket};

/// How many messages are received before other tasks get their turn. tmq takes no part in tokio's
/// budget: under a flood its stream is always ready.
const TURN: usize = 256;

/// How many bytes make a batch, whatever its records.
const BATCH_BYTES: usize = 8 << 20;

/// A PULL or a SUB socket.
///
/// It never ends by itself: where nobody is connected it waits.
pub struct ZmqSource {
    socket: Socket,
    capabilities: Capabilities,
    max_message_bytes: usize,
    too_large: u64,
    /// Messages received since other tasks had their turn.
    turn: usize,
    /// The frames of one message; kept for its memory.
    frames: Vec<zmq::Message>,
}

impl ZmqSource {
    /// A PULL socket: several of them at one PUSH share the records out, and one at several PUSH
    /// takes from each in turn.
    ///
    /// # Errors
    /// An address makes no sense or cannot be had.
    pub async fn pull(endpoints: &[Endpoint], settings: &Settings) -> Result<Self, TransportError> {
        Self::open(zmq::PULL, Capabilities::stream(), endpoints, settings).await
    }

    /// A SUB socket that takes everything. It gets what is sent while it is connected, and no record
    /// from before.
    ///
    /// # Errors
    /// An address makes no sense or cannot be had.
    pub async fn subscribe(
        endpoints: &[Endpoint],
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        let capabilities = Capabilities::stream().with_fan_out();
        Self::open(zmq::SUB, capabilities, endpoints, settings).await
    }

    async fn open(
        kind: zmq::SocketType,
        capabilities: Capabilities,
        endpoints: &[Endpoint],
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            socket: Socket::open(kind, endpoints, settings).await?,
            capabilities,
            max_message_bytes: usize::try_from(settings.max_message_bytes).unwrap_or(usize::MAX),
            too_large: 0,
            turn: 0,
            frames: Vec::new(),
        })
    }

    /// What it is bound or connected to; a port that was left open is filled in.
    pub fn endpoints(&self) -> &[String] {
        &self.socket.endpoints
    }

    /// Receives what is there, up to `limit` messages and about [`BATCH_BYTES`].
    fn drain(&mut self, limit: usize, batch: &mut Vec<Record>) -> Result<(), zmq::Error> {
        let mut bytes = 0;
        for _ in 0..limit {
            if !self.next_frames()? {
                break;
            }
            let mut frames = std::mem::take(&mut self.frames);
            let record = self.record(frames.drain(..));
            self.frames = frames;
            self.turn += 1;
            if let Some(record) = record {
                bytes += record.size();
                batch.push(record);
            }
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Receives the frames of one message, if there is one. libzmq hands over all or none of them.
    fn next_frames(&mut self) -> Result<bool, zmq::Error> {
        let socket = self.socket.raw();
        self.frames.clear();
        loop {
            match error::retried(|| socket.recv_msg(zmq::DONTWAIT)) {
                Ok(frame) => {
                    let more = frame.get_more();
                    self.frames.push(frame);
                    if !more {
                        return Ok(true);
                    }
                }
                Err(zmq::Error::EAGAIN) if self.frames.is_empty() => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// The record that a message carries. None is too large, and counted.
    fn record(&mut self, frames: impl ExactSizeIterator<Item = zmq::Message>) -> Option<Record> {
        let record = frames::record(frames, self.max_message_bytes);
        self.too_large += u64::from(record.is_none());
        record
    }
}

#[async_trait]
impl Source for ZmqSource {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            if self.turn >= TURN {
                self.turn = 0;
                self.socket.tally();
                yield_now().await;
            }
            let limit = limit.clamp(1, TURN - self.turn);
            self.drain(limit, &mut batch)
                .or_else(|e| match batch.is_empty() {
                    true => Err(error::transport(Operation::Receive, &self.socket.name, e)),
                    // The error will come again; what came before it would not.
                    false => Ok(()),
                })?;
            if batch.is_empty() && self.turn < TURN {
                let frames = self.socket.next().await;
                let failed = |e| error::of_tmq(Operation::Receive, &self.socket.name, e);
                let frames = frames.map_err(failed)?;
                self.turn = 1;
                batch.extend(self.record(frames.0.into_iter()));
            }
        }
        Ok(batch)
    }

    fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        losses.too_large = self.too_large;
        losses.disconnections = self.socket.tally().disconnections;
        losses
    }

    fn senders(&self) -> Option<usize> {
        Some(self.socket.tally().most)
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<(), TransportError> {
        let name = self.socket.name.clone();
        let ended = self.socket.end(Duration::ZERO);
        match timeout(deadline.saturating_add(GRACE), ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(TransportError::new(
                ErrorKind::TimedOut,
                Operation::Close,
                name,
                format!("not done within {deadline:?}; it goes on in the background"),
            )),
        }
    }
}
