//! For eyes: a paragraph for each line of the journal, in order; what repeats itself is counted.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use dfo_journal::RecordedEvent;
use dfo_model::FindingView;
use dfo_planner::{Command, Decision, Hold, Name};

use super::{Told, otherwise};
use crate::output::{Styles, count, plain};

pub(super) struct Text {
    styles: Styles,
    /// What held what in the paragraph before, if it was nothing but holds.
    held_before: Vec<Held>,
    /// How many paragraphs like it have been left out, and the window of the last one.
    left_out: u64,
    last_window: i64,
}

/// A hold, but for its numbers.
type Held = (&'static str, Option<Name>, Option<Name>, Option<Name>);

impl Text {
    pub(super) fn new(styles: Styles) -> Self {
        Text {
            styles,
            held_before: Vec::new(),
            left_out: 0,
            last_window: 0,
        }
    }

    pub(super) fn tell(&mut self, told: &Told<'_>, out: &mut dyn Write) -> io::Result<()> {
        let only_held = only_holds(told);
        if !only_held.is_empty() && only_held == self.held_before {
            self.left_out += 1;
            self.last_window = window_of(told);
            return Ok(());
        }
        self.finish(out)?;
        self.held_before = only_held;

        let Styles { faint, .. } = self.styles;
        let at = moment(told.entry.at_ms);
        writeln!(
            out,
            "{faint}{at}{faint:#}  {}",
            plain(&headline(told.event))
        )?;
        for after in &told.after {
            let sentence = format!("{}: {}", after.plan_id, after.sentence());
            line("after", &sentence, out)?;
        }
        for decision in &told.decisions {
            match decision {
                Decision::Plan(plan) => {
                    let Styles { knob, good, .. } = self.styles;
                    let old = plan.old_value.as_ref().map(ToString::to_string);
                    let change = format!("{} → {}", old.unwrap_or_default(), plan.new_value);
                    writeln!(
                        out,
                        "  {:<8}{knob}{}{knob:#} {good}{}{good:#} on {}: {}",
                        "plan",
                        plain(&plan.knob_id),
                        plain(&change),
                        plain(&on(plan.target_nodes.first().map(String::as_str))),
                        plain(&plan.plan_id),
                    )?;
                    line("", &plan.rationale, out)?;
                }
                Decision::Hold(hold) => {
                    line("held", &held_by(hold), out)?;
                    line("", &otherwise::then(hold), out)?;
                }
                Decision::Notice(notice) => line("", &notice.to_string(), out)?,
            }
        }
        Ok(())
    }

    /// Something that is not a decision.
    pub(super) fn remark(
        &mut self,
        at_ms: u64,
        sentence: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.finish(out)?;
        self.held_before.clear();
        let Styles { faint, .. } = self.styles;
        writeln!(
            out,
            "{faint}{}{faint:#}  {}",
            moment(at_ms),
            plain(sentence)
        )
    }

    /// Says how often the last paragraph came again.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.left_out > 0 {
            let times = count(self.left_out, "time");
            let sentence = format!("{times} more, until window {}", self.last_window);
            line("…", &sentence, out)?;
        }
        self.left_out = 0;
        Ok(())
    }
}

fn line(label: &str, sentence: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {label:<8}{}", plain(sentence))
}

/// What a hold held, and why.
pub(super) fn held_by(hold: &Hold) -> String {
    let what = match (&hold.knob, &hold.tag) {
        (Some(knob), Some(tag)) => format!("{knob} [{tag}]"),
        (Some(knob), None) => knob.to_string(),
        (None, Some(tag)) => format!("[{tag}]"),
        (None, None) => "the finding".to_owned(),
    };
    format!("{what} by {}: {}", hold.gate.name(), hold.gate)
}

fn only_holds(told: &Told<'_>) -> Vec<Held> {
    let held = told.decisions.iter().map(|decision| match decision {
        Decision::Hold(hold) => Some((
            hold.gate.name(),
            hold.knob.clone(),
            hold.tag.clone(),
            hold.node.clone(),
        )),
        _ => None,
    });
    match told.after.is_empty() {
        true => held.collect::<Option<_>>().unwrap_or_default(),
        false => Vec::new(),
    }
}

fn window_of(told: &Told<'_>) -> i64 {
    match told.event {
        RecordedEvent::Finding(finding) => finding.window_index,
        _ => 0,
    }
}

/// What happened, in one line.
fn headline(event: &RecordedEvent<'_>) -> String {
    let of = |what: &str, registration: &dfo_model::Registration| {
        let knobs = count(registration.knobs.len() as u64, "knob");
        match registration.node.as_str() {
            "" => format!("{what} {knobs}"),
            node => format!("{what} {knobs} on {node}"),
        }
    };
    match event {
        RecordedEvent::Registration(registration) => of("an application registers", registration),
        RecordedEvent::Bootstrap(registration) => of("a pack or a file names", registration),
        RecordedEvent::Finding(finding) => finding_line(finding),
        RecordedEvent::Ack(ack) => {
            let node = match ack.node.as_str() {
                "" => String::new(),
                node => format!(" on {node}"),
            };
            format!(
                "an application{node} answers {}: {}",
                ack.plan_id,
                ack.status.name()
            )
        }
        RecordedEvent::GlobalPlan(plan) => {
            format!(
                "an optimizer above wants {} at {}",
                plan.knob_id, plan.new_value
            )
        }
        RecordedEvent::Silence { knob, node } => {
            format!(
                "no application with {knob} is heard of on {}",
                on(node.as_deref())
            )
        }
        RecordedEvent::Command(command) => format!("an operator says {}", said(command)),
    }
}

/// What a finding says, in one line.
pub(super) fn finding_line(finding: &FindingView<'_>) -> String {
    let mut text = format!(
        "window {}  {} at {}: severity {:.3}, persistence {}, {}",
        finding.window_index,
        finding.finding_type,
        finding.scope,
        finding.severity_score,
        finding.persistence,
        finding.trend_direction,
    );
    for (name, metric) in [
        ("fetch", finding.evidence.fetch()),
        ("compute", finding.evidence.compute()),
    ] {
        if let Some(metric) = metric {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {name} {metric:.3}");
        }
    }
    text
}

fn said(command: &Command) -> String {
    match command {
        Command::Freeze { knob: Some(what) }
        | Command::Thaw { knob: Some(what) }
        | Command::Revert { plan_id: what } => format!("{} {what}", command.name()),
        _ => command.name().replace('_', " "),
    }
}

fn on(node: Option<&str>) -> String {
    node.unwrap_or("all nodes").to_owned()
}

/// A moment as people write it, in UTC.
pub(super) fn moment(at_ms: u64) -> String {
    // 9999-12-31T23:59:59.999Z: no format holds more.
    const LAST: u64 = 253_402_300_799_999;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms.min(LAST));
    humantime::format_rfc3339_millis(at).to_string()
}
