//! The Python package: its form and its types, its wheel, and its tests on every Python that is found.
//!
//! The tools are Python packages themselves. `.ci/run` puts them into `target/python`; without it they are
//! those of the Python that `DFO_PYTHON` names.

mod found;
mod installed;
mod wheel;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use super::shell::{Line, Shell};
use found::Python;

/// The steps of CI that are about the package alone.
pub const STEPS: [&str; 3] = ["python-types", "python-wheel", "python-versions"];

/// The crate of the package.
const PACKAGE: &str = "crates/dfo-python";

/// Where Python files are, of the package and others.
const SOURCES: [&str; 2] = ["crates", "examples"];

/// What is a package of Python's and is needed here, besides pytest and pyzmq.
const TOOLS: [&str; 4] = ["ruff", "mypy", "maturin", "abi3audit"];

/// Every Python file is formatted, and free of what ruff looks for; the package, its tests and the examples
/// are typed, strictly.
pub fn types(shell: &Shell) -> Result<()> {
    has_tools(shell)?;
    let settings = format!("--config={PACKAGE}/pyproject.toml");
    for task in [["format", "--check"].as_slice(), &["check"]] {
        let ruff = tool(shell, "ruff").args(task);
        ruff.args(&["--no-cache", &settings]).args(&SOURCES).run()?;
    }
    let cache = shell.root().join("target/mypy");
    let mypy = tool(shell, "mypy").args(&["--cache-dir", text(&cache)?]);
    mypy.within(PACKAGE).run()
}

/// The wheel has what it should and no more, its module keeps to the stable ABI, and what is said of its
/// types is so.
pub fn wheel(shell: &Shell) -> Result<()> {
    has_tools(shell)?;
    let wheel = wheel::build(shell)?;
    wheel::is_complete(shell, &wheel)?;
    let audit = tool(shell, "abi3audit").args(&["--strict", "--verbose"]);
    audit.args(&[text(&wheel)?]).run()?;
    wheel::types_are_true(shell, &wheel)
}

/// The wheel installs without a compiler and passes the tests, on this machine's Python and every other
/// that is found.
pub fn versions(shell: &Shell) -> Result<()> {
    let wheel = wheel::newest(shell)?;
    let pythons = found::pythons()?;
    for python in &pythons {
        println!("found {python}");
    }
    ensure!(
        pythons.iter().any(|python| python.has_torch),
        "none of them has PyTorch: on Debian, apt install python3-torch"
    );
    // The first one runs what takes time and what measures it, and so runs alone.
    let (first, others) = pythons.split_at(1);
    test_at_once(shell, first, &wheel)?;
    test_at_once(shell, others, &wheel)?;
    println!("tested on {} Pythons", pythons.len());
    Ok(())
}

/// Tests on each, on as many at once as there are processors. Shows how each went when it is done.
fn test_at_once(shell: &Shell, pythons: &[Python], wheel: &Path) -> Result<()> {
    let left = Mutex::new(pythons.iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<()> {
        while let Some(python) = next() {
            let mut transcript = String::new();
            let passed = installed::passes(shell, python, wheel, &mut transcript);
            println!("\n-- {python}\n{transcript}");
            passed.with_context(|| format!("the wheel on {python}"))?;
        }
        Ok(())
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let joined = worker.join();
            joined.map_err(|_| anyhow!("a thread panicked"))?
        })
    })
}

/// The whole loop around each of the example scripts: the optimizer changes something.
pub fn examples(shell: &Shell) -> Result<()> {
    for script in ["decorator", "polling", "callbacks", "loader"] {
        let run = shell.program("examples/python/run.sh");
        let run = run.args(&[script, "--short"]);
        run.env("DFO_PYTHON", text(&interpreter(shell.root()))?)
            .run()?;
    }
    Ok(())
}

/// The Python that tests and tools take: the one that `DFO_PYTHON` names, that of `.ci/run`, `python3`.
pub fn interpreter(root: &Path) -> PathBuf {
    let named = std::env::var_os("DFO_PYTHON").filter(|name| !name.is_empty());
    let ours = Some(root.join("target/python/bin/python")).filter(|path| path.is_file());
    named
        .map(PathBuf::from)
        .or(ours)
        .unwrap_or_else(|| "python3".into())
}

/// A tool that is a package of Python's.
fn tool(shell: &Shell, name: &str) -> Line {
    let python = shell.program(interpreter(shell.root()));
    python.args(&["-m", name])
}

fn has_tools(shell: &Shell) -> Result<()> {
    let python = interpreter(shell.root());
    let imports = format!("import {}", TOOLS.join(", "));
    let tried = Command::new(&python).args(["-c", &imports]).output();
    let tried = tried.with_context(|| python.display().to_string())?;
    ensure!(
        tried.status.success(),
        "{} lacks one of {}: install them with pip, or run .ci/run, which has them in target/python",
        python.display(),
        TOOLS.join(", ")
    );
    Ok(())
}

/// As an argument.
fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{}: not a path in UTF-8", path.display()))
}
