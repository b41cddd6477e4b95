//! What comes out: plans, holds with their reasons, and notices of what changed.
//!
//! Reasons are values. The command line, the journal and the metrics render the same ones: each has
//! a `name` for machines, a sentence (`Display`) for people, and its numbers.

use std::fmt;

use dfo_model::{ActionPlan, Value};
use serde::Serialize;

use crate::notice::Notice;

/// A name of a knob, a tag, a node, a plan or a finding type. Cheap to clone, and held in place where
/// it is short (up to 23 bytes).
pub type Name = smol_str::SmolStr;

/// All that came of one event, in the order in which it was decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decisions(Vec<Decision>);

/// One thing that came of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Change this: send it to the application.
    Plan(Box<ActionPlan>),
    /// Do not act, and why.
    Hold(Hold),
    /// Something changed, was refused, or was passed over.
    Notice(Box<Notice>),
}

/// A decision not to act.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hold {
    /// What held it, with its numbers.
    pub gate: Gate,
    /// The knob that would have changed; `None` where the finding or the tag was held as a whole.
    pub knob: Option<Name>,
    /// The tag that it would have responded to; `None` where the finding was held as a whole.
    pub tag: Option<Name>,
    /// The node that the finding speaks of; `None` is the whole job.
    pub node: Option<Name>,
    /// The window of the finding.
    pub window_index: i64,
}

/// What held a finding, a tag or a knob; the order here is the order of asking.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "gate")]
#[non_exhaustive]
pub enum Gate {
    /// A global finding is too weak to suppress the tags that it names.
    WeakSuppression {
        /// Its severity score.
        severity: f64,
        /// What it would have to be.
        min_severity: f64,
        /// Its persistence, in windows.
        persistence: i64,
        /// What it would have to be.
        min_persistence: i64,
    },
    /// No knob is registered.
    NoKnobs,
    /// The severity is falling: the last action is working.
    Trend,
    /// The finding names no tag.
    NoTags,
    /// A global finding suppresses the tag.
    Suppressed {
        /// The type of the strongest global finding that does.
        by: Name,
        /// The severity of the finding that was held.
        value: f64,
        /// The severity that a node's finding would have to exceed.
        threshold: f64,
    },
    /// No knob responds to the tag.
    NoResponse,
    /// A plan for the knob awaits its acknowledgement.
    Pending {
        /// That plan.
        plan_id: Name,
        /// The node that it is for; `None` is the whole job.
        plan_node: Option<Name>,
    },
    /// No live application has the knob.
    Silent {
        /// The node where there is none; `None` is everywhere.
        node: Option<Name>,
    },
    /// The finding is not severe enough.
    Severity {
        /// Its severity score.
        value: f64,
        /// What the knob asks for.
        threshold: f64,
    },
    /// The finding has not lasted long enough.
    Persistence {
        /// Its persistence, in windows.
        value: i64,
        /// What the knob asks for.
        threshold: i64,
    },
    /// The knob rests after its last action.
    Cooldown {
        /// Windows since that action; negative where the finding is older than the action.
        value: i64,
        /// Windows to rest.
        threshold: i64,
    },
    /// The knob's last action did not help.
    Ineffective {
        /// The relative fall in severity since then: (then − now) ÷ then.
        value: f64,
        /// What the knob asks for.
        threshold: f64,
        /// The severity then.
        severity_then: f64,
        /// Windows since then.
        windows_waited: i64,
        /// After so many it may act again; `None` is never.
        patience: Option<i64>,
        /// The last action took a change back: whatever the severity, it waits.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        taken_back: bool,
    },
    /// The value would stay as it is.
    NoChange {
        /// That value.
        value: Value,
    },
    /// An operator has frozen the knob, or everything.
    Frozen {
        /// The value that it would have been changed to.
        value: Value,
        /// Whether everything is frozen, and not this knob alone.
        everything: bool,
    },
    /// The operator's limits allow other knobs only.
    NotAllowed {
        /// The patterns of those.
        allowed: Vec<Name>,
    },
    /// The change is larger than the operator's limits allow of one plan.
    LargestStep {
        /// The change, as a fraction of the value before.
        value: f64,
        /// The largest that is allowed.
        threshold: f64,
        /// The value that it would have been changed to.
        wanted: Value,
    },
    /// A constraint on knobs together would not hold.
    Constraint(Box<Violation>),
    /// As many plans were made in this window as the operator's limits allow.
    PlansPerWindow {
        /// How many.
        value: i64,
        /// How many are allowed.
        threshold: i64,
    },
    /// As many plans were made in this job as the operator's limits allow.
    PlansPerJob {
        /// How many.
        value: i64,
        /// How many are allowed.
        threshold: i64,
    },
    /// No room to remember another node: every remembered one has an open plan.
    NoRoom {
        /// How many nodes are remembered.
        threshold: i64,
    },
}

