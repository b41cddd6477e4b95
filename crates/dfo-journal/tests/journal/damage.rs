//! Journals that somebody or something has changed: what is good is kept, what is bad is named.

use std::fs;
use std::path::Path;

use dfo_journal::{Flaw, JournalError, Mark, recover};
use dfo_planner::Settings;
use proptest::prelude::*;

use crate::scene::{SEED, Scene, folder, recovered, replayed, segments};

/// Two segments with some lines each.
fn written(folder: &Path) -> Vec<u64> {
    let mut scene = Scene::start(folder);
    scene.some_events();
    scene.rotate();
    scene.some_events();
    scene.rotate();
    scene.some_events();
    drop(scene);
    replayed(folder).seqs
}

/// The lines of a segment, with their ends.
fn lines(segment: &Path) -> Vec<String> {
    let text = fs::read_to_string(segment).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn flaws(folder: &Path) -> Vec<Flaw> {
    replayed(folder)
        .problems
        .into_iter()
        .map(|p| p.what)
        .collect()
}

#[test]
fn a_flipped_bit_is_named_and_costs_only_its_line() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    let reason = "short".to_owned();
    scene.find(1, 0.5);
    scene.mark(&Mark::Stopped { reason });
    scene.rotate();
    scene.find(2, 0.5);
    drop(scene);
    let all = replayed(folder.path()).seqs;
    for segment in segments(folder.path()) {
        let whole = fs::read(&segment).unwrap();
        // Every fifth: each byte once or twice, each bit of a byte somewhere. The checksum's own test does all.
        for bit in (0..whole.len() * 8).step_by(5) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&segment, &flipped).unwrap();
            let told = replayed(folder.path());
            assert!(
                !told.problems.is_empty(),
                "bit {bit} of {}",
                segment.display()
            );
            // A flipped line end costs the lines on both sides.
            let most = if whole[bit / 8] == b'\n' { 2 } else { 1 };
            assert!(
                told.seqs.len() + most >= all.len(),
                "{bit}: {:?}",
                told.seqs
            );
            assert!(told.seqs.iter().all(|seq| all.contains(seq)));
        }
        fs::write(&segment, &whole).unwrap();
    }
    assert_eq!(replayed(folder.path()).sentences(), [""; 0]);
}

#[test]
fn lines_in_another_order_are_put_back() {
    let folder = folder();
    let all = written(folder.path());
    let segment = &segments(folder.path())[1];
    let mut changed = lines(segment);
    changed.swap(2, 4);
    fs::write(segment, changed.concat()).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs, all);
    assert_eq!(told.tally.not_compared, 0);
    let out_of_order = |what: &Flaw| matches!(what, Flaw::OutOfOrder { .. });
    assert!(told.problems.iter().all(|p| out_of_order(&p.what)));
    assert_eq!(told.problems.len(), 2, "{:?}", told.sentences());
    assert_eq!(told.problems[0].line, Some(4));
}

#[test]
fn a_line_that_is_there_twice_counts_once() {
    let folder = folder();
    let all = written(folder.path());
    let segment = &segments(folder.path())[0];
    let mut changed = lines(segment);
    changed.insert(4, changed[3].clone());
    fs::write(segment, changed.concat()).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs, all);
    assert_eq!(told.sentences().len(), 1, "{:?}", told.sentences());
    assert!(matches!(told.problems[0].what, Flaw::Repeated { .. }));
}

#[test]
fn a_line_that_is_missing_is_named_and_comparing_begins_again_at_the_next_head() {
    let folder = folder();
    let all = written(folder.path());
    let segment = &segments(folder.path())[0];
    let mut changed = lines(segment);
    changed.remove(2);
    fs::write(segment, changed.concat()).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs.len(), all.len() - 1);
    let missing = Flaw::Missing { first: 3, last: 3 };
    assert_eq!(flaws(folder.path()), [missing]);
    assert!(told.tally.not_compared > 0);
    assert!(told.tally.events > told.tally.not_compared);
}

