//! What a replay or a service has to tell, for eyes and for programs.

mod json;
mod status;
mod text;

use std::io::{self, Write};

use dfo_model::ActionPlan;
use dfo_planner::{Decision, Decisions, Hold, Notice, Planner};
use dfo_service::{Counts, Tally};

use crate::args::Format;
use crate::exit::Failure;
use crate::live::Levels;
use crate::output::Styles;

pub(crate) use status::status_text;

/// One way of telling it.
pub(crate) trait Report: Send {
    fn plan(&mut self, plan: &ActionPlan, out: &mut dyn Write) -> io::Result<()>;
    fn hold(&mut self, hold: &Hold, out: &mut dyn Write) -> io::Result<()>;
    fn notice(
        &mut self,
        notice: &Notice,
        window: i64,
        level: Level,
        out: &mut dyn Write,
    ) -> io::Result<()>;
    /// Something that is not a decision.
    fn remark(&mut self, remark: &Remark<'_>, out: &mut dyn Write) -> io::Result<()>;
    fn done(&mut self, done: &Done<'_>, out: &mut dyn Write) -> io::Result<()>;
}

/// Who speaks in a service. Each line of its log says what it is about, too.
pub(crate) const SERVICE: &str = "dfo.serve";

/// The one for a format. `logger` is who speaks.
pub(crate) fn report(
    format: Format,
    logger: &'static str,
    planner: &Planner,
    styles: Styles,
) -> Result<Box<dyn Report>, Failure> {
    Ok(match format {
        Format::Text => Box::new(text::Text::new(planner, styles)),
        Format::Json => Box::new(json::Json::new(logger)?),
    })
}

/// Something to tell that is not a decision: an event of its own for programs, a line for eyes.
pub(crate) struct Remark<'a> {
    /// The event's name, as in `optimizer.started`.
    pub(crate) event: &'static str,
    pub(crate) target: Target,
    pub(crate) level: Level,
    /// The line.
    pub(crate) text: &'a str,
    /// What programs want to know of it.
    pub(crate) fields: &'a [(&'static str, serde_json::Value)],
}

/// How much something weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    pub(crate) const ALL: [Level; 4] = [Level::Debug, Level::Info, Level::Warning, Level::Error];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The service itself: its start, its end, its log.
    Service,
    /// What the planner decided, but for plans: holds and notices.
    Decisions,
    /// Plans, and what becomes of them on their way.
    Plans,
    /// Applications that come and go.
    Applications,
    /// Records that cannot be used.
    Records,
    /// Ends of transports.
    Links,
    /// The journal.
    Journal,
}

impl Target {
    pub(crate) const ALL: [Target; 7] = [
        Target::Service,
        Target::Plans,
        Target::Decisions,
        Target::Applications,
        Target::Records,
        Target::Links,
        Target::Journal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Service => "service",
            Target::Decisions => "decisions",
            Target::Plans => "plans",
            Target::Applications => "applications",
            Target::Records => "records",
            Target::Links => "links",
            Target::Journal => "journal",
        }
    }
}

/// What there is to tell in the end.
pub(crate) struct Done<'a> {
    /// The event's name, as in `optimizer.file.done`.
    pub(crate) event: &'static str,
    /// Findings decided on.
    pub(crate) findings: u64,
    pub(crate) tally: &'a Tally,
    /// Records that could not be used.
    pub(crate) bad_records: u64,
    /// What a service counted besides.
    pub(crate) counts: Option<&'a Counts>,
    pub(crate) planner: &'a Planner,
}

impl Done<'_> {
    /// Plans that still await their acknowledgement.
    fn unanswered(&self) -> u64 {
        self.planner.pending().len() as u64
    }
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Plans,
    /// Holds and notices too.
    Everything,
}

impl Detail {
    pub(crate) fn of(explain: bool) -> Self {
        match explain {
            true => Detail::Everything,
            false => Detail::Plans,
        }
    }
}

/// Tells the decisions on one event.
pub(crate) fn tell(
    report: &mut dyn Report,
    decisions: &Decisions,
    window: i64,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    for decision in decisions {
        match decision {
            Decision::Plan(plan) => report.plan(plan, out)?,
            Decision::Hold(hold) if detail == Detail::Everything => report.hold(hold, out)?,
            Decision::Notice(notice) if detail == Detail::Everything => {
                report.notice(notice, window, Level::Info, out)?;
            }
            Decision::Hold(_) | Decision::Notice(_) => {}
        }
    }
    Ok(())
}

/// Tells those of the decisions on one event that weigh enough.
pub(crate) fn tell_by_level(
    report: &mut dyn Report,
    decisions: &Decisions,
    window: i64,
    levels: &Levels,
    out: &mut dyn Write,
) -> io::Result<()> {
    for decision in decisions {
        match decision {
            Decision::Plan(plan) if levels.tell(Target::Plans, Level::Info) => {
                report.plan(plan, out)?;
            }
            Decision::Hold(hold) if levels.tell(Target::Decisions, Level::Debug) => {
                report.hold(hold, out)?;
            }
            Decision::Notice(notice) => {
                let level = level_of(notice);
                if levels.tell(Target::Decisions, level) {
                    report.notice(notice, window, level, out)?;
                }
            }
            Decision::Plan(_) | Decision::Hold(_) => {}
        }
    }
    Ok(())
}

/// How much a notice weighs: what is refused or lost is a warning; what only says that all goes its
/// way, and may come from every node, is for those who ask.
fn level_of(notice: &Notice) -> Level {
    match notice.name() {
        "knob_refused"
        | "value_refused"
        | "silence_ignored"
        | "invalid_finding"
        | "suppression_refused"
        | "acks_disagree"
        | "ack_refused"
        | "global_plan_refused"
        | "node_not_remembered"
        | "undone"
        | "command_refused" => Level::Warning,
        "plan_expired" | "plan_superseded" | "rejected" | "new_run" | "frozen" | "thawed"
        | "reverted" => Level::Info,
        _ => Level::Debug,
    }
}
