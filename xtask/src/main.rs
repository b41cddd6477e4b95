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
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
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
    /// Prove the project's rules by looking at its files and dependencies
    Tidy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let root = root()?;
    match task {
        Task::Bench { short } => bench::run(&root, short),
        Task::Ci { only } => ci::run(&root, &only),
        Task::Codegen { check: true } => codegen::check(&root),
        Task::Codegen { check: false } => codegen::write(&root),
        Task::Conformance { files } => {
            let report = conformance::run(&root, &files)?;
            println!("{}", report.text());
            anyhow::ensure!(report.mismatches == 0, "the planner does not conform");
            Ok(())
        }
        Task::Tidy => tidy::run(&root),
    }
}

/// The folder of the workspace that the current folder belongs to.
fn root() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().no_deps().exec();
    let metadata = metadata.context("run this inside the project")?;
    Ok(metadata.workspace_root.into())
}
