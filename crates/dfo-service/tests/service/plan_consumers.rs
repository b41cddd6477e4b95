//! Slow or absent takers of plans never hold up findings.

use std::time::Duration;

use dfo_service::{Counts, Unsent};
use dfo_transport::{ErrorKind, Record, memory};

use crate::scene::{
    AckWords, Scene, Told, app, applied, finding, finding_record, knob, rejected, sink, source,
};

/// Every plan that was made is accounted for, at each of so many sinks.
fn adds_up(counts: &Counts, sinks: u64) {
    let left = counts.sent + counts.oversized;
    let dropped = counts.superseded + counts.crowded_out + counts.withdrawn + counts.undelivered;
    assert_eq!(counts.decisions.plans * sinks, left + dropped, "{counts:?}");
}

// ── Nobody takes plans ──────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn z01_with_a_sink_that_blocks_for_ever_all_findings_are_decided_on() {
    // 500 nodes, and a window after each has spoken.
    let findings = (0..100_000).map(|i| {
        let (window, node) = (i / 500, i % 500);
        finding(window).on(&format!("n{node}")).record()
    });
    let scene = Scene::new()
        .knobs([knob("k")])
        .settings(|s| s.plan_queue = 300);
    let scene = scene.plans_to("nobody", sink().blocked());
    let scene = scene.findings_from("findings", source().gives(findings).ends());
    let (ended, _) = scene.runs_to_its_end().await;
    let counts = ended.counts;
    assert_eq!(counts.findings, 100_000);
    // 500 nodes, each planned anew every ten windows.
    assert_eq!(counts.decisions.plans, 500 * 20);
    assert_eq!(counts.decisions.notices["plan_expired"], 500 * 19);
    assert_eq!(counts.sent, 0);
    assert!(
        counts.undelivered <= 300,
        "the queue is bounded: {counts:?}"
    );
    assert!(counts.crowded_out >= 200 && counts.withdrawn > 0);
    adds_up(&counts, 1);
}

