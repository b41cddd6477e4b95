//! `dfo send` and `dfo tail`, for trying things by hand.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::dfo::{Folder, gzip, json, lines};
use super::live::findings::{BESIDE, END, finding, knobs, numbered};
use super::live::peer::{Peer, listen};
use super::live::{Lines, Process, Serve, free_address, until};

fn findings(count: i64) -> String {
    let finding = |n| json!({"finding_type": "f", "scope": "app", "window_index": n});
    lines((0..count).map(finding))
}

/// Starts a `dfo` that goes on until it has what it wants; its standard output and error.
fn start(here: &Folder, args: &str) -> (Process, Lines, Lines) {
    let mut command = here.dfo(args).command;
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let out = Lines::of(child.stdout.take().unwrap());
    let err = Lines::of(child.stderr.take().unwrap());
    (Process(child), out, err)
}

#[test]
fn findings_are_sent_as_a_diagnoser_sends_them() {
    let address = free_address();
    let here = Folder::with("f.jsonl", findings(3));
    let (mut send, _, err) = start(
        &here,
        &format!("send zmq --address {address} f.jsonl --end"),
    );
    let optimizer = Peer::connect(&address, "PULL");
    for n in 0..3 {
        let message = optimizer.receive();
        assert_eq!(message.len(), 2);
        assert_eq!(
            String::from_utf8_lossy(&message[0]),
            r#"{"artifact_type":"diagnosis_finding","publish_mode":"control","finding_type":"f","scope":"app"}"#
        );
        let payload: Json = serde_json::from_slice(&message[1]).unwrap();
        assert_eq!(payload["window_index"], n);
    }
    assert_eq!(optimizer.receive(), [END.to_vec(), Vec::new()]);
    assert!(send.wait().success());
    assert_eq!(err.all(), ["dfo: sent 4 records"]);
}

#[test]
fn metadata_of_a_file_travel_beside_the_findings() {
    let serve = Serve::listening(&Folder::new(), "");
    let modes = ["control", "summary", "control"].map(|m| json!({"publish_mode": m}));
    let here = Folder::with("f.jsonl.gz", gzip(findings(3))).file("m.jsonl", lines(modes));
    let address = serve.address("findings");
    let args = "--metadata m.jsonl f.jsonl.gz --end";
    let ran = here.run(&format!("send zmq --connect --address {address} {args}"));
    ran.exits(0).complains("sent 4 records");
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("summaries")),
        (2, 1)
    );
}

#[test]
fn metadata_that_do_not_suffice_are_said() {
    let serve = Serve::listening(&Folder::new(), "");
    let address = serve.address("findings");
    let here = Folder::with("f.jsonl", findings(3)).file("m.jsonl", "{}\n{}\n");
    let args = format!("send zmq --connect --address {address} --metadata m.jsonl f.jsonl");
    let ran = here.run(&args).exits(3);
    ran.complains("m.jsonl")
        .complains("fewer lines than there are findings");
    serve.stop().in_order();
}

