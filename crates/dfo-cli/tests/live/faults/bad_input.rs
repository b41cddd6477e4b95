//! Records that are none, and connections that end in the middle of one.

use super::dfo::{Folder, json, lines};
use super::folder;
use super::live::findings::{BESIDE, END, finding};
use super::live::peer::Peer;
use super::live::{Event, Serve, is_plan};

const MIB: usize = 1 << 20;

#[test]
fn half_a_message_is_dropped_with_its_connection_and_counted() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let address = serve.address("findings");
    let mut diagnoser = Peer::connect(&address, "PUSH");
    for _ in 0..10 {
        Peer::connect(&address, "PUSH").send_half(BESIDE);
    }
    // Half of the control channel's, too.
    Peer::connect(&serve.address("control"), "PUSH").send_half(br#"{"type": "action_ack"}"#);
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    let served = serve.stop().in_order();
    assert_eq!(
        (served.count("findings"), served.count("bad_findings")),
        (1, 0)
    );
    assert_eq!(served.count("disconnections"), 11);
}

#[test]
fn z02_metadata_that_are_json_but_no_object_cost_one_record() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json --dead-letter dead.jsonl");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let good = finding("app", vec!["k0"], 1);
    let bad: [&[u8]; 6] = [b"[\"x\"]", b"[]", b"null", b"3", b"true", b"\"end\""];
    for metadata in bad {
        diagnoser.send(&[metadata, &good]);
    }
    // What is no JSON at all says nothing.
    let topics: [&[u8]; 4] = [b"findings", b"", b"{", b"\xff\xfe"];
    for metadata in topics {
        diagnoser.send(&[metadata, &good]);
    }
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("bad_findings")),
        (4, 6)
    );
    assert_eq!(served.plans(), 1);
    let complaints = served
        .events
        .iter()
        .filter(|e| e["event"] == "optimizer.bad_record");
    assert_eq!(complaints.count(), 6);
    let letters = std::fs::read_to_string(here.path("dead.jsonl")).unwrap();
    assert_eq!(letters.lines().count(), 6);
    assert!(letters.starts_with('{'), "{letters}");
    assert!(letters.contains(r#""metadata":"[\"x\"]""#), "{letters}");
}

#[test]
fn z07_a_finding_of_one_frame_is_a_finding() {
    let here = folder(2);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[&finding("app", vec!["k0"], 1)]);
    // One of three frames is none: it is said.
    let good = finding("app", vec!["k1"], 1);
    diagnoser.send(&[BESIDE, &good, b"{}"]);
    diagnoser.send(&[b""]);
    diagnoser.send(&[b"", b""]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("bad_findings")),
        (1, 3)
    );
    assert_eq!(served.told_plans()[0]["knob_id"], "app.k0");
}

#[test]
fn an_end_of_stream_may_be_one_frame_too() {
    let serve = Serve::listening(&Folder::new(), "");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[br#"{"type": "stop"}"#, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.count("ends"), served.count("bad_findings")), (1, 0));
}

#[test]
fn a_message_of_100_mib_is_cut_off_and_the_stream_goes_on() {
    let here = folder(2);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let address = serve.address("findings");
    let mut diagnoser = Peer::connect(&address, "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    let before = serve.memory_peak();
    for _ in 0..3 {
        let mut sender = Peer::connect(&address, "PUSH");
        let large = vec![b'x'; 100 * MIB];
        // It is cut off in the middle.
        let sent = sender.try_put(&[BESIDE, &large]);
        assert!(sent.is_err(), "it was taken");
    }
    diagnoser.send(&[BESIDE, &finding("app", vec!["k1"], 1)]);
    serve.wait_for("another plan", |e| is_plan(e) && e["knob_id"] == "app.k1");
    let grown = serve.memory_peak() - before;
    assert!(grown < 32, "{grown} MiB more");
    let served = serve.stop().in_order();
    assert_eq!(served.count("findings"), 2);
    assert_eq!(served.count("disconnections"), 3);
}

#[test]
fn a_message_of_100_mib_in_parts_is_counted_as_too_large() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let part = vec![b'x'; 10 * MIB];
    let mut frames = vec![BESIDE];
    frames.extend([&*part; 10]);
    for _ in 0..3 {
        diagnoser.send(&frames);
    }
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    diagnoser.send(&[END, b""]);
    serve.wait_for("a plan", is_plan);
    let peak = serve.memory_peak();
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("too_large")),
        (1, 3)
    );
    assert!(peak < 450, "{peak} MiB");
}

#[test]
fn a_diagnoser_with_a_record_beyond_the_limit_reconnects_and_goes_on() {
    let record = |window: i64, length: usize| {
        let finding = json!({"window_index": window, "summary": "x".repeat(length)});
        lines([finding])
    };
    let mut text = record(1, 0);
    text.push_str(&record(2, 3 * MIB));
    for window in 3..400 {
        text.push_str(&record(window, 0));
    }
    let here = folder(1).file("f.jsonl", text);
    let serve = Serve::listening(
        &here,
        "--knobs knobs.json --dry-run --max-message-bytes 1000000",
    );
    let address = serve.address("findings");
    let send = format!("send zmq --connect --address {address} --rate 200 --end f.jsonl");
    here.run(&send).exits(0);
    let served = serve.ends().in_order();
    // What was on its way when the connection was cut is lost, and that is all.
    let arrived = served.count("findings");
    assert!((300..399).contains(&arrived), "{arrived} of 399");
    assert_eq!(served.count("bad_findings"), 0);
    assert!(served.count("disconnections") >= 1);
}

