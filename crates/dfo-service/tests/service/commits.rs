//! What a source that wants to know hears of what is done with.

use std::time::Duration;

use dfo_service::Reason;
use dfo_transport::Record;

use crate::scene::{Scene, finding_record, knob, source};

fn findings(count: i64) -> impl Iterator<Item = Record> {
    (0..count).map(finding_record)
}

#[tokio::test(start_paused = true)]
async fn commits_never_run_ahead_of_what_was_decided() {
    let scene = Scene::new().knobs([knob("k")]).settings(|s| s.batch = 7);
    let records = source().acknowledging(scene.log()).gives(findings(1000));
    let given = records.given();
    let s = scene.findings_from("a", records).start();
    s.settle().await;
    let commits = given.commits();
    assert!(!commits.is_empty());
    for commit in &commits {
        assert!(commit.records <= commit.decided as u64, "{commit:?}");
    }
    assert!(commits.is_sorted_by_key(|commit| commit.records));
    assert_eq!(commits.last().unwrap().records, 1000);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_done_with_too() {
    let scene = Scene::new();
    let bad = (0..10).map(|_| Record::new("", "garbage"));
    let records = source().acknowledging(scene.log()).gives(bad);
    let given = records.given();
    let s = scene.findings_from("a", records).start();
    s.settle().await;
    assert_eq!(given.commits().last().unwrap().records, 10);
    s.stop().await;
}

#[tokio::test(start_paused = true)]
async fn everything_decided_is_committed_when_the_stream_ends() {
    for batch in [1, 7, 1000] {
        let scene = Scene::new()
            .knobs([knob("k")])
            .settings(|s| s.batch = batch);
        let records = source().acknowledging(scene.log()).gives(findings(100));
        let given = records.given();
        let scene = scene.findings_from("a", records.ends());
        let (ended, _) = scene.runs_to_its_end().await;
        assert!(matches!(ended.reason, Reason::EndOfFindings));
        let last = given.commits().last().copied();
        assert_eq!(last.map(|c| c.records), Some(100), "in batches of {batch}");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_decided_is_committed_when_the_service_is_asked_to_stop() {
    let scene = Scene::new().knobs([knob("k")]).settings(|s| s.batch = 10);
    let records = source().acknowledging(scene.log()).gives(findings(20_000));
    let given = records.given();
    let mut s = scene.findings_from("a", records).start();
    while given.records() == 0 {
        tokio::task::yield_now().await;
    }
    s.ask_to_stop();
    let ended = s.ended().await;
    assert!(matches!(ended.reason, Reason::Asked));
    assert_eq!(
        ended.counts.findings,
        given.records(),
        "what arrived is decided on"
    );
    let last = given.commits().last().copied();
    assert_eq!(last.map(|c| c.records), Some(given.records()));
}

#[tokio::test(start_paused = true)]
async fn everything_is_committed_at_an_end_that_the_diagnoser_says() {
    let scene = Scene::new().knobs([knob("k")]);
    let end = Record::new(r#"{"name": "end"}"#, "");
    let records = source().acknowledging(scene.log());
    let records = records.gives(findings(9).chain([end]));
    let given = records.given();
    scene.findings_from("a", records).runs_to_its_end().await;
    assert_eq!(given.commits().last().map(|c| c.records), Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_for_now_is_tried_again_even_if_nothing_more_comes() {
    let scene = Scene::new().knobs([knob("k")]);
    let records = source().acknowledging(scene.log()).whose_commits_fail(3);
    let records = records.gives(findings(5));
    let given = records.given();
    let s = scene.findings_from("a", records).start();
    s.wait(60.0).await;
    assert_eq!(given.commits().last().map(|c| c.records), Some(5));
    assert_eq!(s.stop().await.counts.retries, 3);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_never_returns_does_not_hold_up_the_stop() {
    let scene = Scene::new().knobs([knob("k")]);
    let records = source().acknowledging(scene.log());
    let records = records.whose_commits_never_return().gives(findings(5));
    let s = scene.findings_from("a", records).start();
    s.settle().await;
    let (time, ended) = s.stops_after().await;
    assert!(time <= Duration::from_millis(1500), "{time:?}");
    assert_eq!(ended.counts.findings, 5);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_ask_is_told_nothing() {
    let records = source().gives(findings(5));
    let given = records.given();
    let mut s = Scene::new().findings_from("a", records).start();
    s.settle().await;
    s.ack(&dfo_model::Ack::new("p", dfo_model::AckStatus::Applied))
        .await;
    s.stop().await;
    assert_eq!(given.commits(), []);
    assert!(given.is_closed());
}
