//! Each limit holds, and says why.

use serde_json::{Value, json};

use crate::dfo::dfo;
use crate::watched::{Journal, Watched, holds, plans};
use crate::{ALWAYS_WAITING, held_by};

/// A job that is over, told again to a service that sends nothing: the same decisions each time.
fn of_a_saved_job(planner: &str) -> Journal {
    let folder = tempfile::tempdir().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let config = folder.path().join("site.toml");
    std::fs::write(&config, format!("[planner]\n{planner}\n")).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let served = dfo(&[
        "serve",
        "file",
        "--dry-run",
        "--config",
        &path("site.toml"),
        "--journal",
        &path("journal"),
        "--findings",
        &format!("{root}/examples/findings/session_control.jsonl.gz"),
        "--bootstrap",
        "dlio",
    ])
    .env("DLIO_KNOB_MAX_THREADS", "8")
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&served.stderr);
    assert!(served.status.success(), "{said}");
    Journal::read(&folder.path().join("journal"))
}

fn taken_back(plan: &Value) -> bool {
    plan["rationale"].as_str().unwrap().starts_with("undo of ")
}

#[test]
fn plans_per_window() {
    let journal = of_a_saved_job("limits.plans_per_window = 1");
    let mut windows: Vec<_> = plans(&journal.lines)
        .into_iter()
        .filter(|plan| !taken_back(plan))
        .collect();
    let made = windows.len();
    windows.dedup_by_key(|plan| plan["window_index"].as_i64());
    assert!(made > 10 && windows.len() == made, "{made} plans");
    let held = holds(&journal.lines, "plans_per_window");
    assert_eq!(
        held[0]["gate"],
        json!({"gate": "plans_per_window", "value": 1, "threshold": 1})
    );
}

#[test]
fn plans_per_job() {
    let journal = of_a_saved_job("limits.plans_per_job = 3");
    let made = plans(&journal.lines)
        .into_iter()
        .filter(|plan| !taken_back(plan));
    assert_eq!(made.count(), 3);
    let held = holds(&journal.lines, "plans_per_job");
    assert_eq!(
        held[0]["gate"],
        json!({"gate": "plans_per_job", "value": 3, "threshold": 3})
    );
}

#[test]
fn largest_step() {
    let journal = of_a_saved_job("limits.largest_step = 0.5");
    let plans = plans(&journal.lines);
    assert!(!plans.is_empty());
    for plan in plans {
        let [old, new] = ["old_value", "new_value"].map(|field| plan[field].as_f64().unwrap());
        assert!((new - old).abs() <= 0.5 * old || taken_back(plan), "{plan}");
    }
    let held = holds(&journal.lines, "largest_step");
    let expected = json!({"gate": "largest_step", "value": 1.0, "threshold": 0.5, "wanted": 2});
    assert_eq!(held[0]["gate"], expected);
}

#[test]
fn knobs_by_pattern() {
    let journal = of_a_saved_job("limits.knobs = [\"*.prefetch_*\"]");
    let plans = plans(&journal.lines);
    assert!(!plans.is_empty());
    assert!(
        plans
            .iter()
            .all(|plan| plan["knob_id"] == "dlio.prefetch_size")
    );
    let held = holds(&journal.lines, "not_allowed");
    assert_eq!(
        held[0]["gate"],
        json!({"gate": "not_allowed", "allowed": ["*.prefetch_*"]})
    );
    assert_eq!(held[0]["knob"], "dlio.read_threads");
}

#[test]
fn constraints_across_knobs_at_the_program() {
    let most = "reader.threads * reader.prefetch <= 6";
    let watched = Watched::start(
        &format!("limits.constraints = [\"{most}\"]"),
        &ALWAYS_WAITING,
    );
    watched.window("that was tuned", |times| times.prefetch > 2);
    watched.status("held", |status| held_by(status, "constraint") >= 3);
    for times in watched.windows_so_far() {
        assert!(times.threads * times.prefetch <= 6, "{times:?}");
    }
    let journal = watched.journal();
    let held = holds(&journal.lines, "constraint")[0];
    assert_eq!(held["gate"]["constraint"], most, "{held}");
    assert_eq!(held["gate"]["threshold"], 6.0, "{held}");
    assert!(held["gate"]["value"].as_f64() > Some(6.0), "{held}");
}
