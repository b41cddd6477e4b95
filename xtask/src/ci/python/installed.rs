//! The package as a user has it: installed from the wheel into an environment of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::found::{Part, Python};
use super::{PACKAGE, text};
use crate::ci::shell::{Line, Shell};

/// What the tests need.
const TEST_TOOLS: [&str; 2] = ["pytest", "pyzmq"];

/// Tests whose files have this in their name are of `dfoptimizer.torch`.
const TORCH: &str = "torch";

/// Installs the wheel into a fresh environment of this Python, where there is no compiler, and runs the
/// tests there. What would be seen of it is written down.
pub fn passes(shell: &Shell, python: &Python, wheel: &Path, transcript: &mut String) -> Result<()> {
    let environment = Environment::new(shell, python, transcript)?;
    let pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"];
    let tools = environment.python().args(&pip).args(&["install"]);
    tools.args(&TEST_TOOLS).run_into(transcript)?;
    let install = environment
        .python()
        .args(&pip)
        .args(&["install", "--no-index"]);
    install
        .args(&[text(wheel)?])
        .env("PATH", text(&environment.folder.join("bin"))?)
        .env("CC", "false")
        .env("CXX", "false")
        .run_into(transcript)?;
    if !python.has_torch {
        // Else what Debian has installed would be looked at too.
        let check = environment.python().args(&pip).args(&["check"]);
        check.run_into(transcript)?;
    }
    environment.is_used(transcript)?;
    environment.tests(python.part)?.run_into(transcript)
}

struct Environment<'a> {
    shell: &'a Shell,
    folder: PathBuf,
}

impl<'a> Environment<'a> {
    /// With the machine's packages where PyTorch is one of them.
    fn new(shell: &'a Shell, python: &Python, transcript: &mut String) -> Result<Self> {
        let folder = shell.root().join("target/pythons").join(python.name());
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                bail!("{}: {e}", folder.display())
            }
            _ => {}
        }
        let mut venv = shell.program(&python.path).args(&["-m", "venv"]);
        if python.has_torch {
            venv = venv.args(&["--system-site-packages"]);
        }
        let made = venv.args(&[text(&folder)?]).run_into(transcript);
        made.context("on Debian, venv is a package of its own: apt install python3-venv")?;
        Ok(Environment { shell, folder })
    }

    fn python(&self) -> Line {
        let python = self.shell.program(self.folder.join("bin/python"));
        python.without("PYTHONPATH")
    }

    /// It is the installed package that is found.
    fn is_used(&self, transcript: &mut String) -> Result<()> {
        let script = "import dfoptimizer; print(dfoptimizer.__file__)";
        let import = self.python().within(PACKAGE).args(&["-c", script]);
        let mut found = String::new();
        let ran = import.run_into(&mut found);
        *transcript += &found;
        ran?;
        let file = Path::new(found.lines().last().unwrap_or_default());
        ensure!(file.starts_with(&self.folder), "another package is found");
        Ok(())
    }

    fn tests(&self, part: Part) -> Result<Line> {
        let pytest = self.python().args(&["-m", "pytest", "--quiet", "-rs"]);
        let pytest = pytest
            .args(&["-p", "no:cacheprovider"])
            .within(PACKAGE)
            .env("DFO_BIN", text(&self.dfo()?)?)
            .env("PYTHONPYCACHEPREFIX", text(&self.folder.join("cache"))?)
            // What needs PyTorch is skipped where there is none.
            .without("DFO_NO_SKIP");
        Ok(match part {
            Part::Whole => pytest,
            Part::Quick => pytest.args(&["-m", "not slow"]),
            Part::Torch => pytest.args(&["-k", TORCH]),
        })
    }

    /// The command: this program is it too, so that none need be built.
    fn dfo(&self) -> Result<PathBuf> {
        let script = self.folder.join("bin/dfo");
        let program = std::env::current_exe()?;
        let text = format!("#!/bin/sh\nexec '{}' dfo \"$@\"\n", program.display());
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        Ok(script)
    }
}
