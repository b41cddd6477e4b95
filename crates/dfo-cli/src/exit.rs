//! How the command ends.

use std::io;
use std::process::ExitCode;

/// The exit codes. They are part of the interface and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// 0: done, nothing was wrong.
    Done = 0,
    /// 1: done, but some records or definitions were bad. They were named and counted; with
    /// `--strict` the first one ended the run. Of `dfo ctl`: the service refused. Of
    /// `dfo verify`: something is damaged, or other decisions come out.
    SomeBad = 1,
    /// 2: the command line, or a variable of the environment, makes no sense. Nothing was done.
    Usage = 2,
    /// 3: something could not be read or written. Other files of findings were worked on; without a
    /// file of knobs nothing is.
    CannotRead = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why the command could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the environment makes no sense.
    Usage(String),
    /// A file that everything depends on cannot be read.
    CannotRead(String),
    /// Standard output cannot be written.
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Write(error)
    }
}
