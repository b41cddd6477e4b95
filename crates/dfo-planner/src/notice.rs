//! What changed, was refused, or was passed over.

use std::fmt;

use dfo_model::{AckStatus, Value};
use serde::Serialize;

use crate::decision::Name;
use crate::value::shown;

/// Something that changed, was refused, or was passed over.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "notice")]
#[non_exhaustive]
pub enum Notice {
    /// A knob was registered, or its definition replaced.
    KnobRegistered {
        /// The knob.
        knob: Name,
        /// The value in force.
        value: Value,
    },
    /// A knob, or one response of it, was not registered; the others of the registration were.
    KnobRefused {
        /// The knob.
        knob: Name,
        /// The tag of the response, if it is one.
        tag: Option<Name>,
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A value in force that the optimizer would not set, live or by default, is kept: what is in
    /// force is the application's to say.
    ValueKept {
        /// The knob.
        knob: Name,
        /// The value.
        value: Value,
    },
    /// A live value is not of the knob's type; another counts.
    ValueRefused {
        /// The knob.
        knob: Name,
        /// The node whose value it is; `None` is the whole job.
        node: Option<Name>,
        /// The value refused.
        value: Value,
        /// The value in force.
        in_force: Value,
    },
    /// A knob of a pack or a file is passed over: an application has spoken for that knob.
    BootstrapPassedOver {
        /// The knob.
        knob: Name,
    },
    /// No live application has a knob any more: plans for it are held from now on.
    KnobSilent {
        /// The knob.
        knob: Name,
        /// The node where there is none; `None` is everywhere.
        node: Option<Name>,
    },
    /// An application has registered a silent knob again.
    KnobHeard {
        /// The knob.
        knob: Name,
        /// The node whose silence ends; `None` where the knob was silent everywhere.
        node: Option<Name>,
    },
    /// A silence that cannot be kept: plans for the knob are not held.
    SilenceIgnored {
        /// The knob.
        knob: Name,
        /// The node; `None` is everywhere.
        node: Option<Name>,
        /// Why.
        why: SilenceIgnored,
    },
    /// A finding that cannot be used.
    InvalidFinding {
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The windows of a view began again: cooldowns and patience begin anew.
    NewRun {
        /// The window that says so.
        window_index: i64,
        /// The newest window of the view until then.
        newest: i64,
    },
    /// A tag is suppressed from now on.
    SuppressionStarted {
        /// The tag.
        tag: Name,
        /// The type of the global finding.
        finding_type: Name,
        /// Its severity score.
        severity: f64,
    },
    /// A finding type suppresses a tag no longer.
    SuppressionEnded {
        /// The tag.
        tag: Name,
        /// The type of the global finding.
        finding_type: Name,
        /// How it ended.
        why: SuppressionEnd,
    },
    /// A suppression is not kept: there are too many.
    SuppressionRefused {
        /// The tag.
        tag: Name,
        /// How many there are.
        limit: usize,
    },
    /// The application applied a plan.
    Applied {
        /// The plan.
        plan_id: Name,
        /// Its knob.
        knob: Name,
        /// The node it was for, the first if there are several; `None` is all.
        node: Option<Name>,
        /// The value in force.
        value: Value,
    },
    /// The application rejected a plan.
    Rejected {
        /// The plan.
        plan_id: Name,
        /// Its knob.
        knob: Name,
        /// The node it was for, the first if there are several; `None` is all.
        node: Option<Name>,
        /// The value in force.
        value: Value,
        /// The application's reason.
        reason: String,
    },
    /// The application applies a plan later.
    Deferred {
        /// The plan.
        plan_id: Name,
        /// Its knob.
        knob: Name,
        /// The node it was for, the first if there are several; `None` is all.
        node: Option<Name>,
    },
    /// No one acknowledged a plan; its value went back.
    PlanExpired {
        /// The plan.
        plan_id: Name,
        /// Its knob.
        knob: Name,
        /// The node it was for, the first if there are several; `None` is all.
        node: Option<Name>,
        /// The value in force.
        value: Value,
        /// Windows it waited.
        windows_waited: i64,
    },
    /// A global plan, or an operator's plan back, takes the place of an open one.
    PlanSuperseded {
        /// The plan that is open no longer.
        plan_id: Name,
        /// The plan that takes its place.
        by: Name,
    },
    /// An acknowledgement that changes nothing.
    AckIgnored {
        /// The plan that it names.
        plan_id: Name,
        /// Why.
        why: AckIgnored,
    },
    /// Two applications say different things of one job-wide plan. The first counts.
    AcksDisagree {
        /// The plan.
        plan_id: Name,
        /// Who disagrees.
        node: Name,
        /// What was said first.
        first: AckStatus,
        /// The value that came of it.
        value: Value,
        /// What this one says.
        status: AckStatus,
        /// The value that it says.
        acked_value: Option<Value>,
    },
    /// An acknowledgement that cannot be used; the plan stays open.
    AckRefused {
        /// The plan.
        plan_id: Name,
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A global plan that there is nothing to do for.
    GlobalPlanIgnored {
        /// The plan.
        plan_id: Name,
        /// Why.
        why: GlobalPlanIgnored,
    },
    /// A global plan that cannot be used.
    GlobalPlanRefused {
        /// The plan.
        plan_id: Name,
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no room for a node that a global plan names: the value there is not known.
    NodeNotRemembered {
        /// The node.
        node: Name,
    },
    /// A node had to make room; its values and actions are forgotten.
    NodeForgotten {
        /// The node.
        node: Name,
    },
    /// A plan is judged some windows after it was applied: what it was made on is not worse.
    Stands(Box<Judgement>),
    /// A plan did harm: what it was made on is worse. A plan back to the old value is made.
    Undone(Box<Judgement>),
    /// Whether a plan did harm cannot be said.
    NotJudged {
        /// The plan.
        plan_id: Name,
        /// Its knob.
        knob: Name,
        /// The node it was for; `None` is all.
        node: Option<Name>,
        /// Why.
        why: NotJudged,
    },
    /// An operator takes a change back.
    Reverted {
        /// The plan that is taken back; `None` are all of the knob.
        plan_id: Option<Name>,
        /// The plan back.
        by: Name,
        /// Its knob.
        knob: Name,
        /// The node it is for; `None` is all.
        node: Option<Name>,
    },
    /// An operator allows no more plans.
    Frozen {
        /// For this knob; `None` is everything.
        knob: Option<Name>,
    },
    /// An operator allows plans again.
    Thawed {
        /// For this knob; `None` is everything.
        knob: Option<Name>,
    },
    /// An operator's command that cannot be carried out, or not for all that it names: what the plans
    /// and notices before this one do not say has not changed.
    CommandRefused {
        /// The command's word.
        command: &'static str,
        /// Why.
        why: String,
    },
}

/// How an applied plan was judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The plan.
    pub plan_id: Name,
    /// The plan back, where it was undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// Their knob.
    pub knob: Name,
    /// The node they are for; `None` is all.
    pub node: Option<Name>,
    /// What was compared: a metric's name, or `severity`.
    pub measure: &'static str,
    /// When the plan was made.
    pub then: f64,
    /// Now.
    pub now: f64,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement {
            plan_id,
            by,
            knob,
            node,
            measure,
            then,
            now,
        } = self;
        write!(f, "{plan_id} for {knob}{} ", on(node.as_ref()))?;
        match by {
            Some(by) => write!(f, "is undone by {by}")?,
            None => f.write_str("stands")?,
        }
        write!(f, ": {measure} {then:.3} then, {now:.3} now")
    }
}

/// Why a plan could not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotJudged {
    /// What it was made on was not found again.
    NoEvidence,
    /// It was found without the metric that the plan was computed from.
    MetricMissing,
    /// The value has been changed since, by another plan or by the application.
    Changed,
    /// The node had to make room.
    Forgotten,
}

impl fmt::Display for NotJudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotJudged::NoEvidence => "what it was made on was not found again",
            NotJudged::MetricMissing => "the metric that it was computed from is missing",
            NotJudged::Changed => "the value has been changed since",
            NotJudged::Forgotten => "the node had to make room",
        })
    }
}

