//! An operator at the whole loop: freezing, taking back, limits, and plans that do harm. The program, the
//! diagnoser, the service and `dfo ctl` are processes; what the program ran with is told by its windows.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod processes;

#[path = "operator/dfo.rs"]
mod dfo;
#[path = "operator/limits.rs"]
mod limits;
#[path = "operator/watched.rs"]
mod watched;

use serde_json::{Value, json};
use tuned_reader::measure::WindowTimes;
use watched::{Watched, decisions, holds, plans};

/// Reads that are never fast enough: there is always something to find.
const ALWAYS_WAITING: [&str; 4] = ["--compute-ms", "0", "--max-threads", "3"];

/// How often a gate has held something.
fn held_by(status: &Value, gate: &str) -> u64 {
    status["counts"]["decisions"]["holds"][gate]
        .as_u64()
        .unwrap_or(0)
}

fn pending(status: &Value) -> u64 {
    let knobs = status["knobs"].as_array().unwrap();
    knobs
        .iter()
        .map(|knob| knob["pending"].as_u64().unwrap())
        .sum()
}

/// The threads and the queue that the service holds to be in force.
fn in_force(status: &Value) -> (u64, u64) {
    let knobs = status["knobs"].as_array().unwrap();
    let [threads, prefetch] = ["reader.threads", "reader.prefetch"].map(|id| {
        let knob = knobs.iter().find(|knob| knob["knob"] == id).unwrap();
        knob["value"].as_u64().unwrap()
    });
    (threads, prefetch)
}

/// The threads and the queue that the program had.
fn ran_with(times: &WindowTimes) -> (u64, u64) {
    (times.threads.into(), times.prefetch.into())
}

#[test]
fn a_freeze_takes_effect_before_the_next_plan_and_thaw_lets_it_go_on() {
    let watched = Watched::start("", &ALWAYS_WAITING);
    watched.window("that was tuned", |times| times.prefetch > 2);

    watched.ctl(&["freeze"]);
    // What left before is answered; from then on there is nothing.
    let answered = watched.status("answered", |status| pending(status) == 0);
    let held = watched.status("held", |status| {
        held_by(status, "frozen") >= held_by(&answered, "frozen") + 3
    });
    for count in ["sent", "acks"] {
        assert_eq!(held["counts"][count], answered["counts"][count], "{held}");
    }
    assert_eq!(held["is_frozen"], true);
    // Earlier windows may still be on their way; from here on they are all the same.
    let frozen = in_force(&answered);
    watched.window("with what was answered", |times| ran_with(times) == frozen);
    for _ in 0..5 {
        let times = watched.window("at all", |_| true);
        assert_eq!(ran_with(&times), frozen, "{times:?}");
    }

    watched.ctl(&["thaw"]);
    watched.window("that goes on", |times| ran_with(times) != frozen);

    let journal = watched.journal();
    let (frozen, thawed) = (journal.command("freeze"), journal.command("thaw"));
    let between = &journal.lines[frozen..thawed];
    assert_eq!(plans(between), [&Value::Null; 0]);
    assert!(holds(between, "frozen").len() >= 3);
    assert!(!plans(&journal.lines[thawed..]).is_empty());
    let first = holds(between, "frozen")[0];
    assert_eq!(first["gate"]["everything"], true, "{first}");
    assert!(
        first["knob"].as_str().unwrap().starts_with("reader."),
        "{first}"
    );
}

