//! How fast it is: ratios against baselines that are measured in the same run, in turn.
//!
//! Nothing here passes or fails. Figures depend on the machine; ratios depend on it less, and the
//! aims stand beside them.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dfo_cli::{Command, Exit};
use dfo_model::{Ack, AckStatus, FindingView, Registration};
use dfo_planner::{Event, Gate, PlanIds, Planner, Settings};
use serde::Deserialize;
use serde_json::{Value as Json, json};

const SESSION: &str = "examples/findings/session_control.jsonl.gz";

/// How much to do.
struct Size {
    findings: usize,
    rounds: usize,
}

/// Runs all benchmarks; `short` shows that they work, not how fast it is.
pub fn run(root: &Path, short: bool) -> Result<()> {
    let size = match short {
        true => Size {
            findings: 5_000,
            rounds: 3,
        },
        false => Size {
            findings: 100_000,
            rounds: 9,
        },
    };
    println!("median of {} rounds, the sides in turn\n", size.rounds);
    let replay = replay(root, &size)?;
    let planner = planner_alone(&size)?;
    println!(
        "planner alone / replay       {:>6.2}   (aim: at least 5)\n",
        planner / replay
    );
    scaling(&size)
}

/// Findings a second of a replay to JSON plans in a file, beside `serde_json` decoding the same bytes.
fn replay(root: &Path, size: &Size) -> Result<f64> {
    let folder = root.join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let input = folder.join("findings.jsonl");
    let text = long_session(root, size.findings)?;
    std::fs::write(&input, &text)?;
    let findings = text.lines().count();

    let mut decode_times = Vec::new();
    let mut replay_times = Vec::new();
    for _ in 0..size.rounds {
        decode_times.push(timed(|| decode_owned(&text))?);
        replay_times.push(timed(|| {
            replay_to_file(&input, &folder.join("plans.jsonl"))
        })?);
    }
    let decode = rate(findings, &mut decode_times);
    let replay = rate(findings, &mut replay_times);
    println!("serde_json, owned structs    {decode:>12.0} findings/s");
    println!("replay, JSON plans to a file {replay:>12.0} findings/s");
    println!(
        "replay / serde_json          {:>6.2}   (at least 0.8; aim: above 1)\n",
        replay / decode
    );
    Ok(replay)
}

/// The recorded session, again and again, each time 200 windows later.
fn long_session(root: &Path, findings: usize) -> Result<String> {
    let file = File::open(root.join(SESSION)).context(SESSION)?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let session: Vec<Json> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut long = String::with_capacity(findings * 800);
    for (i, finding) in session.iter().cycle().take(findings).enumerate() {
        let later = 200 * (i / session.len());
        let mut finding = finding.clone();
        for field in ["window_index", "last_seen_window"] {
            let window = finding[field].as_u64().unwrap_or_default();
            finding[field] = json!(window + u64::try_from(later)?);
        }
        // As Python's `json` writes it, and so as the diagnoser does.
        long.push_str(
            &finding
                .to_string()
                .replace("\":", "\": ")
                .replace(",\"", ", \""),
        );
        long.push('\n');
    }
    Ok(long)
}

/// A finding as anyone would declare it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded to measure how long that takes")]
struct OwnedFinding {
    finding_type: String,
    scope: String,
    layer: Option<String>,
    view_type: Option<String>,
    motif: String,
    severity: String,
    severity_score: f64,
    confidence: f64,
    prevalence: f64,
    persistence: i64,
    support_windows: i64,
    trend_direction: String,
    window_index: i64,
    last_seen_window: i64,
    contributing_facts: Vec<(String, String)>,
    recommendation_bundle: String,
    opportunity_tags: Vec<String>,
    suppresses_tags: Vec<String>,
    summary: String,
    publish_mode: String,
    key_metrics: std::collections::HashMap<String, f64>,
}

fn decode_owned(text: &str) -> Result<()> {
    for line in text.lines() {
        black_box(serde_json::from_str::<OwnedFinding>(line)?);
    }
    Ok(())
}

fn replay_to_file(input: &Path, output: &Path) -> Result<()> {
    let out = BufWriter::new(File::create(output)?);
    let args = ["dfo", "replay", "--bootstrap", "dlio", "--format", "json"];
    let args = args.iter().map(Into::into).chain([input.into()]);
    let exit = Command::new()
        .pack(dfo_knobs_dlio::Dlio)
        .run_with(args, out, std::io::sink());
    ensure!(exit == Exit::Done, "the replay ended with {exit:?}");
    Ok(())
}

/// Findings a second of the planner on decoded findings with two tags and two knobs, all held by
/// cooldown, holds returned.
fn planner_alone(size: &Size) -> Result<f64> {
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
fn scaling(size: &Size) -> Result<()> {
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

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn rate(count: usize, times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let median = times[times.len() / 2];
    // Exact up to 2^32 findings, which is more than any run has.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / median.as_secs_f64()
}
