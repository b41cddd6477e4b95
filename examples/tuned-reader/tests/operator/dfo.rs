//! The command `dfo` as a process: this test's own program, started again.
//!
//! So the command is always that of the same build, and no second build is needed to have it.

use std::process::{Command, Output};

use dfo_transport::Files;
use dfo_transport_zmq::Zmq;

/// The arguments for the process, as JSON.
const ARGUMENTS: &str = "DFO_TEST_ARGUMENTS";

/// The test below.
const IS_DFO: &str = "dfo::is_dfo";

/// What the harness says before it.
const BEFORE: &str = "\nrunning 1 test\n";

pub fn dfo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", IS_DFO, "--nocapture", "--quiet"])
        .env(ARGUMENTS, serde_json::to_string(arguments).unwrap());
    command
}

/// What it said on standard output.
pub fn said(output: &Output) -> String {
    let text = str::from_utf8(&output.stdout).unwrap();
    text.strip_prefix(BEFORE).unwrap().to_owned()
}

/// Not a test but the process; where nothing is to be run, it passes.
#[test]
#[expect(
    clippy::exit,
    reason = "the process ends as dfo would, and not as a test"
)]
fn is_dfo() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let arguments = std::iter::once("dfo".to_owned()).chain(arguments);
    let exit = dfo_cli::Command::new()
        .pack(dfo_knobs_dlio::Dlio)
        .transport(Files)
        .transport(Zmq)
        .run_with(
            arguments.map(Into::into),
            std::io::stdout(),
            std::io::stderr(),
        );
    std::process::exit(exit as i32);
}
