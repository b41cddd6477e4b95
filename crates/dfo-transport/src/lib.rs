//! How records come and go: JSON records read from files and from standard input.
//!
//! A *record* is a stretch of bytes that should be one JSON value. This crate finds where records
//! begin and end and hands over their bytes; it is the same for findings, plans, registrations and
//! acknowledgements. It does not decode: what a record means, and what to do with one that is not
//! valid, is decided in one place above. So a broken record can be shown and kept whole, and one
//! broken record costs no other.
//!
//! [`Records`] reads JSON lines, an array, or objects printed over several lines, plain or gzip,
//! without being told which. Memory stays bounded however large the input.
//!
//! ```
//! use dfo_transport::{Content, Records};
//!
//! let text = "{\"tag\": \"small_io\"}\n\n{\"tag\": \"metadata\"}\n";
//! let mut records = Records::from_reader("findings.jsonl", text.as_bytes());
//!
//! let mut seen = Vec::new();
//! while let Some(record) = records.next_record()? {
//!     match record.content {
//!         Content::Bytes(json) => seen.push((record.place.line, json.to_vec())),
//!         Content::TooLarge { bytes, limit } => {
//!             eprintln!("line {}: {bytes} bytes, the limit is {limit}", record.place.line);
//!         }
//!     }
//! }
//! assert_eq!(seen[1], (3, b"{\"tag\": \"metadata\"}".to_vec()));
//! # Ok::<(), dfo_transport::TransportError>(())
//! ```

#[cfg(feature = "conformance")]
pub mod conformance;
mod ends;
mod error;
mod file;
pub mod memory;
mod options;
mod record;
mod transport;

pub use ends::{Capabilities, Closed, Losses, Sink, Source};
pub use error::{ErrorKind, Operation, TransportError};
pub use file::sink::FileSink;
pub use file::source::{FileSource, Pace};
pub use file::transport::Files;
pub use file::{Content, FileRecord, MAX_RECORD_BYTES, Place, Records, open};
pub use options::{OptionSpec, Options, Repeats};
pub use record::Record;
pub use transport::{ApplicationEnds, Named, OptimizerEnds, Role, Transport, Transports};
