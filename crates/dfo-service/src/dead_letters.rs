//! Records that could not be used, kept whole in a file for someone to look at.
//!
//! One JSON object a line: `time` (seconds since 1970), `channel`, `from`, `problem`, and both parts
//! of the record, as text where they are UTF-8 (`metadata`, `payload`), else in base 64
//! (`metadata_base64`, `payload_base64`). The file is appended to, and does not grow beyond a limit.
//! Each is written at once: what is counted as kept is in the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dfo_transport::Record;
use serde::Serialize;

/// The file.
pub(crate) struct DeadLetters {
    file: File,
    bytes: u64,
    limit: u64,
    /// The last line could not be written, or not to its end.
    is_torn: bool,
}

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    /// The file is as large as it may be.
    NoRoom,
}

#[derive(Serialize)]
struct Letter<'a> {
    time: f64,
    channel: &'a str,
    from: &'a str,
    problem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl DeadLetters {
    /// Opens the file, or makes it. What is in it counts towards the limit, in bytes.
    pub(crate) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            bytes: file.metadata()?.len(),
            file,
            limit,
            is_torn: false,
        })
    }

    pub(crate) fn keep(
        &mut self,
        channel: &str,
        from: &str,
        problem: &str,
        record: &Record,
    ) -> io::Result<Kept> {
        let time = SystemTime::UNIX_EPOCH.elapsed();
        let (metadata, metadata_base64) = text_or_base64(&record.metadata);
        let (payload, payload_base64) = text_or_base64(&record.payload);
        let letter = Letter {
            // Before 1970 there were no findings.
            time: time.map_or(0.0, |t| t.as_secs_f64()),
            channel,
            from,
            problem,
            metadata,
            metadata_base64,
            payload,
            payload_base64,
        };
        // A line that follows a torn one begins anew.
        let mut line = if self.is_torn {
            vec![b'\n']
        } else {
            Vec::new()
        };
        serde_json::to_writer(&mut line, &letter)?;
        line.push(b'\n');
        let bytes = self.bytes + line.len() as u64;
        if bytes > self.limit {
            return Ok(Kept::NoRoom);
        }
        let written = self.file.write_all(&line);
        self.is_torn = written.is_err();
        written?;
        self.bytes = bytes;
        Ok(Kept::Yes)
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_whole_and_the_file_does_not_grow_beyond_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let record = Record::new(&b"{\"a\":1}"[..], &b"\xff{"[..]);
        let mut letters = DeadLetters::open(&path, 300).unwrap();
        assert_eq!(
            letters.keep("findings", "tcp", "no JSON", &record).unwrap(),
            Kept::Yes
        );
        assert_eq!(
            letters.keep("findings", "tcp", "no JSON", &record).unwrap(),
            Kept::Yes
        );
        assert_eq!(
            letters.keep("findings", "tcp", "no JSON", &record).unwrap(),
            Kept::NoRoom
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["metadata"], "{\"a\":1}");
        assert_eq!(first["payload_base64"], "/3s=");
        assert_eq!(first["problem"], "no JSON");
        // Opened again, what is there counts.
        let mut letters = DeadLetters::open(&path, 300).unwrap();
        assert_eq!(
            letters.keep("findings", "tcp", "no JSON", &record).unwrap(),
            Kept::NoRoom
        );
    }
}
