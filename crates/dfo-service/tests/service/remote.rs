//! An operator asks how the service is, and freezes and thaws it while plans wait.

use std::time::Duration;

use dfo_planner::{Command, Decisions, Notice};
use dfo_service::{Gone, JournalStatus, Unsent};
use dfo_transport::{ErrorKind, Record};
use tokio::time::{sleep, timeout};

use crate::scene::{Live, Scene, app, finding, finding_record, knob, sink, source};

fn freeze(knob: Option<&str>) -> Command {
    let knob = knob.map(str::to_owned);
    Command::Freeze { knob }
}

fn thaw(knob: Option<&str>) -> Command {
    let knob = knob.map(str::to_owned);
    Command::Thaw { knob }
}

/// Has a command carried out. The names of the notices of it.
async fn tell(s: &Live, command: Command) -> Vec<&'static str> {
    let decisions = s.remote.command(command).await.unwrap();
    s.settle().await;
    names(&decisions)
}

fn names(decisions: &Decisions) -> Vec<&'static str> {
    decisions.notices().map(Notice::name).collect()
}

// ── Commands ────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_command_is_decided_on_told_and_counted_like_every_event() {
    let s = Scene::new().knobs([knob("k")]).start();
    assert_eq!(tell(&s, freeze(Some("k"))).await, ["frozen"]);
    assert_eq!(tell(&s, thaw(Some("k"))).await, ["thawed"]);
    assert_eq!(s.log.outcome().notices(), ["frozen", "thawed"]);
    let counts = s.stop().await.counts;
    assert_eq!(counts.decisions.notices["frozen"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_cannot_be_carried_out_says_why() {
    let s = Scene::new().knobs([knob("k")]).start();
    let decisions = s.remote.command(freeze(Some("other"))).await.unwrap();
    let [Notice::CommandRefused { command, why }] = &decisions.notices().collect::<Vec<_>>()[..]
    else {
        panic!("{decisions:?}");
    };
    assert_eq!(*command, "freeze");
    assert!(why.contains("other"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn several_hands_reach_the_service_and_none_once_it_has_ended() {
    let s = Scene::new().knobs([knob("k")]).start();
    let (one, other) = (s.remote.clone(), s.remote.clone());
    let both = tokio::join!(one.command(freeze(None)), other.status());
    assert!(both.0.is_ok() && both.1.is_ok());
    s.stop().await;
    assert_eq!(one.status().await.unwrap_err(), Gone);
    assert_eq!(other.command(freeze(None)).await.unwrap_err(), Gone);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_findings_does_not_keep_an_operator_waiting() {
    let flood = source().floods(finding_record(0));
    let scene = Scene::new().knobs([knob("k")]);
    let s = scene.findings_from("flood", flood).start();
    for _ in 0..20 {
        s.remote.ping().await.unwrap();
        s.remote.status().await.unwrap();
    }
    let frozen = s.remote.command(freeze(None)).await.unwrap();
    assert_eq!(names(&frozen), ["frozen"]);
    s.stop().await;
}

// ── While frozen nothing is sent ────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_plan_that_waits_before_a_blocked_sink_waits_on_through_a_freeze() {
    let sink = sink().blocked();
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    // The first is in the sink's hands, the second in the queue.
    s.find(finding(0).on("n1")).await.plan();
    s.find(finding(0).on("n2")).await.plan();
    tell(&s, freeze(None)).await;
    taken.open();
    s.wait(3600.0).await;
    assert_eq!(taken.plans().len(), 0);
    assert_eq!(s.remote.status().await.unwrap().sinks[0].waiting, 2);
    tell(&s, thaw(None)).await;
    let nodes = taken.plans().into_iter().map(|plan| plan.target_nodes);
    assert_eq!(nodes.collect::<Vec<_>>(), [["n1"], ["n2"]]);
    assert_eq!(s.stop().await.counts.sent, 2);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_goes_before_a_sink_that_opens_at_the_same_moment() {
    let sink = sink().blocked();
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    s.find(finding(0)).await.plan();
    // Carried out, and the sink's task has not run since.
    s.remote.command(freeze(None)).await.unwrap();
    taken.open();
    s.settle().await;
    assert_eq!(taken.plans().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_knob_does_not_hold_up_the_others() {
    let sink = sink().blocked();
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("a"), knob("b")]);
    let mut s = scene.plans_to("plans", sink).start();
    assert_eq!(s.find(finding(0)).await.plans().len(), 2);
    tell(&s, freeze(Some("a"))).await;
    taken.open();
    s.settle().await;
    let knobs = || taken.plans().into_iter().map(|plan| plan.knob_id);
    assert_eq!(knobs().collect::<Vec<_>>(), ["b"]);
    tell(&s, thaw(Some("a"))).await;
    assert_eq!(knobs().collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_gets_back_what_a_freeze_took_from_its_hands_whole() {
    let sink = sink().slow(Duration::from_secs(10));
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    s.find(finding(0)).await.plan();
    s.wait(9.0).await;
    tell(&s, freeze(None)).await;
    s.wait(100.0).await;
    assert_eq!(taken.plans().len(), 0);
    tell(&s, thaw(None)).await;
    s.wait(10.0).await;
    assert_eq!(taken.plans().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_tried_again_is_not_tried_while_frozen() {
    let sink = sink().fails(ErrorKind::Unreachable, 1);
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    s.find(finding(0)).await.plan();
    tell(&s, freeze(None)).await;
    s.wait(3600.0).await;
    assert_eq!(taken.plans().len(), 0);
    tell(&s, thaw(None)).await;
    s.settle().await;
    assert_eq!(taken.plans().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_expires_while_frozen_does_not_leave_after_the_thaw() {
    let sink = sink().blocked();
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    let plan = s.find(finding(0)).await.plan().plan_id.clone();
    tell(&s, freeze(None)).await;
    taken.open();
    let told = s.find(finding(100)).await;
    assert_eq!(told.unsent(), [(plan.as_str(), Unsent::Withdrawn)]);
    tell(&s, thaw(None)).await;
    s.wait(1.0).await;
    assert_eq!(taken.plans().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_takes_back_passes_a_freeze_and_the_plan_that_waited_is_gone() {
    let sink = sink().blocked();
    let taken = sink.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    let waiting = s.find(finding(0).on("n1")).await.plan().plan_id.clone();
    tell(&s, freeze(None)).await;
    let before = s.log.len();
    assert!(tell(&s, Command::RevertAll).await.contains(&"reverted"));
    let told = s.log.since(before);
    assert_eq!(told.unsent(), [(waiting.as_str(), Unsent::Withdrawn)]);
    taken.open();
    s.settle().await;
    let [back] = &taken.plans()[..] else {
        panic!("{:?}", taken.plans());
    };
    assert_eq!(back.finding_type, "operator");
    assert_eq!(back.new_value, dfo_model::Value::Int(2));
    tell(&s, thaw(None)).await;
    s.wait(10.0).await;
    assert_eq!(taken.plans().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_frozen_before_the_start_is_frozen() {
    let mut planner = dfo_planner::Planner::new(
        dfo_planner::Settings::default(),
        dfo_planner::PlanIds::from_seed(1),
    );
    planner.handle(dfo_planner::Event::Command(&freeze(None)));
    let scene = Scene::new().planner(planner).knobs([knob("k")]);
    let mut s = scene.start();
    assert_eq!(s.find(finding(0)).await.held_by(), "frozen");
    assert!(s.remote.status().await.unwrap().is_frozen);
}

#[tokio::test(start_paused = true)]
async fn frozen_plans_do_not_hold_up_the_end_and_are_counted() {
    let sink = sink().blocked();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", sink);
    let mut s = scene.start();
    s.find(finding(0)).await.plan();
    tell(&s, freeze(None)).await;
    let (took, ended) = s.stops_after().await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (0, 1));
}

// ── How it is ───────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn the_status_tells_how_everything_is() {
    let scene = Scene::new().settings(|s| s.heartbeat = Duration::from_secs(10));
    let mut s = scene.start();
    s.register(&app("i").on("n1")).await;
    s.find(finding(0).on("n1")).await.plan();
    s.plan().await;
    s.diagnoser_sends(Record::new("", "not a finding")).await;
    s.wait(5.0).await;
    tell(&s, freeze(Some("k"))).await;
    let status = s.remote.status().await.unwrap();
    assert_eq!(status.uptime.as_secs(), 5);
    assert!(!status.is_stopping && !status.is_dry_run && !status.is_frozen);
    let [knob] = &status.knobs[..] else {
        panic!("{status:?}");
    };
    assert_eq!((knob.knob.as_str(), knob.is_frozen), ("k", true));
    assert_eq!((knob.nodes_with_own_value, knob.pending), (1, 1));
    assert_eq!(status.applications.alive, 1);
    let sources = status.sources.iter();
    let sources: Vec<_> = sources.map(|s| (s.name.as_str(), s.records)).collect();
    assert_eq!(sources, [("findings", 2), ("control", 1)]);
    assert_eq!(status.sinks[0].sent, 1);
    assert_eq!(status.decision_latency.count(), 1);
    assert_eq!((status.counts.findings, status.counts.bad_findings), (1, 1));
    assert_eq!((status.counts.sent, status.counts.applications), (1, 1));
    assert_eq!(status.journal, None);
    // It is what is served as JSON, too.
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["sources"][0]["channel"], "findings");
    assert_eq!(json["counts"]["decisions"]["plans"], 1);
    s.wait(60.0).await;
    assert_eq!(s.remote.status().await.unwrap().applications.silent, 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_in_trouble_is_named_until_it_works_again() {
    let scene = Scene::new().knobs([knob("k")]);
    let flaky = sink().fails(ErrorKind::Unreachable, 1);
    let findings = source().fails(ErrorKind::Unreachable, 1);
    let findings = findings.waits(Duration::from_secs(1000));
    let findings = findings.gives([finding_record(0)]);
    let scene = scene.findings_from("findings", findings);
    let s = scene.plans_to("plans", flaky).start();
    s.settle().await;
    let status = s.remote.status().await.unwrap();
    assert!(status.sources[0].trouble.is_some(), "{status:?}");
    assert_eq!(status.counts.retries, 1);
    s.wait(1001.0).await;
    let status = s.remote.status().await.unwrap();
    assert_eq!(status.sources[0].trouble, None);
    // The plan went at the second try.
    assert_eq!((status.sinks[0].sent, status.counts.retries), (1, 2));
    assert_eq!(status.sinks[0].trouble, None);
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_the_service_stops_is_told_so() {
    // Does not close in time, so that there is a while to ask in.
    let findings = source().never_closes();
    let scene = Scene::new().findings_from("findings", findings);
    let mut s = scene.start();
    s.settle().await;
    s.ask_to_stop();
    s.settle().await;
    let status = timeout(Duration::from_mins(1), s.remote.status()).await;
    assert!(status.unwrap().unwrap().is_stopping);
    s.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_that_is_kept_does_not_hold_up_the_end() {
    let s = Scene::new().start();
    let remote = s.remote.clone();
    let (took, _) = s.stops_after().await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    drop(remote);
}

#[tokio::test(start_paused = true)]
async fn decision_latency_counts_the_wait_for_the_planners_task() {
    let findings = source().gives((0..10).map(finding_record));
    let scene = Scene::new().findings_from("findings", findings);
    let s = scene.start();
    sleep(Duration::from_secs(1)).await;
    let latency = s.remote.status().await.unwrap().decision_latency;
    // The clock stands while all of them are decided on.
    assert_eq!((latency.count(), latency.sum()), (10, Duration::ZERO));
}

#[test]
fn the_lag_of_a_journal_is_what_the_disk_does_not_have() {
    let mut journal = JournalStatus {
        appended_seq: 10,
        synced_seq: 7,
        ..JournalStatus::default()
    };
    assert_eq!(journal.lag_lines(), 3);
    journal.failed = Some("disk full".to_owned());
    assert!(!journal.holds_plans());
    journal.is_required = true;
    assert!(journal.holds_plans());
}
