//! A whole replay, beside what anyone would write to decode the same findings.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dfo_cli::Exit;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Size;
use super::measure::{rate, timed};
use crate::product;

const SESSION: &str = "examples/findings/session_control.jsonl.gz";

/// Findings a second of a replay to JSON plans in a file, beside `serde_json` decoding the same bytes.
pub fn replay(root: &Path, size: &Size) -> Result<f64> {
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
pub(super) fn long_session(root: &Path, findings: usize) -> Result<String> {
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

pub(super) fn replay_to_file(input: &Path, output: &Path) -> Result<()> {
    let out = BufWriter::new(File::create(output)?);
    let args = ["dfo", "replay", "--bootstrap", "dlio", "--format", "json"];
    let args = args.iter().map(Into::into).chain([input.into()]);
    let exit = product::command().run_with(args, out, std::io::sink());
    ensure!(exit == Exit::Done, "the replay ended with {exit:?}");
    Ok(())
}
