//! What can go wrong between here and where records come from or go to.
//!
//! One struct for every transport: a kind to decide by, and a line to show. A record that is not
//! valid JSON, or too large, is not an error here: it is a record, or counted, and reading goes on.

use std::error::Error;
use std::fmt;
use std::io;

/// Records could not be opened, received, sent, or handed over in time.
///
/// Shown in one line: where, what, and what to do. Whether trying again may help follows from the
/// kind: [`TransportError::is_retryable`].
#[derive(Debug, thiserror::Error)]
#[error("{context}: cannot {operation}: {}", Explained(*.kind, &**.source))]
pub struct TransportError {
    kind: ErrorKind,
    operation: Operation,
    context: String,
    source: Box<dyn Error + Send + Sync>,
}

impl TransportError {
    /// An error of a transport.
    ///
    /// `context` says where: a path, an address, an option. `source` is what happened, an error or
    /// a text; it is shown after the context and the operation.
    pub fn new(
        kind: ErrorKind,
        operation: Operation,
        context: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            operation,
            context: context.into(),
            source: source.into(),
        }
    }

    /// An error that the system reported; the kind follows from what it says.
    pub fn from_io(operation: Operation, context: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory => ErrorKind::IsADirectory,
            io::ErrorKind::AddrInUse => ErrorKind::AddressInUse,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::BrokenPipe => ErrorKind::Unreachable,
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            io::ErrorKind::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Io,
        };
        Self::new(kind, operation, context, source)
    }

    /// An option of a transport is missing, unknown or makes no sense. `problem` says what was
    /// expected.
    pub fn option(option: impl fmt::Display, problem: impl Into<String>) -> Self {
        let context = format!("option `{option}`");
        Self::new(
            ErrorKind::InvalidOption,
            Operation::Open,
            context,
            problem.into(),
        )
    }

    /// What went wrong, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Where: the name of a file, an address, an option.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Whether the same call may succeed later, without anyone changing anything here.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Interrupted
        )
    }

    pub(crate) fn corrupt(context: impl Into<String>, source: io::Error) -> Self {
        Self::new(ErrorKind::Corrupt, Operation::Read, context, source)
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file.
    NotFound,
    /// The file or the address is not for this user.
    PermissionDenied,
    /// The path names a directory.
    IsADirectory,
    /// The gzip data is damaged or cut off.
    Corrupt,
    /// An option is missing, unknown or makes no sense.
    InvalidOption,
    /// Someone else listens at the address.
    AddressInUse,
    /// The other side is not there now. Worth a retry.
    Unreachable,
    /// Not done within the deadline. Worth a retry.
    TimedOut,
    /// A signal came in between. Worth a retry at once.
    Interrupted,
    /// This end, or the other one for good, is closed.
    Closed,
    /// The record is larger than the transport carries; it was not sent.
    TooLarge,
    /// The system or a library failed in another way; the source says how.
    Io,
}

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a file, binding or connecting an address.
    Open,
    /// Reading from a file.
    Read,
    /// Receiving records.
    Receive,
    /// Telling the other side which records are done with.
    Commit,
    /// Sending a record.
    Send,
    /// Waiting until what was sent has left.
    Flush,
    /// Closing.
    Close,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Receive => "receive",
            Self::Commit => "commit",
            Self::Send => "send",
            Self::Flush => "flush",
            Self::Close => "close",
        })
    }
}

/// What happened, and what to do about it.
struct Explained<'a>(ErrorKind, &'a (dyn Error + Send + Sync + 'static));

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, source) = self;
        let cut_off = source
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof);
        match kind {
            ErrorKind::NotFound => f.write_str("no such file; check the path"),
            ErrorKind::PermissionDenied if source.is::<io::Error>() => {
                f.write_str("permission denied; make it readable for this user")
            }
            ErrorKind::IsADirectory => f.write_str("it is a directory; name a file in it"),
            ErrorKind::Corrupt if cut_off => f.write_str(
                "the gzip data is cut off; the records before the cut were read, copy the file again \
                 for the rest",
            ),
            ErrorKind::Corrupt => write!(
                f,
                "the gzip data is damaged ({source}); the records before the damage were read, copy \
                 the file again for the rest"
            ),
            ErrorKind::AddressInUse => write!(
                f,
                "the address is in use ({source}); stop what listens there, or name another address"
            ),
            ErrorKind::Io => write!(f, "{source}; check where it is kept, then try again"),
            ErrorKind::PermissionDenied => f.write_str(
                "permission denied; name an address or a path that this user may use",
            ),
            ErrorKind::InvalidOption
            | ErrorKind::Unreachable
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::Closed
            | ErrorKind::TooLarge => write!(f, "{source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(kind: io::ErrorKind) -> TransportError {
        TransportError::from_io(Operation::Open, "findings.jsonl", kind.into())
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

    #[test]
    fn the_kind_says_whether_to_try_again() {
        assert!(!opening(io::ErrorKind::NotFound).is_retryable());
        assert!(opening(io::ErrorKind::ConnectionRefused).is_retryable());
        assert!(opening(io::ErrorKind::Interrupted).is_retryable());
        assert!(!TransportError::option("address", "missing").is_retryable());
    }
}