/// How a suppression ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionEnd {
    /// Its finding type no longer names the tag.
    Cleared,
    /// No global finding refreshed it.
    Expired,
}

/// Why an acknowledgement changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AckIgnored {
    /// No such plan, or one closed long ago.
    Unknown,
    /// The plan was closed by an earlier acknowledgement.
    Repeated,
    /// The plan had expired.
    Expired,
    /// A global plan had taken the plan's place.
    Superseded,
}

/// Why there was nothing to do for a global plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GlobalPlanIgnored {
    /// It names other nodes.
    NotForThisNode,
    /// The value is in force already.
    NoChange,
    /// It was here before.
    Repeated,
}

/// Why a silence was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceIgnored {
    /// No such knob is registered.
    UnknownKnob,
    /// The node's name is empty, or too long.
    InvalidNode,
    /// The knob is silent on as many nodes as are remembered.
    NoRoom,
}

impl Notice {
    /// Its name, as it is counted and written.
    pub fn name(&self) -> &'static str {
        match self {
            Notice::KnobRegistered { .. } => "knob_registered",
            Notice::KnobRefused { .. } => "knob_refused",
            Notice::ValueKept { .. } => "value_kept",
            Notice::ValueRefused { .. } => "value_refused",
            Notice::BootstrapPassedOver { .. } => "bootstrap_passed_over",
            Notice::KnobSilent { .. } => "knob_silent",
            Notice::KnobHeard { .. } => "knob_heard",
            Notice::SilenceIgnored { .. } => "silence_ignored",
            Notice::InvalidFinding { .. } => "invalid_finding",
            Notice::NewRun { .. } => "new_run",
            Notice::SuppressionStarted { .. } => "suppression_started",
            Notice::SuppressionEnded { .. } => "suppression_ended",
            Notice::SuppressionRefused { .. } => "suppression_refused",
            Notice::Applied { .. } => "applied",
            Notice::Rejected { .. } => "rejected",
            Notice::Deferred { .. } => "deferred",
            Notice::PlanExpired { .. } => "plan_expired",
            Notice::PlanSuperseded { .. } => "plan_superseded",
            Notice::AckIgnored { .. } => "ack_ignored",
            Notice::AcksDisagree { .. } => "acks_disagree",
            Notice::AckRefused { .. } => "ack_refused",
            Notice::GlobalPlanIgnored { .. } => "global_plan_ignored",
            Notice::GlobalPlanRefused { .. } => "global_plan_refused",
            Notice::NodeNotRemembered { .. } => "node_not_remembered",
            Notice::NodeForgotten { .. } => "node_forgotten",
            Notice::Stands(_) => "stands",
            Notice::Undone(_) => "undone",
            Notice::NotJudged { .. } => "not_judged",
            Notice::Reverted { .. } => "reverted",
            Notice::Frozen { .. } => "frozen",
            Notice::Thawed { .. } => "thawed",
            Notice::CommandRefused { .. } => "command_refused",
        }
    }
}

