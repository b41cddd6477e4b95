//! The end of findings: each sender's own, and that of them all.

use dfo_service::{Channel, Ended, Reason};
use dfo_transport::{Record, Sink, memory};

use crate::scene::{Outcome, Scene, Told, app, finding, finding_record, source};

fn end() -> Record {
    Record::new(r#"{"name": "end"}"#, "")
}

fn ended_of_itself(ended: &Ended) {
    assert!(
        matches!(ended.reason, Reason::EndOfFindings),
        "{}",
        ended.reason
    );
    assert!(ended.reason.is_orderly());
}

/// Who was told to have ended: from where, the how manieth, of how many.
fn ends_told(told: &Outcome) -> Vec<(&str, usize, usize)> {
    let ends = told.0.iter().filter_map(|told| match told {
        Told::Ended { from, ended, of } => Some((from.as_str(), *ended, *of)),
        _ => None,
    });
    ends.collect()
}

/// The sources that were told to be over.
fn sources_over(told: &Outcome) -> Vec<(Channel, &str)> {
    let over = told.0.iter().filter_map(|told| match told {
        Told::SourceOver(channel, from) => Some((*channel, from.as_str())),
        _ => None,
    });
    over.collect()
}

#[tokio::test(start_paused = true)]
async fn h01_the_stop_sentinel_ends_the_loop() {
    for metadata in [
        r#"{"name": "end"}"#,
        r#"{"type": "stop"}"#,
        r#"{"type":"stop","x":NaN}"#,
    ] {
        let mut s = Scene::new().start();
        s.find(finding(0)).await;
        s.diagnoser.send(Record::new(metadata, "")).await.unwrap();
        let ended = s.ended().await;
        ended_of_itself(&ended);
        assert_eq!((ended.counts.findings, ended.counts.ends), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_is_decided_on_and_so_is_what_came_right_behind_it() {
    let records = (0..1000)
        .map(finding_record)
        .chain([end(), finding_record(1000)]);
    let scene = Scene::new().findings_from("a", source().gives(records));
    let (ended, _) = scene.settings(|s| s.batch = 2000).runs_to_its_end().await;
    ended_of_itself(&ended);
    assert_eq!(ended.counts.findings, 1001);
}

#[tokio::test(start_paused = true)]
async fn only_the_metadata_end_a_stream() {
    let mut s = Scene::new().start();
    for (metadata, payload) in [
        ("", r#"{"name": "end"}"#),
        ("", r#"{"type": "stop"}"#),
        (r#"{"name": "ending"}"#, "{}"),
        (r#"{"type": "end"}"#, "{}"),
        ("end", "{}"),
    ] {
        s.on_findings(Record::new(metadata, payload)).await;
    }
    assert!(s.is_running());
    assert_eq!(s.stop().await.counts.findings, 5);
}

#[tokio::test(start_paused = true)]
async fn z09_the_end_of_one_diagnoser_does_not_end_the_other() {
    let (mut first, a) = memory::pair(16);
    let (mut second, b) = memory::pair(16);
    let scene = Scene::new().findings_from("a", a);
    let s = scene.findings_from("b", b).start();
    first.send(finding_record(0)).await.unwrap();
    first.send(end()).await.unwrap();
    s.settle().await;
    for window in 1..=5 {
        second.send(finding_record(window)).await.unwrap();
        s.wait(100.0).await;
    }
    assert!(s.is_running());
    second.send(end()).await.unwrap();
    let log = s.log.clone();
    let ended = s.ended().await;
    ended_of_itself(&ended);
    assert_eq!((ended.counts.findings, ended.counts.ends), (6, 2));
    assert_eq!(ends_told(&log.outcome()), [("a", 1, 1), ("b", 1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn z09_a_source_with_two_senders_ends_with_the_second() {
    let minute = std::time::Duration::from_mins(1);
    let two = source().with_senders(2).gives([finding_record(0), end()]);
    let two = two.waits(minute).gives([finding_record(1)]);
    let two = two.waits(minute).gives([finding_record(2), end()]);
    let s = Scene::new().findings_from("two", two).start();
    let log = s.log.clone();
    let (time, ended) = s.ends_after().await;
    assert!(time >= 2 * minute);
    ended_of_itself(&ended);
    assert_eq!((ended.counts.findings, ended.counts.ends), (3, 2));
    assert_eq!(ends_told(&log.outcome()), [("two", 1, 2), ("two", 2, 2)]);
}

#[tokio::test(start_paused = true)]
async fn z09_how_many_senders_there_are_can_be_set_and_goes_before_what_the_transport_tells() {
    for source in [source(), source().with_senders(1), source().with_senders(7)] {
        let records = [end(), finding_record(0), end(), finding_record(1)];
        let source = source.gives(records).gives([end(), finding_record(2)]);
        let scene = Scene::new().settings(|s| {
            s.senders = Some(3);
            s.batch = 1;
        });
        let (ended, _) = scene.findings_from("a", source).runs_to_its_end().await;
        ended_of_itself(&ended);
        assert_eq!(ended.counts.ends, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_transports_stream_is_an_end_too() {
    let mut s = Scene::new().start();
    s.find(finding(0)).await;
    let (gone, _) = memory::pair(1);
    s.diagnoser = gone;
    let ended = s.ended().await;
    ended_of_itself(&ended);
    assert_eq!((ended.counts.findings, ended.counts.ends), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn z09_the_end_of_one_transports_stream_does_not_end_the_other() {
    let (mut diagnoser, findings) = memory::pair(16);
    let scene = Scene::new().findings_from("ending", source().ends());
    let s = scene.findings_from("other", findings).start();
    s.wait(1000.0).await;
    diagnoser.send(finding_record(0)).await.unwrap();
    drop(diagnoser);
    assert_eq!(s.ended().await.counts.findings, 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_on_the_control_channel_does_not_end_the_service() {
    let mut s = Scene::new().start();
    s.register(&app("i1")).await;
    for metadata in [r#"{"name": "end"}"#, r#"{"type": "stop"}"#] {
        s.on_control(Record::new(metadata, "")).await;
    }
    s.find(finding(0)).await.plan();
    assert!(s.is_running());
}

#[tokio::test(start_paused = true)]
async fn h02_a_control_stream_that_ends_does_not_end_the_service_and_is_told() {
    let mut s = Scene::new()
        .control_from("registry", source().ends())
        .start();
    s.find(finding(0)).await;
    assert!(s.is_running());
    assert_eq!(
        sources_over(&s.log.outcome()),
        [(Channel::Control, "registry")]
    );
}

#[tokio::test(start_paused = true)]
async fn without_findings_at_all_the_end_of_control_is_no_end_of_findings() {
    let registry = source().gives([app("i1").record()]).ends();
    let service = Scene::new().control_from("registry", registry).service();
    let an_hour = tokio::time::sleep(std::time::Duration::from_hours(1));
    let ended = service.run(an_hour).await.unwrap();
    assert!(matches!(ended.reason, Reason::Asked), "{}", ended.reason);
    assert_eq!(ended.counts.registrations, 1);
}
