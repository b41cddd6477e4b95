//! The transports of this crate keep what they promise.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{Cursor, Write as _};
use std::sync::Mutex;

use async_trait::async_trait;
use dfo_transport::conformance::{self, Claim, Harness, OpenError, Place};
use dfo_transport::memory::{self, MemorySink, MemorySource};
use dfo_transport::{FileSource, Pace, Records, Sink, Source};

/// The pair of a process, with room for so many records.
struct Memory(usize);

struct Pair(MemorySink, Mutex<Option<MemorySource>>);

impl Harness for Memory {
    fn claims(&self) -> &[Claim] {
        &[
            Claim::Lossless,
            Claim::KeepsForReceiver,
            Claim::OpaqueMetadata,
            Claim::SeveralSenders,
            Claim::SinkReopens,
            Claim::Ends,
        ]
    }

    fn place(&self) -> Box<dyn Place> {
        let (sink, source) = memory::pair(self.0);
        Box::new(Pair(sink, Mutex::new(Some(source))))
    }
}

#[async_trait]
impl Place for Pair {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let source = self.1.lock().unwrap().take();
        Ok(Box::new(source.ok_or("a pair has one source")?))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        Ok(Box::new(self.0.clone()))
    }
}

#[test]
fn the_memory_pair_conforms() {
    println!("{}", conformance::prove(Memory(64)).unwrap());
}

#[test]
fn the_memory_pair_conforms_with_room_for_one() {
    conformance::prove(Memory(1)).unwrap();
}

#[test]
fn the_memory_pair_conforms_with_much_room() {
    conformance::prove(Memory(4096)).unwrap();
}

#[test]
fn a_file_conforms_as_far_as_it_is_a_source() {
    conformance::prove_source(|payloads| {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&payloads.join(&b'\n'))?;
        Ok(Box::new(FileSource::open(file.path(), Pace::Full)?))
    })
    .unwrap();
}

#[test]
fn a_paced_reader_conforms_as_far_as_it_is_a_source() {
    conformance::prove_source(|payloads| {
        let records = Records::from_reader("lines", Cursor::new(payloads.join(&b'\n')));
        Ok(Box::new(FileSource::new(records, Pace::PerSecond(1e6))?))
    })
    .unwrap();
}
