//! The decisions of DFOptimizer: findings in, action plans and reasons out.
//!
//! [`Planner::handle`] takes an [`Event`]: an application registers its knobs (or a pack names them
//! before it does), the diagnoser finds something, an application acknowledges a plan or is heard of
//! no more, an optimizer above wants a change. It gives
//! [`Decisions`]: a plan to send, a [`Hold`] with the gate and the numbers that held it, a
//! [`Notice`] of what changed or was refused. Whatever could have become a plan and did not is a
//! hold, so that a person can ask why nothing happened.
//!
//! ```
//! use dfo_model::{Ack, AckStatus, FindingView, Registration, Value};
//! use dfo_planner::{Event, Gate, PlanIds, Planner, Settings};
//!
//! let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
//!
//! // An application declares a knob: what it is, and what to do about which class of problem.
//! let registration = Registration::decode(br#"{"namespace": "dlio", "knobs": {
//!     "prefetch_size": {"default": 2, "range": [1, 16], "responds_to": {
//!         "dataloader_prefetch": {"step": 2, "min_persistence": 1}}}}}"#).into_result()?;
//! planner.handle(Event::Registration(&registration));
//!
//! // The diagnoser finds that the job waits for its data.
//! let finding = br#"{"finding_type": "fetch_pressure", "scope": "app:epoch", "severity_score": 1.0,
//!     "persistence": 10, "trend_direction": "stable", "window_index": 9,
//!     "opportunity_tags": ["dataloader_prefetch"]}"#;
//! let finding = FindingView::decode(finding)?;
//! let decisions = planner.handle(Event::Finding(&finding));
//! let plan = decisions.plans().next().expect("severe, and persistent");
//! assert_eq!((&plan.old_value, &plan.new_value), (&Some(Value::Int(2)), &Value::Int(3)));
//!
//! // Until the application says what became of it, the knob is left alone.
//! let decisions = planner.handle(Event::Finding(&finding));
//! let hold = decisions.holds().next().expect("one change per knob at a time");
//! assert!(matches!(&hold.gate, Gate::Pending { plan_id, .. } if **plan_id == plan.plan_id));
//!
//! let ack = Ack { window_index: Some(10), ..Ack::new(&plan.plan_id, AckStatus::Applied) };
//! planner.handle(Event::Ack(&ack));
//! assert_eq!(planner.value("dlio.prefetch_size", None), Some(&Value::Int(3)));
//! # Ok::<(), dfo_model::Problem>(())
//! ```
//!
//! # A pure state machine
//!
//! No clock, no randomness, no thread, no I/O. Time is the window index of the findings; plan ids
//! come from [`PlanIds`], which is passed in. The same events give the same decisions, byte for
//! byte, so that a run can be replayed and its state be found again by folding its events.
//!
//! The cost of a finding depends on the knobs that respond to its tags, and not on how many knobs,
//! nodes or findings there are or have been. What is remembered is bounded by the knobs and by
//! [`Settings::nodes_remembered`].
//!
//! # The way of a finding
//!
//! A global finding keeps suppressions. Then each tag is asked for the knobs that respond to it, and
//! each of those passes the gates in the order of [`Gate`]: *pending*, *silent*, *severity*, *persistence*,
//! *cooldown*, *ineffective*. What passes computes its new value; if that is a change it is a plan,
//! in force at once and pending until it is acknowledged. The rules, with their numbers, stand in
//! the repository's `docs/planner.md`.
//!
//! # Saving and restoring
//!
//! Folding all events again can take long. [`Planner::state`] is everything that a planner knows but
//! its settings, for any format of `serde` that says what stands in it; [`Planner::restored`] makes a
//! planner of it that decides as the one that was saved would have. A state that was damaged is an
//! error that names what is wrong, not a planner that goes astray.
//!
//! ```
//! use dfo_planner::{PlanIds, Planner, Settings};
//!
//! let planner = Planner::new(Settings::default(), PlanIds::from_seed(1)).on_node("n1");
//! let text = serde_json::to_string(&planner.state())?;
//!
//! let mut from = serde_json::Deserializer::from_str(&text);
//! let restored = Planner::restored(Settings::default(), &mut from)?;
//! from.end()?;
//! assert_eq!(serde_json::to_string(&restored.state())?, text);
//!
//! let mut damaged = serde_json::to_value(planner.state())?;
//! damaged["freeze"]["knobs"] = vec![7].into();
//! let error = Planner::restored(Settings::default(), damaged).unwrap_err();
//! assert_eq!(error.to_string(), "the planner's state: freeze: there is no knob 7");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # What this crate is not for
//!
//! It receives and sends nothing (that is for a service around it), defines no knobs (`dfo-knobs-dlio`, or the
//! application), and does not look at [`dfo_model::PublishMode`]: whether the summary at the end of
//! a run is acted on is the caller's choice.

mod account;
mod clock;
mod command;
mod decision;
mod gates;
mod ledger;
mod limits;
mod nodes;
mod notice;
mod overview;
mod plan_ids;
mod planner;
mod presence;
mod registry;
mod saved;
mod scope;
mod settings;
mod state;
mod suppression;
mod value;
mod watch;

pub use command::Command;
pub use decision::{Decision, Decisions, Gate, Hold, Name, Violation};
pub use limits::{Constraint, ConstraintError, Limits, Pattern};
pub use notice::{
    AckIgnored, GlobalPlanIgnored, Judgement, NotJudged, Notice, SilenceIgnored, SuppressionEnd,
};
pub use overview::KnobOverview;
pub use plan_ids::PlanIds;
pub use planner::{Event, Planner, Silence, is_operators};
pub use saved::State;
pub use settings::{Patience, Settings};
pub use state::{InForce, PendingPlan};
