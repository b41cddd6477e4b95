//! `dfo serve file`, `dfo send file`, `dfo tail file`: files in the place of sockets, as processes.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;
mod live;

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use dfo::{Folder, README_EXAMPLE, SESSION, example, json};
use live::findings::{ack, finding, knobs, numbered};
use live::{Event, Serve, until};
use serde_json::Value as Json;

/// `dfo serve file …`, ready to receive.
#[track_caller]
fn serve(here: &Folder, args: &str) -> Serve {
    Serve::start(here.dfo(&format!("serve file --format json {args}")))
}

/// The lines of a file, as far as they have an end.
fn lines(here: &Folder, name: &str) -> Vec<Json> {
    let text = fs::read_to_string(here.path(name)).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    whole.map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn append(here: &Folder, name: &str, line: impl AsRef<[u8]>) {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(here.path(name));
    let line = [line.as_ref(), b"\n"].concat();
    file.as_mut().unwrap().write_all(&line).unwrap();
}

/// A folder with `knobs.json`: so many knobs `app.k0`, `app.k1`, … that always act.
fn folder(count: usize) -> Folder {
    Folder::with("knobs.json", knobs(numbered(count)).to_string())
}

fn ids(plans: &[Json]) -> Vec<&str> {
    plans
        .iter()
        .map(|p| p["plan_id"].as_str().unwrap())
        .collect()
}

#[test]
fn findings_of_a_file_become_the_plans_of_a_replay() {
    let here = Folder::new();
    let findings = example(SESSION);
    let args = format!("--findings {findings} --dry-run --bootstrap dlio");
    let done = serve(&here, &args).ends().exits(0);
    assert_eq!(done.reason(), "the findings have ended");
    let replayed = here.replay(&format!("--format json {findings}")).succeeds();
    let of = |event: &Json| {
        ["knob_id", "new_value", "window_index", "target_nodes"].map(|f| event[f].to_string())
    };
    let replayed: Vec<Json> = replayed
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let replayed: Vec<_> = replayed
        .iter()
        .filter(|e| live::is_plan(e))
        .map(of)
        .collect();
    let served: Vec<_> = done.told_plans().into_iter().map(of).collect();
    assert!(!replayed.is_empty());
    assert_eq!(served, replayed);
}

#[test]
fn plans_are_appended_a_line_each_and_a_torn_one_is_cut() {
    let here = folder(3);
    for n in 0..3 {
        append(
            &here,
            "findings.jsonl",
            finding("job", [format!("k{n}")], 0),
        );
    }
    fs::write(
        here.path("plans.jsonl"),
        "{\"plan_id\":\"before\"}\n{\"plan_id\":\"torn",
    )
    .unwrap();
    let args = "--knobs knobs.json --findings findings.jsonl --plans plans.jsonl";
    let done = serve(&here, args).ends().exits(0);
    let plans = lines(&here, "plans.jsonl");
    assert_eq!(plans.len(), 4, "{plans:?}");
    assert_eq!(plans[0]["plan_id"], "before");
    let told: Vec<_> = done
        .told_plans()
        .iter()
        .map(|p| p["plan_id"].clone())
        .collect();
    assert_eq!(ids(&plans[1..]), told);
    let last = done.events.last().unwrap();
    assert_eq!(last["event"], "optimizer.stream.done");
    assert_eq!(last["counts"]["sent"], 3);
}

#[test]
fn a_job_and_the_service_speak_through_files() {
    let here = Folder::new();
    append(&here, "control.jsonl", knobs(numbered(1)).to_string());
    append(&here, "findings.jsonl", finding("job", ["k0"], 0));
    let args = "--findings findings.jsonl --follow --control control.jsonl --plans plans.jsonl";
    let serve = serve(&here, &format!("{args} --explain"));
    // The registration that stands there comes before the finding.
    until("the first plan", || lines(&here, "plans.jsonl").len() == 1);
    let plan = lines(&here, "plans.jsonl").remove(0);
    append(
        &here,
        "control.jsonl",
        ack(&plan, "applied", &plan["new_value"]).to_string(),
    );
    serve.wait_for_notices("applied", 1);
    append(&here, "findings.jsonl", finding("job", ["k0"], 1));
    until("the second plan", || lines(&here, "plans.jsonl").len() == 2);
    append(&here, "findings.jsonl", r#"{"name": "end"}"#);
    let done = serve.ends().exits(0);
    assert_eq!(done.reason(), "the findings have ended");
    let counts = &done.events.last().unwrap()["counts"];
    assert_eq!(
        (&counts["acks"], &counts["registrations"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn send_serve_and_tail_need_no_socket() {
    let here = Folder::new();
    let findings = example(README_EXAMPLE);
    here.run(&format!("send file --to all.jsonl --end {findings}"))
        .exits(0);
    let args = "--findings all.jsonl --follow --plans plans.jsonl --bootstrap dlio";
    let done = serve(&here, args).ends().exits(0);
    let made = done.told_plans().len();
    assert!(made > 0);
    let tail = here
        .run("tail file --plans plans.jsonl --format json")
        .succeeds();
    assert_eq!(tail.out.lines().count(), made);
    let tail = "tail file --plans plans.jsonl --follow --count 1 --ack --control acks.jsonl";
    here.run(tail).succeeds();
    let acks = lines(&here, "acks.jsonl");
    let plans = lines(&here, "plans.jsonl");
    assert_eq!(ids(&acks), &ids(&plans)[..1]);
}

#[test]
fn standard_input_is_a_file_of_findings() {
    let here = Folder::new();
    let text = fs::read(example(README_EXAMPLE)).unwrap();
    let dfo = here.dfo("serve file --findings - --dry-run --bootstrap dlio");
    let ran = dfo.stdin(text).run().exits(0);
    ran.complains("findings from stdin")
        .complains("1 finding, 2 plans");
}

#[test]
fn a_rate_is_kept() {
    let here = folder(1);
    for window in 0..4 {
        append(&here, "f.jsonl", finding("job", ["k0"], window));
    }
    let done = serve(&here, "--knobs knobs.json --findings f.jsonl --rate 10")
        .ends()
        .exits(0);
    assert!(done.took.as_millis() >= 200, "{:?}", done.took);
}

#[test]
fn a_followed_file_that_shrinks_ends_the_service_and_is_named() {
    let here = folder(1);
    append(&here, "f.jsonl", finding("job", ["k0"], 0));
    let serve = serve(&here, "--knobs knobs.json --findings f.jsonl --follow");
    serve.wait_for("a plan", live::is_plan);
    fs::write(here.path("f.jsonl"), "").unwrap();
    let done = serve.ends().exits(3);
    let stopping = |e: &&Event| e["event"] == "optimizer.stopping";
    let stopping = done.events.iter().find(stopping).unwrap().to_string();
    assert!(
        stopping.contains("f.jsonl") && stopping.contains("may only grow"),
        "{stopping}"
    );
}

#[test]
fn what_cannot_be_opened_is_named() {
    let here = Folder::new();
    here.run("serve file").exits(2).complains("--findings");
    here.run("serve file --findings none.jsonl")
        .exits(3)
        .complains("none.jsonl");
    let here = here.file("f.jsonl", "");
    here.run("serve file --findings f.jsonl --plans .")
        .exits(3)
        .complains("directory");
    here.run("serve file --findings f.jsonl --rate 0")
        .exits(2)
        .complains("rate");
}