#[tokio::test(start_paused = true)]
async fn z01_with_nobody_at_the_other_end_all_findings_are_decided_on() {
    let (plans, nobody) = memory::pair(1);
    let findings = (0..1000).map(|i| finding(0).on(&format!("n{i}")).record());
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", plans);
    let scene = scene.findings_from("findings", source().gives(findings).ends());
    let (ended, _) = scene.runs_to_its_end().await;
    drop(nobody);
    let counts = ended.counts;
    assert_eq!((counts.findings, counts.decisions.plans), (1000, 1000));
    assert!(counts.undelivered >= 999, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn without_any_sink_findings_are_decided_on() {
    let findings = source().gives([finding_record(0)]).ends();
    let scene = Scene::new().knobs([knob("k")]);
    let service = scene.findings_from("f", findings).service();
    let counts = service.run(std::future::pending()).await.unwrap().counts;
    assert_eq!((counts.findings, counts.decisions.plans), (1, 1));
    assert_eq!((counts.sent, counts.undelivered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_too_large_for_its_sink_is_counted_and_costs_no_other() {
    let (narrow, wide) = (sink().takes(1).fails(ErrorKind::TooLarge, 1), sink());
    let (at_narrow, at_wide) = (narrow.taken(), wide.taken());
    let scene = Scene::new().knobs([knob("k")]).plans_to("narrow", narrow);
    let mut s = scene.plans_to("wide", wide).start();
    for node in ["n1", "n2", "n3"] {
        s.find(finding(0).on(node)).await;
    }
    let told = s.log.outcome();
    let second = told.plans()[1].plan_id.clone();
    assert_eq!(told.unsent(), [(second.as_str(), Unsent::TooLarge)]);
    let to = told.0.iter().find_map(|told| match told {
        Told::Unsent { to, .. } => Some(to.as_str()),
        _ => None,
    });
    assert_eq!(to, Some("narrow"));
    let counts = s.stop().await.counts;
    assert_eq!((at_narrow.plans().len(), at_wide.plans().len()), (2, 3));
    assert_eq!((counts.oversized, counts.sent), (1, 5));
    adds_up(&counts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_room_at_its_old_end_and_says_so() {
    let to = sink().blocked();
    let taken = to.taken();
    let scene = Scene::new()
        .knobs([knob("k")])
        .settings(|s| s.plan_queue = 3);
    let mut s = scene.plans_to("plans", to).start();
    for node in ["n1", "n2", "n3", "n4", "n5"] {
        s.find(finding(0).on(node)).await;
    }
    let told = s.log.outcome();
    let made: Vec<_> = told.plans().iter().map(|p| p.plan_id.as_str()).collect();
    let crowded_out = [(made[0], Unsent::CrowdedOut), (made[1], Unsent::CrowdedOut)];
    assert_eq!(told.unsent(), crowded_out);
    taken.open();
    s.settle().await;
    let nodes: Vec<_> = taken
        .plans()
        .iter()
        .map(|p| p.target_nodes[0].clone())
        .collect();
    assert_eq!(nodes, ["n3", "n4", "n5"]);
    let counts = s.stop().await.counts;
    assert_eq!((counts.crowded_out, counts.sent), (2, 3));
    adds_up(&counts, 1);
}

// ── The newest per knob and node wins ───────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn the_newest_plan_per_knob_and_node_wins_and_the_superseded_are_counted() {
    let (free, blocked) = (sink(), sink().blocked());
    let taken = blocked.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("free", free);
    let mut s = scene.plans_to("blocked", blocked).start();
    // The application at the free sink applies; to the other nothing gets through.
    for window in 0..20 {
        for node in ["", "n1", "n2"] {
            let about = match node {
                "" => finding(window),
                node => finding(window).on(node),
            };
            let plan = s.find(about).await.plan().clone();
            s.ack(&applied(&plan).at(window)).await;
        }
    }
    taken.open();
    s.settle().await;
    let plans = taken.plans();
    let to: Vec<_> = plans
        .iter()
        .map(|p| (p.target_nodes.concat(), p.window_index))
        .collect();
    let newest = [
        (String::new(), 19),
        ("n1".to_owned(), 19),
        ("n2".to_owned(), 19),
    ];
    assert_eq!(to, newest);
    let told = s.log.outcome();
    assert!(
        told.unsent()
            .iter()
            .all(|(_, why)| *why == Unsent::Superseded)
    );
    let counts = s.stop().await.counts;
    assert_eq!(counts.superseded, 19 * 3);
    assert_eq!(counts.sent, 60 + 3);
    adds_up(&counts, 2);
}

#[tokio::test(start_paused = true)]
async fn expired_plans_that_nobody_took_are_withdrawn_and_not_sent_later() {
    let to = sink().blocked();
    let taken = to.taken();
    let mut s = Scene::new()
        .knobs([knob("k")])
        .plans_to("plans", to)
        .start();
    let first = s.find(finding(0)).await.plan().clone();
    // Too weak for another plan; it moves time on.
    let came = s.find(finding(10).severity(0.1)).await;
    assert_eq!(came.notices(), ["plan_expired"]);
    assert_eq!(came.unsent(), [(first.plan_id.as_str(), Unsent::Withdrawn)]);
    taken.open();
    s.settle().await;
    assert_eq!(taken.plans(), []);
    let next = s.find(finding(11)).await.plan().clone();
    s.settle().await;
    assert_eq!(taken.plans(), [next]);
    let counts = s.stop().await.counts;
    assert_eq!((counts.withdrawn, counts.sent), (1, 1));
    adds_up(&counts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_comes_late_gets_what_is_still_meant() {
    let to = sink().blocked();
    let taken = to.taken();
    let mut s = Scene::new()
        .knobs([knob("k"), knob("l")])
        .plans_to("plans", to)
        .start();
    for window in 0..35 {
        s.find(finding(window)).await;
    }
    taken.open();
    s.settle().await;
    let windows: Vec<_> = taken
        .plans()
        .iter()
        .map(|p| (p.knob_id.clone(), p.window_index))
        .collect();
    assert_eq!(windows, [("k".to_owned(), 30), ("l".to_owned(), 30)]);
    // And it is one whose acknowledgement still counts.
    for plan in taken.plans() {
        assert_eq!(s.ack(&applied(&plan).at(34)).await.notices(), ["applied"]);
    }
}

// ── Several takers ──────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn every_sink_gets_every_plan_in_order() {
    let (a, b) = (sink(), sink().slow(Duration::from_secs(1)));
    let (at_a, at_b) = (a.taken(), b.taken());
    let scene = Scene::new().knobs([knob("k")]).plans_to("a", a);
    let mut s = scene.plans_to("b", b).start();
    for i in 0..50 {
        s.find(finding(0).on(&format!("n{i}"))).await;
    }
    assert_eq!(at_a.plans().len(), 50, "the slow one holds up nobody");
    assert_eq!(at_b.plans(), []);
    s.wait(60.0).await;
    assert_eq!(at_b.records(), at_a.records());
    adds_up(&s.stop().await.counts, 2);
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_are_heard_while_nobody_takes_plans() {
    let scene = Scene::new().plans_to("plans", sink().blocked());
    let mut s = scene.start();
    s.register(&app("i1")).await;
    let plan = s.find(finding(0)).await.plan().clone();
    assert_eq!(s.ack(&rejected(&plan)).await.notices(), ["rejected"]);
}

#[tokio::test(start_paused = true)]
async fn z05_plans_for_all_and_for_single_nodes_say_whom_they_are_for() {
    let to = sink();
    let taken = to.taken();
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", to);
    let mut s = scene.start();
    let plan = s.find(finding(0)).await.plan().clone();
    s.ack(&applied(&plan).at(0)).await;
    s.find(finding(1).on("n7")).await;
    let nodes: Vec<_> = taken.plans().into_iter().map(|p| p.target_nodes).collect();
    assert_eq!(nodes, [vec![], vec!["n7".to_owned()]]);
}

// ── z06: the last plans ─────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn z06_the_last_plans_reach_a_slow_taker_when_the_findings_end() {
    let to = sink().slow(Duration::from_millis(1));
    let taken = to.taken();
    let findings = (0..1000).map(|i| finding(0).on(&format!("n{i}")).record());
    let end = Record::new(r#"{"name": "end"}"#, "");
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", to);
    let scene = scene.findings_from("findings", source().gives(findings.chain([end])));
    let (ended, _) = scene.runs_to_its_end().await;
    assert_eq!(taken.plans().len(), 1000);
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (1000, 0));
}

#[tokio::test(start_paused = true)]
async fn z06_what_a_taker_is_too_slow_for_is_counted() {
    let to = sink().slow(Duration::from_millis(10));
    let taken = to.taken();
    let findings = (0..1000).map(|i| finding(0).on(&format!("n{i}")).record());
    let scene = Scene::new().knobs([knob("k")]).plans_to("plans", to);
    let scene = scene.findings_from("findings", source().gives(findings).ends());
    let (ended, _) = scene.runs_to_its_end().await;
    let counts = ended.counts;
    assert_eq!(counts.sent, taken.plans().len() as u64);
    assert!(counts.sent > 50 && counts.undelivered > 50, "{counts:?}");
    adds_up(&counts, 1);
}
