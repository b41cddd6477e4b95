//! The messages of DFOptimizer and their JSON.
//!
//! Everything that crosses a process border is a type here: what the diagnoser found
//! ([`Finding`]), what an application can change ([`Knob`], [`Registration`]), what the optimizer
//! wants changed ([`ActionPlan`]), and what became of it ([`Ack`]).
//!
//! # Reading is tolerant, writing is exact
//!
//! Readers take what Python's `json` writes: an unknown field is passed over, a missing field or an
//! explicit `null` takes its default, of a duplicate key the last one counts, an int beyond 64 bits
//! saturates, and the bare tokens `NaN`, `Infinity` and `-Infinity` are understood. Writers give
//! every field, in one order, ints as ints and floats as floats.
//!
//! A message that cannot be used is never a panic and never half a message: decoding gives the
//! message *and* every [`Problem`] found in it, each with the path of its field.
//!
//! ```
//! use dfo_model::{Finding, FindingView};
//!
//! let text = br#"{"finding_type": "fetch_pressure", "scope": "node:n1:app:window",
//!                 "severity_score": 0.9, "persistence": 5, "confidence": NaN,
//!                 "opportunity_tags": ["dataloader_prefetch"],
//!                 "key_metrics": {"fetch_frac": 0.89, "compute_frac": NaN}}"#;
//!
//! // For planning: borrowed, and only what planning uses.
//! let view = FindingView::decode(text).unwrap();
//! assert_eq!(view.scope, "node:n1:app:window");
//! assert_eq!(view.evidence.fetch(), Some(0.89));
//!
//! // For checking: everything, and all that is wrong with it.
//! let whole = Finding::decode(text);
//! assert_eq!(whole.problems[0].to_string(), "confidence: expected a finite number, found NaN");
//! ```
//!
//! # What this crate is not for
//!
//! It decides nothing (`dfo-planner`), opens nothing (`dfo-transport`), and checks no rule that
//! needs more than one field: whether a range is reversed is the planner's business.

mod ack;
mod decode;
mod finding;
mod knob;
mod node;
mod pack;
mod plan;
mod registration;
#[cfg(feature = "schema")]
mod schema;
mod stream;
mod value;

pub use ack::{Ack, AckStatus};
pub use decode::{Decoded, Problem, ProblemKind};
pub use finding::{Evidence, Finding, FindingView, PublishMode, Trend};
pub use knob::{Direction, Knob, KnobScope, Range, Response, StepMode};
pub use node::node_names_match;
pub use pack::{Bootstrap, InvalidVariable, KnobPack};
pub use plan::ActionPlan;
pub use registration::Registration;
#[cfg(feature = "schema")]
pub use schema::schemas;
pub use stream::{Envelope, Kind, Metadata};
pub use value::{KnobType, Number, Value};
