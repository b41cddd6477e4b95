//! What the suite must know of a transport.

use std::error::Error;

use async_trait::async_trait;

use crate::ends::{Sink, Source};

/// Why an end could not be opened.
pub type OpenError = Box<dyn Error + Send + Sync>;

/// A transport under test: what it claims, and where it can be opened.
pub trait Harness: Send + Sync {
    /// What it claims beyond what every transport promises.
    fn claims(&self) -> &[Claim];

    /// A place where nothing was ever sent: a free address, an empty directory, a new topic.
    ///
    /// Without a place there is nothing to prove: it may block and it may panic.
    fn place(&self) -> Box<dyn Place>;
}

/// One place at which the ends of one channel are opened: what one sends there, the other receives.
///
/// Buffers should be small: a transport that takes 256 MiB for a receiver that does not receive
/// counts as unbounded.
///
/// The suite opens a second sink, or a second source, while the first one is open only where
/// [`Claim::SeveralSenders`] or [`Claim::SeveralReceivers`] says that it may, and another one after
/// the first is closed only where [`Claim::SinkReopens`] or [`Claim::SourceReopens`] does. Ends may
/// outlive the place: when it is dropped, no more of them will be opened. The two ends may live on
/// different runtimes, each of one thread.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens a receiving end.
    async fn source(&self) -> Result<Box<dyn Source>, OpenError>;

    /// Opens a sending end.
    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError>;
}

/// What a transport may claim beyond what every transport promises. A claim is checked; what is not
/// claimed is not demanded.
///
/// What an end says of itself in its [`Capabilities`](crate::Capabilities) needs no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// A receiver that is there gets every record, however far behind it is: the sender waits (or
    /// the records are stored). Without it, records may be dropped where a receiver is behind; one
    /// that has received all so far is never passed over.
    Lossless,
    /// What is sent before a receiver is there waits for one, or the sending waits. Without it, the
    /// suite first sends probes until one arrives.
    KeepsForReceiver,
    /// Metadata may be any bytes. Without it, the suite sends JSON objects, written without spaces
    /// and with sorted keys, and empty metadata; these arrive byte for byte.
    OpaqueMetadata,
    /// Several sinks may be open at one place.
    SeveralSenders,
    /// Several sources may be open at one place. Each gets every record where the ends say
    /// [`fan_out`](crate::Capabilities::fan_out), else they share the records out.
    SeveralReceivers,
    /// A source may be opened where one was closed or dropped, while the sender lives on.
    SourceReopens,
    /// A sink may be opened where one was closed or dropped, while the receiver lives on.
    SinkReopens,
    /// The stream ends when all sinks are closed or dropped (and the place, too).
    Ends,
}

impl Claim {
    /// What it means that it is not claimed, for the report.
    pub(super) fn unclaimed(self) -> &'static str {
        match self {
            Self::Lossless => "it does not claim to lose nothing",
            Self::KeepsForReceiver => "it does not claim to keep records for a late receiver",
            Self::OpaqueMetadata => "it does not claim to carry any metadata",
            Self::SeveralSenders => "it does not claim several senders",
            Self::SeveralReceivers => "it does not claim several receivers",
            Self::SourceReopens => "it does not claim that a source can be opened again",
            Self::SinkReopens => "it does not claim that a sink can be opened again",
            Self::Ends => "it does not claim that the stream ends",
        }
    }
}
