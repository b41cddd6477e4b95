//! How fast it is: ratios against baselines that are measured in the same run, in turn.
//!
//! Nothing here passes or fails. Figures depend on the machine; ratios depend on it less, and the
//! aims stand beside them.

mod boundary;
mod journal;
mod live;
mod measure;
mod planner;
mod python;
mod replay;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A replay, and the planner alone
    Replay,
    /// The planner with few knobs and nodes, and with many
    Scaling,
    /// The service over ZeroMQ: findings a second
    Rate,
    /// The service over ZeroMQ: from a finding to its plan
    Latency,
    /// The service with a journal and without, and starting with one
    Journal,
    /// What a boundary costs an application
    Boundary,
    /// What the package `dfoptimizer` costs a script: calls, and its import
    Python,
}

/// How much to do.
struct Size {
    findings: usize,
    rounds: usize,
}

/// Runs all benchmarks, or those named; `short` shows that they work, not how fast it is.
pub fn run(root: &Path, short: bool, only: &[Subject]) -> Result<()> {
    let subjects = Subject::value_variants().iter();
    for subject in subjects.filter(|subject| only.is_empty() || only.contains(subject)) {
        match subject {
            Subject::Replay => replay_and_planner(root, short)?,
            Subject::Scaling => planner::scaling(&alone(short))?,
            Subject::Rate => live::rate_of_service(root, &live_rate(short))?,
            Subject::Latency => live::latency_of_service(root, &live_latency(short))?,
            Subject::Journal => {
                live::rate_with_journal(root, &live_rate(short))?;
                println!();
                journal::recovery(root, &alone(short))?;
            }
            Subject::Boundary => boundary::run(root)?,
            Subject::Python => python::run(root, short)?,
        }
        println!();
    }
    Ok(())
}

fn replay_and_planner(root: &Path, short: bool) -> Result<()> {
    let size = alone(short);
    println!("median of {} rounds, the sides in turn\n", size.rounds);
    let replay = replay::replay(root, &size)?;
    let planner = planner::planner_alone(&size)?;
    println!(
        "planner alone / replay       {:>6.2}   (aim: at least 5)",
        planner / replay
    );
    Ok(())
}

fn alone(short: bool) -> Size {
    match short {
        true => Size {
            findings: 5_000,
            rounds: 3,
        },
        false => Size {
            findings: 100_000,
            rounds: 9,
        },
    }
}

fn live_rate(short: bool) -> Size {
    match short {
        true => Size {
            findings: 10_000,
            rounds: 1,
        },
        false => Size {
            findings: 200_000,
            rounds: 5,
        },
    }
}

/// Five seconds a round.
fn live_latency(short: bool) -> Size {
    match short {
        true => Size {
            findings: 200,
            rounds: 1,
        },
        false => Size {
            findings: 5_000,
            rounds: 5,
        },
    }
}
