use std::collections::VecDeque;
use std::fs;
use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::ErrorKind;

mod broken;
mod layouts;
mod properties;
mod sizes;
mod streams;

/// A record as the tests compare it: its line, and its text or its size.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Text(u64, Vec<u8>),
    TooLarge(u64, u64),
}

fn reading(text: impl AsRef<[u8]>) -> Records {
    Records::from_reader("f", Cursor::new(text.as_ref().to_vec()))
}

fn all(records: &mut Records) -> Result<Vec<Found>, TransportError> {
    let mut found = Vec::new();
    while let Some(FileRecord { place, content }) = records.next_record()? {
        found.push(match content {
            Content::Bytes(text) => Found::Text(place.line, text.to_vec()),
            Content::TooLarge { bytes, .. } => Found::TooLarge(place.line, bytes),
        });
        assert_eq!(place.number, found.len() as u64);
    }
    Ok(found)
}

/// The texts of all records, which all fit.
fn texts_of(records: &mut Records) -> Vec<String> {
    all(records)
        .unwrap()
        .into_iter()
        .map(|found| text(&found))
        .collect()
}

fn text(found: &Found) -> String {
    match found {
        Found::Text(_, text) => String::from_utf8(text.clone()).unwrap(),
        Found::TooLarge(..) => panic!("{found:?}"),
    }
}

fn texts(input: impl AsRef<[u8]>) -> Vec<String> {
    texts_of(&mut reading(input))
}

fn lines(input: impl AsRef<[u8]>) -> Vec<u64> {
    let line = |found| match found {
        Found::Text(line, _) | Found::TooLarge(line, _) => line,
    };
    all(&mut reading(input))
        .unwrap()
        .into_iter()
        .map(line)
        .collect()
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A stream that gives what it was told to, read by read; then nothing.
struct Script(VecDeque<io::Result<Vec<u8>>>);

impl Script {
    fn new(reads: impl IntoIterator<Item = io::Result<Vec<u8>>>) -> Self {
        Self(reads.into_iter().collect())
    }

    /// Pieces of these lengths, in turn.
    fn pieces(text: &[u8], lengths: &[usize]) -> Self {
        let mut rest = text;
        let mut lengths = lengths.iter().cycle();
        Self::new(std::iter::from_fn(|| {
            let length = rest.len().min(*lengths.next()?);
            let (piece, after) = rest.split_at(length);
            rest = after;
            (length > 0).then(|| Ok(piece.to_vec()))
        }))
    }
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(next) = self.0.pop_front() else {
            return Ok(0);
        };
        let mut piece = next?;
        let length = piece.len().min(into.len());
        into[..length].copy_from_slice(&piece[..length]);
        if length < piece.len() {
            self.0.push_front(Ok(piece.split_off(length)));
        }
        Ok(length)
    }
}
