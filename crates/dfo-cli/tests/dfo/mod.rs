//! The command as a process, in a folder of its own.
//!
//! A test puts files into a [`Folder`], runs `dfo` there, and looks at what [`Ran`]. The environment
//! is empty but for `DLIO_KNOB_MAX_THREADS=8`, as in the README. No run may take longer than
//! [`DEADLINE`]: what hangs is ended and fails.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, none of which needs all of it"
)]

use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
pub use serde_json::json;
use serde_json::{Map, Value as Json};
use tempfile::TempDir;

pub const DFO: &str = env!("CARGO_BIN_EXE_dfo");
const DEADLINE: Duration = Duration::from_secs(30);
/// Lines that fit a screen, generously.
pub const SCREEN: usize = 30;

/// A file that comes with the project.
pub fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    path.join(name).to_str().unwrap().to_owned()
}

/// What the original showed on its example, and the README shows.
pub const README_EXAMPLE: &str = "findings/original_example.jsonl";
/// Two hundred windows of a run on four nodes: 1,669 findings.
pub const SESSION: &str = "findings/session_control.jsonl.gz";

/// A folder in which the command runs.
pub struct Folder(Rc<TempDir>);

impl Folder {
    pub fn new() -> Self {
        Folder(Rc::new(tempfile::tempdir().unwrap()))
    }

    /// A folder with one file.
    pub fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        Folder::new().file(name, content)
    }

    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `dfo` with these arguments, split at blanks.
    pub fn run(&self, args: &str) -> Ran {
        self.dfo(args).run()
    }

    /// `dfo replay … --bootstrap dlio`.
    pub fn replay(&self, args: &str) -> Ran {
        self.run(&format!("replay {args} --bootstrap dlio"))
    }

    /// `dfo` with these arguments, split at blanks, to be run.
    pub fn dfo(&self, args: &str) -> Dfo {
        let mut dfo = self.program(DFO);
        dfo.command.args(args.split_whitespace());
        dfo
    }

    /// A line of shell, in which `$DFO` is the command.
    pub fn shell(&self, line: &str) -> Dfo {
        self.program("sh").arg("-c").arg(line).env("DFO", DFO)
    }

    /// Another program, to be run here.
    pub fn program(&self, name: &str) -> Dfo {
        let mut command = Command::new(name);
        command.current_dir(self.0.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("DLIO_KNOB_MAX_THREADS", "8");
        Dfo {
            command,
            stdin: Vec::new(),
            _folder: Rc::clone(&self.0),
        }
    }
}

/// A process to be started.
pub struct Dfo {
    pub command: Command,
    stdin: Vec<u8>,
    _folder: Rc<TempDir>,
}

impl Dfo {
    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let pipe = Stdio::piped;
        self.command.stdin(pipe()).stdout(pipe()).stderr(pipe());
        // A group of its own, so that all of it can be ended.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        let mut child = self.command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().unwrap();
        let input = self.stdin;
        // One that reads nothing closes the pipe; that is its right.
        thread::spawn(move || stdin.write_all(&input));
        let out = read_all(child.stdout.take().unwrap());
        let err = read_all(child.stderr.take().unwrap());
        let (out, err) = (in_time(&out, &mut child), in_time(&err, &mut child));
        let status = child.wait().unwrap();
        Ran {
            code: status
                .code()
                .unwrap_or_else(|| panic!("{status}, after {err}")),
            out,
            err,
        }
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        done.send(bytes)
    });
    result
}

fn in_time(stream: &mpsc::Receiver<Vec<u8>>, child: &mut Child) -> String {
    let Ok(bytes) = stream.recv_timeout(DEADLINE) else {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        child.kill().unwrap();
        panic!("did not end within {DEADLINE:?}");
    };
    String::from_utf8(bytes).expect("UTF-8 comes out, whatever goes in")
}

/// A process that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// It ended with 0, and had nothing to complain of.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.err, "", "{self}");
        self.exits(0)
    }

    /// One line of standard error says this.
    #[track_caller]
    pub fn complains(self, of: &str) -> Self {
        let mut lines = self.err.lines();
        assert!(lines.any(|l| l.contains(of)), "no {of:?} in:\n{self}");
        self
    }

    /// One line of standard output says this.
    #[track_caller]
    pub fn says(self, what: &str) -> Self {
        let mut lines = self.out.lines();
        assert!(lines.any(|l| l.contains(what)), "no {what:?} in:\n{self}");
        self
    }

    /// The number before a word of the summary: `2` of `2 plans`.
    #[track_caller]
    pub fn count(&self, of: &str) -> u64 {
        let summary = self.out.lines().rfind(|l| l.contains(" finding"));
        let counts = summary.unwrap_or_else(|| panic!("no summary in:\n{self}"));
        let count = counts.split(", ").find(|c| c.contains(of)).unwrap();
        match count.split(' ').next().unwrap() {
            "no" => 0,
            number => number.parse().unwrap(),
        }
    }

    /// The JSON objects on standard output, one a line.
    #[track_caller]
    pub fn events(&self) -> Vec<Map<String, Json>> {
        let event = |line: &str| match serde_json::from_str(line) {
            Ok(Json::Object(event)) => event,
            _ => panic!("not an object: {line}\n{self}"),
        };
        self.out.lines().map(event).collect()
    }

    /// Those of one name.
    #[track_caller]
    pub fn events_named(&self, name: &str) -> Vec<Map<String, Json>> {
        let mut events = self.events();
        events.retain(|e| e["event"] == name);
        events
    }

    /// The one event that ends a replay.
    #[track_caller]
    pub fn done(&self) -> Map<String, Json> {
        let last = self.events().pop().expect("events");
        assert_eq!(last["event"], "optimizer.file.done", "{self}");
        last
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ran { code, out, err } = self;
        write!(f, "exit code {code}\n[stdout]\n{out}\n[stderr]\n{err}")
    }
}

/// A finding on which both DLIO knobs act, at a window: severe, lasting, getting worse.
pub fn finding(window: i64) -> Json {
    json!({
        "finding_type": "fetch_pressure", "scope": "app:window", "severity_score": 0.9,
        "persistence": 9, "trend_direction": "worsening", "window_index": window,
        "opportunity_tags": ["dataloader_prefetch", "reader_parallelism"],
        "key_metrics": {"fetch_frac": 0.8, "compute_frac": 0.2},
    })
}

/// The same with one field changed.
pub fn finding_with(field: &str, value: Json) -> Json {
    let mut finding = finding(1);
    finding[field] = value;
    finding
}

/// JSON lines.
pub fn lines<T: ToString>(records: impl IntoIterator<Item = T>) -> String {
    let line = |record: T| record.to_string() + "\n";
    records.into_iter().map(line).collect()
}

pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Whether this machine has something. Where it has not, the test is skipped loudly; in CI it fails.
pub fn has(what: &str, is_there: bool) -> bool {
    if !is_there {
        let in_ci = std::env::var_os("DFO_NO_SKIP").is_some();
        assert!(!in_ci, "missing: {what}; nothing is skipped in CI");
        // Not `eprintln!`: the harness would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED, for want of {what}");
    }
    is_there
}
