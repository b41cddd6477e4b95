//! `dfo explain`: why something was changed, and why something was not, from a journal.
//!
//! The journal is replayed, so that each reason is the planner's own value, with its numbers. What is
//! told is in the order in which it happened: the finding, what was decided on it, the answer of the
//! application, and the next finding of the same kind, which says whether it helped.

mod chain;
mod filter;
mod otherwise;
mod text;
mod why_not;

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

use dfo_journal::{Archive, Entry, Mark, Recorded, RecordedEvent, Replay, Step};
use dfo_planner::{Decision, Decisions, Planner};
use serde_json::json;

use crate::args::{ExplainArgs, Format};
use crate::exit::{Exit, Failure};
use crate::output::{Console, plain};
use crate::verify;
use chain::{After, Chains};
use filter::Filter;
use text::Text;

/// `dfo explain`.
pub(crate) fn run(args: &ExplainArgs, console: &mut Console) -> Result<Exit, Failure> {
    let archive = verify::open(&args.journal)?;
    if let Some(knob) = &args.why_not {
        return why_not::run(&archive, knob, args, console);
    }
    let plan = args.plan.as_deref();
    let plan = plan
        .map(|prefix| plan_named(&archive, prefix))
        .transpose()?;
    let filter = Filter::new(plan, args.knob.clone(), args.window, args.node.clone());
    let mut explained = Explained {
        filter,
        chains: Chains::default(),
        teller: match args.format {
            Format::Text => Teller::Text(Text::new(console.styles)),
            Format::Json => Teller::Json,
        },
        window: -1,
        told: 0,
        problems: 0,
    };
    let mut written = Ok(());
    Replay::new().run(&archive, |step| {
        written = explained.step(&step, console);
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    written?;
    explained.finish(console)?;
    if explained.told == 0 {
        console.say(&format!(
            "dfo: nothing in {} is about that",
            args.journal.display()
        ));
    }
    say_problems(explained.problems, args, console);
    Ok(Exit::Done)
}

/// Damage is `dfo verify`'s to tell in full.
fn say_problems(problems: u64, args: &ExplainArgs, console: &mut Console) {
    if problems > 0 {
        let folder = args.journal.display();
        let problems = crate::output::count(problems, "problem");
        console.say(&format!(
            "dfo: {problems} in the journal, which may hide something: dfo verify {folder}"
        ));
    }
}

/// The plan whose id begins so.
fn plan_named(archive: &Archive, prefix: &str) -> Result<String, Failure> {
    let mut found = BTreeSet::new();
    Replay::new().run(archive, |step| {
        if let Step::Entry {
            decided: Some(decisions),
            ..
        } = step
        {
            let ids = decisions.plans().map(|plan| plan.plan_id.as_str());
            found.extend(ids.filter(|id| id.starts_with(prefix)).map(str::to_owned));
        }
        ControlFlow::Continue(())
    });
    if found.contains(prefix) {
        return Ok(prefix.to_owned());
    }
    let mut ids = found.into_iter();
    match (ids.next(), ids.next()) {
        (None, _) => Err(Failure::Usage(format!(
            "no plan in the journal has an id that begins with {prefix:?}"
        ))),
        (Some(one), None) => Ok(one),
        (Some(one), Some(another)) => Err(Failure::Usage(format!(
            "several plans begin with {prefix:?}, such as {one} and {another}; name more of the id"
        ))),
    }
}

/// What is told of one line of the journal.
struct Told<'t> {
    entry: &'t Entry<'t>,
    event: &'t RecordedEvent<'t>,
    decisions: Vec<&'t Decision>,
    after: Vec<After>,
}

enum Teller {
    Text(Text),
    Json,
}

struct Explained {
    filter: Filter,
    chains: Chains,
    teller: Teller,
    /// The window of the last finding.
    window: i64,
    told: u64,
    problems: u64,
}

impl Explained {
    fn step(&mut self, step: &Step<'_>, console: &mut Console) -> io::Result<()> {
        match step {
            Step::Entry {
                entry,
                decided: Some(decisions),
                planner: Some(planner),
                ..
            } => match &entry.what {
                Recorded::Event { event, .. } => {
                    self.event(entry, event, decisions, planner, console)
                }
                Recorded::Mark(_) => Ok(()),
            },
            Step::Entry { entry, .. } => match &entry.what {
                Recorded::Mark(Mark::Unsent { plan_id, why }) if self.chains.has(plan_id) => {
                    self.unsent(entry, plan_id, why, console)
                }
                _ => Ok(()),
            },
            Step::Problem(problem) => {
                self.problems += u64::from(!problem.what.is_harmless());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn event(
        &mut self,
        entry: &Entry<'_>,
        event: &RecordedEvent<'_>,
        decisions: &Decisions,
        planner: &Planner,
        console: &mut Console,
    ) -> io::Result<()> {
        self.filter.learn(event, planner);
        let mut after = Vec::new();
        if let RecordedEvent::Finding(finding) = event {
            self.window = finding.window_index;
            after = self.chains.next_finding(finding);
        }
        let mut taken = Vec::new();
        for decision in decisions {
            if !self
                .filter
                .takes(decision, event, self.window, &self.chains)
            {
                continue;
            }
            taken.push(decision);
            self.chains.follow(decision, event);
        }
        if taken.is_empty() && after.is_empty() {
            return Ok(());
        }
        self.told += 1;
        let told = Told {
            entry,
            event,
            decisions: taken,
            after,
        };
        match &mut self.teller {
            Teller::Text(text) => text.tell(&told, console.out()),
            Teller::Json => tell_json(&told, self.window, console.out()),
        }
    }

    fn unsent(
        &mut self,
        entry: &Entry<'_>,
        plan_id: &str,
        why: &str,
        console: &mut Console,
    ) -> io::Result<()> {
        match &mut self.teller {
            Teller::Text(text) => {
                let sentence = format!("{plan_id} is not sent: {why}");
                text.remark(entry.at_ms, &sentence, console.out())
            }
            Teller::Json => {
                let line = json!({
                    "event": "explain.unsent", "seq": entry.seq, "at_ms": entry.at_ms,
                    "plan_id": plan_id, "reason": why,
                });
                writeln!(console.out(), "{line}")
            }
        }
    }

    fn finish(&mut self, console: &mut Console) -> io::Result<()> {
        match &mut self.teller {
            Teller::Text(text) => {
                text.finish(console.out())?;
                let open = self.chains.unanswered();
                for (plan, what) in open {
                    writeln!(console.out(), "{}: {what}", plain(&plan))?;
                }
                Ok(())
            }
            Teller::Json => Ok(()),
        }
    }
}

fn tell_json(told: &Told<'_>, window: i64, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = |name: &str, fields: serde_json::Value| {
        let mut object = serde_json::Map::new();
        object.insert("event".to_owned(), name.into());
        object.insert("seq".to_owned(), told.entry.seq.into());
        object.insert("at_ms".to_owned(), told.entry.at_ms.into());
        object.insert("window_index".to_owned(), window.into());
        if let serde_json::Value::Object(fields) = fields {
            object.extend(fields);
        }
        writeln!(out, "{}", serde_json::Value::Object(object))
    };
    if let RecordedEvent::Finding(finding) = told.event {
        line(
            "explain.finding",
            json!({
                "finding_type": finding.finding_type, "scope": finding.scope,
                "severity": finding.severity_score, "persistence": finding.persistence,
                "trend": finding.trend_direction, "opportunity_tags": finding.opportunity_tags,
                "fetch_frac": finding.evidence.fetch(), "compute_frac": finding.evidence.compute(),
            }),
        )?;
    }
    for after in &told.after {
        line("explain.after", after.json())?;
    }
    for decision in &told.decisions {
        match decision {
            Decision::Plan(plan) => line(
                "explain.plan",
                json!({"plan_id": plan.plan_id, "plan": plan}),
            )?,
            Decision::Hold(hold) => line(
                "explain.hold",
                json!({
                    "gate": hold.gate.name(), "value": hold.gate.value(),
                    "threshold": hold.gate.threshold(), "knob_id": hold.knob,
                    "opportunity_tag": hold.tag, "node": hold.node,
                    "reason": hold.gate.to_string(),
                    "otherwise": otherwise::then(hold), "details": hold.gate,
                }),
            )?,
            Decision::Notice(notice) => line(
                "explain.notice",
                json!({"notice": notice.name(), "reason": notice.to_string(), "details": notice}),
            )?,
        }
    }
    Ok(())
}
