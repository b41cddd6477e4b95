//! Kills, many of them: the tests of `dfo serve --journal`, for longer.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs them with so many kills each; they print their figures themselves. Not in release: a kill
/// finds the service at work in either, and this build is there.
pub fn run(root: &Path, kills: u32) -> Result<()> {
    println!("dfo serve --journal, killed {kills} times in each test");
    let status = Command::new("cargo")
        .args(["test", "--locked", "--quiet"])
        .args([
            "--package",
            "dfo-cli",
            "--features",
            "zmq",
            "--test",
            "journal_crashes",
        ])
        .args(["--", "--nocapture"])
        .env("DFO_KILLS", kills.to_string())
        .current_dir(root)
        .status()
        .context("cargo test")?;
    ensure!(status.success(), "cargo test -p dfo-cli: {status}");
    Ok(())
}
