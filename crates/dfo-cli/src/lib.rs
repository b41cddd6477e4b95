//! The command `dfo`: replay findings, check files, show knobs.
//!
//! A library too, so that a site's own command, with its own knob packs beside ours, is a `main` of
//! a few lines:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     dfo_cli::Command::new().pack(dfo_knobs_dlio::Dlio).run()
//! }
//! ```
//!
//! Exit codes are part of the interface: see [`Exit`].
//!
//! # What this crate is not for
//!
//! It decides nothing (`dfo-planner`) and knows no format (`dfo-model`): it opens files, feeds the
//! planner, and renders its decisions for eyes and for programs.

mod args;
mod check;
mod exit;
mod input;
mod knobs;
mod locate;
mod output;
mod replay;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use dfo_model::KnobPack;

use args::{Cli, Subcommand};
pub use exit::Exit;
use output::Console;

/// The command, with the knob packs it knows.
#[derive(Default)]
pub struct Command {
    packs: Vec<Box<dyn KnobPack>>,
}

impl Command {
    /// The command without packs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pack of knobs for `--bootstrap`.
    #[must_use]
    pub fn pack(mut self, pack: impl KnobPack + 'static) -> Self {
        self.packs.push(Box::new(pack));
        self
    }

    /// Runs with the arguments and the streams of this process.
    pub fn run(self) -> ExitCode {
        self.run_on(std::env::args_os(), Console::of_process())
            .into()
    }

    /// Runs with other arguments (the first is the command's own name) and streams, without colour.
    pub fn run_with(
        self,
        args: impl IntoIterator<Item = OsString>,
        out: impl Write + 'static,
        err: impl Write + 'static,
    ) -> Exit {
        self.run_on(args, Console::plain(Box::new(out), Box::new(err)))
    }

    fn run_on(self, args: impl IntoIterator<Item = OsString>, mut console: Console) -> Exit {
        let cli = match Cli::try_parse_from(args) {
            Ok(cli) => cli,
            Err(error) => return console.usage(&error),
        };
        let done = match &cli.command {
            Subcommand::Replay(args) => replay::run(args, &self.packs, &mut console),
            Subcommand::Check(args) => check::run(args, &mut console),
            Subcommand::Knobs(args) => knobs::run(args, &self.packs, &mut console),
        };
        console.finish(done)
    }
}

/// The arguments of the command, for manual pages and completions.
pub fn arguments() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
