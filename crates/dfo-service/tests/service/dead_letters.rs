//! Records that could not be used, kept for someone to look at.

use std::fs;
use std::path::{Path, PathBuf};

use dfo_transport::Record;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::scene::{Scene, Told, app, finding, finding_record, knob, source};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("dead.jsonl")
    }

    fn letters(&self) -> Vec<Json> {
        letters(&self.file())
    }
}

fn letters(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "whole lines: {text:?}"
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn scene(path: &Path) -> Scene {
    let path = path.to_owned();
    Scene::new()
        .knobs([knob("k")])
        .settings(|s| s.dead_letters = Some(path))
}

fn garbage() -> Record {
    Record::new(r#"{"a": 1}"#, "garbage")
}

#[tokio::test(start_paused = true)]
async fn bad_records_are_kept_whole_with_where_they_came_from_and_what_is_wrong() {
    let here = Folder::new();
    let mut s = scene(&here.file()).start();
    s.find(finding(0)).await;
    s.on_findings(garbage()).await;
    s.on_findings(Record::new(&b"[1]"[..], &b"\xff{"[..])).await;
    s.on_control(Record::new("", "neither")).await;
    s.register(&app("i1")).await;
    let log = s.log.clone();
    let counts = s.stop().await.counts;
    assert_eq!((counts.dead_letters, counts.dead_letters_dropped), (3, 0));

    let letters = here.letters();
    let of = |field: &str| -> Vec<Json> { letters.iter().map(|l| l[field].clone()).collect() };
    assert_eq!(of("channel"), ["findings", "findings", "control"]);
    assert_eq!(of("from"), ["findings", "findings", "control"]);
    assert_eq!(of("problem"), log.outcome().problems());
    assert_eq!(
        (&letters[0]["metadata"], &letters[0]["payload"]),
        (&r#"{"a": 1}"#.into(), &"garbage".into())
    );
    assert_eq!(
        (&letters[1]["metadata"], &letters[1]["payload_base64"]),
        (&"[1]".into(), &"/3s=".into())
    );
    assert_eq!(letters[1].get("payload"), None);
    assert!(letters[2]["time"].as_f64().unwrap() > 1.6e9);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_in_the_file_while_the_service_runs() {
    let here = Folder::new();
    let mut s = scene(&here.file()).start();
    s.on_findings(garbage()).await;
    s.wait(2.0).await;
    assert_eq!(here.letters().len(), 1, "a crash would lose it");
}

#[tokio::test(start_paused = true)]
async fn the_file_is_appended_to() {
    let here = Folder::new();
    for count in 1..=3 {
        let mut s = scene(&here.file()).start();
        s.on_findings(garbage()).await;
        s.stop().await;
        assert_eq!(here.letters().len(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_does_not_grow_beyond_its_limit_and_what_it_had_no_room_for_is_counted() {
    let here = Folder::new();
    let bad = source().gives((0..10_000).map(|_| garbage())).ends();
    let scene = scene(&here.file()).settings(|s| s.dead_letter_limit = 5000);
    let (ended, _) = scene.findings_from("f", bad).runs_to_its_end().await;
    let size = fs::metadata(here.file()).unwrap().len();
    assert!((4000..=5000).contains(&size), "{size}");
    let counts = ended.counts;
    assert_eq!(counts.bad_findings, 10_000);
    assert_eq!(counts.dead_letters, here.letters().len() as u64);
    assert_eq!(counts.dead_letters + counts.dead_letters_dropped, 10_000);
}

#[tokio::test(start_paused = true)]
async fn without_a_file_nothing_is_kept_and_nothing_is_missed() {
    let mut s = Scene::new().start();
    s.on_findings(garbage()).await;
    let counts = s.stop().await.counts;
    assert_eq!(
        (
            counts.bad_findings,
            counts.dead_letters,
            counts.dead_letters_dropped
        ),
        (1, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_path_that_cannot_be_written_is_an_error_at_the_start_and_nothing_is_received() {
    let here = Folder::new();
    for path in [
        here.0.path().to_owned(),
        here.0.path().join("no").join("such").join("folder"),
    ] {
        let findings = source().gives([finding_record(0)]);
        let given = findings.given();
        let service = scene(&path).findings_from("f", findings).service();
        let error = service
            .run(std::future::pending())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains("dead letters"), "{error}");
        assert_eq!(given.records(), 0);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_and_counted_and_ends_nothing() {
    for count in [1, 10, 1000] {
        let mut s = scene(Path::new("/dev/full")).start();
        for _ in 0..count {
            s.diagnoser_sends(garbage()).await;
        }
        s.wait(3.0).await;
        s.find(finding(0)).await.plan();
        let log = s.log.clone();
        let counts = s.stop().await.counts;
        let failures = log.outcome().0.into_iter().filter_map(|told| match told {
            Told::DeadLetterFailed(error) => Some(error),
            _ => None,
        });
        let failures: Vec<_> = failures.collect();
        assert!(
            failures.first().is_some_and(|e| e.contains("space")),
            "{failures:?}"
        );
        assert!(failures.len() <= count, "not told again and again");
        assert_eq!(
            (counts.dead_letters, counts.dead_letters_dropped),
            (0, count as u64)
        );
        assert_eq!((counts.findings, counts.bad_findings), (1, count as u64));
    }
}
