//! Replays recorded scenarios of the original planner, and compares step by step.
//!
//! A scenario is compared up to its first step whose recorded behaviour is a defect (its
//! `tainted_from`), under [`Settings::original`]. The format is described in
//! `crates/dfo-planner/tests/recorded/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dfo_model::{Ack, AckStatus, ActionPlan, FindingView, Number, Registration};
use dfo_planner::{Event, InForce, PlanIds, Planner, Settings};
use dfo_transport::{Content, Records};
use serde_json::{Map, Value as Json, json};

/// The scenarios in the repository.
pub const RECORDED: &str = "crates/dfo-planner/tests/recorded/planner.jsonl.gz";

/// Mismatches shown in full; more are only counted.
const SHOWN: usize = 3;

/// What a run of scenarios came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Scenarios read.
    pub scenarios: usize,
    /// Steps compared.
    pub steps: usize,
    /// Steps not compared, because the recording is wrong there or earlier.
    pub tainted: usize,
    /// Steps that differ.
    pub mismatches: usize,
    /// The first few of them, side by side.
    pub shown: Vec<String>,
    /// How many scenarios end their comparison at which mark.
    pub marks: BTreeMap<String, usize>,
}

/// Replays files of scenarios, or the copy in the repository.
pub fn run(root: &Path, files: &[PathBuf]) -> Result<Report> {
    let recorded = [root.join(RECORDED)];
    let files = if files.is_empty() { &recorded } else { files };
    let mut report = Report::default();
    for file in files {
        replay_file(file, &mut report)?;
    }
    if report.steps == 0 {
        bail!("no step was compared: is this a file of scenarios?");
    }
    Ok(report)
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for shown in &self.shown {
            let _ = writeln!(text, "{shown}");
        }
        for (mark, count) in &self.marks {
            let _ = writeln!(text, "{count:>6} scenarios compared up to {mark}");
        }
        let Report {
            scenarios,
            steps,
            tainted,
            mismatches,
            ..
        } = self;
        let _ = write!(
            text,
            "{scenarios} scenarios, {steps} steps compared, {tainted} after a defect of the recording, \
             {mismatches} mismatches"
        );
        text
    }
}

fn replay_file(file: &Path, report: &mut Report) -> Result<()> {
    let mut records = Records::open(file)?;
    while let Some(record) = records.next_record()? {
        let Content::Bytes(bytes) = record.content else {
            bail!("{}:{}: too large", file.display(), record.place.line);
        };
        let place = || format!("{}:{}", file.display(), record.place.line);
        let scenario: Json = serde_json::from_slice(bytes).with_context(place)?;
        replay(&scenario, report).with_context(place)?;
    }
    Ok(())
}

fn replay(scenario: &Json, report: &mut Report) -> Result<()> {
    let steps = scenario["steps"].as_array().context("no steps")?;
    let tainted_from = scenario["tainted_from"]
        .as_u64()
        .map(usize::try_from)
        .transpose()?;
    let compared = tainted_from.unwrap_or(steps.len()).min(steps.len());
    let mut stage = Stage::new();
    report.scenarios += 1;
    report.tainted += steps.len() - compared;
    if let Some(mark) = steps
        .get(compared)
        .and_then(|step| step["divergence"].as_str())
    {
        *report.marks.entry(mark.to_owned()).or_default() += 1;
    }
    for (i, step) in steps[..compared].iter().enumerate() {
        let ours = stage.play(step)?;
        let recorded = outcome_of(step);
        report.steps += 1;
        if !same(&ours, &recorded) {
            report.mismatches += 1;
            if report.shown.len() < SHOWN {
                report
                    .shown
                    .push(side_by_side(scenario, i, step, &ours, &recorded));
            }
            // What follows differs because this does.
            return Ok(());
        }
    }
    Ok(())
}

/// A planner, and the plans that it has made for findings.
struct Stage {
    planner: Planner,
    plans: Vec<ActionPlan>,
}

impl Stage {
    fn new() -> Self {
        Stage {
            planner: Planner::new(Settings::original(), PlanIds::from_seed(0)).on_node("recorder"),
            plans: Vec::new(),
        }
    }

