//! A part that fails is tried again or ends the service, and never in silence.

use std::time::Duration;

use dfo_service::Reason;
use dfo_transport::ErrorKind;
use tokio::time::Instant;

use crate::scene::{
    Live, Outcome, Scene, Told, ack_record, app, applied, finding, finding_record, knob, sink,
    source,
};

const RETRYABLE: [ErrorKind; 2] = [ErrorKind::Unreachable, ErrorKind::TimedOut];
const FATAL: [ErrorKind; 3] = [
    ErrorKind::Closed,
    ErrorKind::Io,
    ErrorKind::PermissionDenied,
];

/// What was tried again: where, and the how manieth time.
fn retries(told: &Outcome) -> Vec<(&str, u32)> {
    let retries = told.0.iter().filter_map(|told| match told {
        Told::Retrying { end, times, .. } => Some((end.as_str(), *times)),
        _ => None,
    });
    retries.collect()
}

// ── Sources ─────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_now_is_tried_again_after_twice_as_long_each_time() {
    for kind in RETRYABLE {
        let away = source().fails(kind, 8).gives([finding_record(0)]);
        let given = away.given();
        let start = Instant::now();
        let s = Scene::new().findings_from("away", away).start();
        s.wait(60.0).await;
        let at = given.asked_after(start);
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        for (wait, expected) in waits.iter().zip(expected) {
            assert!(wait.abs_diff(expected) <= 1, "{waits:?}");
        }
        let told = s.log.outcome();
        let tried: Vec<_> = (1..=8).map(|times| ("away", times)).collect();
        assert_eq!(retries(&told), tried);
        let says_why = |told: &Told| match told {
            Told::Retrying { error, .. } => error.contains("as scripted"),
            _ => true,
        };
        assert!(told.0.iter().all(says_why), "{told:?}");
        let counts = s.stop().await.counts;
        assert_eq!((counts.findings, counts.retries), (1, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn once_it_works_again_the_back_off_begins_anew() {
    let away = source()
        .fails(ErrorKind::Unreachable, 5)
        .gives([finding_record(0)]);
    let away = away
        .fails(ErrorKind::Unreachable, 2)
        .gives([finding_record(1)]);
    let s = Scene::new().findings_from("away", away).start();
    s.wait(60.0).await;
    let tried = [1, 2, 3, 4, 5, 1, 2].map(|times| ("away", times));
    assert_eq!(retries(&s.log.outcome()), tried);
    assert_eq!(s.stop().await.counts.findings, 2);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_call_is_made_again_at_once_and_is_no_failure() {
    let signals = source()
        .fails(ErrorKind::Interrupted, 100)
        .gives([finding_record(0)]);
    let start = Instant::now();
    let mut s = Scene::new().findings_from("signals", signals).start();
    while s.log.decided() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    s.register(&app("i1")).await;
    let counts = s.stop().await.counts;
    assert_eq!((counts.findings, counts.retries), (1, 0));
}

#[tokio::test]
async fn a_source_that_is_interrupted_for_ever_starves_nobody() {
    let signals = source().fails_for_ever(ErrorKind::Interrupted);
    let scene = Scene::new().findings_from("signals", signals);
    // On a thread of its own: if it fails, it never comes back.
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        let ended = runtime.block_on(async {
            let mut s = scene.start();
            tokio::task::yield_now().await;
            s.ask_to_stop();
            s.ended().await
        });
        done.send(ended.reason.to_string()).unwrap();
    });
    let reason = is_done.recv_timeout(Duration::from_secs(30));
    assert_eq!(reason.as_deref(), Ok("asked to stop"));
}

#[tokio::test(start_paused = true)]
async fn h02_a_source_that_fails_for_good_ends_the_service_with_its_name_and_reason() {
    for kind in FATAL {
        let broken = || source().gives([finding_record(0)]).fails(kind, 1);
        let s = Scene::new().knobs([knob("k")]);
        let (ended, told) = s
            .findings_from("tcp://there", broken())
            .runs_to_its_end()
            .await;
        let Reason::Failed { end, error } = &ended.reason else {
            panic!("{:?}", ended.reason);
        };
        assert_eq!((end.as_str(), error.kind()), ("tcp://there", kind));
        assert!(!ended.reason.is_orderly());
        assert_eq!(ended.counts.findings, 1, "what came before counts");
        assert_eq!(ended.counts.sent, 1, "and its plan leaves");
        let stopping = told.outcome().0.into_iter().find_map(|told| match told {
            Told::Stopping(reason) => Some(reason),
            _ => None,
        });
        assert_eq!(stopping, Some(ended.reason.to_string()));
        assert!(stopping.unwrap().starts_with("tcp://there failed: "));
    }
}

#[tokio::test(start_paused = true)]
async fn h02_a_control_source_that_fails_for_good_ends_the_service_too() {
    let broken = source().fails(ErrorKind::Io, 1);
    let (ended, _) = Scene::new()
        .control_from("control", broken)
        .runs_to_its_end()
        .await;
    assert!(matches!(ended.reason, Reason::Failed { end, .. } if end == "control"));
}

#[tokio::test(start_paused = true)]
async fn h02_acknowledgements_are_heard_again_after_the_control_source_was_away() {
    let minute = Duration::from_mins(1);
    let first = source()
        .gives([app("").record()])
        .fails(ErrorKind::Unreachable, 3);
    let mut s = Scene::new()
        .control_from("control", first.waits(minute))
        .start();
    s.settle().await;
    s.find(finding(0)).await.plan();
    s.wait(30.0).await;
    assert!(s.is_running());
    assert_eq!(s.stop().await.counts.retries, 3);

    // The plan's id is that of its seed: the acknowledgement can be written beforehand.
    let mut twin = Scene::new().start();
    twin.register(&app("")).await;
    let plan = twin.find(finding(0)).await.plan().clone();
    let acks = source().gives([app("").record()]).waits(minute);
    let acks = acks
        .fails(ErrorKind::Unreachable, 3)
        .gives([ack_record(&applied(&plan))]);
    let mut s = Scene::new().control_from("control", acks).start();
    s.settle().await;
    assert_eq!(s.find(finding(0)).await.plan(), &plan);
    s.wait(90.0).await;
    assert_eq!(s.log.outcome().notices().last(), Some(&"applied"));
}

#[tokio::test(start_paused = true)]
async fn h02_a_source_that_panics_ends_the_service_and_says_so() {
    for scene in [
        Scene::new().findings_from("f", source().gives([finding_record(0)]).panics()),
        Scene::new().control_from("c", source().panics()),
    ] {
        let (ended, _) = scene.runs_to_its_end().await;
        let Reason::Broken { what } = &ended.reason else {
            panic!("{:?}", ended.reason);
        };
        assert!(what.contains("panic"), "{what}");
        assert!(!ended.reason.is_orderly());
    }
}

#[tokio::test(start_paused = true)]
async fn h02_what_breaks_while_the_service_stops_is_not_hidden() {
    for scene in [
        Scene::new().findings_from("f", source().panics_at_close()),
        Scene::new().control_from("c", source().panics_at_close()),
        Scene::new().plans_to("p", sink().panics_at_close()),
    ] {
        let s = scene.start();
        s.settle().await;
        let ended = s.stop().await;
        assert!(
            matches!(ended.reason, Reason::Broken { .. }),
            "{:?}",
            ended.reason
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_closed_in_order_harms_nothing() {
    let s = Scene::new()
        .findings_from("f", source().fails_at_close())
        .start();
    s.settle().await;
    assert!(matches!(s.stop().await.reason, Reason::Asked));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_cannot_be_closed_in_order_is_named() {
    // What it still had is lost.
    let s = Scene::new().plans_to("p", sink().fails_at_close()).start();
    s.settle().await;
    let ended = s.stop().await;
    assert!(matches!(ended.reason, Reason::Failed { end, .. } if end == "p"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_the_reason_whatever_comes_after() {
    let scene = Scene::new().findings_from("f", source().fails(ErrorKind::Io, 1));
    let scene = scene.plans_to("p", sink().panics_at_close());
    let (ended, _) = scene.runs_to_its_end().await;
    assert!(matches!(ended.reason, Reason::Failed { end, .. } if end == "f"));
}

// ── Sinks ───────────────────────────────────────────────────────────────────────────────────────

async fn with_a_plan(to: crate::scene::ScriptedSink) -> Live {
    let mut s = Scene::new()
        .knobs([knob("k")])
        .plans_to("tcp://plans", to)
        .start();
    s.find(finding(0)).await;
    s
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_for_now_gets_the_same_plan_again() {
    for kind in RETRYABLE {
        let to = sink().fails(kind, 4);
        let taken = to.taken();
        let start = Instant::now();
        let s = with_a_plan(to).await;
        s.wait(10.0).await;
        assert_eq!(taken.values_of("k"), [3]);
        let at = taken.asked_after(start);
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (wait, expected) in waits.iter().zip([100, 200, 400, 800]) {
            assert!(wait.abs_diff(expected) <= 1, "{waits:?}");
        }
        let tried: Vec<_> = (1..=4).map(|times| ("tcp://plans", times)).collect();
        assert_eq!(retries(&s.log.outcome()), tried);
        let counts = s.stop().await.counts;
        assert_eq!((counts.sent, counts.retries), (1, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_for_good_ends_the_service_and_its_plans_are_counted() {
    for kind in FATAL {
        let s = with_a_plan(sink().fails(kind, 1)).await;
        let ended = s.ended().await;
        let Reason::Failed { end, error } = &ended.reason else {
            panic!("{:?}", ended.reason);
        };
        assert_eq!((end.as_str(), error.kind()), ("tcp://plans", kind));
        assert_eq!((ended.counts.sent, ended.counts.undelivered), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_ends_the_service() {
    let s = with_a_plan(sink().panics()).await;
    let ended = s.ended().await;
    assert!(
        matches!(ended.reason, Reason::Broken { .. }),
        "{:?}",
        ended.reason
    );
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_away_holds_up_neither_findings_nor_the_stop() {
    let to = sink().fails(ErrorKind::Unreachable, 1_000_000);
    let mut s = with_a_plan(to).await;
    for window in 1..1000 {
        s.find(finding(window)).await;
    }
    let (time, ended) = s.stops_after().await;
    assert!(time <= Duration::from_millis(1500), "{time:?}");
    assert!(matches!(ended.reason, Reason::Asked));
    assert_eq!(ended.counts.findings, 1000);
    assert_eq!(ended.counts.undelivered, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_could_not_do_while_stopping_is_told() {
    // Away from the moment of the stop, and back in time.
    let to = sink()
        .slow(Duration::from_millis(100))
        .fails(ErrorKind::Unreachable, 2);
    let taken = to.taken();
    let mut s = Scene::new()
        .knobs([knob("k")])
        .plans_to("plans", to)
        .start();
    s.find(finding(0)).await;
    let log = s.log.clone();
    let counts = s.stop().await.counts;
    assert_eq!(taken.values_of("k"), [3]);
    assert_eq!(retries(&log.outcome()), [("plans", 1), ("plans", 2)]);
    assert_eq!(counts.retries, 2);
}

#[tokio::test(start_paused = true)]
async fn many_sinks_that_are_away_do_not_hold_up_the_stop() {
    let mut scene = Scene::new().knobs([knob("k")]);
    for i in 0..40 {
        let away = sink().fails(ErrorKind::Unreachable, 1_000_000);
        scene = scene.plans_to(&format!("p{i}"), away);
    }
    let mut s = scene.start();
    s.find(finding(0)).await;
    let (time, ended) = s.stops_after().await;
    assert!(time <= Duration::from_millis(1500), "{time:?}");
    assert_eq!(ended.counts.undelivered, 40);
}

#[tokio::test(start_paused = true)]
async fn what_the_transports_lost_is_in_the_counts() {
    let f = source().gives([finding_record(0)]).losing(3, 4);
    let c = source().losing(10, 20);
    let scene = Scene::new().findings_from("f", f).control_from("c", c);
    let s = scene.start();
    s.settle().await;
    let counts = s.stop().await.counts;
    assert_eq!((counts.too_large, counts.disconnections), (13, 24));
}
