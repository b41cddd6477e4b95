//! `dfo knobs`, and where knobs come from: packs, and files of registrations.

pub(crate) mod file;
mod table;

use std::fmt::Display;

use dfo_model::{InvalidVariable, KnobPack, ProblemKind, Registration};
use dfo_planner::{Decisions, Event, Notice, PlanIds, Planner, Settings};

use crate::args::{KnobSources, KnobsArgs};
use crate::exit::{Exit, Failure};
use crate::input::Complaints;
use crate::output::Console;

/// `dfo knobs`.
pub(crate) fn run(
    args: &KnobsArgs,
    packs: &[Box<dyn KnobPack>],
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(0));
    let bad = register(&args.knobs, packs, &mut into(&mut planner), console)?;
    if planner.knobs().next().is_none() {
        if args.knobs.files.is_empty() {
            return Err(Failure::Usage(no_knobs(packs)));
        }
        console.say("dfo: no knob could be registered");
        return Ok(Exit::SomeBad);
    }
    table::write(&planner, console)?;
    Ok(if bad > 0 { Exit::SomeBad } else { Exit::Done })
}

/// What to do where there are none.
pub(crate) fn no_knobs(packs: &[Box<dyn KnobPack>]) -> String {
    let names: Vec<&str> = packs.iter().map(|pack| pack.name()).collect();
    let known = names.join(" or --bootstrap ");
    format!(
        "no knobs: name a file of them with --knobs FILE, or start with a pack: --bootstrap {known}"
    )
}

/// Who is told of knobs that a pack or a file names.
pub(crate) type Bootstrap<'b> = &'b mut dyn FnMut(&Registration) -> Decisions;

/// A planner is.
pub(crate) fn into(planner: &mut Planner) -> impl FnMut(&Registration) -> Decisions {
    |registration| planner.handle(Event::Bootstrap(registration))
}

/// Registers what the sources hold. Says what is wrong with it, and how many things those were.
pub(crate) fn register(
    sources: &KnobSources,
    packs: &[Box<dyn KnobPack>],
    bootstrap: Bootstrap<'_>,
    console: &mut Console,
) -> Result<u64, Failure> {
    let mut bad = 0;
    for pack in bootstrapped(sources, packs)? {
        let known = pack
            .bootstrap(&variable)
            .map_err(|error: InvalidVariable| Failure::Usage(error.to_string()))?;
        for note in &known.notes {
            console.say(&format!("dfo: {}: {note}", pack.name()));
        }
        let decisions = bootstrap(&known.registration);
        for notice in decisions.notices() {
            if !matches!(notice, Notice::KnobRegistered { .. }) {
                bad += u64::from(matches!(notice, Notice::KnobRefused { .. }));
                console.say(&format!("dfo: {}: {notice}", pack.name()));
            }
        }
    }
    let mut complaints = Complaints::default();
    for path in &sources.files {
        let file = file::read(path)?;
        let mut say = |line: u64, what: &dyn Display| {
            let text = || format!("{}:{line}: {what}", file.name());
            complaints
                .add(text)
                .into_iter()
                .for_each(|text| console.say(&text));
        };
        for record in file.records() {
            for (line, problem) in record.problems() {
                bad += u64::from(problem.kind == ProblemKind::Wrong);
                say(line, problem);
            }
            for complaint in record.register(bootstrap) {
                bad += u64::from(complaint.is_refusal);
                say(complaint.line, &complaint.what);
            }
        }
    }
    if let Some(rest) = complaints.rest() {
        console.say(&rest);
    }
    Ok(bad)
}

/// The packs to start with: those named, and those that the environment asks for.
fn bootstrapped<'p>(
    sources: &KnobSources,
    packs: &'p [Box<dyn KnobPack>],
) -> Result<Vec<&'p dyn KnobPack>, Failure> {
    let mut chosen: Vec<&dyn KnobPack> = Vec::new();
    for name in &sources.bootstrap {
        let Some(pack) = packs.iter().find(|pack| pack.name() == name) else {
            let known = names(packs);
            let what = format!("no pack {name:?}; there is: {known}");
            return Err(Failure::Usage(what));
        };
        chosen.push(&**pack);
    }
    for pack in packs {
        let name = format!("DFOPTIMIZER_BOOTSTRAP_{}", pack.name().to_uppercase());
        let is_named = chosen.iter().any(|p| p.name() == pack.name());
        if !is_named && variable(&name).as_deref() == Some("1") {
            chosen.push(&**pack);
        }
    }
    Ok(chosen)
}

fn names(packs: &[Box<dyn KnobPack>]) -> String {
    let names: Vec<&str> = packs.iter().map(|pack| pack.name()).collect();
    names.join(", ")
}

/// A variable of the environment. What is not UTF-8 is read as far as it goes, so that it is
/// complained of rather than passed over.
pub(crate) fn variable(name: &str) -> Option<String> {
    let text = std::env::var_os(name)?;
    Some(text.to_string_lossy().into_owned())
}
