//! The command as it is installed with `--features zmq`: to describe it, and to run it as a process.
//!
//! What measures the service starts this program again as `dfo`. So the service is a process of its
//! own, and no second build is needed to have it.

use std::ffi::OsString;

use dfo_cli::{Command, Exit};

/// The command with the packs and transports of `dfo`.
pub fn command() -> Command {
    Command::new()
        .pack(dfo_knobs_dlio::Dlio)
        .pack(dfo_knobs_torch::Torch)
        .transport(dfo_transport::Files)
        .transport(dfo_transport_zmq::Zmq)
}

/// Runs it with these arguments, on the streams of this process.
pub fn run(arguments: Vec<OsString>) -> Exit {
    let arguments = std::iter::once("dfo".into()).chain(arguments);
    command().run_with(arguments, std::io::stdout(), std::io::stderr())
}
