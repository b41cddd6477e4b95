//! `dfo check`: is this a valid file?

use std::path::Path;

use dfo_model::{Ack, ActionPlan, Finding, FindingView, Problem, ProblemKind};
use dfo_planner::{Notice, PlanIds, Planner, Settings};
use dfo_transport::Content;

use crate::args::{CheckArgs, Kind};
use crate::exit::{Exit, Failure};
use crate::input::{self, Places};
use crate::knobs;
use crate::knobs::file::{self, KnobRecord};
use crate::locate::Lines;
use crate::output::{Console, count, plain};

/// `dfo check`.
pub(crate) fn run(args: &CheckArgs, console: &mut Console) -> Result<Exit, Failure> {
    let not_knobs = args.kind.filter(|kind| *kind != Kind::Knobs);
    if let (Some(kind), Some(path)) = (not_knobs, args.files.iter().find(|p| file::is_toml(p))) {
        let (path, kind) = (path.display(), kind.name());
        let what = format!("{path}: a TOML file holds knobs, not {kind}");
        return Err(Failure::Usage(what));
    }
    let mut exit = Exit::Done;
    for path in &args.files {
        exit = exit.max(match check(path, args.kind, console) {
            Err(Failure::CannotRead(what)) => {
                console.say(&format!("dfo: {what}"));
                Exit::CannotRead
            }
            done => done?,
        });
    }
    Ok(exit)
}

fn check(path: &Path, kind: Option<Kind>, console: &mut Console) -> Result<Exit, Failure> {
    if file::is_toml(path) {
        return check_toml(path, console);
    }
    let mut records = input::open(path).map_err(|e| Failure::CannotRead(e.to_string()))?;
    let mut places = Places::in_file(records.name());
    let mut checked = Checked::new(records.name(), kind);
    loop {
        let record = match records.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => return checked.verdict(console),
            Err(error) => {
                checked.verdict(console)?;
                return Err(Failure::CannotRead(error.to_string()));
            }
        };
        let place = places.enter(&record.place);
        let found = match record.content {
            Content::Bytes(bytes) => checked.record(bytes, place.line),
            Content::TooLarge { bytes, limit } => {
                vec![(place.line, input::too_large(bytes, limit))]
            }
        };
        checked.records += 1;
        checked.problems += found.len() as u64;
        for (line, what) in found {
            let place = places.show(place.at_line(line));
            writeln!(console.out(), "{}", plain(&format!("{place}: {what}")))?;
        }
    }
}

fn check_toml(path: &Path, console: &mut Console) -> Result<Exit, Failure> {
    let file = file::read(path)?;
    let mut checked = Checked::new(&path.display().to_string(), Some(Kind::Knobs));
    for record in file.records() {
        checked.records += 1;
        for (line, what) in Checked::registration(record) {
            checked.problems += 1;
            let line = format!("{}:{line}: {what}", path.display());
            writeln!(console.out(), "{}", plain(&line))?;
        }
    }
    checked.verdict(console)
}

/// A file under check.
struct Checked {
    name: String,
    kind: Option<Kind>,
    records: u64,
    problems: u64,
}

impl Checked {
    fn new(name: &str, kind: Option<Kind>) -> Self {
        Checked {
            name: name.to_owned(),
            kind,
            records: 0,
            problems: 0,
        }
    }

    /// What is wrong with a record that begins on that line, each with its line.
    fn record(&mut self, bytes: &[u8], line: u64) -> Vec<(u64, String)> {
        self.kind = self.kind.or_else(|| kind_of(bytes));
        let problems = match self.kind {
            Some(Kind::Knobs) => return Self::registration(&KnobRecord::of_json(bytes, line)),
            Some(Kind::Plans) => ActionPlan::decode(bytes).problems,
            Some(Kind::Acks) => Ack::decode(bytes).problems,
            Some(Kind::Findings) | None => Self::finding(bytes),
        };
        let lines = Lines::of_json(&String::from_utf8_lossy(bytes), line);
        let placed = problems
            .iter()
            .map(|p| (lines.line_of(&p.path), p.to_string()));
        placed.collect()
    }

    fn finding(bytes: &[u8]) -> Vec<Problem> {
        let mut problems = Finding::decode(bytes).problems;
        let view = FindingView::decode(bytes);
        if let Ok(Err(Notice::InvalidFinding { field, why })) =
            view.map(|view| Planner::check_finding(&view))
        {
            problems.push(Problem {
                path: field.to_owned(),
                what: why,
                kind: ProblemKind::Wrong,
            });
        }
        problems
    }

    fn registration(record: &KnobRecord) -> Vec<(u64, String)> {
        let decoded = record
            .problems()
            .map(|(line, problem)| (line, problem.to_string()));
        let mut found: Vec<_> = decoded.collect();
        // What makes sense together only the planner knows.
        let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(0));
        let complaints = record.register(&mut knobs::into(&mut planner));
        found.extend(complaints.into_iter().map(|c| (c.line, c.what)));
        found
    }

    fn verdict(self, console: &mut Console) -> Result<Exit, Failure> {
        let name = plain(&self.name);
        let out = console.out();
        if self.records == 0 {
            writeln!(out, "{name}: empty: there is nothing to check")?;
            return Ok(Exit::SomeBad);
        }
        let kind = self.kind.map_or("nothing known", Kind::name);
        let records = count(self.records, "record");
        let problems = match self.problems {
            0 => "no problems".to_owned(),
            n => count(n, "problem"),
        };
        writeln!(out, "{name}: taken for {kind}: {records}, {problems}")?;
        Ok(if self.problems > 0 {
            Exit::SomeBad
        } else {
            Exit::Done
        })
    }
}

/// What a record looks like: by fields that only one kind of message has. `None` for what is no
/// object at all.
fn kind_of(bytes: &[u8]) -> Option<Kind> {
    let unlike_a_finding = Finding::decode(bytes).problems;
    if unlike_a_finding.iter().any(|p| p.path.is_empty()) {
        return None;
    }
    let has = |name: &str| unlike_a_finding.iter().any(|p| p.path == name);
    Some(
        if has("knobs") || has("current_values") || has("function_name") {
            Kind::Knobs
        } else if has("status") {
            Kind::Acks
        } else if has("plan_id") || has("new_value") || has("knob_id") {
            Kind::Plans
        } else {
            Kind::Findings
        },
    )
}
