//! What can go wrong with a journal as a whole; what is wrong within one is a [`crate::Problem`].

use std::io;
use std::path::PathBuf;

/// A journal that cannot be opened, begun or gone on with. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The folder or a file in it could not be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another service writes it.
    #[error("{}: another service writes this journal; give each its own folder, or end the other", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The newest segment is of a version that this program does not know.
    #[error(
        "{}: a journal of version {found}, this program knows version {known}; \
         go on with the program that wrote it, or with another folder",
        path.display()
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// No segment has a state to begin with.
    #[error(
        "{}: no segment has a usable head, so nothing can be recovered; \
         keep the folder, and begin another one",
        path.display()
    )]
    NoHead {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be gone on with in this way.
    #[error("{}: {why}; begin another folder", path.display())]
    OtherMode {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// What the planner knows has no form in the journal.
    #[error("the head of a segment cannot be written: {why}")]
    Unwritable {
        /// Why.
        why: String,
    },
}

impl JournalError {
    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str, source: io::Error) -> Self {
        let path = path.into();
        JournalError::Io { path, what, source }
    }
}