#[test]
fn no_plan_id_is_given_twice_after_a_plan_was_lost() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.register();
    let lost = scene.find(5, 0.9).remove(0);
    scene.ack(&lost, 5);
    let mut given = vec![lost.plan_id.clone()];
    for window in [10, 15] {
        let plan = scene.find(window, 0.9).remove(0);
        scene.ack(&plan, window);
        given.push(plan.plan_id);
    }
    drop(scene);
    let segment = &segments(folder.path())[0];
    let mut changed = lines(segment);
    // The line that made the first plan.
    changed[2] = changed[2].replace("fetch_pressure", "fetch-pressure");
    fs::write(segment, changed.concat()).unwrap();
    let seed = SEED + 1;
    let again = recover(folder.path(), &Settings::default(), seed, |_| {}).unwrap();
    assert!(again.tally.not_compared > 0);
    let mut scene = Scene::go_on(again, dfo_journal::Options::default());
    let pending = scene.planner.pending();
    assert!(
        pending
            .iter()
            .all(|plan| !given.iter().any(|id| id == plan.plan_id))
    );
    for window in [40, 50, 60] {
        let new = scene.find(window, 0.9);
        assert!(
            new.iter().all(|plan| !given.contains(&plan.plan_id)),
            "{new:?}"
        );
    }
}

#[test]
fn segments_are_read_in_the_order_of_their_heads_whatever_they_are_called() {
    let folder = folder();
    let all = written(folder.path());
    let names = segments(folder.path());
    let aside = folder.path().join("aside");
    fs::rename(&names[0], &aside).unwrap();
    fs::rename(&names[2], &names[0]).unwrap();
    fs::rename(&aside, &names[2]).unwrap();
    fs::rename(&names[1], folder.path().join("my copy.jsonl")).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.sentences(), [""; 0]);
    assert_eq!(told.seqs, all);
    assert_eq!(
        recovered(folder.path()).go_on.next_seq,
        all.last().unwrap() + 1
    );
}

#[test]
fn a_copy_of_a_segment_is_passed_over() {
    let folder = folder();
    let all = written(folder.path());
    let names = segments(folder.path());
    fs::copy(&names[1], folder.path().join("copy.jsonl")).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs, all);
    assert_eq!(told.sentences().len(), 1, "{:?}", told.sentences());
}

#[test]
fn a_middle_segment_that_is_missing_is_a_gap() {
    let folder = folder();
    let all = written(folder.path());
    let names = segments(folder.path());
    let gone = lines(&names[1]).len();
    fs::remove_file(&names[1]).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs.len(), all.len() - (gone - 1));
    let [Flaw::Missing { first, last }] = flaws(folder.path())[..] else {
        panic!("{:?}", told.sentences());
    };
    assert_eq!(last - first + 1, gone as u64);
    assert_eq!(told.tally.not_compared, 0);
}

#[test]
fn without_its_oldest_segments_a_journal_verifies() {
    let folder = folder();
    written(folder.path());
    fs::remove_file(&segments(folder.path())[0]).unwrap();
    assert_eq!(replayed(folder.path()).sentences(), [""; 0]);
}

#[test]
fn a_damaged_head_is_bridged_by_the_segment_before() {
    let folder = folder();
    let all = written(folder.path());
    let last = &segments(folder.path())[2];
    let mut changed = lines(last);
    changed[0] = changed[0].replace("\"opened\"", "\"0pened\"");
    fs::write(last, changed.concat()).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs, all);
    assert_eq!(told.tally.not_compared, 0);
    assert!(
        matches!(&flaws(folder.path())[..], [Flaw::NoHead { .. }]),
        "{:?}",
        told.sentences()
    );
    let again = recovered(folder.path());
    assert_eq!(again.go_on.next_seq, all.last().unwrap() + 1);
    let state = |planner: &dfo_planner::Planner| serde_json::to_string(&planner.state()).unwrap();
    assert_eq!(state(&again.planner), state(&told.planner.unwrap()));
}

/// A head of version 2, with a checksum that is right.
fn in_the_future(segment: &Path) {
    let mut changed = lines(segment);
    let text = changed[0].replace("{\"dfo_journal\":1,", "{\"dfo_journal\":2,");
    let text = &text[..text.find(",\"crc\"").unwrap()];
    let crc = crc32(text.as_bytes());
    changed[0] = format!("{text},\"crc\":\"{crc:08x}\"}}\n");
    fs::write(segment, changed.concat()).unwrap();
}

/// Bit by bit, as the checksum is defined.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xEDB8_8320,
            _ => crc >> 1,
        })
    })
}

#[test]
fn a_later_version_is_refused_where_it_is_the_newest() {
    let folder = folder();
    written(folder.path());
    let last = &segments(folder.path())[2];
    in_the_future(last);
    let before = fs::read(last).unwrap();
    let refused = recover(folder.path(), &Settings::default(), SEED, |_| {}).unwrap_err();
    assert!(matches!(
        refused,
        JournalError::Version {
            found: 2,
            known: 1,
            ..
        }
    ));
    assert!(
        refused
            .to_string()
            .contains("a journal of version 2, this program knows version 1")
    );
    assert_eq!(fs::read(last).unwrap(), before);
}

