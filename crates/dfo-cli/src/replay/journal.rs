//! `dfo replay --journal`: what happened, from a service's journal.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use dfo_journal::{Recorded, RecordedEvent, Replay, Step};
use dfo_planner::{Decisions, PlanIds, Planner, Settings};
use dfo_service::Tally;

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure};
use crate::input::Complaints;
use crate::output::Console;
use crate::report::{self, Detail, Done, Report};
use crate::verify;

pub(super) fn run(
    folder: &Path,
    args: &ReplayArgs,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let archive = verify::open(folder)?;
    // The names of the knobs, as far as they are known in the end.
    let planner = archive.newest_planner().unwrap_or_else(nothing_known);
    let mut replaying = Replaying {
        report: report::report(args.format, "dfo.replay", &planner, console.styles)?,
        detail: Detail::of(args.explain),
        is_strict: args.strict,
        window: -1,
        findings: 0,
        problems: 0,
        tally: Tally::default(),
        complaints: Complaints::default(),
    };
    let mut written = Ok(());
    let outcome = Replay::new().run(&archive, |step| match replaying.take(&step, console) {
        Ok(next) => next,
        Err(error) => {
            written = Err(error);
            ControlFlow::Break(())
        }
    });
    written?;
    replaying.finish(&outcome.planner.unwrap_or_else(nothing_known), console)
}

fn nothing_known() -> Planner {
    Planner::new(Settings::default(), PlanIds::from_seed(super::SEED))
}

struct Replaying {
    report: Box<dyn Report>,
    detail: Detail,
    is_strict: bool,
    /// The window of the last finding.
    window: i64,
    findings: u64,
    problems: u64,
    tally: Tally,
    complaints: Complaints,
}

impl Replaying {
    fn take(&mut self, step: &Step<'_>, console: &mut Console) -> io::Result<ControlFlow<()>> {
        match step {
            Step::Entry {
                entry,
                decided: Some(decisions),
                ..
            } => {
                if let Recorded::Event { event, .. } = &entry.what {
                    self.event(event, decisions, console)?;
                }
            }
            Step::Problem(problem) => {
                self.problems += u64::from(!problem.what.is_harmless());
                if let Some(line) = self.complaints.add(|| problem.to_string()) {
                    console.say(&line);
                }
                if self.is_strict && !problem.what.is_harmless() {
                    console.say("dfo: stopped at damage (--strict)");
                    return Ok(ControlFlow::Break(()));
                }
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn event(
        &mut self,
        event: &RecordedEvent<'_>,
        decisions: &Decisions,
        console: &mut Console,
    ) -> io::Result<()> {
        if let RecordedEvent::Finding(finding) = event {
            self.findings += 1;
            self.window = finding.window_index;
        }
        self.tally.count(decisions);
        let out = console.out();
        report::tell(&mut *self.report, decisions, self.window, self.detail, out)
    }

    fn finish(mut self, planner: &Planner, console: &mut Console) -> Result<Exit, Failure> {
        if let Some(rest) = self.complaints.rest() {
            console.say(&rest);
        }
        let done = Done {
            event: "optimizer.file.done",
            findings: self.findings,
            tally: &self.tally,
            bad_records: self.problems,
            counts: None,
            planner,
        };
        self.report.done(&done, console.out())?;
        Ok(match self.problems {
            0 => Exit::Done,
            _ => Exit::SomeBad,
        })
    }
}
