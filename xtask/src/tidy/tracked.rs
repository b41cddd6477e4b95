//! The files of the repository, as git tracks them.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Every tracked file that is there, and the text of those that have text.
#[derive(Debug, Default)]
pub struct Tracked {
    /// Relative to the root, with `/`.
    pub paths: BTreeSet<String>,
    pub texts: Vec<TextFile>,
}

/// A tracked file with text in it.
#[derive(Debug)]
pub struct TextFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Tracked {
    /// Reads the working copies of what git tracks under a folder.
    pub fn read(root: &Path) -> Result<Self> {
        // A container's clone may belong to another user; only looking is safe all the same.
        let listed = Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z"])
            .current_dir(root)
            .output()
            .context("tidy asks git for the tracked files: install git")?;
        if !listed.status.success() {
            bail!(
                "git ls-files: {}",
                String::from_utf8_lossy(&listed.stderr).trim()
            );
        }
        let mut tracked = Tracked::default();
        for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            let bytes = match fs::read(root.join(path)) {
                Ok(bytes) => bytes,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
                    continue;
                }
                Err(e) => return Err(e).context(path.to_owned()),
            };
            tracked.add(path, bytes);
        }
        Ok(tracked)
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        self.paths.insert(path.to_owned());
        let binary = bytes.contains(&0);
        if let (false, Ok(text)) = (binary, String::from_utf8(bytes)) {
            self.texts.push(TextFile {
                path: path.to_owned(),
                text,
            });
        }
    }

    /// Is there such a file, or a file in such a folder?
    pub fn has(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let next = self.paths.range(inside.clone()..).next();
        self.paths.contains(path) || next.is_some_and(|next| next.starts_with(&inside))
    }
}

impl TextFile {
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|e| e == extension)
    }
}

#[cfg(test)]
impl Tracked {
    /// As if these files were all there is.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tracked = Tracked::default();
        for (path, text) in files {
            tracked.add(path, text.as_bytes().to_vec());
        }
        tracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_files_are_there_but_have_no_text() {
        let mut tracked = Tracked::default();
        tracked.add("a.gz", vec![0x1f, 0x8b, 0, 0xff]);
        assert!(tracked.has("a.gz"));
        assert!(tracked.texts.is_empty());
    }

    #[test]
    fn a_folder_is_there_if_a_file_in_it_is() {
        let tracked = Tracked::of(&[("docs/a.md", ""), ("docs-old", "")]);
        assert!(tracked.has("docs"));
        assert!(tracked.has("docs/a.md"));
        assert!(!tracked.has("doc"));
        assert!(!tracked.has("docs/a"));
    }
}