#[test]
fn findings_come_from_several_files_and_from_standard_input_at_a_pace() {
    let serve = Serve::listening(&Folder::new(), "");
    let address = serve.address("findings");
    let here = Folder::with("f.jsonl", findings(10));
    let args = format!("send zmq --connect --address {address} --rate 100 --end f.jsonl -");
    let begun = Instant::now();
    here.dfo(&args).stdin(findings(20)).run().exits(0);
    // Thirty at a hundred a second.
    assert!(
        begun.elapsed() > Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(serve.ends().in_order().count("findings"), 30);
}

#[test]
fn what_nobody_receives_is_said_when_patience_is_over() {
    let here = Folder::with("f.jsonl", findings(3));
    let address = free_address();
    for side in ["", "--connect"] {
        let args = format!("send zmq {side} --address {address} --patience 0.3 f.jsonl");
        let ran = here.run(&args).exits(3);
        assert!(ran.err.contains("receiving") || ran.err.contains("is the optimizer there"));
    }
}

#[test]
fn files_that_are_not_there_and_options_that_make_no_sense_are_said() {
    let here = Folder::with("f.jsonl", findings(3));
    let address = listen().address();
    for (args, code, complaint) in [
        ("nothing.jsonl --patience 0.1", 3, "nothing.jsonl"),
        ("f.jsonl --rate 0", 2, "rate"),
        ("f.jsonl --rate -5", 2, "-5"),
        ("f.jsonl --patience nan", 2, "patience"),
        ("f.jsonl --option speed=1", 2, "speed"),
        ("f.jsonl --bind", 2, "--bind"),
        ("", 2, "FINDINGS"),
    ] {
        let ran = here.run(&format!("send zmq --connect --address {address} {args}"));
        ran.exits(code).complains(complaint);
    }
}

#[test]
fn plans_are_shown_as_they_came_or_for_eyes_until_there_are_enough() {
    let here = Folder::with("knobs.json", knobs(numbered(5)).to_string());
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let plans = serve.address("plans");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let tail = |args: &str| start(&here, &format!("tail zmq --plans-address {plans} {args}"));

    let (mut json, out, err) = tail("--format json --count 2");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0", "k1"], 1)]);
    assert!(json.wait().success());
    let shown = out.all();
    let told: Vec<Json> = shown
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((told.len(), &told[0]["knob_id"]), (2, &json!("app.k0")));
    assert!(shown[0].starts_with(r#"{"plan_id":"plan_"#), "{shown:?}");
    assert!(err.all().is_empty());

    let (mut text, out, _) = tail("--count 1");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k2"], 1)]);
    assert!(text.wait().success());
    let shown = out.all().join("\n");
    assert!(
        shown.contains("app.k2") && shown.contains("0 → 1"),
        "{shown}"
    );
    assert_eq!(serve.stop().in_order().count("sent"), 3);
}

#[test]
fn acknowledged_plans_make_the_optimizer_go_on() {
    let here = Folder::with("knobs.json", knobs(["a"]).to_string());
    let serve = Serve::listening(&here, "--knobs knobs.json --explain");
    let (plans, control) = (serve.address("plans"), serve.address("control"));
    let args = format!("--plans-address {plans} --control-address {control} --ack --count 3");
    let (mut tail, _, _) = start(&here, &format!("tail zmq {args}"));
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in 1..=3 {
        diagnoser.send(&[BESIDE, &finding("app", vec!["a"], window)]);
        serve.wait_for_notices("applied", usize::try_from(window).unwrap());
    }
    assert!(tail.wait().success());
    let served = serve.stop().in_order();
    assert_eq!((served.plans(), served.count("acks")), (3, 3));
    assert_eq!(served.done()["knob_state"]["app.a"], 3);
}

#[test]
fn plans_published_are_received_by_who_subscribes() {
    let here = Folder::with("knobs.json", knobs(["a"]).to_string());
    let args = "--knobs knobs.json --bind --address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans pub";
    let serve = Serve::zmq(&here, args);
    let plans = serve.address("plans");
    let (mut tail, out, _) = start(
        &here,
        &format!("tail zmq --plans-address {plans} --plans pub --format json --count 1"),
    );
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut window = 0;
    until("a plan arrives", || {
        window += 1;
        diagnoser.send(&[
            BESIDE,
            &finding(&format!("node:n{window}"), vec!["a"], window),
        ]);
        !tail.is_alive()
    });
    assert_eq!(out.all().len(), 1);
    serve.stop().in_order();
}

#[test]
fn what_tail_cannot_do_is_said() {
    let here = Folder::new();
    let address = free_address();
    for (args, complaint) in [
        ("--ack", "control address"),
        ("--plans sub", "push or pub"),
        ("--count many", "many"),
        ("--bind", "--bind"),
    ] {
        let ran = here.run(&format!("tail zmq --plans-address {address} {args}"));
        ran.exits(2).complains(complaint);
    }
}

#[test]
fn tail_can_listen_and_ends_when_it_is_asked_to() {
    let here = Folder::new();
    let address = free_address();
    let (mut tail, out, err) = start(
        &here,
        &format!("tail zmq --plans-address {address} --plans-bind --format json"),
    );
    let mut optimizer = Peer::connect(&address, "PUSH");
    let text = br#"{"plan_id": "p1", "knob_id": "k", "new_value": 3}"#;
    optimizer.send(&[b"{}", text]);
    optimizer.send(&[b"{}", b"{}"]);
    assert_eq!(out.at_least(1)[0].as_bytes(), text);
    err.find("a complaint", 0, |line| {
        line.contains("no plan").then_some(())
    });
    tail.signal("TERM");
    assert_eq!(tail.wait().code(), Some(0));
}
