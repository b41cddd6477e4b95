//! The whole loop as processes, with the test between the program and the diagnoser: it sees each
//! window's times, and with which threads and queue the program really ran it, and passes them on.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tuned_reader::measure::WindowTimes;

use crate::dfo::{self, dfo};
use crate::processes::{LONG, Process, ipc, reader};

/// The service, the stand-in and the program. They end with the test.
pub struct Watched {
    folder: TempDir,
    windows: Receiver<WindowTimes>,
    service: Process,
    _diagnoser: Process,
    _program: Process,
}

impl Watched {
    /// Starts all of it: the program with more options, the service with this `[planner]`.
    pub fn start(planner: &str, program: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = service(folder.path(), planner);
        let mut diagnoser = Process(
            Command::new(env!("CARGO_BIN_EXE_stand-in-diagnoser"))
                .args(["--address", &ipc(folder.path(), "address")])
                .args(["--patience", "60"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut program = Process(
            reader(folder.path())
                // More than it can read before the test has seen what it waits for.
                .args(["--samples", "100000000", "--json"])
                .args(["--measurements", "/dev/stdout"])
                .args(program)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let (told, windows) = channel();
        let from = BufReader::new(program.0.stdout.take().unwrap());
        let mut to = diagnoser.0.stdin.take().unwrap();
        std::thread::spawn(move || {
            pass_on(from, |line, times| {
                let is_watched = told.send(times).is_ok();
                is_watched && to.write_all(line.as_bytes()).is_ok()
            });
        });
        Watched {
            folder,
            windows,
            service,
            _diagnoser: diagnoser,
            _program: program,
        }
    }

    /// The first window from now on that is as wished.
    pub fn window(&self, what: &str, is_wished: impl Fn(&WindowTimes) -> bool) -> WindowTimes {
        let deadline = Instant::now() + LONG;
        let mut last = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.windows.recv_timeout(left) {
                Ok(times) if is_wished(&times) => return times,
                Ok(times) => last = Some(times),
                Err(RecvTimeoutError::Timeout) => panic!("no window {what}; the last: {last:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the program ended: {last:?}"),
            }
        }
    }

    /// The windows that are over and were not looked at yet.
    pub fn windows_so_far(&self) -> Vec<WindowTimes> {
        self.windows.try_iter().collect()
    }

    /// `dfo ctl`, which must succeed: what it says.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.try_ctl(arguments);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ctl {arguments:?}: {complaints}");
        dfo::said(&output)
    }

    fn try_ctl(&self, arguments: &[&str]) -> Output {
        let arguments = [&["ctl"], arguments].concat();
        let socket = self.folder.path().join("ctl");
        dfo(&arguments)
            .env("DFOPTIMIZER_CONTROL", socket)
            .output()
            .unwrap()
    }

    /// How the service is, as soon as that is as wished.
    pub fn status(&self, what: &str, is_wished: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LONG;
        loop {
            let status: Value =
                serde_json::from_str(&self.ctl(&["status", "--format", "json"])).unwrap();
            if is_wished(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not {what}: {status}");
            // Sleeps: nothing tells of a change of the service's numbers; they are asked for again.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has kept up to now.
    pub fn journal_so_far(&self) -> Journal {
        Journal::read(&self.folder.path().join("journal"))
    }

    /// Ends the service, which then has written all, and reads its journal.
    pub fn journal(mut self) -> Journal {
        let pid = self.service.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.service.0.wait().unwrap().success());
        self.journal_so_far()
    }
}

/// Reads lines of times until nobody wants them any more.
fn pass_on(from: BufReader<ChildStdout>, mut to: impl FnMut(&str, WindowTimes) -> bool) {
    for line in from.lines() {
        let line = line.unwrap() + "\n";
        // The last line is the outcome.
        let Ok(times) = serde_json::from_str(&line) else {
            return;
        };
        if !to(&line, times) {
            return;
        }
    }
}

/// `dfo serve zmq`, listening.
fn service(folder: &Path, planner: &str) -> Process {
    let config = folder.join("site.toml");
    std::fs::write(&config, format!("[planner]\n{planner}\n")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut serve = dfo(&[
        "serve",
        "zmq",
        "--config",
        &config.display().to_string(),
        "--address",
        &ipc(folder, "address"),
        "--plans-address",
        &ipc(folder, "plans-address"),
        "--control-address",
        &ipc(folder, "control-address"),
        "--control-socket",
        &path("ctl"),
        "--journal",
        &path("journal"),
        "--log-format",
        "json",
    ]);
    let mut process = Process(serve.stderr(Stdio::piped()).spawn().unwrap());
    let log = BufReader::new(process.0.stderr.take().unwrap());
    let (started, is_started) = channel();
    // Reads on for as long as it is written.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if line.contains("\"optimizer.started\"") {
                let _ = started.send(());
            }
        }
    });
    is_started.recv_timeout(LONG).unwrap();
    process
}

/// What a service has kept.
pub struct Journal {
    /// The lines of events.
    pub lines: Vec<Value>,
}

impl Journal {
    pub fn read(folder: &Path) -> Self {
        let mut segments: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
            .collect();
        segments.sort();
        let mut text: String = segments
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        // It may be about to write the last line.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Journal {
            lines: lines
                .filter(|line: &Value| !line["event"].is_null())
                .collect(),
        }
    }

    /// The place of the first line of an operator's command.
    pub fn command(&self, name: &str) -> usize {
        let is_it = |line: &Value| {
            let command = &line["event"]["command"];
            command == name || !command[name].is_null()
        };
        self.lines.iter().position(is_it).unwrap()
    }
}

/// The plans among the decisions of lines.
pub fn plans(lines: &[Value]) -> Vec<&Value> {
    decisions(lines, "plan")
}

/// The holds by a gate.
pub fn holds<'l>(lines: &'l [Value], gate: &str) -> Vec<&'l Value> {
    let mut holds = decisions(lines, "hold");
    holds.retain(|hold| hold["gate"]["gate"] == gate);
    holds
}

/// The decisions of a kind, in their order.
pub fn decisions<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    let all = lines
        .iter()
        .filter_map(|line| line["decisions"].as_array())
        .flatten();
    all.filter_map(|decision| decision.get(kind)).collect()
}
