//! Knobs as a table for people.

use std::fmt::Write as _;
use std::io;

use dfo_model::{Direction, Knob, Response, StepMode};
use dfo_planner::Planner;

use crate::output::{Console, plain};

const HEADER: [&str; 7] = ["knob", "type", "allowed", "now", "responds to", "how", "if"];

type Row = [String; HEADER.len()];

/// Writes what is registered: a row a response; the knob stands in the first of them.
pub(crate) fn write(planner: &Planner, console: &mut Console) -> io::Result<()> {
    let mut rows: Vec<Row> = vec![HEADER.map(str::to_owned)];
    for knob in planner.knobs() {
        rows.extend(rows_of(knob, planner));
    }
    let mut widths = [0; HEADER.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let styles = console.styles;
    let out = console.out();
    for (i, row) in rows.iter().enumerate() {
        let style = if i == 0 { styles.faint } else { styles.knob };
        let [knob, cells @ ..] = row;
        let mut line = format!("{style}{knob:<width$}{style:#}", width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths[1..]) {
            // Writing to a string cannot fail.
            let _ = write!(line, "  {cell:<width$}");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn rows_of(knob: &Knob, planner: &Planner) -> Vec<Row> {
    let value = planner.value(&knob.id, None);
    let mut about = [
        plain(&knob.id).into_owned(),
        knob.kind.to_string(),
        plain(&allowed(knob)).into_owned(),
        plain(&value.map(ToString::to_string).unwrap_or_default()).into_owned(),
    ];
    let mut responses: Vec<[String; 3]> = knob
        .responds_to
        .iter()
        .map(|(tag, r)| {
            [
                plain(tag).into_owned(),
                plain(&change(r)).into_owned(),
                condition(r),
            ]
        })
        .collect();
    if responses.is_empty() {
        responses.push(["nothing".to_owned(), String::new(), String::new()]);
    }
    let rows = responses.into_iter().map(|[tag, how, condition]| {
        let [id, kind, allowed, now] = std::mem::take(&mut about);
        [id, kind, allowed, now, tag, how, condition]
    });
    rows.collect()
}

fn allowed(knob: &Knob) -> String {
    match (&knob.values, knob.range) {
        (Some(values), _) => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            values.join(", ")
        }
        (None, Some(range)) => format!("{} to {}", range.min, range.max),
        (None, None) => "anything".to_owned(),
    }
}

fn change(response: &Response) -> String {
    let step = response.step.map(|s| s.to_string()).unwrap_or_default();
    let direction = match response.direction {
        Direction::Set => {
            let value = response.set_to.as_ref().map(ToString::to_string);
            return format!("set to {}", value.unwrap_or_default());
        }
        Direction::Increase => "increase",
        Direction::Decrease => "decrease",
    };
    match response.step_mode {
        StepMode::Add => format!("{direction} by a step of {step}"),
        StepMode::Multiply => format!("{direction} by a factor of {step}"),
        StepMode::Evidence => format!("{direction} by evidence"),
    }
}

fn condition(response: &Response) -> String {
    let Response {
        min_severity,
        min_persistence,
        cooldown_windows: rest,
        ..
    } = response;
    let windows = if *rest == 1 { "window" } else { "windows" };
    format!("severity ≥ {min_severity}, persistence ≥ {min_persistence}, {rest} {windows} of rest")
}
