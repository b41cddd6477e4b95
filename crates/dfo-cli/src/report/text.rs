//! For eyes: a line a decision, and a summary.

use std::io::{self, Write};

use dfo_model::ActionPlan;
use dfo_planner::{Hold, Notice, Planner};

use super::{Done, Level, Remark, Report};
use crate::output::{Styles, count, plain};

pub(crate) struct Text {
    styles: Styles,
    /// So wide is the longest knob's name.
    knob_width: usize,
}

impl Text {
    pub(crate) fn new(planner: &Planner, styles: Styles) -> Self {
        let widths = planner.knobs().map(|knob| plain(&knob.id).chars().count());
        Text {
            styles,
            knob_width: widths.max().unwrap_or(0).max(1),
        }
    }
}

impl Report for Text {
    fn plan(&mut self, plan: &ActionPlan, out: &mut dyn Write) -> io::Result<()> {
        let Styles { knob, good, .. } = self.styles;
        let old = plan.old_value.as_ref().map(ToString::to_string);
        let change = format!("{} → {}", old.unwrap_or_default(), plan.new_value);
        writeln!(
            out,
            "window {window:>4}  {knob}{id:<width$}{knob:#}  {good}{change:<12}{good:#}  {node:<9}  {why}",
            window = plan.window_index,
            id = plain(&plan.knob_id),
            width = self.knob_width,
            change = plain(&change),
            node = node_or_all(plan.target_nodes.first().map(String::as_str)),
            why = plain(&plan.rationale),
        )
    }

    fn hold(&mut self, hold: &Hold, out: &mut dyn Write) -> io::Result<()> {
        let faint = self.styles.faint;
        let tag = hold.tag.as_ref().map(|tag| format!(" [{tag}]"));
        writeln!(
            out,
            "{faint}window {window:>4}  {id:<width$}  {gate:<12}  {node:<9}  {why}{tag}{faint:#}",
            window = hold.window_index,
            id = plain(hold.knob.as_deref().unwrap_or("-")),
            width = self.knob_width,
            gate = hold.gate.name(),
            node = node_or_all(hold.node.as_deref()),
            why = plain(&hold.gate.to_string()),
            tag = plain(&tag.unwrap_or_default()),
        )
    }

    fn notice(
        &mut self,
        notice: &Notice,
        window: i64,
        _: Level,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let faint = self.styles.faint;
        writeln!(
            out,
            "{faint}window {window:>4}  {dash:<width$}  {name:<12}  {dash:<9}  {why}{faint:#}",
            window = window_or_none(window),
            dash = "-",
            width = self.knob_width,
            name = notice.name(),
            why = plain(&notice.to_string()),
        )
    }

    fn remark(&mut self, remark: &Remark<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "dfo: {}", plain(remark.text))
    }

    fn done(&mut self, done: &Done<'_>, out: &mut dyn Write) -> io::Result<()> {
        let tally = done.tally;
        if tally.plans > 0 {
            writeln!(out)?;
        }
        writeln!(
            out,
            "{}, {}, {}",
            count(done.findings, "finding"),
            count(tally.plans, "plan"),
            count(tally.all_holds(), "hold"),
        )?;
        write_counts("held by", tally.holds(), out)?;
        write_counts("notices", tally.notices.iter().map(|(n, c)| (*n, *c)), out)?;
        if done.unanswered() > 0 {
            let plans = count(done.unanswered(), "plan");
            writeln!(out, "{:<10}{plans} still awaiting acknowledgement", "open")?;
        }
        if done.bad_records > 0 {
            let records = count(done.bad_records, "record");
            writeln!(out, "{:<10}{records} skipped", "bad")?;
        }
        if let Some(counts) = done.counts {
            for (label, counted) in counts.groups() {
                let counted = counted.into_iter().filter(|(_, n)| *n > 0);
                write_counts(label, counted, out)?;
            }
        }
        self.values(done.planner, out)
    }
}

impl Text {
    fn values(&self, planner: &Planner, out: &mut dyn Write) -> io::Result<()> {
        let mut of_nodes = planner.node_values().into_iter().peekable();
        let mut label = "in force";
        for job_wide in planner.job_values() {
            let knob = self.styles.knob;
            let value = job_wide.value.to_string();
            write!(
                out,
                "{label:<10}{knob}{id:<width$}{knob:#}  {value}",
                id = plain(job_wide.knob),
                width = self.knob_width,
                value = plain(&value),
            )?;
            let mut separator = "; ";
            // Both come in the order of the knobs.
            while let Some(own) = of_nodes.next_if(|own| own.knob == job_wide.knob) {
                let (node, value) = (own.node.unwrap_or_default(), own.value.to_string());
                write!(out, "{separator}{} {}", plain(node), plain(&value))?;
                separator = ", ";
            }
            writeln!(out)?;
            label = "";
        }
        Ok(())
    }
}

/// What belongs to no window has a dash.
fn window_or_none(window: i64) -> String {
    match window {
        0.. => window.to_string(),
        _ => "-".to_owned(),
    }
}

fn node_or_all(node: Option<&str>) -> String {
    node.map_or_else(|| "all nodes".to_owned(), |node| plain(node).into_owned())
}

fn write_counts(
    label: &str,
    counts: impl Iterator<Item = (&'static str, u64)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let counts: Vec<String> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "{label:<10}{}", counts.join(", "))
}
