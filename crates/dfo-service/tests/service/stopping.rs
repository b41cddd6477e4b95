//! The stop: in order, in time, and with everything accounted for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dfo_service::{Ended, Happening, Observer, Reason, Service, Settings};
use dfo_transport::{ErrorKind, Named, OptimizerEnds, Sink, memory};

use crate::scene::{
    AckWords, Scene, Told, app, applied, finding, finding_record, knob, sink, source,
};

const DEADLINE: Duration = Duration::from_millis(1500);

fn asked(ended: &Ended) {
    assert!(matches!(ended.reason, Reason::Asked), "{:?}", ended.reason);
}

// ── What arrived is decided on ──────────────────────────────────────────────────────────────────

#[tokio::test]
async fn under_a_flood_the_service_stops_in_time_and_what_arrived_is_decided_on() {
    // By the real clock: under a flood nobody is ever idle.
    let flood = source().floods(finding_record(0));
    let given = flood.given();
    let control = source().floods(app("i1").record());
    let heard = control.given();
    let scene = Scene::new().knobs([knob("k")]);
    let mut s = scene
        .findings_from("flood", flood)
        .control_from("control", control)
        .start();
    while given.records() < 20_000 || heard.records() < 1_000 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    s.ask_to_stop();
    let ended = s.ended().await;
    // The deadline of all closing is far below this; a slow machine is not.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    asked(&ended);
    let counts = ended.counts;
    assert_eq!(counts.findings, given.records());
    assert_eq!(counts.registrations + counts.heartbeats, heard.records());
    assert_eq!((counts.decisions.plans, counts.sent), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_the_stop_is_decided_on_and_its_plans_leave() {
    let findings = (0..20_000).map(|i| finding(0).on(&format!("n{}", i % 1000)).record());
    let findings = source().gives(findings);
    let given = findings.given();
    let mut s = Scene::new()
        .knobs([knob("k")])
        .findings_from("f", findings)
        .start();
    while given.records() < 5000 {
        tokio::task::yield_now().await;
    }
    s.ask_to_stop();
    let ended = s.ended().await;
    asked(&ended);
    assert_eq!(ended.counts.findings, given.records());
    assert_eq!(ended.counts.sent, ended.counts.decisions.plans);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_asked_before_it_began_ends_at_once() {
    let (time, ended) = Scene::new().start().stops_after().await;
    assert_eq!(time, Duration::ZERO);
    asked(&ended);
}

#[tokio::test(start_paused = true)]
async fn the_planner_comes_back_with_what_it_knows() {
    let mut s = Scene::new().start();
    s.register(&app("i1")).await;
    let plan = s.find(finding(0)).await.plan().clone();
    s.ack(&applied(&plan).value(5).at(0)).await;
    let open = s.find(finding(1)).await.plan().clone();
    let ended = s.stop().await;
    let pending = ended.planner.pending();
    assert_eq!(
        (pending.len(), pending[0].plan_id),
        (1, open.plan_id.as_str())
    );
    assert_eq!(pending[0].value_before, &dfo_model::Value::Int(5));
}

#[tokio::test(start_paused = true)]
async fn the_service_tells_when_it_starts_and_why_and_how_it_ends() {
    let mut s = Scene::new().start();
    s.find(finding(0)).await;
    let log = s.log.clone();
    let counts = s.stop().await.counts;
    let told = log.outcome().0;
    let Told::Started(ends) = &told[0] else {
        panic!("{told:?}");
    };
    let ends: Vec<_> = ends
        .iter()
        .map(|(c, name)| (c.name(), name.as_str()))
        .collect();
    assert_eq!(
        ends,
        [
            ("findings", "findings"),
            ("control", "control"),
            ("plans", "plans")
        ]
    );
    let [.., Told::Stopping(reason), Told::Stopped(told)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(reason, "asked to stop");
    assert_eq!(*told, counts);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_dropped_leaves_nothing_behind() {
    let (mut diagnoser, findings) = memory::pair(1);
    let scene = Scene::new().findings_from("f", findings);
    let service = scene.plans_to("p", sink().blocked()).service();
    let running = tokio::spawn(service.run(std::future::pending()));
    diagnoser.send(finding_record(0)).await.unwrap();
    running.abort();
    assert!(running.await.is_err_and(|e| e.is_cancelled()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let error = diagnoser.send(finding_record(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

// ── In time, whatever the ends do ───────────────────────────────────────────────────────────────

/// One node's plan each, to so many nodes.
async fn with_plans(scene: Scene, count: usize) -> crate::scene::Live {
    let mut s = scene.knobs([knob("k")]).start();
    for i in 0..count {
        s.find(finding(0).on(&format!("n{i}"))).await;
    }
    s
}

#[tokio::test(start_paused = true)]
async fn everything_is_closed_within_the_deadline_whatever_the_ends_do() {
    for (what, scene) in [
        (
            "a sink that blocks",
            Scene::new().plans_to("p", sink().blocked()),
        ),
        (
            "a sink that never closes",
            Scene::new().plans_to("p", sink().never_closes()),
        ),
        (
            "both",
            Scene::new().plans_to("p", sink().blocked().never_closes()),
        ),
        (
            "a sink that is slow",
            Scene::new().plans_to("p", sink().slow(DEADLINE * 10)),
        ),
        (
            "findings that never close",
            Scene::new().findings_from("f", source().never_closes()),
        ),
        (
            "control that never closes",
            Scene::new().control_from("c", source().never_closes()),
        ),
        (
            "all of it",
            Scene::new()
                .findings_from("f", source().never_closes())
                .control_from("c", source().never_closes())
                .plans_to("p", sink().blocked().never_closes()),
        ),
    ] {
        let s = scene.start();
        s.settle().await;
        let (time, ended) = s.stops_after().await;
        assert!(time <= DEADLINE, "{what}: {time:?}");
        asked(&ended);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_with_plans_that_wait_and_they_are_counted() {
    for to in [sink().blocked(), sink().blocked().never_closes()] {
        let s = with_plans(Scene::new().plans_to("p", to), 7).await;
        let (time, ended) = s.stops_after().await;
        assert!(time <= DEADLINE, "{time:?}");
        asked(&ended);
        assert_eq!((ended.counts.sent, ended.counts.undelivered), (0, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_what_was_set() {
    for millis in [0, 1, 300, 20_000] {
        let deadline = Duration::from_millis(millis);
        let scene = Scene::new().settings(|s| s.stop_within = deadline);
        let s = with_plans(scene.plans_to("p", sink().blocked()), 1).await;
        let (time, ended) = s.stops_after().await;
        // The clock counts in milliseconds.
        assert!(
            time <= deadline + Duration::from_millis(1),
            "{deadline:?}: {time:?}"
        );
        assert_eq!(ended.counts.undelivered, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_time_is_none() {
    let to = sink().slow(Duration::from_secs(1000));
    let scene = Scene::new().settings(|s| s.stop_within = Duration::MAX);
    let s = with_plans(scene.plans_to("p", to), 2).await;
    let (_, ended) = s.stops_after().await;
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_close_costs_no_plan() {
    let to = sink().slow(Duration::from_millis(100));
    let taken = to.taken();
    let scene = Scene::new().control_from("c", source().never_closes());
    let s = with_plans(scene.plans_to("p", to), 7).await;
    let ended = s.stop().await;
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (7, 0));
    let left = taken.close_deadline().unwrap();
    assert!(left > Duration::ZERO, "it had time to send what it holds");
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_told_how_much_time_is_left() {
    let to = sink();
    let taken = to.taken();
    let s = with_plans(Scene::new().plans_to("p", to), 1).await;
    s.stop().await;
    let left = taken.close_deadline().unwrap();
    assert!(left > DEADLINE / 2 && left <= DEADLINE, "{left:?}");
}

// ── Everything that did not leave is counted ────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn what_did_not_leave_adds_up_over_all_sinks() {
    let scene = Scene::new();
    let scene = scene.plans_to("fine", sink());
    let scene = scene.plans_to("dropping", sink().dropping_at_close(2));
    let scene = scene.plans_to("blocked", sink().blocked());
    let scene = scene.plans_to("hung", sink().blocked().never_closes());
    let ended = with_plans(scene, 3).await.stop().await;
    let counts = ended.counts;
    assert_eq!(counts.undelivered, 2 + 3 + 3);
    assert_eq!(counts.sent, 3 + 3, "two of them were taken and dropped");
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_drops_when_its_time_is_up_is_counted() {
    let to = sink().slow(Duration::from_secs(1)).dropping_at_close(1);
    let ended = with_plans(Scene::new().plans_to("p", to), 5).await;
    let counts = ended.stop().await.counts;
    // One was taken in time, and dropped; four were not taken.
    assert_eq!((counts.sent, counts.undelivered), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn plans_for_a_sink_that_failed_are_counted_even_if_they_are_made_afterwards() {
    // The first plan breaks the sink; the others are made of what had arrived.
    let findings = (0..1000).map(|i| finding(0).on(&format!("n{i}")).record());
    let findings = source().gives(findings);
    let scene = Scene::new().knobs([knob("k")]).findings_from("f", findings);
    let scene = scene.settings(|s| s.batch = 1);
    let scene = scene.plans_to("p", sink().fails(ErrorKind::Io, 1));
    let (ended, _) = scene.runs_to_its_end().await;
    assert!(matches!(ended.reason, Reason::Failed { .. }));
    let counts = ended.counts;
    assert!(counts.decisions.plans > 0);
    assert_eq!(counts.sent + counts.undelivered, counts.decisions.plans);
}

/// Takes its time for each decision.
struct Slow(Arc<AtomicU64>);

impl Observer for Slow {
    fn observe(&mut self, happening: &Happening<'_>) {
        if matches!(happening, Happening::Decided { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
            // Sleeps: the observer plays a slow one.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[tokio::test]
async fn what_there_was_no_time_to_decide_on_is_counted() {
    let findings = source().gives((0..10_000).map(finding_record));
    let given = findings.given();
    let ends = OptimizerEnds {
        findings: vec![Named::new("f", Box::new(findings))],
        ..OptimizerEnds::default()
    };
    let mut settings = Settings::default();
    settings.stop_within = Duration::from_millis(20);
    let decided = Arc::new(AtomicU64::new(0));
    let observer = Slow(Arc::clone(&decided));
    let planner = dfo_planner::Planner::new(
        dfo_planner::Settings::default(),
        dfo_planner::PlanIds::from_seed(1),
    );
    let until_some = async {
        while decided.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let service = Service::new(planner, ends)
        .settings(settings)
        .observer(observer);
    let counts = service.run(until_some).await.unwrap().counts;
    assert!(
        counts.findings < given.records(),
        "the machine is too fast for this test"
    );
    assert_eq!(counts.findings + counts.undecided, given.records());
}
