//! Any lines as a journal, each with the checksum that it would have, and some without.
//!
//! Nothing may panic: not reading, not folding, not going on. Whatever is wrong is named with its
//! place, and what was recovered can be gone on with. A constraint is a text from outside, too.

#![no_main]

use std::fs;
use std::ops::ControlFlow;

use dfo_journal::{Archive, NewHead, Options, Replay, Writer, recover};
use dfo_planner::{Constraint, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(constraint) = text.parse::<Constraint>()
    {
        assert_eq!(constraint.as_str().parse(), Ok(constraint));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let segment = folder.path().join("segment-00000000000000000001.jsonl");
    fs::write(segment, sealed(bytes)).expect("a file");
    let archive = Archive::open(folder.path()).expect("a folder that can be read");
    let mut told = 0;
    let folded = Replay::new().run(&archive, |step| {
        told += u64::from(matches!(step, dfo_journal::Step::Problem(_)));
        ControlFlow::Continue(())
    });
    assert_eq!(told, folded.tally.problems + folded.tally.harmless);
    let settings = Settings::default();
    let Ok(recovered) = recover(folder.path(), &settings, 1, |_| {}) else {
        return;
    };
    let head = NewHead {
        at_ms: 0,
        node: None,
        settings: &settings,
        planner: &recovered.planner,
        companion: &serde_json::Value::Null,
    };
    let options = Options::default();
    let writer = Writer::start(recovered.folder, options, recovered.go_on, &head, drop);
    drop(writer.expect("a journal that can be gone on with"));
});

/// The lines; those that begin with a brace with the checksum that makes them good.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        match (line.first(), line.last()) {
            (Some(b'{'), Some(b'}')) => {
                let open = &line[..line.len() - 1];
                text.extend_from_slice(open);
                let crc = crc32fast::hash(open);
                text.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"}}").as_bytes());
            }
            _ => text.extend_from_slice(line),
        }
        text.push(b'\n');
    }
    text
}