#[test]
fn revert_all_restores_every_value_also_under_a_freeze() {
    let watched = Watched::start("", &ALWAYS_WAITING);
    watched.window("with both knobs changed", |times| {
        times.threads > 1 && times.prefetch > 2
    });

    watched.ctl(&["freeze"]);
    let changed = in_force(&watched.status("at all", |_| true));
    let said = watched.ctl(&["revert", "--all"]);
    let all = [
        ("reader.threads → 1 on all nodes", changed.0 != 1),
        ("reader.prefetch → 2 on all nodes", changed.1 != 2),
    ];
    for (change, is_due) in all {
        assert_eq!(said.contains(change), is_due, "{changed:?}: {said}");
    }
    watched.window("as in the beginning", |times| ran_with(times) == (1, 2));
    let status = watched.status("answered", |status| pending(status) == 0);
    assert_eq!(in_force(&status), (1, 2), "{status}");
    // It stays so: the freeze goes on.
    for _ in 0..5 {
        let times = watched.window("at all", |_| true);
        assert_eq!(ran_with(&times), (1, 2), "{times:?}");
    }

    let journal = watched.journal();
    let reverted = &journal.lines[journal.command("revert_all")];
    let reverted = decisions(std::slice::from_ref(reverted), "notice");
    let due = all.iter().filter(|(_, is_due)| *is_due).count();
    let names = reverted.iter().map(|notice| &notice["notice"]);
    assert_eq!(names.filter(|name| **name == "reverted").count(), due);
    assert!(due > 0);
}

#[test]
fn one_plan_is_taken_back() {
    let watched = Watched::start("limits.knobs = [\"reader.prefetch\"]", &ALWAYS_WAITING);
    let tuned = watched.window("that was tuned", |times| times.prefetch > 2);
    watched.ctl(&["freeze"]);
    watched.status("answered", |status| pending(status) == 0);
    let journal = watched.journal_so_far();
    let first = plans(&journal.lines)[0];
    assert_eq!(first["old_value"], 2, "{first}");
    let said = watched.ctl(&["revert", first["plan_id"].as_str().unwrap()]);
    assert!(said.contains("reader.prefetch → 2 on all nodes"), "{said}");
    let back = watched.window("as before", |times| times.prefetch == 2);
    assert!(back.window > tuned.window);
}

/// With one thread the program waits for about half of the time. One more looks as if it would help;
/// here it makes each read take eight times as long.
const HARM: [&str; 7] = [
    "--contention",
    "--read-latency-ms",
    "30",
    "--compute-ms",
    "15",
    "--window",
    "4",
];

#[test]
fn a_plan_that_does_harm_is_undone_and_the_throughput_recovers() {
    // One knob, so that it is plain what did it.
    let watched = Watched::start("limits.knobs = [\"reader.threads\"]", &HARM);
    watched.window("with more threads", |times| times.threads > 1);
    // The first window after a change holds samples that were read before it.
    watched.window("after it", |_| true);
    let harmed = watched.window("with more threads still", |times| times.threads > 1);
    let back = watched.window("with the threads from before", |times| times.threads == 1);
    let seconds = |times: &WindowTimes| times.fetch_s + times.compute_s;
    let better =
        |times: &WindowTimes| times.threads == 1 && seconds(times) < 0.8 * seconds(&harmed);
    watched.window("as fast as before", better);

    let journal = watched.journal();
    let notices = decisions(&journal.lines, "notice");
    let undone = notices
        .iter()
        .find(|notice| notice["notice"] == "undone")
        .unwrap();
    assert_eq!(undone["measure"], "fetch_frac", "{undone}");
    let (then, now) = (undone["then"].as_f64(), undone["now"].as_f64());
    assert!(now > then.map(|then| then * 1.1), "{undone}");

    let all = plans(&journal.lines);
    let [harmful, undo] = [&undone["plan_id"], &undone["by"]]
        .map(|id| *all.iter().find(|plan| plan["plan_id"] == *id).unwrap());
    assert_eq!(
        (&undo["old_value"], &undo["new_value"]),
        (&harmful["new_value"], &json!(1))
    );
    assert!(
        undo["rationale"].as_str().unwrap().starts_with("undo of "),
        "{undo}"
    );
    // Three windows after it was applied, which is a window or two after it was made.
    let made = |plan: &Value| plan["window_index"].as_i64().unwrap();
    assert!(made(undo) - made(harmful) >= 3, "{harmful} {undo}");
    assert!(back.window > made(undo));
    let of_harmful = all.iter().filter(|plan| {
        plan["rationale"]
            .as_str()
            .unwrap()
            .contains(harmful["plan_id"].as_str().unwrap())
    });
    assert_eq!(of_harmful.count(), 1, "once");
}
