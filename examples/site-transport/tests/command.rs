//! The site's own command, as processes: findings go in, plans come out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const FINDINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../findings/original_example.jsonl"
);

/// A process that does not outlive the test.
struct Process(Child);

impl Process {
    /// `site-transport WHAT unix --directory DIRECTORY …`
    fn start(what: &str, directory: &Path, args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_site-transport"))
            .args([what, "unix", "--directory"])
            .arg(directory)
            .args(args)
            .env("DLIO_KNOB_MAX_THREADS", "8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// What it wrote to standard output; it must end well, and in time.
    fn output(mut self) -> String {
        let [out, err] = [
            read_on(self.0.stdout.take().unwrap()),
            read_on(self.0.stderr.take().unwrap()),
        ];
        let started = Instant::now();
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() > Duration::from_mins(1) => break None,
                // Sleeps: polls for the end of another process, up to a deadline.
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        drop(self);
        let (out, err) = (out.join().unwrap(), err.join().unwrap());
        match status {
            Some(status) if status.success() => out,
            Some(status) => panic!("{status}\n{out}\n{err}"),
            None => panic!("it does not end\n{out}\n{err}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_on(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

#[test]
fn findings_are_sent_served_and_answered_with_plans() {
    let directory = tempfile::tempdir().unwrap();
    // The order in which they start does not matter: each waits for the others.
    let plans = &["--count", "2", "--ack", "--format", "json"];
    let tail = Process::start("tail", directory.path(), plans);
    let send = Process::start("send", directory.path(), &[FINDINGS]);
    let serve = Process::start("serve", directory.path(), &["--bootstrap", "dlio"]);

    send.output();
    let plans = tail.output();
    let plans = plans
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut knobs: Vec<_> = plans.map(|plan: Value| plan["knob_id"].clone()).collect();
    knobs.sort_by_key(ToString::to_string);
    assert_eq!(knobs, ["dlio.prefetch_size", "dlio.read_threads"]);

    Process::start("send", directory.path(), &["--end", FINDINGS]).output();
    serve.output();
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "no socket is left behind");
}

#[test]
fn a_second_optimizer_is_told_that_the_sockets_are_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let serve = Process::start("serve", directory.path(), &[]);
    // Once this is through, someone listens.
    Process::start("send", directory.path(), &[FINDINGS]).output();
    let second = Command::new(env!("CARGO_BIN_EXE_site-transport"))
        .args(["serve", "unix", "--directory"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(
        told.contains("findings.sock: cannot open: the address is in use"),
        "{told}"
    );
    drop(serve);
}

#[test]
fn an_optimizer_that_was_killed_leaves_nothing_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let serve = Process::start("serve", directory.path(), &[]);
    Process::start("send", directory.path(), &[FINDINGS]).output();
    // Killed with no time to tidy up.
    drop(serve);
    assert!(directory.path().join("findings.sock").exists());

    let serve = Process::start("serve", directory.path(), &[]);
    Process::start("send", directory.path(), &["--end", FINDINGS]).output();
    serve.output();
}
