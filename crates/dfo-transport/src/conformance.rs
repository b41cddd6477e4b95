//! Proves that a transport keeps what [`Source`](crate::Source) and [`Sink`](crate::Sink) promise.
//!
//! Whoever writes a transport describes it in a [`Harness`]: how to open its two ends, and what it
//! claims ([`Claim`]). Then one call runs every [`Check`] that applies:
//!
//! ```
//! use std::sync::Mutex;
//!
//! use async_trait::async_trait;
//! use dfo_transport::conformance::{self, Claim, Harness, OpenError, Place};
//! use dfo_transport::memory::{self, MemorySink, MemorySource};
//! use dfo_transport::{Sink, Source};
//!
//! struct Memory;
//!
//! struct Pair(MemorySink, Mutex<Option<MemorySource>>);
//!
//! impl Harness for Memory {
//!     fn claims(&self) -> &[Claim] {
//!         use Claim::*;
//!         &[Lossless, KeepsForReceiver, OpaqueMetadata, SeveralSenders, Ends]
//!     }
//!
//!     fn place(&self) -> Box<dyn Place> {
//!         let (sink, source) = memory::pair(64);
//!         Box::new(Pair(sink, Mutex::new(Some(source))))
//!     }
//! }
//!
//! #[async_trait]
//! impl Place for Pair {
//!     async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
//!         let source = self.1.lock().unwrap().take();
//!         Ok(Box::new(source.ok_or("a pair has one source")?))
//!     }
//!
//!     async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
//!         Ok(Box::new(self.0.clone()))
//!     }
//! }
//!
//! # fn main() -> Result<(), conformance::Failures> {
//! // In a test:
//! let report = conformance::prove(Memory)?;
//! # print!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! For a whole [`Transport`](crate::Transport) there is no harness to write: see [`channel`]. A
//! source that only reads what is already there, such as a file, is proved with [`prove_source`].
//!
//! # What the checks are like
//!
//! Each check opens ends at places of its own, on a tokio runtime of one thread, so that an end that
//! keeps the thread to itself is noticed. Nothing depends on the speed of the machine: what should
//! happen is waited for as long as the [patience](Suite::with_patience) lasts, and it lasts long.
//! What holds a thread for good fails its check and leaves that thread behind.
//!
//! What is not claimed is not checked; the [`Report`] says what was left out. Each check can be run
//! alone, with [`Suite::check`].
//!
//! # What this is not for
//!
//! Speed, and failures of the machine or the network. It proves the promises that every user of a
//! transport relies on, between two healthy ends.

mod alone;
mod channel;
mod checks;
mod ends;
mod failure;
mod harness;
mod join;
mod numbered;
mod stage;
mod suite;
mod transfer;

pub use alone::prove_source;
pub use channel::{Channel, ChannelHarness, channel};
pub use failure::{Failure, Failures, Report, Verdict};
pub use harness::{Claim, Harness, OpenError, Place};
pub use suite::{Check, Suite, prove};
