//! The application's side of DFOptimizer.
//!
//! An application that links this tells the optimizer which settings it can change while it runs
//! (*knobs*), takes changes (*plans*) where in its work it can, and says what it really applied. The
//! optimizer is another process; this crate knows nothing of how it decides.
//!
//! ```
//! use dfo_context::model::{Knob, KnobType, Range, Response};
//! use dfo_context::{Context, LiveKnob};
//!
//! // With `.transport(…)` before `.start()` there is a way to the optimizer. Without one, as here,
//! // everything below runs the same, and no plans come.
//! let context = Context::builder("reader").node("n1").start()?;
//!
//! // A knob, what it may be, and what should make it change.
//! let mut threads = Knob::new("reader.threads", KnobType::Int, 2);
//! threads.range = Some(Range::new(1, 16));
//! let more = Response {
//!     step: Some(2.into()),
//!     apply_when: "window_boundary".to_owned(),
//!     ..Response::default()
//! };
//! threads.responds_to.insert("reader_parallelism".to_owned(), more);
//! let reader = context.register("read_files", [LiveKnob::new("threads", threads).with_value(4)])?;
//! # let plan = br#"{"plan_id": "p1", "knob_id": "reader.threads", "new_value": 6}"#;
//! # context.stage(dfo_context::model::ActionPlan::decode(plan).into_result()?);
//!
//! let mut pool = 4;
//! for window in 0..3 {
//!     context.set_window(window);
//!     // … read, compute; then, where the pool can be changed:
//!     for action in reader.window_boundary() {
//!         match (action.parameter(), action.new_value().as_number()) {
//!             ("threads", Some(wanted)) => {
//!                 pool = wanted.truncated();
//!                 action.applied();
//!             }
//!             _ => action.rejected("this loop does not know it"),
//!         }
//!     }
//! }
//! # assert_eq!(pool, 6);
//! assert_eq!(reader.value("threads"), Some(pool.into()));
//! context.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What an application can rely on
//!
//! - **It is never held up.** A background thread does all that may wait. A boundary with nothing to
//!   do costs about as much as loading an atomic.
//! - **It never sees a wrong value.** A plan with a value that the knob does not allow is rejected as
//!   it arrives, and so is one for a function, a knob or a boundary that is not known. Only where it is
//!   asked for ([`Builder::hold_within_range`]) a number is held within the knob's range instead.
//! - **It cannot forget to answer.** An [`Action`] that is dropped, by a `?` or a panic, is rejected.
//!   Every plan that is taken in is answered `applied` or `rejected` once, however things go; a plan
//!   that comes twice is not applied twice, but its answer is repeated.
//! - **It runs without an optimizer.** None has to be there, before or after; a transport that fails
//!   is opened again. [`Context::status`] shows how things are.
//! - **A fork is quiet.** In a forked child no plans come and nothing is sent, and dropping what it
//!   inherited touches nothing of its parent's. A child that wants plans starts a context of its own
//!   ([`Context::builder`], with a transport made in the child) and registers again.
//!
//! # Who answers a plan for something unknown
//!
//! Where this process alone gets the plans, it rejects one for a function or a knob that is not
//! registered. Where the transport gives every plan to everyone
//! ([`Capabilities::fan_out`](dfo_transport::Capabilities)), another process may have it, for which
//! one must not answer: the optimizer takes the first rejection of a plan for the end of it. Then the
//! plan is counted ([`PlanCounts::unknown_function`]) and passed over, and should nobody have the
//! knob, the optimizer sees the plan expire.
//!
//! Where nothing can be told to the optimizer at all (the transport has no way back), a plan for a
//! function that nobody has spoken of yet is kept, the latest for each knob, until the function is
//! registered or [listens](Context::listen): an application that only takes plans may be slow to ask
//! for its first ([`Status::plans_unclaimed`]).
//!
//! # What this crate is not for
//!
//! It decides nothing (`dfo-planner`), carries nothing (it takes any
//! [`Transport`](dfo_transport::Transport)), and measures nothing: findings come from a diagnoser that
//! reads the tracer's events, for which [`Window`] marks the windows.

mod action;
mod boundary;
mod builder;
mod context;
mod desk;
mod domain;
mod function;
mod knobs;
mod link;
mod messages;
mod shared;
mod speaker;
mod status;
mod window;

pub use action::{Action, Actions};
pub use boundary::Boundary;
pub use builder::{Builder, StartError};
pub use context::Context;
pub use function::Function;
pub use knobs::{KnobRefused, KnobsRefused, LiveKnob, ValueRefused};
pub use status::{Link, PlanCounts, SentCounts, Status};
pub use window::{Tracer, Window, WindowEvent};

/// The messages: knobs, plans, values.
pub use dfo_model as model;
/// What a transport is.
pub use dfo_transport as transport;
