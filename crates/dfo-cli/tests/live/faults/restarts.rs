//! Processes that die and come back: the service, the diagnoser.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::dfo::Folder;
use super::folder;
use super::live::application::{Application, Way};
use super::live::findings::{finding, knobs, numbered};
use super::live::{Lines, Process, Serve, free_address, is_plan, until};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A file of findings in ever later windows, on which the knobs act.
fn stream(here: Folder, count: i64) -> Folder {
    let tags: Vec<_> = numbered(2).collect();
    let mut text = Vec::new();
    for window in 1..=count {
        text.extend(finding("app", tags.clone(), window));
        text.push(b'\n');
    }
    here.file("stream.jsonl", text)
}

/// `dfo send`, as a diagnoser that others connect to.
fn diagnoser(here: &Folder, address: &str) -> Process {
    let args = format!("send zmq --address {address} --rate 200 stream.jsonl");
    let mut command = here.dfo(&args).command;
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _drained = Lines::of(child.stderr.take().unwrap());
    Process(child)
}

fn application(plans: &str, control: &str) -> Application {
    let way = Way {
        node: "n1",
        plans,
        pattern: "push",
        control,
        heartbeat: HEARTBEAT,
        high_water_mark: 1000,
    };
    Application::start(&way, &knobs(numbered(2)))
}

#[test]
fn after_kill_9_of_the_service_the_knobs_are_back_within_a_heartbeat_and_plans_flow() {
    let here = stream(Folder::new(), 20_000);
    let (findings, plans, control) = (free_address(), free_address(), free_address());
    let _diagnoser = diagnoser(&here, &findings);
    let application = application(&plans, &control);
    // No knobs but those that the application registers.
    let args = format!(
        "--address {findings} --plans-address {plans} --control-address {control} --heartbeat 1"
    );
    let mut serve = Serve::zmq(&here, &args);
    let mut applied = 0;
    for _ in 0..2 {
        until("plans flow", || application.count() >= applied + 10);
        // The knobs have moved on: not each plan is the first of its knob.
        let values: Vec<_> = application
            .applied()
            .iter()
            .map(|p| p.new_value.clone())
            .collect();
        assert!(values.iter().any(|v| *v == 3.into()), "{values:?}");
        serve.kill();
        applied = application.count();

        let restarted = Instant::now();
        serve = Serve::zmq(&here, &args);
        serve.wait_for("the knobs", |e| e["event"] == "optimizer.joined");
        let knobs_are_back = restarted.elapsed();
        serve.wait_for("a plan", is_plan);
        let _ = writeln!(
            std::io::stderr(),
            "after kill -9: knobs are back after {knobs_are_back:.2?}, plans flow after {:.2?}",
            restarted.elapsed()
        );
        // A heartbeat, and the time to start and to connect, on a busy machine.
        assert!(knobs_are_back < HEARTBEAT + Duration::from_secs(9));
    }
    until("plans flow again", || application.count() >= applied + 10);
    // The live values came with the registration: the service went on where it had been.
    let last = application.applied().last().unwrap().clone();
    assert!(
        last.new_value.as_number().unwrap().truncated() > 3,
        "{last:?}"
    );
    serve.stop().in_order();
}

#[test]
fn after_kill_9_of_the_service_its_unix_sockets_are_taken_again() {
    let here = Folder::new();
    let args = "--bind --address ipc://findings --plans-address ipc://plans \
                --control-address ipc://control";
    for _ in 0..3 {
        let serve = Serve::zmq(&here, args);
        // While it lives, no other may have them.
        let second = here.run(&format!("serve zmq {args}")).exits(3);
        second.complains("ipc://findings");
        serve.kill();
        assert!(here.path("findings").exists(), "left behind");
    }
    Serve::zmq(&here, args).stop().in_order();
}

#[test]
fn a_diagnoser_that_is_killed_and_started_again_is_heard_again() {
    let here = stream(folder(2), 20_000);
    let findings = free_address();
    let args = format!("--address {findings} --knobs knobs.json --dry-run");
    let serve = Serve::zmq(&here, &args);
    let mut told = 0;
    for _ in 0..3 {
        let mut diagnoser = diagnoser(&here, &findings);
        // After the first round its windows begin anew: far below the newest, it is a new run.
        (told, _) = serve.wait_from("a plan of the third window", told, |e| {
            is_plan(e) && e["window_index"] == 3
        });
        (told, _) = serve.wait_from("a plan of the hundredth window", told, |e| {
            is_plan(e) && e["window_index"] == 100
        });
        diagnoser.kill();
    }
    let served = serve.stop().in_order();
    assert_eq!(served.notices("new_run"), 2);
    assert!(served.count("disconnections") >= 2);
}

#[test]
fn an_application_that_is_silent_is_not_planned_for_until_it_speaks_again() {
    let here = stream(Folder::new(), 20_000);
    let findings = free_address();
    let _diagnoser = diagnoser(&here, &findings);
    let args = format!(
        "--address {findings} --plans-address tcp://127.0.0.1:* \
         --control-address tcp://127.0.0.1:* --heartbeat 0.2 --explain"
    );
    let serve = Serve::zmq(&here, &args);
    let (plans, control) = (serve.address("plans"), serve.address("control"));
    // It repeats its registration each second, which is three missed of the service's heartbeats.
    let first = application(&plans, &control);
    until("plans flow", || first.count() > 0);
    let (silent, _) = serve.wait_from("silence", 0, |e| e["event"] == "optimizer.silent");
    let (held, _) = serve.wait_from("a hold", silent, |e| e["gate"] == "silent");
    let (heard, _) = serve.wait_from("a registration", held, |e| e["event"] == "optimizer.joined");
    serve.wait_from("a plan", heard, is_plan);
    drop(first);
    serve.wait_from("the farewell", heard, |e| e["event"] == "optimizer.left");
    let served = serve.stop().in_order();
    assert!(served.count("silent") >= 1);
    assert_eq!((served.count("left"), served.count("applications")), (1, 0));
    assert!(served.done()["holds"]["silent"].as_u64() > Some(0));
}
