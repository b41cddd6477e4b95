//! Defects of the original's replay and command line: none of them is here.
//!
//! The others of group z are matters of the service and its transports.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use dfo::{Folder, README_EXAMPLE, Ran, SESSION, example, finding, json, lines};

fn example_text() -> String {
    std::fs::read_to_string(example(README_EXAMPLE))
        .unwrap()
        .trim_end()
        .to_owned()
}

// ── z08: the replay ended at the first bad line, and lost the plans already made ───────────────

#[test]
fn z08_a_bad_line_costs_no_other() {
    let good = example_text();
    let cut = &good[..193];
    for (what, text, bad_line, findings) in [
        (
            "truncated last line",
            format!("{good}\n{good}\n{cut}"),
            3,
            2,
        ),
        ("bad first line", format!("oops\n{good}\n"), 1, 1),
        ("a list in line 2", format!("{good}\n[1]\n{good}\n"), 2, 2),
        ("null in line 2", format!("{good}\nnull\n{good}\n"), 2, 2),
        (
            "a wrong type",
            format!("{good}\n{{\"severity_score\": \"high\"}}\n{good}\n"),
            2,
            2,
        ),
    ] {
        let ran = Folder::with("f.jsonl", text).replay("f.jsonl").exits(1);
        let ran = ran.complains(&format!("f.jsonl:{bad_line}: "));
        assert_eq!(ran.count("finding"), findings, "{what}");
        assert_eq!(ran.count("plan"), 2, "{what}");
    }
}

#[test]
fn z08_plans_made_before_a_bad_line_are_shown_even_when_it_ends_the_replay() {
    let text = format!("{}\n[1]\n", example_text());
    let ran = Folder::with("f.jsonl", text)
        .replay("f.jsonl --strict")
        .exits(1);
    assert_eq!(ran.count("plan"), 2);
    ran.says("dlio.prefetch_size  2 → 3")
        .says("dlio.read_threads   1 → 8");
}

// ── z11: what was missing on the command line came as a traceback ──────────────────────────────

#[test]
fn z11_what_is_missing_or_unknown_on_the_command_line_is_a_usage_error() {
    for args in [
        "",
        "replay",
        "check",
        "knobs",
        "replay f.jsonl --bootstrap",
        "replay f.jsonl --bootstrap pytorch",
        "replay f.jsonl --knobs",
        "replay f.jsonl --acks",
        "replay f.jsonl --acks sometimes",
        "replay f.jsonl --acks delay",
        "replay f.jsonl --acks delay=",
        "replay f.jsonl --acks delay=-1",
        "replay f.jsonl --acks delay=1.5",
        "replay f.jsonl --acks delay=99999999999999999999",
        "replay f.jsonl --format yaml",
        "replay f.jsonl --settings theirs",
        "replay f.jsonl --explian",
        "check f.jsonl --kind windows",
        "knobs --bootstrap pytorch",
        "optimize",
    ] {
        let here = Folder::with("f.jsonl", lines([finding(1)]));
        let ran = here.run(args).exits(2);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?} without a word");
        assert!(!ran.err.contains("panicked"), "{args:?}: {ran}");
    }
}

#[test]
fn z11_a_usage_error_says_what_there_is() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    here.run("replay").complains("<FINDINGS>");
    here.run("replay f.jsonl --bootstrap pytorch")
        .complains("dlio");
    here.run("replay f.jsonl --acks sometimes")
        .complains("delay=N");
    here.run("replay f.jsonl --format yaml").complains("json");
    here.run("knobs").complains("--bootstrap");
}

