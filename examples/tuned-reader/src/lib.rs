//! An example: a program that reads files through a pool of threads, and lets the optimizer choose
//! how many threads, and how far ahead they read, while it runs.
//!
//! To learn how a program is tuned, read [`tuning`] first: it is all that the program needs from
//! `dfo-context`. Then [`run`](mod@run), the loop in which it is used. The rest is the program itself:
//! [`pool`] reads ahead, [`storage`] holds the files and is slow on purpose, [`measure`] takes the
//! times. [`diagnosis`] belongs to the other binary, which stands in for the diagnoser.
//!
//! ```
//! use std::time::Duration;
//! use tuned_reader::measure::Measurements;
//! use tuned_reader::run::{Workload, run};
//! use tuned_reader::storage::{Servers, Slowness, Storage};
//! use tuned_reader::tuning::{Knobs, Tuning};
//!
//! let folder = tempfile::tempdir()?;
//! let slowness = Slowness {
//!     latency: Duration::from_millis(1),
//!     bytes_per_second: 64 << 20,
//!     servers: Servers::Ample,
//! };
//! let storage = Storage::create(folder.path(), 4, 1024, slowness)?;
//!
//! // Nobody is there to tune it, and it runs all the same.
//! let knobs = Knobs { threads: 1, max_threads: 8, prefetch: 2, max_prefetch: 16 };
//! let mut tuning = Tuning::start(None, knobs)?;
//! let work = Workload { samples: 20, window: 8, compute: Duration::ZERO };
//! let outcome = run(&work, storage, &mut tuning, &mut Measurements::nowhere())?;
//! assert_eq!((outcome.samples, outcome.threads), (20, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate is not for
//!
//! It is no library to build on, and no benchmark of a file system: the delays are made up, and said.

pub mod diagnosis;
pub mod measure;
pub mod pool;
pub mod run;
pub mod sample;
pub mod storage;
pub mod tuning;
