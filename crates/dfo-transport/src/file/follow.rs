//! A file that is read while it grows.
//!
//! Whole lines only: what a writer has not ended yet, or what a crash tore off, is read again until
//! its end is there. So whoever cuts a torn line off and writes on does no reader harm.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use memchr::memrchr;

/// As long as it lives, the file is waited for to grow.
pub(super) type Wanted = mpsc::Sender<()>;
pub(super) type IsWanted = mpsc::Receiver<()>;

/// Both sides of it.
pub(super) fn wanted() -> (Wanted, IsWanted) {
    mpsc::channel()
}

/// Between two looks at a file that has not grown: soon after it has, and later less often.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);

/// The file, as a stream that waits at its end.
pub(super) struct Follow {
    path: PathBuf,
    file: Option<File>,
    /// Where the first line begins that was not handed over.
    offset: u64,
    /// Whether the end is waited at; else it is the end of the stream.
    waits: Arc<AtomicBool>,
    wanted: IsWanted,
    /// To be called at the first end that is waited at.
    at_the_end: Option<Box<dyn FnOnce() + Send>>,
}

impl Follow {
    pub(super) fn new(
        path: PathBuf,
        waits: Arc<AtomicBool>,
        wanted: IsWanted,
        at_the_end: Box<dyn FnOnce() + Send>,
    ) -> Self {
        Self {
            path,
            file: None,
            offset: 0,
            waits,
            wanted,
            at_the_end: Some(at_the_end),
        }
    }

    /// Whole lines, or a part of one that is longer than there is room; nothing where there is no
    /// whole one.
    fn lines(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            },
        };
        let file = self.file.insert(file);
        file.seek(SeekFrom::Start(self.offset))?;
        let length = file.read(into)?;
        if length == 0 && file.metadata()?.len() < self.offset {
            return Err(io::Error::other(
                "it is shorter than what was read of it, and a file that is followed may only grow",
            ));
        }
        let whole = match memrchr(b'\n', &into[..length]) {
            Some(last) => last + 1,
            None if length == into.len() => length,
            None => 0,
        };
        self.offset += whole as u64;
        Ok(whole)
    }
}

impl Read for Follow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut wait = SHORTEST;
        loop {
            let length = self.lines(into)?;
            if length > 0 || !self.waits.load(Ordering::Relaxed) {
                return Ok(length);
            }
            if let Some(tell) = self.at_the_end.take() {
                tell();
            }
            if self.wanted.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return Ok(0);
            }
            wait = (wait * 2).min(LONGEST);
        }
    }
}
