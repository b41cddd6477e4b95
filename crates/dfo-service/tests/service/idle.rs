//! Stopping because nothing is found any more.

use std::time::Duration;

use dfo_service::{Happening, Observer, Reason};
use dfo_transport::{ErrorKind, Sink, memory};

use crate::scene::{Scene, app, finding, finding_record, source};

const MINUTE: Duration = Duration::from_mins(1);
/// The clock counts in milliseconds, and so do the steps of a test.
const A_LITTLE: Duration = Duration::from_millis(5);

fn is_about(time: Duration, expected: Duration) -> bool {
    time.abs_diff(expected) <= A_LITTLE
}

#[tokio::test(start_paused = true)]
async fn z03_without_an_idle_timeout_the_service_waits_for_ever() {
    let mut s = Scene::new().start();
    s.find(finding(0)).await;
    s.wait(2.0 * 3600.0).await;
    assert!(s.is_running());
    s.find(finding(1)).await;
    assert_eq!(s.stop().await.counts.findings, 2);
}

#[tokio::test(start_paused = true)]
async fn z03_an_idle_timeout_of_zero_is_never() {
    let mut s = Scene::new().idle_timeout(Duration::ZERO).start();
    s.settle().await;
    assert!(s.is_running());
    s.find(finding(0)).await;
    s.wait(2.0 * 3600.0).await;
    assert!(s.is_running());
    assert_eq!(s.stop().await.counts.findings, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_timeout_beyond_all_time_is_never() {
    let mut s = Scene::new().idle_timeout(Duration::MAX).start();
    s.find(finding(0)).await;
    s.wait(3600.0).await;
    assert!(s.is_running());
}

#[tokio::test(start_paused = true)]
async fn after_exactly_so_long_without_findings_the_service_ends() {
    let mut s = Scene::new().idle_timeout(MINUTE).start();
    s.wait(30.0).await;
    s.find(finding(0)).await;
    s.wait(59.0).await;
    s.find(finding(1)).await;
    let (time, ended) = s.ends_after().await;
    assert!(is_about(time, MINUTE), "{time:?}");
    assert!(matches!(ended.reason, Reason::Idle));
    assert!(ended.reason.is_orderly());
    assert_eq!(ended.counts.findings, 2);
}

#[tokio::test(start_paused = true)]
async fn without_any_finding_at_all_the_time_runs_from_the_start() {
    let s = Scene::new().idle_timeout(MINUTE).start();
    let (time, ended) = s.ends_after().await;
    assert!(is_about(time, MINUTE), "{time:?}");
    assert!(matches!(ended.reason, Reason::Idle));
}

#[tokio::test(start_paused = true)]
async fn control_traffic_does_not_count_as_findings() {
    let mut s = Scene::new().idle_timeout(MINUTE).start();
    for _ in 0..5 {
        s.register(&app("i1")).await;
        s.wait(10.0).await;
    }
    let (time, ended) = s.ends_after().await;
    assert!(is_about(time, Duration::from_secs(10)), "{time:?}");
    assert!(matches!(ended.reason, Reason::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_reached_gives_no_findings() {
    let away = source().fails_for_ever(ErrorKind::Unreachable);
    let scene = Scene::new().idle_timeout(MINUTE);
    let (time, ended) = scene.findings_from("away", away).start().ends_after().await;
    assert!(is_about(time, MINUTE), "{time:?}");
    assert!(matches!(ended.reason, Reason::Idle));
    assert!(ended.counts.retries > 10);
}

/// Takes its time for each decision.
struct Slow;

impl Observer for Slow {
    fn observe(&mut self, happening: &Happening<'_>) {
        if matches!(happening, Happening::Decided { .. }) {
            // Sleeps: the observer plays a slow one.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[tokio::test]
async fn a_service_that_is_slow_itself_is_not_idle_while_findings_wait() {
    // By the real clock: each finding takes longer than the idle timeout.
    let findings = source().gives((0..100).map(finding_record));
    let scene = Scene::new().idle_timeout(Duration::from_millis(1));
    let scene = scene.settings(|s| s.batch = 1);
    let service = scene.findings_from("f", findings).service().observer(Slow);
    let ended = service.run(std::future::pending()).await.unwrap();
    assert!(matches!(ended.reason, Reason::Idle));
    assert_eq!(ended.counts.findings, 100);
}

#[tokio::test(start_paused = true)]
async fn that_one_of_two_sources_ends_is_no_finding() {
    let (mut diagnoser, findings) = memory::pair(16);
    let ending = source().waits(MINUTE / 2).ends();
    let scene = Scene::new().idle_timeout(MINUTE);
    let scene = scene.findings_from("ending", ending);
    let s = scene.findings_from("other", findings).start();
    diagnoser.send(finding_record(0)).await.unwrap();
    let (time, _) = s.ends_after().await;
    assert!(is_about(time, MINUTE), "{time:?}");
}
