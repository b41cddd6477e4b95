//! What a boundary with nothing to do costs an application: the bench of `dfo-context`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs it; it prints its figures itself.
pub fn run(root: &Path) -> Result<()> {
    println!("a boundary with nothing to do (aim: about as much as an atomic load)");
    let status = Command::new("cargo")
        .args(["bench", "--locked", "--quiet", "--profile", "release"])
        .args(["--package", "dfo-context", "--bench", "boundary"])
        .current_dir(root)
        .status()
        .context("cargo bench")?;
    ensure!(status.success(), "cargo bench -p dfo-context: {status}");
    Ok(())
}