impl fmt::Display for Notice {
    #[expect(clippy::too_many_lines, reason = "one sentence a notice")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::KnobRegistered { knob, value } => write!(f, "{knob} registered at {value}"),
            Notice::KnobRefused {
                knob,
                tag,
                field,
                why,
            } => {
                write!(f, "knob {knob} refused: ")?;
                match tag {
                    Some(tag) => write!(f, "response to {tag}: {field}: {why}"),
                    None => write!(f, "{field}: {why}"),
                }
            }
            Notice::ValueKept { knob, value } => write!(
                f,
                "{knob} is at {value}, which the optimizer would not set; it stays until a plan changes it"
            ),
            Notice::ValueRefused {
                knob,
                node,
                value,
                in_force,
            } => {
                write!(
                    f,
                    "{knob}{}: {} is not of its type; {in_force} counts",
                    on(node.as_ref()),
                    shown(value)
                )
            }
            Notice::BootstrapPassedOver { knob } => write!(
                f,
                "{knob}: an application has spoken for it; what a pack or a file says is passed over"
            ),
            Notice::KnobSilent { knob, node } => write!(
                f,
                "{knob} has no live application{}: its plans are held until one registers it",
                on(node.as_ref())
            ),
            Notice::KnobHeard { knob, node } => {
                write!(
                    f,
                    "{knob} has a live application again{}",
                    on(node.as_ref())
                )
            }
            Notice::SilenceIgnored { knob, node, why } => {
                let why = match why {
                    SilenceIgnored::UnknownKnob => "no such knob is registered",
                    SilenceIgnored::InvalidNode => "its name is empty, or too long",
                    SilenceIgnored::NoRoom => "too many nodes are silent already",
                };
                let node = node
                    .as_ref()
                    .map_or_else(String::new, |n| format!(" on {n:?}"));
                write!(f, "silence of {knob}{node} ignored: {why}")
            }
            Notice::InvalidFinding { field, why } => write!(f, "invalid finding: {field}: {why}"),
            Notice::NewRun {
                window_index,
                newest,
            } => write!(
                f,
                "a new run: window {window_index} after {newest}; cooldowns and patience begin anew"
            ),
            Notice::SuppressionStarted {
                tag,
                finding_type,
                severity,
            } => {
                write!(
                    f,
                    "{tag} is suppressed by {finding_type} (severity {severity:.3})"
                )
            }
            Notice::SuppressionEnded {
                tag,
                finding_type,
                why,
            } => match why {
                SuppressionEnd::Cleared => {
                    write!(f, "{tag} is no longer suppressed by {finding_type}")
                }
                SuppressionEnd::Expired => {
                    write!(
                        f,
                        "{finding_type} was not heard of again: {tag} is suppressed by it no longer"
                    )
                }
            },
            Notice::SuppressionRefused { tag, limit } => {
                write!(
                    f,
                    "{tag} is not suppressed: there are {limit} suppressions already"
                )
            }
            Notice::Applied {
                plan_id,
                knob,
                node,
                value,
            } => {
                write!(
                    f,
                    "{plan_id} applied: {knob}{} is at {value}",
                    on(node.as_ref())
                )
            }
            Notice::Rejected {
                plan_id,
                knob,
                node,
                value,
                reason,
            } => {
                write!(
                    f,
                    "{plan_id} rejected: {knob}{} is at {value}",
                    on(node.as_ref())
                )?;
                if reason.is_empty() {
                    return Ok(());
                }
                write!(f, " ({reason})")
            }
            Notice::Deferred {
                plan_id,
                knob,
                node,
            } => {
                write!(f, "{plan_id} deferred: {knob}{}", on(node.as_ref()))
            }
            Notice::PlanExpired {
                plan_id,
                knob,
                node,
                value,
                windows_waited,
            } => write!(
                f,
                "{plan_id} expired after {windows_waited} windows without an acknowledgement: \
                 {knob}{} is at {value}",
                on(node.as_ref())
            ),
            Notice::PlanSuperseded { plan_id, by } => {
                write!(f, "{plan_id} is superseded by {by}")
            }
            Notice::AckIgnored { plan_id, why } => {
                let why = match why {
                    AckIgnored::Unknown => "no such plan is open",
                    AckIgnored::Repeated => "the plan was acknowledged before",
                    AckIgnored::Expired => "the plan had expired",
                    AckIgnored::Superseded => "the plan was superseded",
                };
                write!(f, "acknowledgement of {plan_id} ignored: {why}")
            }
            Notice::AcksDisagree {
                plan_id,
                node,
                first,
                value,
                status,
                acked_value,
            } => {
                write!(
                    f,
                    "acknowledgements of {plan_id} disagree: {node} says {}",
                    status.name()
                )?;
                if let Some(acked) = acked_value {
                    write!(f, " at {acked}")?;
                }
                write!(
                    f,
                    ", the first said {} and {value} is in force",
                    first.name()
                )
            }
            Notice::AckRefused {
                plan_id,
                field,
                why,
            } => {
                write!(f, "acknowledgement of {plan_id} refused: {field}: {why}")
            }
            Notice::GlobalPlanIgnored { plan_id, why } => {
                let why = match why {
                    GlobalPlanIgnored::NotForThisNode => "it is for other nodes",
                    GlobalPlanIgnored::NoChange => "its value is in force",
                    GlobalPlanIgnored::Repeated => "it was here before",
                };
                write!(f, "global plan {plan_id} ignored: {why}")
            }
            Notice::GlobalPlanRefused {
                plan_id,
                field,
                why,
            } => {
                write!(f, "global plan {plan_id} refused: {field}: {why}")
            }
            Notice::NodeNotRemembered { node } => write!(
                f,
                "{node} cannot be remembered: every remembered node has an open plan"
            ),
            Notice::NodeForgotten { node } => write!(f, "{node} had to make room and is forgotten"),
            Notice::Stands(judgement) | Notice::Undone(judgement) => judgement.fmt(f),
            Notice::NotJudged {
                plan_id,
                knob,
                node,
                why,
            } => write!(
                f,
                "whether {plan_id} for {knob}{} did harm cannot be said: {why}",
                on(node.as_ref())
            ),
            Notice::Reverted {
                plan_id,
                by,
                knob,
                node,
            } => {
                let what = plan_id.as_deref().unwrap_or("every plan");
                write!(
                    f,
                    "an operator takes {what} for {knob}{} back by {by}",
                    on(node.as_ref())
                )
            }
            Notice::Frozen { knob } => {
                let what = knob.as_deref().unwrap_or("everything");
                write!(f, "an operator froze {what}: no plans until it is thawed")
            }
            Notice::Thawed { knob } => {
                let what = knob.as_deref().unwrap_or("everything");
                write!(f, "an operator thawed {what}")
            }
            Notice::CommandRefused { command, why } => write!(f, "{command} refused: {why}"),
        }
    }
}

fn on(node: Option<&Name>) -> String {
    node.map_or_else(String::new, |node| format!(" on {node}"))
}
