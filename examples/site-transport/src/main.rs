//! The site's own command: everything that `dfo` does, over the site's transport, too.

use std::process::ExitCode;

use dfo_cli::Command;
use site_transport::UnixSockets;

fn main() -> ExitCode {
    Command::new()
        .pack(dfo_knobs_dlio::Dlio)
        .transport(UnixSockets)
        .run()
}
