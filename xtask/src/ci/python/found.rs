//! The Pythons of this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The least that the package runs on: 3.9.
const LEAST: u32 = 9;
/// Versions 3.x beyond this are not looked for by name.
const MOST: u32 = 30;

/// What a Python says of itself.
const ASKED: &str = "
import importlib.util, json, platform, sys, sysconfig
is_torch = importlib.util.find_spec('torch') is not None if sys.version_info[0] > 2 else False
print(json.dumps({
    'path': sys.executable, 'version': list(sys.version_info[:3]),
    'is_usual': platform.python_implementation() == 'CPython' and sys.version_info[3] == 'final'
        and not sysconfig.get_config_var('Py_GIL_DISABLED'),
    'has_torch': is_torch,
}))";

/// A Python to test with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Python {
    pub path: PathBuf,
    version: (u32, u32, u32),
    /// The usual one, as it is released and with its lock: the stable ABI is of that one.
    is_usual: bool,
    pub has_torch: bool,
    /// What of the tests it is for.
    #[serde(skip)]
    pub part: Part,
}

/// Which tests a Python runs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but those that take long.
    #[default]
    Quick,
    /// All: this machine's own.
    Whole,
    /// Only what needs PyTorch: another one of its version runs the others.
    Torch,
}

/// This machine's own first, then one of each version; a second one of a version where only that has
/// PyTorch.
pub fn pythons() -> Result<Vec<Python>> {
    let mut all = Vec::new();
    for candidate in candidates() {
        all.extend(asked(&candidate)?);
    }
    Ok(chosen(all))
}

/// By name on the path, by Debian's place, and by pyenv's places. Many are not there.
fn candidates() -> Vec<PathBuf> {
    let mut candidates = vec!["python3".into()];
    candidates.extend((LEAST..=MOST).map(|minor| format!("python3.{minor}").into()));
    candidates.push("/usr/bin/python3".into());
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv"));
    let versions = pyenv.or_else(home).map(|root| root.join("versions"));
    let folders = versions.and_then(|folder| folder.read_dir().ok());
    let mut folders: Vec<OsString> = folders
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().into_os_string()))
        .collect();
    folders.sort_unstable();
    candidates.extend(
        folders
            .into_iter()
            .map(|folder| PathBuf::from(folder).join("bin/python3")),
    );
    candidates
}

/// What it says of itself; nothing where there is none, or only the place of one that pyenv could start.
fn asked(candidate: &PathBuf) -> Result<Option<Python>> {
    let Ok(ran) = Command::new(candidate).args(["-c", ASKED]).output() else {
        return Ok(None);
    };
    if !ran.status.success() {
        return Ok(None);
    }
    let said = serde_json::from_slice(&ran.stdout);
    Ok(Some(said.with_context(|| candidate.display().to_string())?))
}

fn chosen(all: Vec<Python>) -> Vec<Python> {
    let mut chosen: Vec<Python> = Vec::new();
    let mut torch_of: BTreeMap<u32, bool> = BTreeMap::new();
    for mut python in all {
        let (major, minor, _) = python.version;
        if !python.is_usual || (major, minor) < (3, LEAST) {
            continue;
        }
        python.part = match torch_of.get(&minor) {
            None if chosen.is_empty() => Part::Whole,
            None => Part::Quick,
            Some(false) if python.has_torch => Part::Torch,
            Some(_) => continue,
        };
        *torch_of.entry(minor).or_default() |= python.has_torch;
        chosen.push(python);
    }
    chosen
}

impl Python {
    /// Its version.
    pub fn name(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Python {}", self.name())?;
        let part = match self.part {
            Part::Quick => "all tests but the slow ones",
            Part::Whole => "all tests",
            Part::Torch => "the tests of dfoptimizer.torch",
        };
        let torch = if self.has_torch { "" } else { ", no PyTorch" };
        write!(f, " ({}{torch}): {part}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(minor: u32, patch: u32) -> Python {
        Python {
            path: format!("python3.{minor}.{patch}").into(),
            version: (3, minor, patch),
            is_usual: true,
            has_torch: false,
            part: Part::default(),
        }
    }

    fn with_torch(python: Python) -> Python {
        Python {
            has_torch: true,
            ..python
        }
    }

    fn parts(all: Vec<Python>) -> Vec<(u32, u32, Part)> {
        let chosen = chosen(all).into_iter();
        chosen
            .map(|python| (python.version.1, python.version.2, python.part))
            .collect()
    }

    #[test]
    fn the_machines_own_runs_everything_and_each_other_version_once() {
        let all = vec![python(11, 7), python(9, 1), python(11, 7), python(9, 2)];
        let expected = [(11, 7, Part::Whole), (9, 1, Part::Quick)];
        assert_eq!(parts(all), expected);
    }

    #[test]
    fn a_second_one_of_a_version_is_for_torch_alone() {
        let all = vec![
            python(11, 7),
            with_torch(python(11, 2)),
            with_torch(python(11, 3)),
        ];
        let expected = [(11, 7, Part::Whole), (11, 2, Part::Torch)];
        assert_eq!(parts(all), expected);
    }

    #[test]
    fn what_the_package_is_not_for_is_passed_over() {
        let unusual = Python {
            is_usual: false,
            ..python(13, 0)
        };
        assert_eq!(parts(vec![python(8, 18), unusual]), []);
    }
}
