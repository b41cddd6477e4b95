//! Python programs with pyzmq: a client that no one here wrote.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use super::{Lines, Process};
use crate::dfo::has;

/// Whether there is a Python with pyzmq: the one that `DFO_PYTHON` names, else `python3`.
pub fn has_pyzmq() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    let is_there = *HAS.get_or_init(|| {
        let mut python = Command::new(interpreter());
        let tried = python.args(["-c", "import zmq"]).output();
        tried.is_ok_and(|ran| ran.status.success())
    });
    has("pyzmq (DFO_PYTHON names a Python that has it)", is_there)
}

fn interpreter() -> String {
    let named = std::env::var("DFO_PYTHON").ok();
    named
        .filter(|name| !name.is_empty())
        .unwrap_or("python3".to_owned())
}

/// A running Python program.
pub struct Python {
    pub process: Process,
    pub stdin: ChildStdin,
    pub out: Lines,
}

impl Python {
    /// One of the programs beside this file.
    pub fn run(script: &str, args: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live");
        let mut child = Command::new(interpreter())
            .arg("-u")
            .arg(folder.join(script))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = child.stderr.take().expect("a pipe");
        thread::spawn(move || std::io::copy(&mut errors, &mut std::io::stderr()));
        Python {
            stdin: child.stdin.take().expect("a pipe"),
            out: Lines::of(child.stdout.take().expect("a pipe")),
            process: Process(child),
        }
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("it reads");
    }
}