/// A constraint on knobs together that would not hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// The constraint, as it is written.
    pub constraint: Name,
    /// What its left side would come to; `None` where that cannot be computed.
    pub value: Option<f64>,
    /// What its right side would come to.
    pub threshold: Option<f64>,
    /// The knob without a number, if that is why.
    pub unknown: Option<Name>,
    /// The node where it would not hold, if it is one with values of its own.
    pub at_node: Option<Name>,
    /// The value that the knob would have been changed to.
    pub wanted: Value,
}

impl Gate {
    /// The names of all gates, in the order of asking.
    pub const NAMES: &'static [&'static str] = &[
        "weak_suppression",
        "no_knobs",
        "trend",
        "no_tags",
        "suppressed",
        "no_response",
        "pending",
        "silent",
        "severity",
        "persistence",
        "cooldown",
        "ineffective",
        "no_change",
        "frozen",
        "not_allowed",
        "largest_step",
        "constraint",
        "plans_per_window",
        "plans_per_job",
        "no_room",
    ];

    /// Its name, as it is counted and written.
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// What was compared, where there is one such value.
    pub fn value(&self) -> Option<Value> {
        match self {
            Gate::NoKnobs
            | Gate::Trend
            | Gate::NoTags
            | Gate::NoResponse
            | Gate::Pending { .. }
            | Gate::Silent { .. }
            | Gate::NotAllowed { .. }
            | Gate::NoRoom { .. } => None,
            Gate::WeakSuppression {
                severity: value, ..
            }
            | Gate::Suppressed { value, .. }
            | Gate::Severity { value, .. }
            | Gate::LargestStep { value, .. }
            | Gate::Ineffective { value, .. } => Some(Value::Float(*value)),
            Gate::Persistence { value, .. }
            | Gate::Cooldown { value, .. }
            | Gate::PlansPerWindow { value, .. }
            | Gate::PlansPerJob { value, .. } => Some(Value::Int(*value)),
            Gate::Constraint(violation) => violation.value.map(Value::Float),
            Gate::NoChange { value } | Gate::Frozen { value, .. } => Some(value.clone()),
        }
    }

    /// What it was compared with, where there is one such value.
    pub fn threshold(&self) -> Option<Value> {
        match self {
            Gate::NoKnobs
            | Gate::Trend
            | Gate::NoTags
            | Gate::NoResponse
            | Gate::Pending { .. }
            | Gate::Silent { .. }
            | Gate::NoChange { .. }
            | Gate::NotAllowed { .. }
            | Gate::Frozen { .. } => None,
            Gate::WeakSuppression {
                min_severity: threshold,
                ..
            }
            | Gate::Suppressed { threshold, .. }
            | Gate::Severity { threshold, .. }
            | Gate::LargestStep { threshold, .. }
            | Gate::Ineffective { threshold, .. } => Some(Value::Float(*threshold)),
            Gate::Constraint(violation) => violation.threshold.map(Value::Float),
            Gate::Persistence { threshold, .. }
            | Gate::Cooldown { threshold, .. }
            | Gate::PlansPerWindow { threshold, .. }
            | Gate::PlansPerJob { threshold, .. }
            | Gate::NoRoom { threshold } => Some(Value::Int(*threshold)),
        }
    }

    /// Its place in [`Gate::NAMES`].
    pub fn index(&self) -> usize {
        match self {
            Gate::WeakSuppression { .. } => 0,
            Gate::NoKnobs => 1,
            Gate::Trend => 2,
            Gate::NoTags => 3,
            Gate::Suppressed { .. } => 4,
            Gate::NoResponse => 5,
            Gate::Pending { .. } => 6,
            Gate::Silent { .. } => 7,
            Gate::Severity { .. } => 8,
            Gate::Persistence { .. } => 9,
            Gate::Cooldown { .. } => 10,
            Gate::Ineffective { .. } => 11,
            Gate::NoChange { .. } => 12,
            Gate::Frozen { .. } => 13,
            Gate::NotAllowed { .. } => 14,
            Gate::LargestStep { .. } => 15,
            Gate::Constraint(_) => 16,
            Gate::PlansPerWindow { .. } => 17,
            Gate::PlansPerJob { .. } => 18,
            Gate::NoRoom { .. } => 19,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "with {}, {} ", self.wanted, self.constraint)?;
        match (&self.unknown, self.value, self.threshold) {
            (Some(unknown), ..) => {
                write!(f, "cannot be computed: {unknown} has no number in force")?;
            }
            (None, Some(value), Some(threshold)) => {
                write!(f, "would be {value} against {threshold}")?;
            }
            _ => f.write_str("would be no number")?,
        }
        match &self.at_node {
            Some(node) => write!(f, " on {node}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Gate {
    #[expect(clippy::too_many_lines, reason = "one sentence a gate")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::WeakSuppression {
                severity,
                min_severity,
                persistence,
                min_persistence,
            } => write!(
                f,
                "too weak to suppress: severity {severity:.3} of at least {min_severity}, \
                 persistence {persistence} of at least {min_persistence}"
            ),
            Gate::NoKnobs => f.write_str("no knobs registered"),
            Gate::Trend => f.write_str("improving: the last action is working"),
            Gate::NoTags => f.write_str("the finding names no opportunity tag"),
            Gate::Suppressed {
                by,
                value,
                threshold,
            } => write!(
                f,
                "suppressed by {by}: severity {value:.3}, needs a node's above {threshold:.3}"
            ),
            Gate::NoResponse => f.write_str("no knob responds to this tag"),
            Gate::Pending { plan_id, plan_node } => {
                let node = plan_node.as_deref().unwrap_or("all nodes");
                write!(f, "{plan_id} for {node} awaits its acknowledgement")
            }
            Gate::Silent { node } => {
                let node = node.as_deref().unwrap_or("any node");
                write!(f, "no live application has it on {node}")
            }
            Gate::Severity { value, threshold } => {
                write!(f, "severity {value:.3}, needs at least {threshold}")
            }
            Gate::Persistence { value, threshold } => {
                write!(f, "persistence {value}, needs at least {threshold}")
            }
            Gate::Cooldown { value, threshold } => {
                let since = windows(*value);
                write!(f, "{since} since the last action, rests {threshold}")
            }
            Gate::Ineffective {
                value,
                threshold,
                severity_then,
                windows_waited,
                patience,
                taken_back,
            } => {
                if *taken_back {
                    f.write_str("the last change was taken back; ")?;
                } else {
                    let (fell, needed) = (value * 100.0, threshold * 100.0);
                    write!(
                        f,
                        "severity fell by {fell:.1} % from {severity_then:.3}, needs {needed:.1} %; "
                    )?;
                }
                write!(f, "{} since", windows(*windows_waited))?;
                match patience {
                    Some(patience) => write!(f, ", tries again after {patience}"),
                    None => f.write_str(", never tries again"),
                }
            }
            Gate::NoChange { value } => write!(f, "stays at {value}"),
            Gate::Frozen { value, everything } => {
                let what = if *everything {
                    "everything"
                } else {
                    "the knob"
                };
                write!(f, "an operator froze {what}; it would become {value}")
            }
            Gate::NotAllowed { allowed } => {
                write!(
                    f,
                    "only knobs of {} are allowed to change",
                    allowed.join(", ")
                )
            }
            Gate::LargestStep {
                value,
                threshold,
                wanted,
            } => {
                let (value, threshold) = (value * 100.0, threshold * 100.0);
                write!(
                    f,
                    "a change to {wanted} is one by {value:.1} %, at most {threshold:.1} % are allowed"
                )
            }
            Gate::Constraint(violation) => violation.fmt(f),
            Gate::PlansPerWindow { value, threshold } => {
                write!(f, "{value} plans in this window, {threshold} are allowed")
            }
            Gate::PlansPerJob { value, threshold } => {
                write!(f, "{value} plans in this job, {threshold} are allowed")
            }
            Gate::NoRoom { threshold } => {
                write!(
                    f,
                    "no room for another node: all {threshold} have open plans"
                )
            }
        }
    }
}

