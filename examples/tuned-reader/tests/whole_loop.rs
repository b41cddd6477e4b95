//! The whole loop on one machine: the two programs as processes, the service in this one.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod processes;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dfo_planner::{PlanIds, Planner, Settings};
use dfo_service::{AckMode, Ended, Reason, Service};
use dfo_transport::{Options, Role, Transport as _};
use dfo_transport_zmq::Zmq;
use processes::{LONG, Process, ipc};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The service, until the findings end.
struct Optimizer {
    runtime: Runtime,
    ended: JoinHandle<Ended>,
}

impl Optimizer {
    fn start(folder: &Path, set_up: fn(Service) -> Service) -> Self {
        let given = ["address", "plans-address", "control-address"];
        let given = given.map(|name| (name, ipc(folder, name)));
        let options = Options::check(Zmq.options(), Role::Optimizer, given, &|_| None).unwrap();
        let runtime = Runtime::new().unwrap();
        let ends = runtime.block_on(Zmq.optimizer(&options)).unwrap();
        let planner = Planner::new(Settings::default(), PlanIds::from_seed(1));
        let service = set_up(Service::new(planner, ends));
        let ended = runtime.spawn(async { service.run(pending()).await.unwrap() });
        Optimizer { runtime, ended }
    }

    fn ended(self) -> Ended {
        let ended = async { timeout(LONG, self.ended).await };
        self.runtime.block_on(ended).unwrap().unwrap()
    }
}

/// The stand-in, and the pipe from which it reads.
fn stand_in(folder: &Path) -> (Process, PathBuf) {
    let pipe = folder.join("measurements");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let child = Command::new(env!("CARGO_BIN_EXE_stand-in-diagnoser"))
        .args(["--address", &ipc(folder, "address")])
        .arg("--measurements")
        .arg(&pipe)
        .stdout(Stdio::null())
        .spawn();
    (Process(child.unwrap()), pipe)
}

/// A run that is soon over if it is tuned, and takes a while to wait for that if it is not.
fn reader(folder: &Path) -> Command {
    let mut command = processes::reader(folder);
    command.args(["--json", "--samples", "2000", "--compute-ms", "0"]);
    command
}

/// Runs the program. It may wait for the stand-in to open the pipe.
fn outcome(command: &mut Command) -> Value {
    outcome_of(&command.output().unwrap())
}

fn outcome_of(output: &Output) -> Value {
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["outcome"].take()
}

#[test]
fn the_optimizer_raises_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Optimizer::start(folder.path(), |service| service);
    let (mut stand_in, pipe) = stand_in(folder.path());
    let mut reader = reader(folder.path());
    let outcome = outcome(reader.arg("--measurements").arg(pipe));
    assert!(stand_in.0.wait().unwrap().success());
    let ended = optimizer.ended();

    assert_eq!(outcome["is_complete"], true, "{outcome}");
    assert_eq!(outcome["samples"], 2000, "{outcome}");
    assert!(outcome["applied"].as_u64() >= Some(1), "{outcome}");
    assert!(outcome["threads"].as_u64() > Some(1), "{outcome}");
    let counts = &ended.counts;
    assert!(matches!(ended.reason, Reason::EndOfFindings), "{counts:?}");
    assert!(counts.sent >= 1 && counts.acks >= 1, "{counts:?}");
    assert_eq!(counts.bad_records(), 0, "{counts:?}");
}

#[test]
fn in_a_dry_run_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Optimizer::start(folder.path(), |service| service.dry_run(AckMode::Immediate));
    let (mut stand_in, pipe) = stand_in(folder.path());
    let mut reader = reader(folder.path());
    reader
        .args(["--samples", "100", "--measurements"])
        .arg(pipe);
    let outcome = outcome(&mut reader);
    assert!(stand_in.0.wait().unwrap().success());
    let ended = optimizer.ended();

    assert_eq!(outcome["changes"], Value::Array(Vec::new()), "{outcome}");
    assert_eq!(
        (&outcome["threads"], &outcome["prefetch"]),
        (&1.into(), &2.into())
    );
    assert!(ended.counts.findings > 0, "{:?}", ended.counts);
    assert_eq!(ended.counts.sent, 0);
}

#[test]
fn without_an_optimizer_the_program_runs_the_same() {
    let folder = tempfile::tempdir().unwrap();
    // Addresses at which no one is.
    let outcome = outcome(reader(folder.path()).args(["--samples", "20"]));
    assert_eq!(
        (&outcome["samples"], &outcome["applied"]),
        (&20.into(), &0.into())
    );
    assert_eq!(outcome["is_complete"], true);
}

#[test]
fn the_program_goes_on_where_its_measurements_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(folder.path());
    reader.args(["--samples", "20", "--measurements", "/dev/full"]);
    let output = reader.output().unwrap();
    assert_eq!(outcome_of(&output)["samples"], 20);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.contains("measurements"), "{complaints}");
}

/// A window in which the program waited most of the time.
const WINDOW: &str = r#"{"window": 1, "samples": 8, "fetch_s": 0.9, "compute_s": 0.1}"#;

fn diagnose(folder: &Path, address: &str, patience: &str, lines: &[&str]) -> Output {
    let times = folder.join("times");
    std::fs::write(&times, lines.join("\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_stand-in-diagnoser"))
        .args([
            "--address",
            address,
            "--patience",
            patience,
            "--measurements",
        ])
        .arg(&times)
        .output()
        .unwrap()
}

#[test]
fn a_line_that_makes_no_sense_is_named_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Optimizer::start(folder.path(), |service| service);
    let lines = [WINDOW, r#"{"window": "two"}"#, WINDOW];
    let address = ipc(folder.path(), "address");
    let output = diagnose(folder.path(), &address, "60", &lines);
    assert!(output.status.success());
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.contains("times:2: "), "{complaints}");
    assert_eq!(optimizer.ended().counts.findings, 2);
}

#[test]
fn a_diagnoser_without_an_optimizer_says_so_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let output = diagnose(folder.path(), "tcp://127.0.0.1:0", "1", &[WINDOW]);
    assert!(!output.status.success());
    let complaints = String::from_utf8_lossy(&output.stderr);
    let expected = "no optimizer took a finding";
    assert!(complaints.contains(expected), "{complaints}");
    // The port that it chose is told.
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.starts_with("findings at tcp://127.0.0.1:"), "{told}");
    assert!(!told.contains(":0\n"), "{told}");
}