#[test]
fn z11_an_environment_that_makes_no_sense_is_a_usage_error() {
    for variable in [
        "DLIO_KNOB_MAX_THREADS",
        "DLIO_KNOB_MIN_THREADS",
        "DFOPTIMIZER_BOOTSTRAP_READ_THREADS",
        "DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE",
    ] {
        for text in ["eight", "", "8.5", "0x10", "8 threads"] {
            let here = Folder::with("f.jsonl", lines([finding(1)]));
            let dfo = here
                .dfo("replay f.jsonl --bootstrap dlio")
                .env(variable, text);
            let ran = dfo.run().exits(2);
            assert_eq!(ran.out, "", "{variable}={text:?}");
            ran.complains(&format!(
                "{variable}: expected a whole number, found {text:?}"
            ));
        }
    }
}

#[test]
#[cfg(unix)]
fn z11_an_environment_that_is_not_utf8_is_a_usage_error() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let mut dfo = Folder::new().dfo("knobs --bootstrap dlio");
    dfo.command
        .env("DLIO_KNOB_MAX_THREADS", OsStr::from_bytes(b"8\xff"));
    dfo.run().exits(2).complains("DLIO_KNOB_MAX_THREADS: ");
}

#[test]
fn z11_without_the_pack_its_variables_do_not_matter() {
    let knobs = example("knobs/loader.toml");
    let dfo = Folder::new().dfo(&format!("knobs --knobs {knobs}"));
    dfo.env("DLIO_KNOB_MAX_THREADS", "eight").run().succeeds();
}

// ── z12: the bootstrap took the optimizer's own CPUs without a word, and checked nothing ───────

fn bootstrapped(variables: &[(&str, &str)]) -> Ran {
    let dfo = Folder::new().dfo("knobs --bootstrap dlio");
    let set = |dfo: dfo::Dfo, (name, value): &(&str, &str)| dfo.env(name, value);
    variables.iter().fold(dfo, set).run().exits(0)
}

/// The cells of a knob's first row: allowed, now.
fn allowed_and_now(ran: &Ran, knob: &str) -> (String, String) {
    let row = ran.out.lines().find(|l| l.starts_with(knob)).unwrap();
    let cells: Vec<&str> = row
        .split("  ")
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .collect();
    (cells[2].to_owned(), cells[3].to_owned())
}

#[test]
fn z12_a_number_of_threads_that_is_not_said_is_assumed_with_a_notice() {
    let args = format!("replay {} --bootstrap dlio", example(README_EXAMPLE));
    let dfo = Folder::new()
        .dfo(&args)
        .without_env("DLIO_KNOB_MAX_THREADS");
    let ran = dfo.run().exits(0);
    let cpus = std::thread::available_parallelism().unwrap();
    ran.complains("DLIO_KNOB_MAX_THREADS is not set")
        .complains(&format!("up to {cpus} read threads"));
}

#[test]
fn z12_start_values_are_held_within_the_range_with_a_notice() {
    let ran = bootstrapped(&[
        ("DFOPTIMIZER_BOOTSTRAP_READ_THREADS", "50"),
        ("DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE", "99"),
    ]);
    let prefetch = allowed_and_now(&ran, "dlio.prefetch_size");
    assert_eq!(prefetch, ("1 to 16".to_owned(), "16".to_owned()));
    let threads = allowed_and_now(&ran, "dlio.read_threads");
    assert_eq!(threads, ("0 to 8".to_owned(), "8".to_owned()));
    ran.complains("50").complains("99");
}

#[test]
fn z12_an_increase_never_lowers() {
    let args = format!("replay {} --bootstrap dlio", example(README_EXAMPLE));
    let dfo = Folder::new()
        .dfo(&args)
        .env("DFOPTIMIZER_BOOTSTRAP_READ_THREADS", "50");
    let dfo = dfo.env("DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE", "99");
    let ran = dfo.run().exits(0);
    assert_eq!(ran.count("plan"), 0, "both are at their most: {ran}");
    ran.says("held by   no_change 2");
}