    /// Plays a step: what came of it, in the recording's form.
    fn play(&mut self, step: &Json) -> Result<Json> {
        let mut outcome = Map::new();
        match step["op"].as_str() {
            Some("register") => {
                let text =
                    json!({"knobs": step["knobs"], "current_values": step["current_values"]});
                let text = text.to_string();
                let registration = Registration::decode(text.as_bytes()).message;
                let registration = registration.context("no registration")?;
                self.planner.handle(Event::Registration(&registration));
            }
            Some("finding") => {
                let text = step["finding"].to_string();
                let finding = FindingView::decode(text.as_bytes())?;
                let decisions = self.planner.handle(Event::Finding(&finding));
                let made: Vec<Json> = decisions.plans().map(without_id).collect();
                self.plans.extend(decisions.plans().cloned());
                outcome.insert("expect".to_owned(), Json::Array(made));
            }
            Some("ack") => {
                let ack = self.ack(step)?;
                self.planner.handle(Event::Ack(&ack));
            }
            Some("global_plan") => {
                let text = step["plan"].to_string();
                let plan = ActionPlan::decode(text.as_bytes()).into_result()?;
                let decisions = self.planner.handle(Event::GlobalPlan(&plan));
                let accepted = decisions.plans().next();
                let accepted = accepted.map(serde_json::to_value).transpose()?;
                outcome.insert("expect".to_owned(), accepted.unwrap_or(Json::Null));
            }
            other => bail!("unknown op {other:?}"),
        }
        outcome.insert("state".to_owned(), state_of(&self.planner));
        Ok(Json::Object(outcome))
    }

    fn ack(&self, step: &Json) -> Result<Ack> {
        let mut ack = step.clone();
        if ack["plan_id"].is_null() {
            let plan = step["plan_ref"].as_u64().map(usize::try_from).transpose()?;
            let plan = plan.and_then(|i| self.plans.get(i));
            ack["plan_id"] = json!(plan.map_or("no such plan", |plan| &plan.plan_id));
        }
        let known = ["applied", "rejected", "deferred"];
        if !known.iter().any(|word| ack["status"] == *word) {
            return Ok(Ack::new("unknown status", AckStatus::Deferred));
        }
        let text = ack.to_string();
        let decoded = Ack::decode(text.as_bytes());
        Ok(decoded.into_result()?)
    }
}

/// What the recording says of a step, as [`Stage::play`] puts it.
fn outcome_of(step: &Json) -> Json {
    let mut outcome = Map::new();
    for key in ["expect", "state"] {
        if let Some(value) = step.get(key) {
            outcome.insert(key.to_owned(), value.clone());
        }
    }
    Json::Object(outcome)
}

fn without_id(plan: &ActionPlan) -> Json {
    let mut plan = serde_json::to_value(plan).unwrap_or_default();
    if let Some(fields) = plan.as_object_mut() {
        fields.shift_remove("plan_id");
    }
    plan
}

fn state_of(planner: &Planner) -> Json {
    let value = |v: &InForce<'_>| serde_json::to_value(v.value).unwrap_or_default();
    let at = |knob: &str, node: Option<&str>| format!("{knob}@{}", node.unwrap_or_default());
    let job: Map<_, _> = planner
        .job_values()
        .map(|v| (v.knob.to_owned(), value(&v)))
        .collect();
    let nodes = planner.node_values();
    let nodes: Map<_, _> = nodes
        .iter()
        .map(|v| (at(v.knob, v.node), value(v)))
        .collect();
    let pending = planner.pending();
    let pending: Vec<_> = pending.iter().map(|p| at(p.knob, p.node)).collect();
    json!({
        "current_values": job,
        "node_values": nodes,
        "pending": pending,
        "suppressed_tags": planner.suppressed_tags(),
    })
}

/// Equality by number, and of objects whatever the order of their keys.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(v, w))
        }
        _ => a == b || number(a).is_some_and(|x| number(b).is_some_and(|y| x.same_as(y))),
    }
}

fn number(json: &Json) -> Option<Number> {
    match json {
        Json::Bool(b) => Some(Number::Int(i64::from(*b))),
        Json::Number(n) => n
            .as_i64()
            .map(Number::Int)
            .or(n.as_f64().map(Number::Float)),
        _ => None,
    }
}

fn side_by_side(scenario: &Json, i: usize, step: &Json, ours: &Json, recorded: &Json) -> String {
    let mut event = step.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|key, _| key != "expect" && key != "state");
    }
    let name = scenario["name"].as_str().unwrap_or("?");
    format!("{name}, step {i}: {event}\n  recorded {recorded}\n  ours     {ours}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_scenarios_conform() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let report = run(&root, &[]).unwrap();
        assert_eq!(
            (report.scenarios, report.mismatches),
            (2_000, 0),
            "{}",
            report.text()
        );
        assert_eq!(report.steps + report.tainted, 26_866);
    }

    #[test]
    fn a_difference_is_found_and_shown() {
        let scenario = json!({"name": "x", "tainted_from": null, "steps": [
            {"op": "register", "knobs": {"k": {"id": "k", "default": 2}}, "current_values": {},
             "state": {"current_values": {"k": 2.0}, "node_values": {}, "pending": [], "suppressed_tags": []}},
            {"op": "finding", "finding": {}, "expect": [],
             "state": {"current_values": {"k": 3}, "node_values": {}, "pending": [], "suppressed_tags": []}},
        ]});
        let mut report = Report::default();
        replay(&scenario, &mut report).unwrap();
        assert_eq!((report.steps, report.mismatches), (2, 1));
        assert!(report.text().contains("x, step 1:"), "{}", report.text());
    }
}
