//! The command `dfo`.

use std::process::ExitCode;

use dfo_cli::Command;

fn main() -> ExitCode {
    Command::new()
        // One line a pack.
        .pack(dfo_knobs_dlio::Dlio)
        .run()
}
