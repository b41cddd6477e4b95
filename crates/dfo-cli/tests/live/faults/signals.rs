//! Signals, floods, and a standard error that no one reads.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use dfo_cli::Exit;
use serde_json::Value as Json;

use super::dfo::Folder;
use super::live::findings::{BESIDE, END, applied, finding, numbered, plan};
use super::live::peer::{Peer, listen};
use super::live::{Lines, Process, Serve, Served, free_address, is_plan, until};
use super::{every_plan_is_accounted_for, folder, was_quick};

/// Pushes findings as fast as they are taken, until no one takes them any more.
fn flood(mut to: Peer, tags: Vec<String>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut sent = 0;
        for window in 1.. {
            let finding = finding("app", tags.clone(), window);
            // The same one many times: to make them must cost less than to take them.
            for _ in 0..200 {
                if to.try_put(&[BESIDE, &finding]).is_err() {
                    return sent;
                }
                sent += 1;
            }
        }
        sent
    })
}

fn under_flood(signal: &str) -> Served {
    let here = folder(3);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let consumer = Peer::connect(&serve.address("plans"), "PULL");
    let floods: Vec<_> = (0..2)
        .map(|_| {
            flood(
                Peer::connect(&serve.address("findings"), "PUSH"),
                numbered(3).collect(),
            )
        })
        .collect();
    serve.wait_for("a plan under way", |e| {
        is_plan(e) && e["window_index"].as_i64() > Some(30)
    });
    serve.process.signal(signal);
    let served = serve.ends();
    was_quick(&format!("SIG{signal} under flood"), served.took);
    let sent: u64 = floods.into_iter().map(|f| f.join().unwrap()).sum();
    assert!(served.count("findings") <= sent);
    assert!(served.count("findings") > 10_000);
    assert_eq!(consumer.rest().len() as u64, served.count("sent"));
    served
}

#[test]
fn sigterm_under_flood_ends_the_service_in_order() {
    let served = under_flood("TERM").in_order();
    every_plan_is_accounted_for(&served);
    assert_eq!(served.reason(), "asked to stop");
    assert_eq!(served.count("bad_findings"), 0);
}

#[test]
fn z14_sigint_under_flood_is_the_same() {
    let served = under_flood("INT").in_order();
    every_plan_is_accounted_for(&served);
    assert_eq!(served.reason(), "asked to stop");
}

#[test]
fn a_flood_of_control_holds_up_neither_findings_nor_the_end() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let control = serve.address("control");
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let flood = thread::spawn(move || {
        let mut to = Peer::connect(&control, "PUSH");
        let ack = br#"{"plan_id": "p", "status": "applied"}"#;
        while !stop.load(Ordering::Relaxed) {
            if to.try_put(&[br#"{"type": "action_ack"}"#, ack]).is_err() {
                return;
            }
        }
    });
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in 1..=50 {
        let scope = format!("node:n{window}");
        diagnoser.send(&[BESIDE, &finding(&scope, vec!["k0"], window)]);
        serve.wait_for("a plan", |e| is_plan(e) && e["window_index"] == window);
    }
    let served = serve.stop().in_order();
    is_over.store(true, Ordering::Relaxed);
    was_quick("SIGTERM under a flood of control", served.took);
    flood.join().unwrap();
    assert!(served.count("acks") > 1000);
    assert_eq!(served.plans(), 50);
}

