//! The tests in `tests/python`, a test here for each file there: `cargo test` runs them.
//!
//! They take a Python with pytest and pyzmq: the one that `DFO_PYTHON` names, else `python3`. Without one
//! they are skipped, and say so; where `DFO_NO_SKIP` is set, as in CI, they fail. Nothing is written beside
//! the sources.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what goes wrong here fails the test that it is for, and what pytest says is shown then"
)]

mod package;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, PoisonError, RwLock};

use package::{CRATE, Package};

/// The files, by name without `.py`: those that run beside each other, and those that measure times, and so
/// run alone.
macro_rules! files {
    (beside: $($beside:ident)*, alone: $($alone:ident)*) => {
        $(#[test]
        fn $beside() {
            let _others = TURN.read().unwrap_or_else(PoisonError::into_inner);
            passes(concat!(stringify!($beside), ".py"));
        })*
        $(#[test]
        fn $alone() {
            let _nobody = TURN.write().unwrap_or_else(PoisonError::into_inner);
            passes(concat!(stringify!($alone), ".py"));
        })*
        const FILES: &[&str] = &[
            $(concat!(stringify!($beside), ".py"),)*
            $(concat!(stringify!($alone), ".py"),)*
        ];
    };
}

static TURN: RwLock<()> = RwLock::new(());

files! {
    beside:
        test_context test_defects test_docs test_exit test_faults test_forms test_package test_processes
        test_torch test_tunable test_unchanged,
    alone:
        test_endurance
}

#[test]
fn each_python_file_has_its_test_here() {
    let folder = Path::new(CRATE).join("tests/python");
    let names = fs::read_dir(folder).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().into_owned()
    });
    let mut found: Vec<String> = names.filter(|name| name.starts_with("test_")).collect();
    found.sort_unstable();
    let mut expected = FILES.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "`files!` of tests/pytest.rs names each");
}

/// Runs a file's tests, and shows what pytest says.
fn passes(file: &str) {
    if !*HAS_PYTEST {
        return;
    }
    let package = Package::new().unwrap();
    let mut pytest = package.python();
    pytest
        .args(["-m", "pytest", "-p", "no:cacheprovider", "-rs", "-v"])
        .arg(Path::new("tests/python").join(file))
        // Else Python would write beside the tests.
        .env("PYTHONPYCACHEPREFIX", package.path().join("cache"));
    if let Some(dfo) = DFO.as_ref() {
        pytest.env("DFO_BIN", dfo);
    }
    let ran = pytest.output().unwrap();
    let [out, err] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
    println!("{out}{err}");
    let skipped = out.lines().filter(|line| line.starts_with("SKIPPED"));
    let skipped: Vec<&str> = skipped.inspect(|line| notice(line)).collect();
    assert!(
        !is_strict() || skipped.is_empty(),
        "nothing is skipped in CI"
    );
    // 5: there was no test to run. So ends a file that is skipped whole.
    let is_skipped = ran.status.code() == Some(5) && !skipped.is_empty();
    assert!(ran.status.success() || is_skipped, "{file}: {}", ran.status);
}

/// Whether there is what the tests need.
static HAS_PYTEST: LazyLock<bool> = LazyLock::new(|| {
    let mut python = Command::new(package::interpreter());
    let tried = python.args(["-c", "import pytest, zmq"]).output();
    let has = tried.is_ok_and(|ran| ran.status.success());
    let what = "a Python with pytest and pyzmq (DFO_PYTHON names one)";
    assert!(
        has || !is_strict(),
        "missing: {what}; nothing is skipped in CI"
    );
    if !has {
        notice(&format!("SKIPPED, for want of {what}"));
    }
    has
});

/// The command that cargo has built beside us, if it has ZeroMQ: it has where the whole workspace is
/// tested. Tests that need it skip without it.
static DFO: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    if let Some(named) = std::env::var_os("DFO_BIN") {
        return Some(named.into());
    }
    let dfo = package::beside_us().unwrap().parent()?.join("dfo");
    let tried = Command::new(&dfo).args(["serve", "zmq", "--help"]).output();
    tried.is_ok_and(|ran| ran.status.success()).then_some(dfo)
});

fn is_strict() -> bool {
    std::env::var_os("DFO_NO_SKIP").is_some()
}

/// Says it to whoever runs the tests; the harness keeps what `eprintln!` says to itself.
fn notice(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
