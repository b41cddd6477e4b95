//! Whether a stream is gzip, by its first bytes.
//!
//! The name of a file says nothing here: logs are renamed, and standard input has no name.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// When gzip data is damaged, the decoder keeps to itself what that call had decoded. Small calls
/// make that little: a few records, not hundreds.
const DECODED_AT_ONCE: usize = 16 * 1024;

pub(super) type Stream = Box<dyn Read + Send>;

/// How the bytes of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// Whether an error of a stream so encoded tells of its content, not of the system.
    pub(super) fn is_corruption(self, error: &io::Error) -> bool {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        self == Self::Gzip && matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
    }
}

/// The text of the stream, decoded if it is gzip. Reads two bytes to know.
pub(super) fn decoded(mut stream: Stream) -> io::Result<(Stream, Encoding)> {
    let mut head = Vec::with_capacity(MAGIC.len());
    // This retries interrupted reads, and is content with less at the end.
    stream
        .by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut head)?;
    Ok(if head == MAGIC {
        let whole = Cursor::new(head).chain(stream);
        (Box::new(Gunzip(MultiGzDecoder::new(whole))), Encoding::Gzip)
    } else if head.len() < MAGIC.len() {
        // It has ended; a terminal would go on when asked again.
        (Box::new(Cursor::new(head)), Encoding::Plain)
    } else {
        (Box::new(Cursor::new(head).chain(stream)), Encoding::Plain)
    })
}

struct Gunzip<R>(MultiGzDecoder<R>);

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(DECODED_AT_ONCE);
        self.0.read(&mut into[..length])
    }
}
