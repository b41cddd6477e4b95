//! The command `dfo`: replay findings, check files, show knobs, run beside a job, and ask its journal why.
//!
//! A library too, so that a site's own command, with its own knob packs and transports beside ours,
//! is a `main` of a few lines:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use dfo_cli::Command;
//!
//! fn main() -> ExitCode {
//!     // A transport is added in the same way: `.transport(UnixSockets)`, and then `dfo serve unix`,
//!     // `dfo send unix` and `dfo tail unix` take its options.
//!     Command::new().pack(dfo_knobs_dlio::Dlio).run()
//! }
//! ```
//!
//! `examples/site-transport` is such a command, complete. Exit codes are part of the interface: see
//! [`Exit`].
//!
//! # What this crate is not for
//!
//! It decides nothing (`dfo-planner`), knows no format (`dfo-model`), and has no transport of its own:
//! it opens files and ends, feeds the planner or the service (`dfo-service`), and renders decisions
//! for eyes and for programs.

mod args;
mod check;
mod ctl;
mod exit;
mod explain;
mod input;
mod knobs;
mod live;
mod locate;
mod output;
mod replay;
mod report;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use dfo_model::KnobPack;
use dfo_transport::{Transport, Transports};

use args::{Cli, Subcommand};
pub use exit::Exit;
use live::Known;
use output::Console;

/// The command, with the knob packs and the transports that it knows.
#[derive(Default)]
pub struct Command {
    packs: Vec<Box<dyn KnobPack>>,
    transports: Transports,
    absent: Vec<(&'static str, &'static str)>,
}

impl Command {
    /// The command without packs and transports.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pack of knobs for `--bootstrap`.
    #[must_use]
    pub fn pack(mut self, pack: impl KnobPack + 'static) -> Self {
        self.packs.push(Box::new(pack));
        self
    }

    /// Adds a transport for `serve`, `send` and `tail`.
    #[must_use]
    pub fn transport(self, transport: impl Transport + 'static) -> Self {
        Self {
            transports: self.transports.with(transport),
            ..self
        }
    }

    /// Names a transport that this program was built without, and how to get it. Whoever asks for it
    /// is told.
    #[must_use]
    pub fn without_transport(mut self, name: &'static str, how_to_get_it: &'static str) -> Self {
        self.absent.push((name, how_to_get_it));
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
        err: impl Write + Send + 'static,
    ) -> Exit {
        self.run_on(args, Console::plain(Box::new(out), Box::new(err)))
    }

    /// The arguments of the command, for manual pages and completions.
    pub fn arguments(self) -> clap::Command {
        live::add_commands(Cli::command(), &self.known())
    }

    fn known(self) -> Known {
        Known {
            packs: self.packs,
            transports: self.transports,
            absent: self.absent,
        }
    }

    fn run_on(self, args: impl IntoIterator<Item = OsString>, mut console: Console) -> Exit {
        let known = self.known();
        let command = live::add_commands(Cli::command(), &known);
        let matches = match command.try_get_matches_from(args) {
            Ok(matches) => matches,
            Err(error) => return console.usage(&error),
        };
        if let Some(done) = live::run(&matches, &known, &mut console) {
            return console.finish(done);
        }
        let cli = match Cli::from_arg_matches(&matches) {
            Ok(cli) => cli,
            Err(error) => return console.usage(&error),
        };
        let packs = &known.packs;
        let done = match cli.command {
            Subcommand::Replay(args) => replay::run(&args, packs, &mut console),
            Subcommand::Verify(args) => verify::run(&args, &mut console),
            Subcommand::Explain(args) => explain::run(&args, &mut console),
            Subcommand::Check(args) => check::run(&args, &mut console),
            Subcommand::Ctl(args) => ctl::run(args, &mut console),
            Subcommand::Knobs(args) => knobs::run(&args, packs, &mut console),
        };
        console.finish(done)
    }
}
