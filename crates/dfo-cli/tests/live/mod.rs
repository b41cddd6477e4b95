//! `dfo serve` and those around it, as real processes and over real sockets.
//!
//! A test starts a [`Serve`], talks to it through a [`peer`] written by hand, a Python program or
//! another `dfo`, and waits for what it tells: one JSON object a line on standard error. Nothing
//! here sleeps to be in time; every wait has a condition and a generous [`DEADLINE`]. Every process
//! is killed when its value is dropped.

#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, none of which needs all of it"
)]

#[cfg(feature = "zmq")]
pub mod application;
pub mod findings;
mod lines;
pub mod peer;
pub mod python;

use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::dfo::{Dfo, Folder};
pub use lines::Lines;
use lines::last;

/// How long anything may take. What is late fails.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// One line that a service tells: an object.
pub type Event = Json;

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        // Sleeps: polls a condition outside this process, up to a deadline.
        thread::sleep(Duration::from_millis(5));
    }
}

/// A free address of this machine, for those who need to know it before anyone listens there: after
/// a restart it must be the same.
///
/// The ports lie below those that the system gives away by itself.
pub fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id().wrapping_mul(61) + n) % 20_000;
        let port = u16::try_from(port).expect("below 30,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("tcp://127.0.0.1:{port}");
        }
    }
}

/// A process, killed when this is dropped. Who starts it drains its pipes.
pub struct Process(pub Child);

impl Process {
    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Kills it as nothing can prevent, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.0.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Whether it is still there.
    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("it can be waited for").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(
        sent.expect("kill can be run").success(),
        "SIG{name} to {pid}"
    );
}

/// A running `dfo serve`.
pub struct Serve {
    pub process: Process,
    pub log: Lines,
    started: Instant,
}

/// A `dfo serve` that has ended.
pub struct Served {
    pub status: ExitStatus,
    pub events: Vec<Event>,
    /// From when it was asked, or waited for, to its end.
    pub took: Duration,
}

/// The addresses of a service that listens for everything, at ports of the system's choice.
pub const LISTENING: &str = "--bind --address tcp://127.0.0.1:* \
     --plans-address tcp://127.0.0.1:* --control-address tcp://127.0.0.1:*";

impl Serve {
    /// `dfo serve zmq …`, in a folder, with JSON on standard error; ready to receive.
    #[track_caller]
    pub fn zmq(folder: &Folder, args: &str) -> Self {
        Self::start(folder.dfo(&format!("serve zmq --format json {args}")))
    }

    /// The same, listening for everything.
    #[track_caller]
    pub fn listening(folder: &Folder, args: &str) -> Self {
        Self::zmq(folder, &format!("{LISTENING} {args}"))
    }

    /// Any `dfo serve` that speaks JSON.
    #[track_caller]
    pub fn start(dfo: Dfo) -> Self {
        let serve = Self::spawn(dfo);
        serve.wait_for("its start", |e| e["event"] == "optimizer.started");
        serve
    }

    /// The same, not yet ready.
    pub fn spawn(mut dfo: Dfo) -> Self {
        let command = &mut dfo.command;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut out = child.stdout.take().expect("a pipe");
        thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let log = Lines::of(child.stderr.take().expect("a pipe"));
        Serve {
            process: Process(child),
            log,
            started: Instant::now(),
        }
    }

    /// Where it listens, or connects to, for a channel: `findings`, `control`, `plans`.
    #[track_caller]
    pub fn address(&self, channel: &str) -> String {
        self.addresses(channel).remove(0)
    }

    #[track_caller]
    pub fn addresses(&self, channel: &str) -> Vec<String> {
        let opened = self.events().into_iter();
        let opened = opened.filter(|e| e["event"] == "optimizer.open" && e["channel"] == channel);
        let names: Vec<_> = opened
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(!names.is_empty(), "nothing opened for {channel}");
        names
    }

    /// What it has told so far.
    pub fn events(&self) -> Vec<Event> {
        self.log.so_far().iter().map(|line| event(line)).collect()
    }

