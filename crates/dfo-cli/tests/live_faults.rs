//! What goes wrong beside a job: peers that are not there, stop, die, or send what they should not;
//! signals; and the service itself, killed. Nothing hangs, nothing grows without bound, and
//! everything that is dropped is counted.

#![cfg(all(feature = "zmq", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;
mod live;

#[path = "live/faults/acknowledgements.rs"]
mod acknowledgements;
#[path = "live/faults/bad_input.rs"]
mod bad_input;
#[path = "live/faults/consumers.rs"]
mod consumers;
#[path = "live/faults/ends_of_stream.rs"]
mod ends_of_stream;
#[path = "live/faults/restarts.rs"]
mod restarts;
#[path = "live/faults/signals.rs"]
mod signals;

use std::process::Stdio;
use std::time::Duration;

use dfo::Folder;
use live::findings::{knobs, numbered};
use live::{Lines, Process, Served};

/// A folder with `knobs.json`: so many knobs `app.k0`, `app.k1`, … that always act.
fn folder(count: usize) -> Folder {
    Folder::with("knobs.json", knobs(numbered(count)).to_string())
}

/// `dfo tail zmq --format json …`, a process that pulls plans, and the plans.
fn tail(here: &Folder, args: &str) -> (Process, Lines) {
    let mut command = here.dfo(&format!("tail zmq --format json {args}")).command;
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let plans = Lines::of(child.stdout.take().unwrap());
    (Process(child), plans)
}

/// Each plan that was made was taken by the one sink, or counted with the reason why not.
#[track_caller]
fn every_plan_is_accounted_for(served: &Served) {
    let dropped = ["superseded", "crowded_out", "withdrawn", "undelivered"];
    let dropped = dropped.map(|name| served.count(name));
    let sum = served.count("sent") + dropped.iter().sum::<u64>();
    let made = served.plans();
    assert!(
        sum == made,
        "{made} plans, but {} sent and {dropped:?} (superseded, crowded out, withdrawn, undelivered)",
        served.count("sent")
    );
}

/// The end came in time. The issue says two seconds; a machine that is busy with other things gets
/// more.
#[track_caller]
fn was_quick(what: &str, took: Duration) {
    use std::io::Write as _;
    // Not `eprintln!`: the harness would swallow it.
    let _ = writeln!(std::io::stderr(), "{what}: out after {took:.2?}");
    assert!(took < Duration::from_secs(10), "{what}: {took:?}");
}