#[test]
fn signals_that_mean_nothing_interrupt_nothing() {
    const FINDINGS: u64 = 20_000;
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let plans = Peer::connect(&serve.address("plans"), "PULL");
    let mut control = Peer::connect(&serve.address("control"), "PUSH");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    // On Linux a wait is interrupted by a stop and a continuation, too (EINTR).
    let script = "while kill -s STOP $1 && kill -s CONT $1 && kill -s URG $1 && \
                  kill -s WINCH $1 && kill -s CHLD $1; do :; done";
    let signals = Command::new("sh")
        .args(["-c", script, "signals", &serve.process.0.id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut signals = Process(signals.unwrap());
    let mut made = 0;
    for n in 1..=FINDINGS {
        let window = i64::try_from(n / 1000).unwrap();
        diagnoser.put(&[BESIDE, &finding("app", vec!["k0"], window)]);
        if n % 1000 == 0 {
            diagnoser.flush();
            let plan = plan(&plans.receive());
            applied(&mut control, &plan);
            made += 1;
        }
    }
    signals.kill();
    serve.process.signal("CONT");
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(served.count("findings"), FINDINGS);
    assert_eq!(
        (served.count("bad_findings"), served.count("retries")),
        (0, 0)
    );
    assert_eq!(served.count("disconnections"), 0);
    assert!(served.plans() >= made);
    assert_eq!(served.count("sent"), served.plans());
}

/// A service that tells each decision on a standard error that no one reads yet, after so many
/// findings that the pipe and the queue before it are full.
struct Unread {
    serve: Process,
    diagnoser: Peer,
    _plans: Peer,
}

impl Unread {
    fn new(here: &Folder) -> Self {
        let findings = listen();
        let plans_address = free_address();
        let args = format!(
            "serve zmq --format json --explain --knobs knobs.json --address {} \
             --plans-address {plans_address}",
            findings.address()
        );
        let mut command = here.dfo(&args).command;
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let serve = Process(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut diagnoser = findings.accept("PUSH");
        let plans = Peer::connect(&plans_address, "PULL");
        for n in 0..9_000 {
            let scope = format!("node:n{}", n % 100);
            diagnoser.put(&[BESIDE, &finding(&scope, vec!["k0", "k1", "k2"], 1)]);
        }
        diagnoser.send(&[BESIDE, &finding("node:last", vec!["k0"], 1)]);
        until("the last plan arrives", || {
            plan(&plans.receive())["target_nodes"][0] == "last"
        });
        Unread {
            serve,
            diagnoser,
            _plans: plans,
        }
    }
}

#[test]
fn a_standard_error_that_no_one_reads_holds_up_nothing() {
    let mut unread = Unread::new(&folder(3));
    unread.serve.signal("TERM");
    let begun = std::time::Instant::now();
    let status = unread.serve.wait();
    was_quick("SIGTERM with a full pipe", begun.elapsed());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_standard_error_that_is_read_late_still_has_the_summary_and_how_much_is_missing() {
    let mut unread = Unread::new(&folder(3));
    let stream = unread.serve.0.stderr.take().unwrap();
    unread.diagnoser.send(&[END, b""]);
    let lines = Lines::of(stream).all();
    assert!(unread.serve.wait().success());
    let done: Json = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(done["event"], "optimizer.zmq.done", "{done}");
    assert_eq!(done["counts"]["findings"], 9_001);
    let missing: Json = serde_json::from_str(&lines[lines.len() - 2]).unwrap();
    assert_eq!(missing["event"], "optimizer.log", "{missing}");
    let dropped = usize::try_from(missing["dropped"].as_u64().unwrap()).unwrap();
    assert!(dropped > 0);
    // Two ends opened and the start; three decisions on each finding, and one on the last; the end
    // of the stream and the stop.
    assert_eq!(lines.len() - 2 + dropped, 3 + 3 * 9_000 + 1 + 2);
}

#[test]
fn a_standard_error_that_is_closed_holds_up_nothing() {
    let mut unread = Unread::new(&folder(3));
    drop(unread.serve.0.stderr.take());
    unread.diagnoser.send(&[END, b""]);
    assert_eq!(unread.serve.wait().code(), Some(0));
}

/// Standard error, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn h10_a_service_runs_in_any_thread_and_leaves_no_socket_open() {
    let address = [free_address(), free_address(), free_address()];
    let [findings, plans, control] = &address;
    let args = format!(
        "dfo serve zmq --bind --address {findings} --plans-address {plans} \
         --control-address {control} --idle-timeout 0.2"
    );
    for _ in 0..3 {
        let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
        let told = Kept::default();
        let err = told.clone();
        let service = thread::spawn(move || {
            let command = dfo_cli::Command::new().transport(dfo_transport_zmq::Zmq);
            command.run_with(args, io::sink(), err)
        });
        let exit = service.join().unwrap();
        let told = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
        assert_eq!(exit, Exit::Done, "{told}");
        assert!(told.contains("idle timeout"), "{told}");
    }
}