/// `1 window`, `2 windows`.
pub(crate) fn windows(n: i64) -> String {
    match n {
        1 => "1 window".to_owned(),
        _ => format!("{n} windows"),
    }
}

impl Decisions {
    /// The plans, to be sent in this order.
    pub fn plans(&self) -> impl Iterator<Item = &ActionPlan> {
        self.0.iter().filter_map(|d| match d {
            Decision::Plan(plan) => Some(&**plan),
            _ => None,
        })
    }

    /// The holds.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.0.iter().filter_map(|d| match d {
            Decision::Hold(hold) => Some(hold),
            _ => None,
        })
    }

    /// The notices.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.0.iter().filter_map(|d| match d {
            Decision::Notice(notice) => Some(&**notice),
            _ => None,
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Decision> {
        self.0.iter()
    }

    /// Whether nothing came of the event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn plan(&mut self, plan: ActionPlan) {
        self.0.push(Decision::Plan(Box::new(plan)));
    }

    pub(crate) fn hold(&mut self, hold: Hold) {
        if self.0.capacity() == 0 {
            // Most findings come to a few holds; one allocation does.
            self.0.reserve(4);
        }
        self.0.push(Decision::Hold(hold));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.0.push(Decision::Notice(Box::new(notice)));
    }
}

impl IntoIterator for Decisions {
    type Item = Decision;
    type IntoIter = std::vec::IntoIter<Decision>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Decisions {
    type Item = &'a Decision;
    type IntoIter = std::slice::Iter<'a, Decision>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
