//! `dfo serve --journal`, killed at any moment and started again: nothing that was decided is lost,
//! nothing is decided otherwise, and nothing that was acknowledged is sent again.
//!
//! `DFO_KILLS` says how often (20), `DFO_SEED` with which chance.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what fails here fails the test, and says with which chance"
)]

mod dfo;
mod live;

#[path = "crashes/damage.rs"]
mod damage;
#[path = "crashes/files.rs"]
mod files;
#[path = "crashes/journal.rs"]
mod journal;
#[path = "crashes/random.rs"]
mod random;
#[cfg(feature = "zmq")]
#[path = "crashes/zmq.rs"]
mod zmq;

use std::thread;
use std::time::{Duration, Instant};

use dfo::Folder;
use live::{DEADLINE, Serve};
use random::Random;
use serde_json::{Value as Json, json};

/// How often a service is killed.
fn kills() -> u64 {
    let kills = std::env::var("DFO_KILLS").ok();
    kills.map_or(20, |kills| kills.parse().unwrap())
}

/// Windows that each knob rests.
const COOLDOWN: i64 = 3;

/// So many knobs `app.k0`, … that act, rest, and judge.
fn knobs(count: usize) -> Json {
    let knob = |n: usize| {
        let response = json!({
            "direction": "increase", "step": 1, "step_mode": "add", "min_severity": 0.3,
            "min_persistence": 0, "cooldown_windows": COOLDOWN, "effectiveness_threshold": 0.0,
            "apply_when": "window_boundary",
        });
        let knob = json!({"default": 0, "responds_to": {format!("k{n}"): response}});
        (format!("k{n}"), knob)
    };
    let knobs: serde_json::Map<_, _> = (0..count).map(knob).collect();
    json!({"namespace": "app", "function_name": "step", "knobs": knobs})
}

/// A finding of any kind: of the job or a node, on one or two of the knobs, falling or not, now and
/// then one that suppresses.
fn finding(random: &mut Random, knobs: u64, window: u64) -> String {
    let tag = |random: &mut Random| format!("k{}", random.of(0..knobs));
    let mut tags = vec![tag(random)];
    if random.one_in(3) {
        tags.push(tag(random));
    }
    let scope = match random.of(0..4) {
        0 => format!("node:n{}", random.of(0..3)),
        1 => "app:epoch".to_owned(),
        _ => "job".to_owned(),
    };
    let mut finding = json!({
        "finding_type": format!("type{}", random.of(0..5)), "scope": scope,
        "severity_score": f64::from(u32::try_from(random.of(0..1000)).unwrap()) / 1000.0,
        "persistence": random.of(1..9), "window_index": window, "opportunity_tags": tags,
        "trend_direction": match random.of(0..5) { 0 => "improving", 1 => "worsening", _ => "stable" },
    });
    if random.one_in(50) {
        finding["suppresses_tags"] = json!([tag(random)]);
    }
    finding.to_string()
}

/// Lets it work for a while, and kills it: often before it has started, mostly after it has written
/// up to so many bytes.
/// Whether it was killed, and had not ended before.
fn kill_some_time(
    serve: &mut Serve,
    random: &mut Random,
    journal: &std::path::Path,
    most_bytes: u64,
) -> bool {
    if !random.one_in(4) {
        let more = journal::size(journal) + random.of(1..most_bytes);
        let begun = Instant::now();
        while journal::size(journal) < more && serve.process.is_alive() {
            assert!(begun.elapsed() < DEADLINE, "the journal does not grow");
            // Sleeps: looks at what another process writes, up to a deadline.
            thread::sleep(Duration::from_micros(200));
        }
    }
    // Sleeps: any moment will do.
    thread::sleep(random.millis(0..60));
    let was_alive = serve.process.is_alive();
    serve.process.kill();
    was_alive
}

/// `dfo verify` has nothing to say against the journal.
#[track_caller]
fn verified(here: &Folder) {
    let ran = here.dfo("verify journal").run();
    assert_eq!(ran.code, 0, "{ran}");
}
