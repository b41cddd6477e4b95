//! Disks that take nothing any more, for a while or for good.

use std::fs;
use std::process::Command;
use std::time::Duration;

use dfo_journal::{Flaw, Mark, Options, Report, SyncPolicy};

use crate::scene::{Scene, folder, recovered, replayed, segments};

fn soon() -> Options {
    let mut options = Options::default();
    options.retry_after = Duration::from_millis(1);
    options
}

fn failed(report: &Report) -> Option<u64> {
    match report {
        Report::Failed { first_lost, .. } => Some(*first_lost),
        _ => None,
    }
}

fn wants_segment(report: &Report) -> Option<()> {
    matches!(report, Report::WantsSegment).then_some(())
}

fn recovery(report: &Report) -> Option<std::ops::Range<u64>> {
    match report {
        Report::Recovered { lost } => Some(lost.clone()),
        _ => None,
    }
}

#[test]
fn a_plan_is_reported_durable_and_what_was_before_it_too() {
    let folder = folder();
    let mut scene = Scene::start(folder.path());
    scene.register();
    assert_eq!(scene.find(5, 0.9).len(), 1);
    let last = scene.writer.last_seq();
    scene.wait_for(|report| matches!(report, Report::Synced { seq } if *seq == last).then_some(()));
    assert_eq!(scene.writer.backlog_bytes(), 0);
}

#[test]
fn by_the_clock_lines_become_durable_without_being_asked_for() {
    let folder = folder();
    let mut options = Options::default();
    options.sync = SyncPolicy::Every(Duration::from_millis(5));
    let mut scene = Scene::start_with(folder.path(), options);
    scene.register();
    let last = scene.writer.last_seq();
    scene.wait_for(|report| matches!(report, Report::Synced { seq } if *seq == last).then_some(()));
}

#[test]
fn a_long_segment_is_followed_by_another_and_the_oldest_are_cut() {
    let folder = folder();
    let mut options = Options::default();
    options.segment_bytes = 1 << 14;
    options.keep_bytes = Some(1 << 16);
    let mut scene = Scene::start_with(folder.path(), options);
    let mut rotations = 0;
    while rotations < 12 {
        scene.some_events();
        if scene.writer.wants_new_segment() {
            scene.rotate();
            rotations += 1;
        }
    }
    let cut = scene.wait_for(|report| match report {
        Report::Cut { segment, bytes } => Some((segment.clone(), *bytes)),
        _ => None,
    });
    assert_eq!(cut.0, "segment-00000000000000000001.jsonl");
    assert!(cut.1 >= 1 << 14);
    drop(scene);
    let kept: u64 = segments(folder.path())
        .iter()
        .map(|s| fs::metadata(s).unwrap().len())
        .sum();
    assert!(kept <= 1 << 16, "{kept}");
    assert_eq!(replayed(folder.path()).sentences(), [""; 0]);
}

#[test]
fn the_newest_two_segments_stay_however_little_is_to_be_kept() {
    let folder = folder();
    let mut options = Options::default();
    options.keep_bytes = Some(0);
    let mut scene = Scene::start_with(folder.path(), options);
    for _ in 0..4 {
        scene.some_events();
        scene.rotate();
    }
    drop(scene);
    assert_eq!(segments(folder.path()).len(), 2);
    assert_eq!(replayed(folder.path()).sentences(), [""; 0]);
}

#[test]
fn a_folder_that_goes_and_comes_back_costs_the_lines_between() {
    let parent = folder();
    let path = parent.path().join("journal");
    let aside = parent.path().join("aside");
    let mut scene = Scene::start_with(&path, soon());
    scene.register();
    let last = scene.writer.last_seq();
    scene
        .wait_for(|report| matches!(report, Report::Written { seq } if *seq == last).then_some(()));
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "a file in its place").unwrap();
    // The open segment can still be written; a new one cannot begin.
    scene.rotate();
    let first_lost = scene.wait_for(failed);
    assert_eq!(first_lost, last + 1);
    scene.find(5, 0.9);
    scene.find(6, 0.9);
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    scene.wait_for(wants_segment);
    assert!(scene.writer.wants_new_segment());
    let head = scene.rotate();
    assert_eq!(scene.wait_for(recovery), first_lost..head);
    scene.find(9, 0.9);
    drop(scene);

    let told = replayed(&path);
    let not_taken = Flaw::NotTaken {
        first: first_lost,
        last: head - 1,
    };
    assert_eq!(told.problems.len(), 1);
    assert_eq!(told.problems[0].what, not_taken);
    assert_eq!(told.tally.problems, 0);
    // The plan of the lost lines is known all the same.
    assert_eq!(recovered(&path).planner.pending().len(), 1);
}

/// Set for the process that meets the limit.
const LIMITED: &str = "DFO_JOURNAL_TEST_LIMITED";

#[test]
fn a_file_that_can_grow_no_further_is_cut_at_a_whole_line_and_another_begins() {
    let folder = folder();
    // 16 KiB or less a file, by the unit of the shell; a write beyond is an error, not a signal.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    let test = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(test)
        .args(["--exact", "failures::in_a_limited_process", "--nocapture"])
        .env(LIMITED, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    let told = replayed(folder.path());
    let harmless = told
        .problems
        .iter()
        .filter(|p| matches!(p.what, Flaw::NotTaken { .. }));
    assert_eq!(
        harmless.count(),
        told.problems.len(),
        "{:?}",
        told.sentences()
    );
    assert!(!told.problems.is_empty());
    assert!(told.tally.segments >= 2);
}

#[test]
fn in_a_limited_process() {
    let Some(folder) = std::env::var_os(LIMITED) else {
        return;
    };
    let mut scene = Scene::start_with(folder.as_ref(), soon());
    scene.register();
    let mut reason = "x".repeat(999);
    let first_lost = loop {
        let sent = Mark::Stopped { reason };
        scene.mark(&sent);
        let Mark::Stopped { reason: again } = sent else {
            return;
        };
        reason = again;
        let seq = scene.writer.last_seq();
        // What is written is told before what fails.
        let failed = scene.wait_for(|report| match report {
            Report::Written { seq: written } if *written == seq => Some(None),
            Report::Failed { first_lost, .. } => Some(Some(*first_lost)),
            _ => None,
        });
        if let Some(first_lost) = failed {
            break first_lost;
        }
    };
    scene.mark(&Mark::Stopped { reason });
    // The limit is each file's own: 64 KiB more never fit, so the disk looks full until asked to rotate.
    let head = scene.rotate();
    assert_eq!(scene.wait_for(recovery), first_lost..head);
    scene.find(5, 0.9);
}
