//! The command line, the environment and the configuration file of `dfo serve`, `send` and `tail`.

#![cfg(feature = "zmq")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;
mod live;

#[path = "live/command_line/config_file.rs"]
mod config_file;
#[path = "live/command_line/environment.rs"]
mod environment;
#[path = "live/command_line/mistakes.rs"]
mod mistakes;
#[path = "live/command_line/plans_addresses.rs"]
mod plans_addresses;
#[path = "live/command_line/send_and_tail.rs"]
mod send_and_tail;

use dfo::{DFO, Folder};

#[test]
fn the_help_of_serve_says_all_that_can_be_chosen() {
    let help = Folder::new().run("serve zmq --help").succeeds().out;
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("live/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("serve_zmq_help", lines.join("\n")));
}

#[test]
fn the_help_does_not_depend_on_the_environment() {
    let help = |name: &str, value: &str| {
        let dfo = Folder::new().dfo("serve zmq --help").env(name, value);
        dfo.run().succeeds().out
    };
    let plain = help("NOTHING", "");
    for name in [
        "DFOPTIMIZER_IDLE_TIMEOUT_SEC",
        "DFOPTIMIZER_ZMQ_FINDINGS",
        "DFOPTIMIZER_ZMQ_PLANS",
        "DFOPTIMIZER_TRANSPORT",
    ] {
        assert_eq!(help(name, "17"), plain, "{name}");
    }
}

#[test]
fn the_program_is_the_one_with_zmq() {
    let out = Folder::new().program(DFO).arg("serve").arg("--help").run();
    assert!(out.succeeds().out.contains("PUSH and PULL"));
}
