//! Journals that are damaged: what is good is kept, what is bad is named, and the service goes on.

use std::fs;
use std::path::PathBuf;

use crate::dfo::Folder;
use crate::finding;
use crate::journal::{Journal, segments};
use crate::knobs;
use crate::live::{Serve, Served};
use crate::random::Random;

const FINDINGS: u64 = 300;

/// A folder with a journal of a run over the first half of the findings.
fn folder() -> Folder {
    let random = &mut Random::again(7);
    let findings: Vec<_> = (0..FINDINGS)
        .map(|n| finding(random, 6, n / 10) + "\n")
        .collect();
    let half = findings.len() / 2;
    let here = Folder::with("knobs.json", knobs(6).to_string());
    let here = here.file("findings.jsonl", findings[..half].concat());
    serve(&here);
    here.file("findings.jsonl", findings.concat())
}

/// Runs the service over what is not known of the findings, to its end.
fn serve(here: &Folder) -> Served {
    let args = "--findings findings.jsonl --knobs knobs.json --dry-run --journal journal";
    Serve::start(here.dfo(&format!("serve file --format json {args}")))
        .ends()
        .exits(0)
}

fn segment(here: &Folder) -> PathBuf {
    segments(&here.path("journal")).remove(0)
}

/// It names the segment, and decides on the rest of the findings.
#[track_caller]
fn goes_on(here: &Folder) -> Served {
    let name = segment(here)
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let served = serve(here);
    let told = served
        .events
        .iter()
        .filter(|e| e.to_string().contains(&name));
    assert!(
        told.count() > 0,
        "{name} is not named: {:#?}",
        served.events
    );
    served
}

/// How many findings it decided on.
fn findings(served: &Served) -> u64 {
    let done = served.events.last().unwrap();
    done["counts"]["findings"].as_u64().unwrap()
}

#[test]
fn a_torn_line_is_cut_and_said() {
    let here = folder();
    let segment = segment(&here);
    let mut text = fs::read(&segment).unwrap();
    let whole = text.len();
    text.extend(b"{\"seq\":100000,\"at_ms\":17");
    fs::write(&segment, &text).unwrap();
    let served = goes_on(&here);
    assert_eq!(findings(&served), FINDINGS / 2);
    assert_eq!(fs::read(&segment).unwrap().len(), whole);
    here.dfo("verify journal").run().exits(0);
    // It has no gap.
    Journal::read(&here.path("journal"));
}

#[test]
fn a_line_that_was_changed_is_named_and_the_others_count() {
    let here = folder();
    let segment = segment(&here);
    let mut text = fs::read(&segment).unwrap();
    let middle = text.len() / 2;
    text[middle] ^= 1;
    fs::write(&segment, &text).unwrap();
    // What the last lines say of how far it had come counts.
    assert_eq!(findings(&goes_on(&here)), FINDINGS / 2);
    let ran = here.dfo("verify journal").run();
    assert_ne!(ran.code, 0, "{ran}");
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("checksum"), "{ran}");
}

#[test]
fn lines_in_another_order_are_put_right() {
    let here = folder();
    let segment = segment(&here);
    let text = fs::read_to_string(&segment).unwrap();
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let last = lines.len() - 3;
    lines.swap(last, last - 1);
    fs::write(&segment, lines.concat()).unwrap();
    assert_eq!(findings(&goes_on(&here)), FINDINGS / 2);
}

#[test]
fn a_journal_of_a_later_version_is_not_written_over() {
    let here = folder();
    let segment = segment(&here);
    let text = fs::read_to_string(&segment).unwrap();
    let (head, rest) = text.split_once('\n').unwrap();
    let head = head.replacen("\"dfo_journal\":1", "\"dfo_journal\":2", 1);
    let (head, _) = head.rsplit_once(",\"crc\"").unwrap();
    let later = format!("{head},\"crc\":\"{:08x}\"}}\n{rest}", crc(head.as_bytes()));
    fs::write(&segment, &later).unwrap();
    let args = "--findings findings.jsonl --knobs knobs.json --dry-run --journal journal";
    let ran = here.run(&format!("serve file {args}"));
    assert_ne!(ran.code, 0, "{ran}");
    ran.complains("version");
    assert_eq!(fs::read_to_string(&segment).unwrap(), later);
    assert_eq!(segments(&here.path("journal")).len(), 1);
}

/// CRC-32, so that a line that was changed is as it was written.
fn crc(text: &[u8]) -> u32 {
    let of_byte = |crc: u32, byte: &u8| {
        let bit = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        (0..8).fold(crc ^ u32::from(*byte), bit)
    };
    !text.iter().fold(!0, of_byte)
}

#[test]
fn of_other_findings_than_those_of_before_it_says_so() {
    let here = folder();
    fs::write(here.path("findings.jsonl"), "{}\n").unwrap();
    let args = "--findings findings.jsonl --knobs knobs.json --dry-run --journal journal";
    let ran = here.run(&format!("serve file {args}")).exits(3);
    ran.complains("were taken before the restart");
}
