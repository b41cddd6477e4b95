//! The fuzz targets, some seconds each, on the stable toolchain.
//!
//! `cargo fuzz` asks for a nightly compiler because of its sanitizers. What guides libFuzzer, the
//! coverage counters, is an ordinary LLVM pass of the stable one; without `unsafe` there is little
//! for a sanitizer to find. So the targets are ordinary programs, and `-C` flags do the rest.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::shell::{Line, Shell};

/// The crate of the targets, outside the workspace.
pub const MANIFEST: &str = "fuzz/Cargo.toml";

/// Coverage counters, and comparisons for libFuzzer to learn from.
const COVERAGE: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// How long, how slow, and how large one run may be. The seed makes a clean clone try the same inputs
/// each time, so that what fails here was broken by the change; without it, by hand, any may come.
const LIMITS: [&str; 5] = [
    "-seed=1",
    "-max_total_time=10",
    "-timeout=10",
    "-rss_limit_mb=1024",
    "-print_final_stats=1",
];

/// Builds all targets; apart from running them, so that their seconds are for fuzzing.
pub fn build(shell: &Shell) -> Result<()> {
    let host = host()?;
    instrumented(shell, "build", &host).args(&["--bins"]).run()
}

/// Runs a target from what earlier runs kept and from the inputs that are checked in.
pub fn run(shell: &Shell, target: &str) -> Result<()> {
    let host = host()?;
    let [corpus, artifacts, seeds] =
        ["corpus", "artifacts", "seeds"].map(|folder| format!("fuzz/{folder}/{target}"));
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(shell.root().join(folder)).with_context(|| folder.clone())?;
    }
    let prefix = format!("-artifact_prefix={artifacts}/");
    let run = instrumented(shell, "run", &host).args(&["--quiet", "--bin", target, "--"]);
    let mut run = run.args(&LIMITS).args(&[&prefix, &corpus]);
    if shell.root().join(&seeds).is_dir() {
        run = run.args(&[&seeds]);
    }
    let stats = |line: &str| line.starts_with("stat::");
    run.run_showing(stats)
        .with_context(|| format!("{target}: the input that does it is in {artifacts}/"))
}

/// A cargo command on the targets. Naming the host as target keeps the flags off build scripts.
fn instrumented(shell: &Shell, command: &str, host: &str) -> Line {
    shell
        .cargo(&[
            command,
            "--locked",
            "--release",
            "--manifest-path",
            MANIFEST,
        ])
        .args(&["--target", host, "--target-dir", "fuzz/target"])
        .env("RUSTFLAGS", &COVERAGE.join(" "))
}

/// The platform of this machine, as the compiler names it.
fn host() -> Result<String> {
    let rustc = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc -vV")?;
    let text = String::from_utf8_lossy(&rustc.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    match host {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc -vV names no host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_names_its_host() {
        assert!(host().unwrap().contains('-'));
    }
}
