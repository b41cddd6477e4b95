//! `dfo verify`: do the same decisions come out of a journal again?

use std::ops::ControlFlow;
use std::path::Path;

use dfo_journal::{Archive, Flaw, Problem, Replay, Step, Tally};
use serde_json::json;

use crate::args::{Format, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::input::Complaints;
use crate::output::{Console, grouped, plain};

/// `dfo verify`.
pub(crate) fn run(args: &VerifyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let archive = open(&args.journal)?;
    let mut complaints = Complaints::default();
    let mut written = Ok(());
    let folded = Replay::new().run(&archive, |step| {
        let Step::Problem(problem) = step else {
            return ControlFlow::Continue(());
        };
        let Some(line) = complaints.add(|| told(problem, args.format)) else {
            return ControlFlow::Continue(());
        };
        written = writeln!(console.out(), "{line}");
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    written?;
    if let (Some(rest), Format::Text) = (complaints.rest(), args.format) {
        writeln!(console.out(), "{rest}")?;
    }
    let tally = folded.tally;
    let is_good = tally.problems == 0 && tally.segments > 0;
    let verdict = match args.format {
        Format::Text => verdict(&tally, is_good),
        Format::Json => json!({
            "event": "verify.done",
            "verified": is_good,
            "events": tally.events,
            "not_compared": tally.not_compared,
            "plans": tally.plans,
            "marks": tally.marks,
            "segments": tally.segments,
            "problems": tally.problems,
            "harmless": tally.harmless,
        })
        .to_string(),
    };
    writeln!(console.out(), "{verdict}")?;
    Ok(match is_good {
        true => Exit::Done,
        false => Exit::SomeBad,
    })
}

/// Opens a journal that should be there.
pub(crate) fn open(folder: &Path) -> Result<Archive, Failure> {
    let archive = Archive::open(folder).map_err(|e| Failure::CannotRead(e.to_string()))?;
    match archive.is_empty() {
        true => Err(Failure::CannotRead(format!(
            "{}: no journal in it; name the folder that `dfo serve --journal` was given",
            folder.display()
        ))),
        false => Ok(archive),
    }
}

fn told(problem: &Problem, format: Format) -> String {
    match (format, &problem.what) {
        (Format::Text, Flaw::DecidesOtherwise { recorded, now, .. }) => format!(
            "{}\n  then {}\n  now  {}",
            plain(&problem.to_string()),
            plain(&around_difference(recorded, now)),
            plain(&around_difference(now, recorded))
        ),
        (Format::Text, _) => plain(&problem.to_string()).into_owned(),
        (Format::Json, flaw) => {
            let mut line = json!({
                "event": "verify.problem",
                "segment": problem.segment,
                "line": problem.line,
                "harmless": flaw.is_harmless(),
                "message": problem.to_string(),
            });
            if let Flaw::DecidesOtherwise { recorded, now, .. } = flaw {
                line["recorded"] = recorded.as_str().into();
                line["now"] = now.as_str().into();
            }
            line.to_string()
        }
    }
}

/// Decisions of a line, as much as helps: from a little before the first difference on.
fn around_difference(decisions: &str, other: &str) -> String {
    const BEFORE: usize = 80;
    const SHOWN: usize = 160;
    let same = decisions.chars().zip(other.chars());
    let same = same.take_while(|(a, b)| a == b).count();
    let left_out = same.saturating_sub(BEFORE);
    let mut text: String = decisions.chars().skip(left_out).take(SHOWN).collect();
    if left_out > 0 {
        text.insert(0, '…');
    }
    if decisions.chars().count() > left_out + SHOWN {
        text.push('…');
    }
    text
}

fn verdict(tally: &Tally, is_good: bool) -> String {
    let counts = format!(
        "{}, {}, {}",
        grouped(tally.events, "event"),
        grouped(tally.plans, "plan"),
        grouped(tally.segments, "segment"),
    );
    if is_good {
        let aside = match tally.harmless {
            0 => String::new(),
            n => format!(" ({} above)", grouped(n, "remark")),
        };
        return format!("verified: {counts}: the same decisions come out{aside}");
    }
    if tally.segments == 0 {
        return "NOT verified: no segment has a usable head".to_owned();
    }
    let not_compared = match tally.not_compared {
        0 => String::new(),
        n => format!(
            "; {} after lost lines could not be compared",
            grouped(n, "event")
        ),
    };
    let problems = grouped(tally.problems, "problem");
    format!("NOT verified: {problems} in {counts}{not_compared}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_decisions_are_shown_around_their_difference() {
        let (one, another) = ("x".repeat(300) + "a", "x".repeat(300) + "b");
        let shown = around_difference(&one, &another);
        assert_eq!(shown, format!("…{}a", "x".repeat(80)));
        assert_eq!(around_difference("[]", "[1]"), "[]");
        assert_eq!(around_difference(&one, "").chars().count(), 161);
    }

    #[test]
    fn the_verdict_is_one_line() {
        let mut tally = Tally {
            events: 12_345,
            plans: 1,
            segments: 3,
            ..Tally::default()
        };
        assert_eq!(
            verdict(&tally, true),
            "verified: 12,345 events, 1 plan, 3 segments: the same decisions come out"
        );
        tally.problems = 2;
        tally.not_compared = 7;
        assert_eq!(
            verdict(&tally, false),
            "NOT verified: 2 problems in 12,345 events, 1 plan, 3 segments; \
             7 events after lost lines could not be compared"
        );
    }
}
