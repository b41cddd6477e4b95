//! The stretch of a stream that is held in memory.
//!
//! A window holds the record being looked for, from its first byte to where the search has come,
//! and what has been read beyond. Of a record that outgrows the limit only the first `limit` bytes
//! are held; the rest is measured and let go, so that memory is bounded by the limit and one chunk.
//! Nothing here knows JSON.

use std::io::{self, Read};
use std::mem;

use super::Content;
use super::gzip::{self, Encoding, Stream};

/// How much is read at once, and held beyond a record.
const CHUNK: usize = 256 * 1024;

pub(super) struct Window {
    stream: Stream,
    /// Unknown until the first read: a stream is not touched before a record is asked for.
    encoding: Option<Encoding>,
    ended: bool,
    limit: usize,
    chunk: usize,
    /// What is held is `bytes[head..end]`: the record from `head`, searched up to `next`.
    bytes: Vec<u8>,
    head: usize,
    next: usize,
    end: usize,
    /// How many bytes of the record were let go, all of them after its first `limit` bytes.
    passed: u64,
    /// If any were let go: the record's size up to there, blanks at its end not counted.
    size_passed: u64,
}

impl Window {
    pub(super) fn new(stream: Stream, limit: usize) -> Self {
        Self {
            stream,
            encoding: None,
            ended: false,
            limit,
            chunk: CHUNK,
            bytes: Vec::new(),
            head: 0,
            next: 0,
            end: 0,
            passed: 0,
            size_passed: 0,
        }
    }

    pub(super) fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    #[cfg(test)]
    pub(super) fn with_chunk(self, chunk: usize) -> Self {
        Self { chunk, ..self }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// A record begins where the search has come to; what was before is let go.
    pub(super) fn begin(&mut self) {
        self.head = self.next;
        self.passed = 0;
        self.size_passed = 0;
    }

    /// What has been read and not been searched yet.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.bytes[self.next..self.end]
    }

    /// The first `length` bytes of [`ahead`](Self::ahead) have been searched.
    pub(super) fn advance(&mut self, length: usize) {
        self.next += length;
    }

    /// Everything from [`begin`](Self::begin) to here is the record, but for blanks at its end.
    pub(super) fn record(&self) -> Content<'_> {
        let size = self.size();
        match usize::try_from(size) {
            Ok(length) if length <= self.limit => {
                Content::Bytes(&self.bytes[self.head..self.head + length])
            }
            _ => Content::TooLarge {
                bytes: size,
                limit: self.limit,
            },
        }
    }

    /// Reads on, so that there is more ahead; false at the end of the stream.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        if self.encoding.is_none() {
            let stream = mem::replace(&mut self.stream, Box::new(io::empty()));
            let (stream, encoding) = gzip::decoded(stream)?;
            self.stream = stream;
            self.encoding = Some(encoding);
        }
        self.make_room();
        let until = self.bytes.len().min(self.end + self.chunk);
        while !self.ended {
            match self.stream.read(&mut self.bytes[self.end..until]) {
                // Some streams, terminals among them, would give more after their end.
                Ok(0) => self.ended = true,
                Ok(length) => {
                    self.end += length;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Whether an error of [`more`](Self::more) means that the stream's content is broken.
    pub(super) fn is_corruption(&self, error: &io::Error) -> bool {
        self.encoding
            .is_some_and(|encoding| encoding.is_corruption(error))
    }

    fn make_room(&mut self) {
        // Mostly the beginning of one record, seldom much.
        self.bytes.copy_within(self.head..self.end, 0);
        self.next -= self.head;
        self.end -= self.head;
        self.head = 0;
        if self.end < self.bytes.len() {
            return;
        }
        let most = self.limit.saturating_add(self.chunk);
        if self.bytes.len() < most {
            self.grow(most);
        } else {
            self.pass_over();
        }
    }

    fn grow(&mut self, most: usize) {
        let length = self.bytes.len().saturating_mul(2).max(self.chunk).min(most);
        self.bytes.reserve_exact(length - self.bytes.len());
        self.bytes.resize(length, 0);
    }

    /// Lets go what was searched after the first `limit` bytes of the record.
    fn pass_over(&mut self) {
        self.size_passed = self.size();
        self.passed += (self.next - self.limit) as u64;
        self.bytes.copy_within(self.next..self.end, self.limit);
        self.end -= self.next - self.limit;
        self.next = self.limit;
    }

    /// The size of the record as far as searched, let go or not, but for blanks at its end.
    fn size(&self) -> u64 {
        let held = &self.bytes[self.head..self.next];
        let (first, rest) = held.split_at(self.limit.min(held.len()));
        match trimmed_length(rest) {
            0 if self.passed == 0 => trimmed_length(first) as u64,
            0 => self.size_passed,
            length => first.len() as u64 + self.passed + length as u64,
        }
    }
}

/// JSON's own blanks, no others: a form feed is text, and makes its record a broken one.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The length without the blanks at the end.
pub(super) fn trimmed_length(text: &[u8]) -> usize {
    text.iter()
        .rposition(|&byte| !is_blank(byte))
        .map_or(0, |last| last + 1)
}
