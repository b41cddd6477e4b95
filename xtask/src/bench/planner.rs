//! The planner alone, without bytes and without a process around it.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use dfo_model::{Ack, AckStatus, FindingView, Registration};
use dfo_planner::{Event, Gate, PlanIds, Planner, Settings};
use serde_json::{Value as Json, json};

use super::Size;
use super::measure::{rate, timed};

/// Findings a second of the planner on decoded findings with two tags and two knobs, all held by
/// cooldown, holds returned.
pub fn planner_alone(size: &Size) -> Result<f64> {
    let mut times = Vec::new();
    let mut scene = Scene::new(2, 4)?;
    let findings = scene.findings(size.findings);
    for _ in 0..size.rounds {
        times.push(timed(|| scene.decide(&findings))?);
    }
    let rate = rate(size.findings, &mut times);
    println!("planner alone, held          {rate:>12.0} findings/s");
    Ok(rate)
}

/// Time per finding from few knobs and nodes to many, drawn at random.
pub fn scaling(size: &Size) -> Result<()> {
    let mut few = Scene::new(10, 10)?;
    let mut many = Scene::new(10_000, 100_000)?;
    let of_few = few.findings(size.findings);
    let of_many = many.findings(size.findings);
    let mut few_times = Vec::new();
    let mut many_times = Vec::new();
    for _ in 0..size.rounds {
        few_times.push(timed(|| few.decide(&of_few))?);
        many_times.push(timed(|| many.decide(&of_many))?);
    }
    let nanoseconds = |times: &mut Vec<Duration>| 1e9 / rate(size.findings, times);
    let (few, many) = (nanoseconds(&mut few_times), nanoseconds(&mut many_times));
    println!("10 knobs, 10 nodes           {few:>12.0} ns a finding");
    println!("10,000 knobs, 100,000 nodes  {many:>12.0} ns a finding");
    println!(
        "many / few                   {:>6.2}   (less than 4)",
        many / few
    );
    Ok(())
}

/// A planner whose knobs and nodes have all acted, so that every finding meets their accounts and is
/// held by cooldown.
struct Scene {
    planner: Planner,
    knobs: usize,
    nodes: usize,
    random: Random,
}

impl Scene {
    /// Each knob responds to a tag of its own number.
    fn new(knobs: usize, nodes: usize) -> Result<Self> {
        let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
        let definitions: serde_json::Map<String, Json> = (0..knobs)
            .map(|k| {
                let response = json!({"step": 1, "cooldown_windows": 1_000_000_000});
                let knob = json!({"default": 1, "range": [0, 1_000_000], "responds_to": {tag(k): response}});
                (format!("knob{k}"), knob)
            })
            .collect();
        let text = json!({"namespace": "bench", "knobs": definitions}).to_string();
        let registration = Registration::decode(text.as_bytes()).into_result()?;
        planner.handle(Event::Registration(&registration));
        let mut scene = Scene {
            planner,
            knobs,
            nodes,
            random: Random(7),
        };
        // Two actions on each node, as a run has them.
        for node in 0..nodes {
            for k in [node % knobs, (node + 1) % knobs] {
                scene.act(node, k);
            }
        }
        Ok(scene)
    }

    fn act(&mut self, node: usize, knob: usize) {
        let finding = finding(node, &[knob], 0);
        let decisions = self.planner.handle(Event::Finding(&finding));
        for plan in decisions.plans() {
            let ack = Ack {
                window_index: Some(0),
                ..Ack::new(&plan.plan_id, AckStatus::Applied)
            };
            self.planner.handle(Event::Ack(&ack));
        }
    }

    /// Findings on nodes drawn at random, each with the tags of two knobs that have acted there.
    fn findings(&mut self, count: usize) -> Vec<FindingView<'static>> {
        let windows = (1..=1_000).cycle();
        let drawn = windows.take(count).map(|window| {
            let node = self.random.below(self.nodes);
            let knobs = [node % self.knobs, (node + 1) % self.knobs];
            finding(node, &knobs, window)
        });
        drawn.collect()
    }

    fn decide(&mut self, findings: &[FindingView<'_>]) -> Result<()> {
        let mut held = 0;
        for finding in findings {
            let decisions = self.planner.handle(Event::Finding(finding));
            held += decisions
                .holds()
                .filter(|h| matches!(h.gate, Gate::Cooldown { .. }))
                .count();
            black_box(&decisions);
        }
        ensure!(
            held == 2 * findings.len(),
            "{held} holds by cooldown of {} findings",
            findings.len()
        );
        Ok(())
    }
}

fn finding(node: usize, tags: &[usize], window: i64) -> FindingView<'static> {
    FindingView {
        finding_type: "fetch_pressure".into(),
        scope: format!("node:node{node:06}:app:window").into(),
        view_type: Some("window".into()),
        motif: "persistent_pressure".into(),
        severity_score: 0.9,
        persistence: 10,
        trend_direction: "stable".into(),
        window_index: window,
        opportunity_tags: tags.iter().map(|t| tag(*t).into()).collect(),
        suppresses_tags: Vec::new(),
        publish_mode: dfo_model::PublishMode::Control,
        evidence: dfo_model::Evidence::default(),
    }
}

fn tag(number: usize) -> String {
    format!("opportunity{number}")
}

/// The same numbers in every run: splitmix64, narrowed to 32 bits.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bits = usize::try_from(z >> 32).unwrap_or_default();
        bits % limit
    }
}
