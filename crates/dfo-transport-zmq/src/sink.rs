//! Sending: PUSH and PUB.

use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{Capabilities, Closed, ErrorKind, Operation, Record, Sink, TransportError};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::error;
use crate::settings::Settings;
use crate::socket::{Ended, GRACE, Socket};

/// A PUSH or a PUB socket.
///
/// What is sent waits in libzmq's queue of a peer and in the buffers of the kernel; what was there
/// when the connection ended is lost, and nobody is told. Where that matters, records are
/// acknowledged by those above.
pub struct ZmqSink {
    socket: Socket,
    pattern: Pattern,
    linger: Duration,
    max_message_bytes: u64,
    high_water_mark: u64,
    /// Records that libzmq has taken.
    sent: u64,
}

/// How a sink deals with several receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// PUSH to PULL: each record goes to one of them, in turn. Without any, sending waits.
    Push,
    /// PUB to SUB: each record goes to every one of them. To one that is slower than the high-water
    /// mark allows, and where there is none at all, it goes not at all; nobody is told.
    Publish,
}

impl ZmqSink {
    /// A socket of this pattern.
    ///
    /// # Errors
    /// An address makes no sense or cannot be had.
    pub async fn open(
        pattern: Pattern,
        endpoints: &[Endpoint],
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        let kind = match pattern {
            Pattern::Push => zmq::PUSH,
            Pattern::Publish => zmq::PUB,
        };
        Ok(Self {
            socket: Socket::open(kind, endpoints, settings).await?,
            pattern,
            linger: settings.linger,
            max_message_bytes: settings.max_message_bytes,
            high_water_mark: settings.high_water_mark.into(),
            sent: 0,
        })
    }

    /// What it is bound or connected to; a port that was left open is filled in.
    pub fn endpoints(&self) -> &[String] {
        &self.socket.endpoints
    }

    /// Hands a record to libzmq, if it takes one now. Whole or not at all: no task gets its turn
    /// between the frames.
    ///
    /// tmq's own way of sending is not used: where the peer goes away between the frames, libzmq
    /// takes the first one back, and tmq sends the second one later, alone.
    fn try_send(&self, record: &Record) -> Result<bool, zmq::Error> {
        let socket = self.socket.raw();
        // PUB drops where it believes that a queue is full, and hears only now and then how far the
        // queue has come. So that it passes over none that is not behind, it is made to listen.
        let listens = self.sent.is_multiple_of(self.high_water_mark / 4 + 1);
        if self.pattern == Pattern::Publish && listens {
            error::retried(|| socket.get_events())?;
        }
        let frames = [
            (&record.metadata, zmq::DONTWAIT | zmq::SNDMORE),
            (&record.payload, zmq::DONTWAIT),
        ];
        for (frame, flags) in frames {
            match error::retried(|| socket.send(&frame[..], flags)) {
                Ok(()) => {}
                Err(zmq::Error::EAGAIN) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn check_size(&self, record: &Record) -> Result<(), TransportError> {
        let (size, max) = (record.size() as u64, self.max_message_bytes);
        if size <= max {
            return Ok(());
        }
        Err(TransportError::new(
            ErrorKind::TooLarge,
            Operation::Send,
            &self.socket.name,
            format!(
                "the record has {size} bytes, the limit is {max}; raise max-message-bytes on both sides"
            ),
        ))
    }
}

#[async_trait]
impl Sink for ZmqSink {
    fn capabilities(&self) -> Capabilities {
        match self.pattern {
            Pattern::Push => Capabilities::stream(),
            Pattern::Publish => Capabilities::stream().with_fan_out(),
        }
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        self.check_size(&record)?;
        consume_budget().await;
        loop {
            let failed = |e| error::transport(Operation::Send, &self.socket.name, e);
            if self.try_send(&record).map_err(failed)? {
                self.sent += 1;
                return Ok(());
            }
            let writable = self.socket.writable().await;
            writable.map_err(|e| error::of_tmq(Operation::Send, &self.socket.name, e))?;
        }
    }

    /// libzmq does not tell when a record leaves. Done means: all are handed to it, and a receiver is
    /// connected, or none is needed (PUB).
    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        if self.sent == 0 || self.pattern == Pattern::Publish {
            return Ok(());
        }
        timeout(deadline, self.socket.connected())
            .await
            .map_err(|_| {
                TransportError::new(
                    ErrorKind::TimedOut,
                    Operation::Flush,
                    &self.socket.name,
                    format!("nobody was connected within {deadline:?}"),
                )
            })
    }

    /// Delivers for as long as the deadline and [`Settings::linger`] allow, whichever is less.
    ///
    /// libzmq does not tell how many records were left then. Where none ever had a receiver, it is
    /// all of them; else the count says 1 for "at least one".
    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        let linger = deadline.min(self.linger);
        let nobody = self.socket.tally().most == 0;
        let Self {
            socket,
            sent,
            pattern,
            ..
        } = *self;
        let ended = timeout(linger + GRACE, socket.end(linger)).await;
        let dropped = match ended {
            Ok(Ok(Ended::InOrder)) => 0,
            _ if pattern == Pattern::Publish && nobody => 0,
            _ if nobody => sent,
            _ => sent.min(1),
        };
        Ok(Closed::dropping(dropped))
    }
}
