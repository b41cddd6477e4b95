//! The optimizer's loop: findings in, plans out, registrations and acknowledgements back in.
//!
//! One task owns the planner. The source of each channel and the sink of plans have a task each, and
//! reach it as events through bounded channels, so that nothing needs a lock on a decision, and a
//! slow reader of plans never holds up findings: plans wait in a bounded queue in which the newest
//! per knob and node wins. Whatever is dropped on the way is counted ([`Counts`]) and told
//! ([`Happening`]).
//!
//! ```
//! use dfo_planner::{PlanIds, Planner, Settings};
//! use dfo_service::{Reason, Service};
//! use dfo_transport::{Named, OptimizerEnds, Record, Sink, memory};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let (mut diagnoser, findings) = memory::pair(16);
//! let (plans, mut application) = memory::pair(16);
//! let ends = OptimizerEnds {
//!     findings: vec![Named::new("findings", Box::new(findings))],
//!     control: Vec::new(),
//!     plans: vec![Named::new("plans", Box::new(plans))],
//! };
//! let planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
//!
//! diagnoser.send(Record::new("", r#"{"finding_type": "fetch_pressure"}"#)).await?;
//! diagnoser.send(Record::new(r#"{"name": "end"}"#, "")).await?;
//! let ended = Service::new(planner, ends).run(std::future::pending()).await?;
//! assert!(matches!(ended.reason, Reason::EndOfFindings));
//! assert_eq!(ended.counts.findings, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate is not for
//!
//! It opens no transport (a [`Transport`](dfo_transport::Transport) does), handles no signal, and
//! writes no log: the program around it does. What is decided is `dfo-planner`'s.

mod backoff;
mod counts;
mod dead_letters;
mod delivery;
mod engine;
mod happening;
mod intake;
mod journal;
mod latency;
mod outbox;
mod remote;
mod roster;
mod service;
mod stand_in;

pub use counts::{Counts, Tally};
pub use happening::{Channel, Happening, Observer, Reason, Unsent};
pub use journal::{FoundInJournal, Journal, JournalNews, JournalSettings};
pub use latency::Latency;
pub use remote::{
    ApplicationsStatus, Gone, JournalStatus, KnobStatus, Remote, SinkStatus, SourceStatus, Status,
};
pub use service::{Ended, Service, Settings, StartError};
pub use stand_in::{AckMode, StandIn};
