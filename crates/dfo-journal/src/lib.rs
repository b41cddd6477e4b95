//! The journal of DFOptimizer: every event with its decisions on disk, read back and folded.
//!
//! A journal is a folder of *segments*, files of JSON lines. The first line of a segment is its
//! *head*: the planner's whole state, and what else is needed to go on from there. Every later line
//! is one event with the decisions that were made on it, or a [`Mark`] of the service. The planner is
//! a pure state machine, so that the state at any line is the *fold* of the lines since the head, and
//! so that anybody can check later that the same decisions come out.
//!
//! - [`Writer`] appends, on a thread of its own, and tells what is written and what is durable.
//! - [`recover`] finds out what a service knew when it ended, however it ended.
//! - [`Archive`] and [`Replay`] read a journal from its first segment on and compare.
//!
//! The format, with its guarantees, stands in the repository's `docs/journal.md`.
//!
//! ```
//! use dfo_journal::{NewEntry, NewHead, Options, Since, Wish, Writer, recover};
//! use dfo_model::FindingView;
//! use dfo_planner::{Event, Settings};
//!
//! let folder = tempfile::tempdir()?;
//! let settings = Settings::default();
//! let recovered = recover(folder.path(), &settings, 7, |_| {})?;
//! assert!(recovered.is_new());
//!
//! let mut planner = recovered.planner;
//! let companion = serde_json::Value::Null;
//! let head = NewHead {
//!     at_ms: 0, node: None, settings: &settings, planner: &planner, companion: &companion,
//! };
//! let mut journal = Writer::start(
//!     recovered.folder, Options::default(), recovered.go_on, &head, |report| drop(report),
//! )?;
//!
//! let finding = br#"{"finding_type": "fetch_pressure", "scope": "app:epoch"}"#;
//! let finding = FindingView::decode(finding)?;
//! let event = Event::Finding(&finding);
//! let decisions = planner.handle(event);
//! let from = Some(("findings", 1));
//! journal.append(&NewEntry { at_ms: 12, from, event, decisions: &decisions });
//! journal.flush(Wish::Written);
//! drop(journal); // or the process is killed
//!
//! let mut lines = 0;
//! let recovered = recover(folder.path(), &settings, 7, |since| {
//!     lines += usize::from(matches!(since, Since::Entry { .. }));
//! })?;
//! assert_eq!(lines, 1);
//! assert_eq!(recovered.go_on.positions["findings"], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate is not for
//!
//! It decides nothing (`dfo-planner`), and neither sends nor holds back plans: whether a plan may leave
//! before its line is durable is the service's to say. It explains nothing either; `dfo explain` does,
//! from what [`Replay`] gives.

mod archive;
mod entry;
mod error;
mod finding;
mod folder;
mod head;
mod json;
mod line;
mod planner_state;
mod problem;
mod recovery;
mod replay;
mod segment;
mod storage;
mod writer;

pub use archive::Archive;
pub use entry::{Entry, Mark, NewEntry, Recorded, RecordedEvent};
pub use error::JournalError;
pub use folder::Folder;
pub use head::{Head, NewHead, Opened, Positions, VERSION};
pub use problem::{Flaw, Problem};
pub use recovery::{Recovered, Since, recover};
pub use replay::{Folded, Replay, Step, Tally};
pub use writer::{GoOn, Options, Report, SyncPolicy, Wish, Writer};
