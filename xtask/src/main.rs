//! The project's own tasks, run as `cargo xtask <task>`.
//!
//! What a contributor or CI does to the repository is written here once, in Rust, so that it runs
//! the same everywhere. A task prints what it does and fails with what to do next. Nothing here is
//! part of the product.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks talk to the person who runs them"
)]

mod bench;
mod ci;
mod codegen;
mod conformance;
mod peers;
mod product;
mod soak;
mod tidy;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The project's own tasks"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// How fast it is: ratios against baselines measured in the same run
    Bench {
        /// Only show that the benchmarks work
        #[arg(long)]
        short: bool,
        /// Only these
        #[arg(value_name = "SUBJECT")]
        only: Vec<bench::Subject>,
    },
    /// Everything that must hold before a change lands; stops at the first failure
    Ci {
        /// Only these steps, in CI's order
        #[arg(value_name = "STEP", value_parser = ci::step_names())]
        only: Vec<String>,
    },
    /// Write the generated files that are checked in
    Codegen {
        /// Write nothing; fail if a file is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Replay recorded scenarios of the original planner, and compare step by step
    Conformance {
        /// Files of scenarios, plain or gzip; without one, the copy in the repository
        files: Vec<PathBuf>,
    },
    /// The Python package: its types, its wheel, and its tests on every Python that is found
    Python,
    /// Let the service run for long, and see that it neither grows nor loses anything
    Soak {
        /// A fiftieth of it
        #[arg(long)]
        short: bool,
    },
    /// Prove the project's rules by looking at its files and dependencies
    Tidy,
    /// The command itself, for what is measured as a process
    #[command(hide = true, disable_help_flag = true)]
    Dfo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Pass records on, for what the service is measured against
    #[command(hide = true)]
    Forward { findings: String },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        // Without optimization nothing is worth measuring, the baselines in C++ neither.
        Task::Bench { .. } | Task::Soak { .. } if cfg!(debug_assertions) => in_release()?,
        Task::Bench { short, only } => bench::run(&root()?, short, &only)?,
        Task::Ci { only } => ci::run(&root()?, &only)?,
        Task::Codegen { check: true } => codegen::check(&root()?)?,
        Task::Codegen { check: false } => codegen::write(&root()?)?,
        Task::Conformance { files } => {
            let report = conformance::run(&root()?, &files)?;
            println!("{}", report.text());
            ensure!(report.mismatches == 0, "the planner does not conform");
        }
        Task::Python => ci::run(&root()?, &ci::python::STEPS.map(str::to_owned))?,
        Task::Soak { short } => soak::run(&root()?, short)?,
        Task::Tidy => tidy::run(&root()?)?,
        Task::Dfo { arguments } => return Ok(product::run(arguments).into()),
        Task::Forward { findings } => peers::forwarder::run(&findings)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs this very task again, in release.
fn in_release() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "xtask", "--"]);
    let status = cargo.args(std::env::args_os().skip(1)).status();
    let status = status.context("cargo run --release")?;
    ensure!(status.success(), "it failed in release: {status}");
    Ok(())
}

/// The folder of the workspace that the current folder belongs to.
fn root() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().no_deps().exec();
    let metadata = metadata.context("run this inside the project")?;
    Ok(metadata.workspace_root.into())
}
