//! The wheel: what is built, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{PACKAGE, interpreter, text, tool};
use crate::ci::shell::Shell;

/// Where it is put.
const FOLDER: &str = "target/wheels";

/// What a wheel must have.
const NEEDED: [&str; 5] = [
    "dfoptimizer/__init__.py",
    "dfoptimizer/_native.abi3.so",
    "dfoptimizer/_native.pyi",
    "dfoptimizer/py.typed",
    "dfoptimizer/torch.py",
];

/// Builds it, and it alone is in its folder then.
pub fn build(shell: &Shell) -> Result<PathBuf> {
    match fs::remove_dir_all(shell.root().join(FOLDER)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => bail!("{FOLDER}: {e}"),
        _ => {}
    }
    let manifest = format!("{PACKAGE}/Cargo.toml");
    let maturin = tool(shell, "maturin").args(&["build", "--release", "--locked"]);
    maturin
        .args(&["--manifest-path", &manifest, "--out", FOLDER])
        .run()?;
    newest(shell)
}

/// The one that was built, relative to the project.
pub fn newest(shell: &Shell) -> Result<PathBuf> {
    let folder = shell.root().join(FOLDER);
    let files = folder.read_dir().context(FOLDER);
    let files = files.context("there is no wheel: `cargo xtask ci python-wheel` builds it")?;
    let paths = files.map(|entry| Ok(Path::new(FOLDER).join(entry?.file_name())));
    let wheels = paths.filter(|path| path.as_ref().is_ok_and(|path| is_wheel(path)));
    let wheels: Vec<PathBuf> = wheels.collect::<Result<_>>()?;
    match <[PathBuf; 1]>::try_from(wheels) {
        Ok([wheel]) => Ok(wheel),
        Err(wheels) => bail!("{FOLDER} should have one wheel, and has {}", wheels.len()),
    }
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "whl")
}

/// One wheel for every Python from 3.9 on and every Linux that is not older than this one; with the package
/// and what describes it, and nothing else.
pub fn is_complete(shell: &Shell, wheel: &Path) -> Result<()> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let tags = format!(
        "dfoptimizer-{}-cp39-abi3-manylinux_",
        env!("CARGO_PKG_VERSION")
    );
    ensure!(name.starts_with(&tags), "{name} should be {tags}…");
    let script = "import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep='\\n')";
    let python = shell.program(interpreter(shell.root()));
    let listed = python.args(&["-c", script, text(wheel)?]).output()?;
    let files: Vec<&str> = listed.lines().collect();
    let missing: Vec<_> = NEEDED.iter().filter(|name| !files.contains(name)).collect();
    let unwanted: Vec<_> = files.iter().filter(|name| !is_wanted(name)).collect();
    ensure!(missing.is_empty(), "{name} lacks {missing:?}");
    ensure!(unwanted.is_empty(), "{name} should not have {unwanted:?}");
    Ok(())
}

fn is_wanted(file: &str) -> bool {
    let extension = Path::new(file).extension().unwrap_or_default();
    match file.split_once('/') {
        Some(("dfoptimizer", name)) => {
            name == "_native.abi3.so"
                || name == "py.typed"
                || extension == "py"
                || extension == "pyi"
        }
        // An SBOM would name the folders of the machine that it was made on.
        Some((about, name)) => about.ends_with(".dist-info") && !name.starts_with("sboms/"),
        None => false,
    }
}

/// What `_native.pyi` says of the module is what Python finds in it.
pub fn types_are_true(shell: &Shell, wheel: &Path) -> Result<()> {
    let folder = format!("{FOLDER}/unpacked");
    let unzip = tool(shell, "zipfile").args(&["-e", text(wheel)?, &folder]);
    unzip.run()?;
    let stubtest =
        tool(shell, "mypy.stubtest").args(&["--ignore-disjoint-bases", "dfoptimizer._native"]);
    stubtest
        .env("PYTHONPATH", &folder)
        .env("MYPYPATH", &folder)
        .env("MYPY_CACHE_DIR", "target/mypy")
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_has_the_package_and_what_describes_it() {
        for wanted in NEEDED.into_iter().chain([
            "dfoptimizer/runtime/knob.py",
            "dfoptimizer-0.1.0.dist-info/METADATA",
            "dfoptimizer-0.1.0.dist-info/licenses/LICENSE",
        ]) {
            assert!(is_wanted(wanted), "{wanted}");
        }
        for unwanted in [
            "dfoptimizer/src/lib.rs",
            "dfoptimizer/_native.cpython-311-x86_64-linux-gnu.so",
            "dfoptimizer-0.1.0.dist-info/sboms/dfo-python.cyclonedx.json",
            "tests/conftest.py",
            "setup.py",
        ] {
            assert!(!is_wanted(unwanted), "{unwanted}");
        }
    }
}
