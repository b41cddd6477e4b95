//! Everything that must hold before a change lands, one step after the other.
//!
//! A step is a name and a function. Steps stand in the order in which they fail fastest; the first
//! failure ends the run, and its line is the last. `.ci/run` installs what a bare machine lacks and
//! then runs this.

mod fuzz;
mod operate;
pub mod python;
mod readme;
mod shell;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use crate::{codegen, tidy};
use shell::Shell;

struct Step {
    name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

const STEPS: [Step; 23] = [
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        run: |shell| tidy::run(shell.root()),
    },
    Step {
        name: "codegen",
        run: |shell| codegen::check(shell.root()),
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "python-types",
        run: python::types,
    },
    Step {
        name: "readme",
        run: readme::first_command,
    },
    Step {
        name: "test",
        run: readme::test_command,
    },
    Step {
        name: "without-zmq",
        run: without_zmq,
    },
    Step {
        name: "readme-rest",
        run: readme::other_commands,
    },
    Step {
        name: "operate",
        run: operate::session,
    },
    Step {
        name: "ignored-tests",
        run: ignored_tests,
    },
    Step {
        name: "python-wheel",
        run: python::wheel,
    },
    Step {
        name: "python-versions",
        run: python::versions,
    },
    Step {
        name: "python-examples",
        run: python::examples,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "purity",
        run: purity,
    },
    Step {
        name: "conformance",
        run: |shell| in_release(shell, &["conformance"]),
    },
    Step {
        name: "bench",
        run: |shell| in_release(shell, &["bench", "--short"]),
    },
    Step {
        name: "soak",
        run: |shell| in_release(shell, &["soak", "--short"]),
    },
    Step {
        name: "fuzz-build",
        run: fuzz::build,
    },
    Step {
        name: "fuzz-decode",
        run: |shell| fuzz::run(shell, "decode"),
    },
    Step {
        name: "fuzz-events",
        run: |shell| fuzz::run(shell, "events"),
    },
    Step {
        name: "fuzz-journal",
        run: |shell| fuzz::run(shell, "journal"),
    },
];

/// The names that `ci` takes on its command line.
pub fn step_names() -> PossibleValuesParser {
    STEPS.map(|step| step.name).into()
}

/// Runs the steps, or only those named; stops at the first that fails.
pub fn run(root: &Path, only: &[String]) -> Result<()> {
    let shell = Shell::new(root);
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    let count = steps.len();
    let start = Instant::now();
    for (number, step) in (1..).zip(steps) {
        println!("\n==== {number}/{count} {} ====", step.name);
        let step_start = Instant::now();
        let result = (step.run)(&shell);
        result.with_context(|| {
            let after = seconds(start.elapsed());
            format!(
                "\nci: FAILED at `{}`, step {number} of {count}, after {after}",
                step.name
            )
        })?;
        println!(
            "---- {} passed in {}",
            step.name,
            seconds(step_start.elapsed())
        );
    }
    println!(
        "\nci: passed, {count} steps in {}",
        seconds(start.elapsed())
    );
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn fmt(shell: &Shell) -> Result<()> {
    shell.cargo(&["fmt", "--all", "--check"]).run()?;
    shell
        .cargo(&["fmt", "--manifest-path", fuzz::MANIFEST, "--check"])
        .run()
}

fn clippy(shell: &Shell) -> Result<()> {
    let everything = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
    ];
    shell
        .cargo(&everything)
        .args(&["--", "-D", "warnings"])
        .run()
}

/// The command as it is by default. The whole workspace is tested with ZeroMQ, which xtask asks for;
/// on its own the command has it not, and says how to get it.
fn without_zmq(shell: &Shell) -> Result<()> {
    let tests = ["test", "--locked", "--package", "dfo-cli"];
    let tests = shell.cargo(&tests).args(&["--no-default-features"]);
    tests.args(&["--test", "without_zmq"]).run()
}

/// The tests that `cargo test` passes over: helpers of other tests, and what takes long.
fn ignored_tests(shell: &Shell) -> Result<()> {
    shell
        .cargo(&["test", "--locked", "--workspace", "--", "--ignored"])
        .run()
}

fn docs(shell: &Shell) -> Result<()> {
    let docs = [
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--all-features",
    ];
    shell.cargo(&docs).env("RUSTDOCFLAGS", "-D warnings").run()
}

/// What is built by default builds where there is no C compiler: in a folder of its own, so that
/// nothing that an earlier build has compiled is found.
fn purity(shell: &Shell) -> Result<()> {
    let folder = "target/pure";
    match std::fs::remove_dir_all(shell.root().join(folder)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => bail!("{folder}: {e}"),
        _ => {}
    }
    shell
        .cargo(&["build", "--locked", "--target-dir", folder])
        .env("CC", "false")
        .env("CXX", "false")
        .run()
}

/// A task whose answer takes long, or is about speed.
fn in_release(shell: &Shell, task: &[&str]) -> Result<()> {
    let xtask = [
        "run",
        "--locked",
        "--quiet",
        "--release",
        "--package",
        "xtask",
        "--",
    ];
    shell.cargo(&xtask).args(task).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own() {
        let mut names = STEPS.map(|step| step.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
