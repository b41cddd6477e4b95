//! `dfo replay`: what would be changed for saved findings, and why everything else would not.

mod journal;

use std::path::Path;

use dfo_model::{FindingView, KnobPack};
use dfo_planner::{Decisions, Event, Notice, PlanIds, Planner};
use dfo_service::{StandIn, Tally};
use dfo_transport::{Content, Records};

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Complaints, Places};
use crate::knobs;
use crate::output::Console;
use crate::report::{self, Detail, Done, Report};

/// `dfo replay`.
pub(crate) fn run(
    args: &ReplayArgs,
    packs: &[Box<dyn KnobPack>],
    console: &mut Console,
) -> Result<Exit, Failure> {
    if let Some(folder) = &args.journal {
        return journal::run(folder, args, console);
    }
    let inputs = args.findings.iter().chain(&args.knobs.files);
    if inputs.filter(|path| path.as_os_str() == "-").count() > 1 {
        let what = "standard input (`-`) is named twice, and can be read once";
        return Err(Failure::Usage(what.to_owned()));
    }
    let mut planner = Planner::new(args.settings(), PlanIds::from_seed(SEED));
    let bad_definitions =
        knobs::register(&args.knobs, packs, &mut knobs::into(&mut planner), console)?;
    if bad_definitions > 0 && args.strict {
        console.say("dfo: stopped at a bad definition (--strict)");
        return Ok(Exit::SomeBad);
    }
    if planner.knobs().next().is_none() {
        console.say(&format!("dfo: {}", knobs::no_knobs(packs)));
    }
    let mut replay = Replay {
        report: report::report(args.format, "dfo.replay", &planner, console.styles)?,
        planner,
        application: StandIn::new(args.acks),
        detail: Detail::of(args.explain),
        strict: args.strict,
        findings: 0,
        bad_records: 0,
        tally: Tally::default(),
        complaints: Complaints::default(),
        cannot_read: false,
    };
    for path in &args.findings {
        if replay.file(path, console)? == Next::Stop {
            break;
        }
    }
    replay.finish(bad_definitions, console)
}

/// Plans of a replay go nowhere: the same input gives the same output, ids included.
const SEED: u128 = 0;

#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// A replay under way.
struct Replay {
    planner: Planner,
    application: StandIn,
    report: Box<dyn Report>,
    detail: Detail,
    strict: bool,
    /// Findings decided on.
    findings: u64,
    /// Records that were no usable findings.
    bad_records: u64,
    tally: Tally,
    complaints: Complaints,
    cannot_read: bool,
}

impl Replay {
    fn file(&mut self, path: &Path, console: &mut Console) -> Result<Next, Failure> {
        let mut records = match input::open(path) {
            Ok(records) => records,
            Err(error) => {
                self.cannot_read = true;
                console.say(&format!("dfo: {error}"));
                return Ok(Next::GoOn);
            }
        };
        let before = self.findings + self.bad_records;
        let next = self.records(&mut records, console)?;
        if next == Next::GoOn && self.findings + self.bad_records == before {
            console.say(&format!("dfo: {}: no findings in it", records.name()));
        }
        Ok(next)
    }

    fn records(&mut self, records: &mut Records, console: &mut Console) -> Result<Next, Failure> {
        let mut places = Places::in_file(records.name());
        loop {
            let record = match records.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(Next::GoOn),
                Err(error) => {
                    self.cannot_read = true;
                    console.say(&format!("dfo: {error}"));
                    return Ok(Next::GoOn);
                }
            };
            let place = places.enter(&record.place);
            let wrong = match record.content {
                Content::Bytes(bytes) => match FindingView::decode(bytes) {
                    Ok(finding) => self.finding(&finding, console)?,
                    Err(problem) => Some(problem.to_string()),
                },
                Content::TooLarge { bytes, limit } => Some(input::too_large(bytes, limit)),
            };
            let Some(what) = wrong else {
                continue;
            };
            self.bad_records += 1;
            let end = if self.strict {
                "stopped (--strict)"
            } else {
                "record skipped"
            };
            let line = || format!("{}: {what}; {end}", places.show(place));
            if let Some(line) = self.complaints.add(line) {
                console.say(&line);
            }
            if self.strict {
                return Ok(Next::Stop);
            }
        }
    }

    /// Decides on a finding, and lets the application answer. What is wrong with it, if it cannot
    /// be used.
    fn finding(
        &mut self,
        finding: &FindingView<'_>,
        console: &mut Console,
    ) -> Result<Option<String>, Failure> {
        if let Err(Notice::InvalidFinding { field, why }) = Planner::check_finding(finding) {
            return Ok(Some(format!("{field}: {why}")));
        }
        self.findings += 1;
        self.acknowledge(finding, console)?;
        let decisions = self.planner.handle(Event::Finding(finding));
        self.show(&decisions, finding.window_index, console)?;
        self.application.receive(finding, &decisions);
        self.acknowledge(finding, console)?;
        Ok(None)
    }

    /// Lets the application answer what is due in the finding's window.
    fn acknowledge(
        &mut self,
        finding: &FindingView<'_>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        for ack in self.application.due(finding) {
            let decisions = self.planner.handle(Event::Ack(&ack));
            self.show(&decisions, finding.window_index, console)?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        decisions: &Decisions,
        window: i64,
        console: &mut Console,
    ) -> Result<(), Failure> {
        self.tally.count(decisions);
        report::tell(
            &mut *self.report,
            decisions,
            window,
            self.detail,
            console.out(),
        )?;
        Ok(())
    }

    fn finish(mut self, bad_definitions: u64, console: &mut Console) -> Result<Exit, Failure> {
        if let Some(rest) = self.complaints.rest() {
            console.say(&rest);
        }
        let done = Done {
            event: "optimizer.file.done",
            findings: self.findings,
            tally: &self.tally,
            bad_records: self.bad_records,
            counts: None,
            planner: &self.planner,
        };
        self.report.done(&done, console.out())?;
        let is_bad = bad_definitions + self.bad_records > 0;
        Ok(match (self.cannot_read, is_bad) {
            (true, _) => Exit::CannotRead,
            (false, true) => Exit::SomeBad,
            (false, false) => Exit::Done,
        })
    }
}
