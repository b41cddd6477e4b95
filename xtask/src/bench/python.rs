//! What the Python package costs a script: the bench of `dfo-python`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ci::python::interpreter;

/// Runs it; it prints its figures itself.
pub fn run(root: &Path, short: bool) -> Result<()> {
    println!("the Python package, in a script in which nothing changes");
    let mut bench = Command::new("cargo");
    bench
        .args(["bench", "--locked", "--quiet", "--profile", "release"])
        .args(["--package", "dfo-python", "--bench", "overhead", "--"])
        .args(short.then_some("--short"))
        .env("DFO_PYTHON", interpreter(root))
        .current_dir(root);
    let status = bench.status().context("cargo bench")?;
    ensure!(status.success(), "cargo bench -p dfo-python: {status}");
    Ok(())
}
