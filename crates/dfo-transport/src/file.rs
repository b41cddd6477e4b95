//! Records in files: JSON lines, an array, or printed objects, plain or gzip.
//!
//! [`Records`] decides where each record begins and ends. Three rooms behind it: `window` holds the
//! part of the stream that is in memory, `brackets` follows a value that is longer than its line,
//! `gzip` decodes. None of them parses JSON. Around it, a file as a transport: `source` and `follow`
//! read, `sink` appends, `transport` makes ends of options.

mod brackets;
mod follow;
mod gzip;
pub(crate) mod sink;
pub(crate) mod source;
#[cfg(test)]
mod tests;
pub(crate) mod transport;
mod window;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::{memchr, memchr_iter};

use self::brackets::Brackets;
use self::window::{Window, is_blank, trimmed_length};
use crate::error::{Operation, TransportError};

/// The largest record that is held, unless [`Records::with_limit`] says otherwise: 16 MiB.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The records of a file, one after another.
///
/// The layout is found out, not asked for:
///
/// - If the first byte that is not blank is `[`, the file is an array, and its elements are the
///   records. Text after the closing `]` is read as lines.
/// - Otherwise each line is a record. Only an object that its line leaves open goes on over the
///   next lines, until its brackets close: a pretty-printed object.
///
/// Lines end with `\n`; blank lines are passed over, and so are a byte order mark at the start and
/// a comma too many in an array. Gzip, of one member or several, is known by its first bytes.
///
/// Broken text becomes a record too, for the caller to report, and ends as early as can be told:
/// a line that is cut off ends with its line, an object with the next line that begins with `{`
/// where no object may be, an element with a line end inside a string. A value that is cut off
/// inside an inner array can still take the next one with it; nothing is ever left out.
///
/// Memory is bounded by the limit for one record and a buffer of 256 KiB. A record within the
/// buffer is neither copied nor allocated.
pub struct Records {
    name: String,
    window: Window,
    layout: Layout,
    /// The line where the search has come to.
    line: u64,
    /// How many records were found.
    found: u64,
}

/// One record, lent until the next is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileRecord<'a> {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub content: Content<'a>,
}

/// Where a record begins in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The line of its first byte; the first line is 1. Blank lines count.
    pub line: u64,
    /// Which record of the file it is; the first is 1. Broken records count.
    pub number: u64,
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// Its text as it stands in the file, without the blanks around it. Never empty, not
    /// necessarily JSON, not necessarily UTF-8.
    Bytes(&'a [u8]),
    /// It was passed over without being held; the next record can be read.
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest size that is held.
        limit: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Unread,
    Unknown,
    Lines,
    Array,
    /// Read to its end, or to an error.
    Ended,
}

impl Records {
    /// Opens a file. `-` is a file of that name.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is a directory.
    pub fn open(path: &Path) -> Result<Self, TransportError> {
        let file = open(path)?;
        Ok(Self::from_reader(path.display().to_string(), file))
    }

    /// Standard input, named `stdin`. Where it is closed, there are no records.
    pub fn stdin() -> Self {
        // Not locked: a lock could not move to another thread. Reads as large as ours bypass its
        // own buffer.
        Self::from_reader("stdin", io::stdin())
    }

    /// Any bytes; the name is for errors. Nothing is read before a record is asked for.
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Self {
        Self {
            name: name.into(),
            window: Window::new(Box::new(reader), MAX_RECORD_BYTES),
            layout: Layout::Unread,
            line: 1,
            found: 0,
        }
    }

    /// Holds records up to this size; larger ones are passed over as [`Content::TooLarge`].
    #[must_use]
    pub fn with_limit(self, max_record_bytes: usize) -> Self {
        Self {
            window: self.window.with_limit(max_record_bytes),
            ..self
        }
    }

