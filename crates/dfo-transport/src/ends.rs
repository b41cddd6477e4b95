//! The two ends of a channel: a source that receives records, and a sink that sends them.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::TransportError;
use crate::record::Record;

/// Where records come from.
///
/// One task owns a source. All calls need a tokio runtime.
#[async_trait]
pub trait Source: Send {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The next records: at least one and at most `limit` (of which 0 counts as 1), in the order in
    /// which each sender sent them. Waits until there is one. None at all means that the stream has
    /// ended, and it stays ended.
    ///
    /// *Cancel-safe*: where the future is dropped before it is done, no record is lost.
    /// *Fair*: under a flood it still gives other tasks of its thread their turn.
    ///
    /// # Errors
    /// What was received before is not lost. Where [`TransportError::is_retryable`] says so, calling
    /// again may succeed; else nothing more will come.
    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError>;

    /// Passes over the first `records` records, before the first [`receive`](Source::receive): those
    /// that are known from before a restart. Only for a source with [`Capabilities::replay`], which
    /// would give them again.
    ///
    /// Gives how many it passed over: fewer, where the stream ends before, or where a transport that
    /// could wait for more finds fewer kept. Without another way they are received and dropped.
    ///
    /// Where the future is dropped before it is done, some of them may have been passed over.
    ///
    /// # Errors
    /// As for [`Source::receive`].
    async fn skip(&mut self, records: u64) -> Result<u64, TransportError> {
        let mut passed = 0;
        while passed < records {
            let left = usize::try_from(records - passed).unwrap_or(usize::MAX);
            match self.receive(left.min(SKIPPED_AT_ONCE)).await?.len() {
                0 => break,
                received => passed += received as u64,
            }
        }
        Ok(passed)
    }

    /// Says that the first `records` records that this source gave, counted since it was opened,
    /// are done with. A transport with [`Capabilities::acknowledgement`] will not give them again
    /// after a restart; for others it does nothing.
    ///
    /// # Errors
    /// The other side could not be told; the same records may come again.
    async fn commit(&mut self, records: u64) -> Result<(), TransportError> {
        let _ = records;
        Ok(())
    }

    /// What the transport itself could not hand over, since it was opened.
    fn losses(&self) -> Losses {
        Losses::default()
    }

    /// The most senders that were connected at one time, since it was opened, where the transport
    /// can tell: so many ends of stream end this one.
    fn senders(&self) -> Option<usize> {
        None
    }

    /// Closes it. What was not received is dropped, or stays with the sender.
    ///
    /// # Errors
    /// Not done within the deadline; the rest is left to the system.
    async fn close(self: Box<Self>, deadline: Duration) -> Result<(), TransportError>;
}

/// So many records are held at once to be passed over.
const SKIPPED_AT_ONCE: usize = 256;

/// Where records go.
///
/// One task owns a sink. All calls need a tokio runtime.
#[async_trait]
pub trait Sink: Send {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Sends a record; waits while the other side, or the transport's own buffer, is full. Done
    /// means that the transport has it, not that anyone has received it.
    ///
    /// Where the future is dropped before it is done, the record may have been sent or not, whole in
    /// either case, and the sink can still be used.
    ///
    /// # Errors
    /// The record was not sent. Where [`TransportError::is_retryable`] says so, sending it again may
    /// succeed.
    async fn send(&mut self, record: Record) -> Result<(), TransportError>;

    /// Waits until what was sent has left this process, as far as the transport can tell.
    ///
    /// # Errors
    /// Not done within the deadline: [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut). Nothing is
    /// dropped, and the sink can still be used.
    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError>;

    /// Sends what is left, and closes.
    ///
    /// # Errors
    /// It could not be closed in order; what was left is dropped.
    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError>;
}

/// What a source or a sink can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Records are kept: one who comes late, or comes back, gets those that were sent before.
    pub replay: bool,
    /// What was committed is not given again, and what was not, is.
    pub acknowledgement: bool,
    /// Every receiver gets every record; without it, receivers share them out.
    pub fan_out: bool,
}

impl Capabilities {
    /// None of them: a plain stream.
    pub const fn stream() -> Self {
        Self {
            replay: false,
            acknowledgement: false,
            fan_out: false,
        }
    }

    /// With [`Capabilities::replay`].
    #[must_use]
    pub const fn with_replay(self) -> Self {
        Self {
            replay: true,
            ..self
        }
    }

    /// With [`Capabilities::acknowledgement`].
    #[must_use]
    pub const fn with_acknowledgement(self) -> Self {
        Self {
            acknowledgement: true,
            ..self
        }
    }

    /// With [`Capabilities::fan_out`].
    #[must_use]
    pub const fn with_fan_out(self) -> Self {
        Self {
            fan_out: true,
            ..self
        }
    }
}

/// What a source could not hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Losses {
    /// Records that were passed over because they are too large.
    pub too_large: u64,
    /// Connections that ended or were cut: the other side went away, or broke the protocol, or sent
    /// more than is allowed. What it was sending at that moment is lost.
    pub disconnections: u64,
}

/// How a sink was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Closed {
    /// Records that were taken for sending and did not leave, as far as the transport can tell.
    pub dropped: u64,
}

impl Closed {
    /// Closed with so many records dropped.
    pub const fn dropping(dropped: u64) -> Self {
        Self { dropped }
    }
}
