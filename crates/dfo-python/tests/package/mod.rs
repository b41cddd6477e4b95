//! The package as an installation has it, made of the sources and of the module that cargo has just built.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with the package in it, which goes when this is dropped.
pub struct Package(TempDir);

impl Package {
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let package = folder.path().join("dfoptimizer");
        copy(&Path::new(CRATE).join("python/dfoptimizer"), &package)?;
        let module = beside_us()?.join("libdfoptimizer_native.so");
        symlink(module, package.join("_native.abi3.so"))?;
        Ok(Package(folder))
    }

    /// A Python that finds the package, and no other one.
    pub fn python(&self) -> Command {
        let mut python = Command::new(interpreter());
        python
            .current_dir(CRATE)
            .env("PYTHONPATH", self.path())
            // As for most users: what is compiled once is kept.
            .env_remove("PYTHONDONTWRITEBYTECODE");
        python
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The one that `DFO_PYTHON` names, else `python3`.
pub fn interpreter() -> String {
    let named = std::env::var("DFO_PYTHON").ok();
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| "python3".to_owned())
}

/// The folder of this program, which is cargo's for everything that it builds.
pub fn beside_us() -> io::Result<PathBuf> {
    let mut path = std::env::current_exe()?;
    path.pop();
    Ok(path)
}

/// Copies a folder, without what was built or cached there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "__pycache__" {
            copy(&path, &to.join(name))?;
        } else if path.is_file() && path.extension().is_none_or(|kind| kind != "so") {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