#[test]
fn a_later_version_among_the_older_ones_is_passed_over_and_left_alone() {
    let folder = folder();
    let all = written(folder.path());
    let middle = &segments(folder.path())[1];
    in_the_future(middle);
    let before = fs::read(middle).unwrap();
    let told = replayed(folder.path());
    assert!(matches!(
        &flaws(folder.path())[..],
        [Flaw::Version { found: 2 }, ..]
    ));
    assert_eq!(told.seqs.len(), all.len() - (lines(middle).len() - 1));
    let again = recovered(folder.path());
    assert_eq!(again.problems, []);
    assert_eq!(fs::read(middle).unwrap(), before);
}

#[test]
fn other_files_are_no_obstacle() {
    let folder = folder();
    let all = written(folder.path());
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    fs::write(folder.path().join("other.jsonl"), "{}\n").unwrap();
    fs::create_dir(folder.path().join("x.jsonl")).unwrap();
    let told = replayed(folder.path());
    assert_eq!(told.seqs, all);
    assert_eq!(
        told.sentences(),
        ["other.jsonl: not a segment of a journal: ignored"]
    );
    assert_eq!(
        recovered(folder.path()).go_on.next_seq,
        all.last().unwrap() + 1
    );
}

#[test]
fn numbers_that_no_journal_reaches_are_not_counted_on_from() {
    let folder = folder();
    let all = written(folder.path());
    let name = format!("segment-{}.jsonl", u64::MAX);
    fs::write(folder.path().join(name), "{}\n").unwrap();
    let segment = &segments(folder.path())[2];
    let mut changed = lines(segment);
    let text = format!("{{\"seq\":{},\"at_ms\":1", u64::MAX);
    let crc = crc32(text.as_bytes());
    changed.push(format!("{text},\"crc\":\"{crc:08x}\"}}\n"));
    fs::write(segment, changed.concat()).unwrap();
    assert_eq!(replayed(folder.path()).seqs, all);
    let mut scene = Scene::start(folder.path());
    scene.some_events();
}

#[test]
fn a_journal_without_any_usable_head_is_refused() {
    let folder = folder();
    drop(Scene::start(folder.path()));
    let first = &segments(folder.path())[0];
    fs::write(first, "{\"dfo_journal\":1}\n").unwrap();
    let refused = recover(folder.path(), &Settings::default(), SEED, |_| {}).unwrap_err();
    assert!(matches!(refused, JournalError::NoHead { .. }));
    assert_eq!(fs::read(first).unwrap(), b"{\"dfo_journal\":1}\n");
}

#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Flip(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Double(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..20_000_usize;
    prop_oneof![
        at().prop_map(Change::Cut),
        (at(), 1_u8..).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (at(), any::<Vec<u8>>()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 0..3000_usize).prop_map(|(at, n)| Change::Remove(at, n)),
        (at(), 0..3000_usize).prop_map(|(at, n)| Change::Double(at, n)),
    ]
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        let size = bytes.len();
        let held = |at: usize| at.min(size);
        match self {
            Change::Cut(at) => bytes.truncate(*at),
            Change::Flip(at, bits) => {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte ^= bits;
                }
            }
            Change::Insert(at, more) => {
                bytes.splice(held(*at)..held(*at), more.iter().copied());
            }
            Change::Remove(at, n) => {
                bytes.drain(held(*at)..held(at + n));
            }
            Change::Double(at, n) => {
                let piece = bytes[held(*at)..held(at + n)].to_vec();
                bytes.splice(held(*at)..held(*at), piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_panics_whatever_becomes_of_a_journal(
        changes in prop::collection::vec((0_usize..3, change()), 1..6),
        stranger in prop::option::of(any::<Vec<u8>>()),
    ) {
        let folder = folder();
        let all = written(folder.path());
        let names = segments(folder.path());
        for (segment, change) in &changes {
            let mut bytes = fs::read(&names[*segment]).unwrap();
            change.make(&mut bytes);
            fs::write(&names[*segment], bytes).unwrap();
        }
        if let Some(bytes) = stranger {
            fs::write(folder.path().join("segment-00000000000000000099.jsonl"), bytes).unwrap();
        }
        let told = replayed(folder.path());
        prop_assert!(told.seqs.iter().all(|seq| all.contains(seq)));
        if let Ok(again) = recover(folder.path(), &Settings::default(), SEED, |_| {}) {
            // And a service can go on with whatever is left.
            let mut scene = Scene::go_on(again, dfo_journal::Options::default());
            scene.some_events();
            drop(scene);
            replayed(folder.path());
        }
    }
}
