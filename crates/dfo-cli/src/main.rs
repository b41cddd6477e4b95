//! The command `dfo`.

use std::process::ExitCode;

use dfo_cli::Command;

fn main() -> ExitCode {
    let command = Command::new()
        // One line a pack.
        .pack(dfo_knobs_dlio::Dlio)
        .pack(dfo_knobs_torch::Torch);
    // One line a transport.
    let command = command.transport(dfo_transport::Files);
    #[cfg(feature = "zmq")]
    let command = command.transport(dfo_transport_zmq::Zmq);
    #[cfg(not(feature = "zmq"))]
    let command = command.without_transport(
        "zmq",
        "build it with `--features zmq`, as in `cargo install --path crates/dfo-cli --features zmq`",
    );
    command.run()
}
