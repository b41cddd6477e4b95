//! What a replay or a service has to tell, for eyes and for programs.

mod json;
mod text;

use std::io::{self, Write};

use dfo_model::ActionPlan;
use dfo_planner::{Decision, Decisions, Hold, Notice, Planner};
use dfo_service::{Counts, Tally};

use crate::args::Format;
use crate::exit::Failure;
use crate::output::Styles;

/// One way of telling it.
pub(crate) trait Report: Send {
    fn plan(&mut self, plan: &ActionPlan, out: &mut dyn Write) -> io::Result<()>;
    fn hold(&mut self, hold: &Hold, out: &mut dyn Write) -> io::Result<()>;
    fn notice(&mut self, notice: &Notice, window: i64, out: &mut dyn Write) -> io::Result<()>;
    /// Something that is not a decision.
    fn remark(&mut self, remark: &Remark<'_>, out: &mut dyn Write) -> io::Result<()>;
    fn done(&mut self, done: &Done<'_>, out: &mut dyn Write) -> io::Result<()>;
}

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
    pub(crate) level: Level,
    /// The line.
    pub(crate) text: &'a str,
    /// What programs want to know of it.
    pub(crate) fields: &'a [(&'static str, serde_json::Value)],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
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
                report.notice(notice, window, out)?;
            }
            Decision::Hold(_) | Decision::Notice(_) => {}
        }
    }
    Ok(())
}
