//! What can go wrong between here and where records are kept.
//!
//! One struct for every transport: a kind to decide by, and a line to show. A record that is not
//! valid JSON, or too large, is not an error here: it is a record, and reading goes on.

use std::fmt;
use std::io;

/// Records could not be opened, or not be read to their end.
///
/// Shown in one line: where, what, and what to do. When reading fails, the records before the
/// failure have been handed over, and none follow.
#[derive(Debug, thiserror::Error)]
#[error("{context}: cannot {operation}: {}", Explained(*.kind, .source))]
pub struct TransportError {
    kind: ErrorKind,
    operation: Operation,
    context: String,
    source: io::Error,
}

impl TransportError {
    /// What went wrong, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Where: the name of the file.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The kind follows from what the system says; only [`ErrorKind::Corrupt`] takes more knowledge.
    pub(crate) fn new(operation: Operation, context: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory => ErrorKind::IsADirectory,
            _ => ErrorKind::Io,
        };
        Self {
            kind,
            operation,
            context: context.into(),
            source,
        }
    }

    pub(crate) fn corrupt(context: impl Into<String>, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::Corrupt,
            operation: Operation::Read,
            context: context.into(),
            source,
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file.
    NotFound,
    /// The file may not be read by this user.
    PermissionDenied,
    /// The path names a directory.
    IsADirectory,
    /// The gzip data is damaged or cut off.
    Corrupt,
    /// The system failed in another way; the source says how.
    Io,
}

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the file.
    Open,
    /// Reading from it.
    Read,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
        })
    }
}

/// What happened, and what to do about it.
struct Explained<'a>(ErrorKind, &'a io::Error);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, source) = self;
        match kind {
            ErrorKind::NotFound => f.write_str("no such file; check the path"),
            ErrorKind::PermissionDenied => {
                f.write_str("permission denied; make it readable for this user")
            }
            ErrorKind::IsADirectory => f.write_str("it is a directory; name a file in it"),
            ErrorKind::Corrupt if source.kind() == io::ErrorKind::UnexpectedEof => f.write_str(
                "the gzip data is cut off; the records before the cut were read, copy the file again \
                 for the rest",
            ),
            ErrorKind::Corrupt => write!(
                f,
                "the gzip data is damaged ({source}); the records before the damage were read, copy \
                 the file again for the rest"
            ),
            ErrorKind::Io => write!(f, "{source}; check where it is kept, then try again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn opening(kind: io::ErrorKind) -> TransportError {
        TransportError::new(Operation::Open, "findings.jsonl", kind.into())
    }

    #[test]
    fn an_error_says_where_what_and_what_to_do() {
        use io::ErrorKind::{IsADirectory, NotFound, Other, PermissionDenied};
        for (error, line) in [
            (
                NotFound,
                "findings.jsonl: cannot open: no such file; check the path",
            ),
            (
                PermissionDenied,
                "findings.jsonl: cannot open: permission denied; make it readable for this user",
            ),
            (
                IsADirectory,
                "findings.jsonl: cannot open: it is a directory; name a file in it",
            ),
            (
                Other,
                "findings.jsonl: cannot open: other error; check where it is kept, then try again",
            ),
        ] {
            assert_eq!(opening(error).to_string(), line);
        }
    }

    #[test]
    fn a_cut_and_a_damage_are_told_apart() {
        let cut = TransportError::corrupt("f.gz", io::ErrorKind::UnexpectedEof.into());
        let damaged = TransportError::corrupt("f.gz", io::Error::other("bad block"));
        assert!(
            cut.to_string()
                .starts_with("f.gz: cannot read: the gzip data is cut off; ")
        );
        assert!(
            damaged
                .to_string()
                .starts_with("f.gz: cannot read: the gzip data is damaged (bad block); ")
        );
    }

    #[test]
    fn an_error_can_be_taken_apart() {
        let error = opening(io::ErrorKind::PermissionDenied);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.operation(), Operation::Open);
        assert_eq!(error.context(), "findings.jsonl");
        assert!(error.source().is_some());
    }
}
