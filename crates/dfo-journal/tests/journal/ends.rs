//! A service ends, in order or not, and goes on.

use std::fs::{self, File};

use dfo_journal::{Flaw, JournalError, Mark, Options, Since, recover};
use dfo_planner::Settings;

use crate::scene::{SEED, Scene, folder, recovered, replayed, segments};

#[test]
fn what_was_written_is_folded() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.some_events();
    let value = scene.planner.value("dlio.prefetch_size", None).cloned();
    let last = scene.writer.last_seq();
    drop(scene);

    let again = recovered(folder.path());
    assert_eq!(
        again.planner.value("dlio.prefetch_size", None),
        value.as_ref()
    );
    assert_eq!(again.go_on.next_seq, last + 1);
    assert_eq!(again.go_on.positions["findings"], again.tally.events);
    assert_eq!(again.problems, []);
    assert!(!again.is_new());
}

#[test]
fn many_starts_and_rotations_verify() {
    let folder = folder();
    for _ in 0..3 {
        let mut scene = Scene::start(folder.path());
        scene.some_events();
        scene.rotate();
        scene.some_events();
        scene.writer.close();
    }
    let told = replayed(folder.path());
    assert_eq!(told.sentences(), [""; 0]);
    assert_eq!(told.tally.segments, 6);
    assert!(told.tally.plans >= 6, "{:?}", told.tally);
    // Heads count too, so that the numbers of the other lines skip them.
    assert!(told.seqs.is_sorted());
    assert_eq!(told.seqs.first(), Some(&2));
}

#[test]
fn the_companion_and_what_happened_since_are_there() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.companion = serde_json::json!({"applications": ["app-1"]});
    scene.some_events();
    scene.rotate();
    let reason = "a signal".to_owned();
    scene.mark(&Mark::Stopped { reason });
    drop(scene);
    let mut since = Vec::new();
    let again = recover(folder.path(), &Settings::default(), SEED, |step| {
        since.push(match step {
            Since::Head(head) => head.companion.to_string(),
            Since::Entry { entry, .. } => format!("{:?}", entry.what),
        });
    });
    let companion = r#"{"applications":["app-1"]}"#;
    assert_eq!(
        since,
        [companion, r#"Mark(Stopped { reason: "a signal" })"#]
    );
    assert_eq!(again.unwrap().companion.unwrap().to_string(), companion);
}

#[test]
fn two_services_never_write_one_journal() {
    let folder = folder();
    let scene = Scene::start(folder.path());
    let second = recover(folder.path(), &Settings::default(), SEED, |_| {});
    assert!(
        matches!(second, Err(JournalError::InUse { .. })),
        "{second:?}"
    );
    // Reading is free.
    assert_eq!(replayed(folder.path()).tally.segments, 1);
    drop(scene);
    recovered(folder.path());
}

#[test]
fn a_tail_that_is_torn_anywhere_is_cut_and_said() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.some_events();
    drop(scene);
    let segment = segments(folder.path()).remove(0);
    let whole = fs::read(&segment).unwrap();
    let all = replayed(folder.path()).seqs;
    let text = &whole[..whole.len() - 1];
    let last_line = text.iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for length in last_line..=whole.len() {
        fs::write(&segment, &whole[..length]).unwrap();
        // Without its line end a line is still whole.
        let is_whole = length >= whole.len() - 1;
        let is_torn = !is_whole && length > last_line;
        let told = replayed(folder.path());
        let kept = if is_whole {
            &all[..]
        } else {
            &all[..all.len() - 1]
        };
        assert_eq!(told.seqs, kept);
        let again = recovered(folder.path());
        assert_eq!(again.go_on.next_seq, kept.last().unwrap() + 1);
        assert_eq!(again.problems.len(), usize::from(is_torn), "{length}");
        if is_torn {
            let bytes = (length - last_line) as u64;
            assert_eq!(again.problems[0].what, Flaw::Torn { bytes });
            assert_eq!(again.cut_bytes, bytes);
            assert_eq!(fs::read(&segment).unwrap(), &whole[..last_line]);
        }
    }
}

#[test]
fn a_head_that_is_torn_anywhere_is_no_obstacle() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.some_events();
    scene.rotate();
    drop(scene);
    let newest = segments(folder.path()).remove(1);
    let whole = fs::read(&newest).unwrap();
    let next_seq = recovered(folder.path()).go_on.next_seq;
    for length in 0..whole.len() - 1 {
        fs::write(&newest, &whole[..length]).unwrap();
        let again = recovered(folder.path());
        assert_eq!(again.go_on.next_seq, next_seq - 1, "{length}");
        assert!(!newest.exists());
    }
}

#[test]
fn a_journal_goes_on_after_a_torn_head_at_its_very_beginning() {
    let folder = folder();
    drop(Scene::start(folder.path()));
    let first = segments(folder.path()).remove(0);
    File::options()
        .write(true)
        .open(&first)
        .unwrap()
        .set_len(30)
        .unwrap();
    let again = recovered(folder.path());
    assert!(again.is_new());
    Scene::go_on(again, Options::default()).some_events();
    assert_eq!(replayed(folder.path()).sentences(), [""; 0]);
}

#[test]
fn an_empty_folder_and_none_at_all_are_new_journals() {
    let folder = folder();
    assert!(recovered(folder.path()).is_new());
    assert!(recovered(&folder.path().join("a/b")).is_new());
    assert!(replayed(folder.path()).planner.is_none());
}

#[test]
fn other_settings_count_from_the_next_start_on() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.some_events();
    drop(scene);
    let mut settings = Settings::default();
    settings.rationale_says_assumed = false;
    let again = recover(folder.path(), &settings, SEED, |_| {}).unwrap();
    assert_eq!(again.problems, []);
    assert!(again.planner.value("dlio.prefetch_size", None).is_some());
}