#[test]
fn z12_limits_that_contradict_each_other_are_put_right_with_a_notice() {
    let ran = bootstrapped(&[
        ("DLIO_KNOB_MIN_THREADS", "9"),
        ("DLIO_KNOB_MAX_THREADS", "4"),
    ]);
    let threads = allowed_and_now(&ran, "dlio.read_threads");
    assert_eq!(threads, ("4 to 4".to_owned(), "4".to_owned()));
    ran.complains("9");

    let ran = bootstrapped(&[("DLIO_KNOB_MAX_THREADS", "-3")]);
    let threads = allowed_and_now(&ran, "dlio.read_threads");
    assert_eq!(threads, ("0 to 0".to_owned(), "0".to_owned()));
    ran.complains("-3");
}

#[test]
fn z12_good_variables_are_taken_without_a_word() {
    let ran = bootstrapped(&[
        ("DLIO_KNOB_MIN_THREADS", "2"),
        ("DLIO_KNOB_MAX_THREADS", "32"),
        ("DFOPTIMIZER_BOOTSTRAP_READ_THREADS", "6"),
        ("DFOPTIMIZER_BOOTSTRAP_PREFETCH_SIZE", "5"),
    ]);
    let threads = allowed_and_now(&ran, "dlio.read_threads");
    assert_eq!(threads, ("2 to 32".to_owned(), "6".to_owned()));
    let prefetch = allowed_and_now(&ran, "dlio.prefetch_size");
    assert_eq!(prefetch, ("1 to 16".to_owned(), "5".to_owned()));
    ran.succeeds();
}

#[test]
fn z12_the_boundary_goes_into_the_plans() {
    let args = format!(
        "replay {} --bootstrap dlio --format json",
        example(README_EXAMPLE)
    );
    let dfo = Folder::new()
        .dfo(&args)
        .env("DLIO_KNOB_BOUNDARY", "epoch_boundary");
    let plans = dfo.run().succeeds().events_named("optimizer.plan");
    assert!(plans.iter().all(|p| p["apply_when"] == "epoch_boundary"));
}

// ── z13: nothing acknowledged, nodes were hidden, and plans went to the log only ───────────────

#[test]
fn z13_the_replay_acknowledges_plans_so_that_knobs_go_on() {
    let here = Folder::with("f.jsonl", lines((1..=20).map(finding)));
    let plans = |acks: &str| {
        here.replay(&format!("f.jsonl {acks}"))
            .succeeds()
            .count("plan")
    };
    assert_eq!(plans("--acks never"), 2);
    assert!(plans("") > 4);
    assert!(plans("--acks delay=2") > 4);
}

#[test]
fn z13_the_values_of_nodes_are_shown() {
    let args = format!("{} --acks never", example(SESSION));
    let ran = Folder::new().replay(&args).succeeds();
    let values = "3; tuolumne1001 4, tuolumne1002 4, tuolumne1003 4, tuolumne1004 3";
    let ran = ran.says(&format!("in force  dlio.prefetch_size  {values}"));
    ran.says("dlio.read_threads   2; tuolumne1001 3, tuolumne1002 3");

    let done = Folder::new().replay(&(args + " --format json")).done();
    let job_wide = json!({"dlio.prefetch_size": 3, "dlio.read_threads": 2});
    assert_eq!(done["knob_state"], job_wide, "as the original has it");
    assert_eq!(
        done["node_state"]["dlio.read_threads"],
        json!({"tuolumne1001": 3, "tuolumne1002": 3, "tuolumne1003": 3, "tuolumne1004": 2})
    );
}

#[test]
fn z13_plans_go_to_standard_output_with_their_nodes() {
    let args = format!("{} --format json", example(SESSION));
    let ran = Folder::new().replay(&args).succeeds();
    let plans = ran.events_named("optimizer.plan");
    let of_one_node = plans
        .iter()
        .filter(|p| p["target_nodes"] == json!(["tuolumne1003"]));
    assert!(of_one_node.count() > 1);
    let of_all_nodes = plans.iter().filter(|p| p["target_nodes"] == json!([]));
    assert!(of_all_nodes.count() > 1);
}