    /// The file's name as given, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// Reading failed, or gzip data is corrupt. The records before have been returned; a record
    /// that was not read to its end is not. Every later call returns `None`.
    pub fn next_record(&mut self) -> Result<Option<FileRecord<'_>>, TransportError> {
        match self.find() {
            Ok(None) => {
                self.layout = Layout::Ended;
                Ok(None)
            }
            Ok(Some(place)) => Ok(Some(FileRecord {
                place,
                content: self.window.record(),
            })),
            Err(source) => {
                self.layout = Layout::Ended;
                Err(if self.window.is_corruption(&source) {
                    TransportError::corrupt(&self.name, source)
                } else {
                    TransportError::from_io(Operation::Read, &self.name, source)
                })
            }
        }
    }

    /// Searches to the end of the next record; it then lies in the window.
    fn find(&mut self) -> io::Result<Option<Place>> {
        if self.layout == Layout::Unread {
            self.skip_byte_order_mark()?;
            self.layout = Layout::Unknown;
        }
        while self.layout != Layout::Ended {
            let Some(first) = self.skip_blanks()? else {
                return Ok(None);
            };
            match (self.layout, first) {
                (Layout::Unknown, b'[') => {
                    self.layout = Layout::Array;
                    self.advance(1);
                }
                (Layout::Unknown, _) => self.layout = Layout::Lines,
                (Layout::Array, b',') => self.advance(1),
                (Layout::Array, b']') => {
                    self.layout = Layout::Lines;
                    self.advance(1);
                }
                _ => return self.find_end(first).map(Some),
            }
        }
        Ok(None)
    }

    /// Searches to the end of the record that begins here.
    fn find_end(&mut self, first: u8) -> io::Result<Place> {
        self.window.begin();
        self.found += 1;
        let place = Place {
            line: self.line,
            number: self.found,
        };
        match self.layout {
            Layout::Array => self.follow(Brackets::new(Layout::Array))?,
            _ if first == b'{' => self.find_end_of_object()?,
            _ => self.find_end_of_line()?,
        }
        Ok(place)
    }

    fn find_end_of_line(&mut self) -> io::Result<()> {
        loop {
            let ahead = self.window.ahead();
            let end = memchr(b'\n', ahead);
            let length = end.unwrap_or(ahead.len());
            self.window.advance(length);
            if end.is_some() || !self.window.more()? {
                return Ok(());
            }
        }
    }

    fn find_end_of_object(&mut self) -> io::Result<()> {
        // Nearly every record of every file ends here: a whole line, told by its last byte.
        let ahead = self.window.ahead();
        if let Some(end) = memchr(b'\n', ahead)
            && ahead[..trimmed_length(&ahead[..end])].ends_with(b"}")
        {
            self.window.advance(end);
            return Ok(());
        }
        let mut brackets = Brackets::new(Layout::Lines);
        let mut closed = false;
        loop {
            let ahead = self.window.ahead();
            let end = memchr(b'\n', ahead);
            let length = end.unwrap_or(ahead.len());
            closed = closed || brackets.follow(&ahead[..length]).is_some();
            self.window.advance(length);
            if end.is_some() {
                break;
            }
            if !self.window.more()? {
                return Ok(());
            }
        }
        if !closed && brackets.is_open() {
            self.follow(brackets)?;
        }
        Ok(())
    }

    /// Searches to where the brackets say that the record ends.
    fn follow(&mut self, mut brackets: Brackets) -> io::Result<()> {
        loop {
            let ahead = self.window.ahead();
            let end = brackets.follow(ahead);
            let length = end.unwrap_or(ahead.len());
            self.advance(length);
            if end.is_some() || !self.window.more()? {
                return Ok(());
            }
        }
    }

    /// Goes to the next byte that is not blank, and says which it is; `None` at the end.
    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let ahead = self.window.ahead();
            if let Some(length) = ahead.iter().position(|&byte| !is_blank(byte)) {
                let first = ahead[length];
                self.advance(length);
                return Ok(Some(first));
            }
            let length = ahead.len();
            self.advance(length);
            self.window.begin();
            if !self.window.more()? {
                return Ok(None);
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        while self.window.ahead().len() < BYTE_ORDER_MARK.len()
            && BYTE_ORDER_MARK.starts_with(self.window.ahead())
            && self.window.more()?
        {}
        if self.window.ahead().starts_with(BYTE_ORDER_MARK) {
            self.window.advance(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    /// Goes on, counting lines.
    fn advance(&mut self, length: usize) {
        self.line += memchr_iter(b'\n', &self.window.ahead()[..length]).count() as u64;
        self.window.advance(length);
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.name)
            .field("layout", &self.layout)
            .field("line", &self.line)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// Opens a file that is to be read some other way.
///
/// # Errors
/// As [`Records::open`].
pub fn open(path: &Path) -> Result<File, TransportError> {
    let name = path.display().to_string();
    open_file(path).map_err(|source| TransportError::from_io(Operation::Open, name, source))
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    // Some systems open a directory, and only fail to read it.
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}