    /// How many events of a kind there are by now.
    pub fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events().iter().filter(|e| is_it(e)).count()
    }

    /// Waits until it tells something.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        self.wait_from(what, 0, is_it).1
    }

    /// Waits until it tells something, from the `from`th line on. Gives the number of the line
    /// after it, too.
    #[track_caller]
    pub fn wait_from(
        &self,
        what: &str,
        from: usize,
        is_it: impl Fn(&Event) -> bool,
    ) -> (usize, Event) {
        let found = |line: &str| Some(event(line)).filter(|e| is_it(e));
        let (at, event) = self.log.find(what, from, found);
        (at + 1, event)
    }

    /// Waits until a notice of this name was given so often.
    #[track_caller]
    pub fn wait_for_notices(&self, name: &str, count: usize) {
        let mut seen = 0;
        let what = format!("{count} notices {name:?}");
        self.log.find(&what, 0, |line| {
            seen += usize::from(is_notice(&event(line), name));
            (seen >= count).then_some(())
        });
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn stop(self) -> Served {
        self.process.signal("TERM");
        self.ends()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn ends(mut self) -> Served {
        let begun = Instant::now();
        let status = self.process.wait();
        let took = begun.elapsed();
        self.log.all();
        Served {
            status,
            took,
            events: self.events(),
        }
    }

    /// Kills it as nothing can prevent. What it told.
    pub fn kill(mut self) -> Vec<Event> {
        self.process.kill();
        let lines = self.log.all();
        // The last one may be cut.
        let event = |line: &String| serde_json::from_str(line).ok();
        lines.iter().filter_map(event).collect()
    }

    /// How long it has been running.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The most memory it has held, in MiB.
    pub fn memory_peak(&self) -> u64 {
        self.status_line("VmHWM:") / 1024
    }

    fn status_line(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.0.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).expect("a number")
    }

    /// How much time of a processor it has used.
    pub fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.0.id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        // After the name, which stands in brackets: state, then eleven fields, then the two.
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|n| n.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

#[track_caller]
fn event(line: &str) -> Event {
    match serde_json::from_str(line) {
        Ok(event @ Json::Object(_)) => event,
        _ => panic!("no event: {line}"),
    }
}

/// Whether an event is a plan.
pub fn is_plan(event: &Event) -> bool {
    event["event"] == "optimizer.plan"
}

/// Whether an event is a notice of this name.
pub fn is_notice(event: &Event, name: &str) -> bool {
    event["event"] == "optimizer.notice" && event["notice"] == name
}

impl Served {
    /// It ended as it should.
    #[track_caller]
    pub fn in_order(self) -> Self {
        self.exits(0)
    }

    /// It ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.shown());
        self
    }

    /// Its last line: all it counted.
    #[track_caller]
    pub fn done(&self) -> &Event {
        let last = self.events.last().expect("events");
        assert_eq!(last["event"], "optimizer.zmq.done", "{}", self.shown());
        last
    }

    /// One of the counts in it.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let count = &self.done()["counts"][name];
        count
            .as_u64()
            .unwrap_or_else(|| panic!("no count {name:?}: {count}"))
    }

    /// How often a notice was given.
    #[track_caller]
    pub fn notices(&self, name: &str) -> u64 {
        self.done()["notices"][name].as_u64().unwrap_or(0)
    }

    /// How many plans it made.
    #[track_caller]
    pub fn plans(&self) -> u64 {
        self.done()["plan_count"].as_u64().expect("a count")
    }

    /// The plans that it told of.
    pub fn told_plans(&self) -> Vec<&Event> {
        self.events.iter().filter(|e| is_plan(e)).collect()
    }

    /// Why it stopped.
    #[track_caller]
    pub fn reason(&self) -> &str {
        let mut stopping = self
            .events
            .iter()
            .filter(|e| e["event"] == "optimizer.stopping");
        let stopping = stopping.next().expect("it stopped in order");
        stopping["reason"].as_str().expect("a reason")
    }

    fn shown(&self) -> String {
        last(&self.events)
    }
}