#[test]
fn of_100_000_bad_messages_in_a_row_each_is_counted_and_none_costs_memory() {
    const BAD: u64 = 100_000;
    const LIMIT: u64 = 1_000_000;
    let here = folder(2);
    let args = format!("--knobs knobs.json --dead-letter dead.jsonl --dead-letter-limit {LIMIT}");
    let serve = Serve::listening(&here, &args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    let before = serve.memory_peak();
    let good = finding("app", vec!["k1"], 1);
    let bad: [[&[u8]; 2]; 5] = [
        [BESIDE, br#"{"severity_score": "high"}"#],
        [BESIDE, b"[1, 2"],
        [BESIDE, b"\xff\xff"],
        [b"[]", &good],
        [BESIDE, br#"{"opportunity_tags": "tttt"}"#],
    ];
    for message in bad.iter().cycle().take(usize::try_from(BAD).unwrap()) {
        diagnoser.put(message);
    }
    diagnoser.send(&[BESIDE, &good]);
    serve.wait_for("another plan", |e| is_plan(e) && e["knob_id"] == "app.k1");
    let grown = serve.memory_peak() - before;
    assert!(grown < 32, "{grown} MiB more");
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("bad_findings")),
        (2, BAD)
    );
    let (kept, dropped) = (
        served.count("dead_letters"),
        served.count("dead_letters_dropped"),
    );
    assert_eq!(kept + dropped, BAD);
    let letters = std::fs::read_to_string(here.path("dead.jsonl")).unwrap();
    assert!(letters.len() as u64 <= LIMIT && letters.len() as u64 > LIMIT / 2);
    assert_eq!(letters.lines().count() as u64, kept);
    let complaints = served
        .events
        .iter()
        .filter(|e| e["event"] == "optimizer.bad_record");
    assert!(complaints.count() < 100, "the log stays readable");
}

#[test]
fn records_made_to_hurt_are_refused_like_others() {
    const DEEP: usize = 100_000;
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json --dead-letter dead.jsonl");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut application = Peer::connect(&serve.address("control"), "PUSH");
    let lists = "[".repeat(DEEP);
    let closed_lists = lists.clone() + &"]".repeat(DEEP);
    let objects = r#"{"a":"#.repeat(DEEP);
    let within = format!(r#"{{"window_index": 1, "key_metrics": {closed_lists}}}"#);
    let text = "x".repeat(1 << 20);
    let name = format!(r#"{{"scope": "node:{text}", "opportunity_tags": ["{text}"]}}"#);
    let mut sent = 0;
    for payload in [&lists, &closed_lists, &objects, &within, &name] {
        diagnoser.send(&[BESIDE, payload.as_bytes()]);
        application.send(&[br#"{"type": "action_ack"}"#, payload.as_bytes()]);
        application.send(&[br#"{"type": "knob_registration"}"#, payload.as_bytes()]);
        application.send(&[b"", payload.as_bytes()]);
        sent += 1;
    }
    // As metadata they are no JSON, and say nothing; or they are JSON and no object.
    for metadata in [&lists, &closed_lists, &objects] {
        diagnoser.send(&[metadata.as_bytes(), b"[]"]);
        application.send(&[metadata.as_bytes(), b"[]"]);
        sent += 1;
    }
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("bad_findings")),
        (1, sent)
    );
    assert_eq!(served.plans(), 1);
}

#[test]
fn dead_letters_that_cannot_be_written_are_said_and_counted_as_lost() {
    let here = folder(1);
    // Opening it is well; writing is not.
    let serve = Serve::listening(&here, "--knobs knobs.json --dead-letter /dev/full");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for _ in 0..100 {
        diagnoser.put(&[BESIDE, b"[1]"]);
    }
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.count("bad_findings"), served.plans()), (100, 1));
    let is_said = |e: &&Event| e["event"] == "optimizer.dead_letter";
    assert!(served.events.iter().any(|e| is_said(&e)));
    let lost = served.count("dead_letters_dropped");
    assert_eq!((served.count("dead_letters"), lost), (0, 100));
}

#[test]
fn what_is_no_zmq_at_all_does_no_harm() {
    use std::io::{Read as _, Write as _};
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    for channel in ["findings", "control", "plans"] {
        let address = serve.address(channel);
        let place = address.strip_prefix("tcp://").unwrap();
        let mut stream = std::net::TcpStream::connect(place).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: optimizer\r\n\r\n")
            .unwrap();
        stream.write_all(&[0; 4096]).unwrap_or_default();
        // It hangs up.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        drop(std::net::TcpStream::connect(place).unwrap());
    }
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let consumer = Peer::connect(&serve.address("plans"), "PULL");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    consumer.receive();
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.count("findings"), served.count("ends")), (1, 1));
}
