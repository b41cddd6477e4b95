//! Which applications live, and what becomes of the knobs of those that do not.

use dfo_model::Value;
use dfo_transport::Record;

use crate::scene::{AckWords, App, Live, Scene, Told, app, applied, farewell, finding, knob};

/// Time goes on in seconds; each application repeats its registration every ten.
async fn live_on(s: &mut Live, apps: &[App], seconds: u32) {
    for second in 0..seconds {
        if second % 10 == 0 {
            for app in apps {
                s.control.clone().send_now(app.record()).await;
            }
        }
        s.wait(1.0).await;
    }
}

trait SendNow {
    async fn send_now(&mut self, record: Record);
}

impl SendNow for dfo_transport::memory::MemorySink {
    async fn send_now(&mut self, record: Record) {
        dfo_transport::Sink::send(self, record).await.unwrap();
    }
}

// ── Heartbeats ──────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_registration_that_is_repeated_is_a_heartbeat_and_no_news() {
    let mut s = Scene::new().start();
    live_on(&mut s, &[app("i1").on("n1")], 600).await;
    let told = s.log.outcome();
    assert_eq!(told.joined(), ["i1"]);
    assert_eq!(told.notices(), ["knob_registered"]);
    s.find(finding(0)).await.plan();
    let counts = s.stop().await.counts;
    assert_eq!((counts.registrations, counts.heartbeats), (1, 59));
    assert_eq!((counts.silent, counts.applications), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_joins_is_told_with_its_node_its_function_and_how_many_knobs_it_has() {
    let mut s = Scene::new().start();
    let app = app("i1").on("n1").function("load");
    let came = s.register(&app.knobs([knob("k"), knob("l")])).await;
    let Told::Joined {
        instance,
        node,
        function,
        knobs,
    } = &came.0[0]
    else {
        panic!("{came:?}");
    };
    let who = (instance.as_str(), node.as_str(), function.as_str());
    assert_eq!((who, *knobs), (("i1", "n1", "load"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_registration_with_a_new_live_value_is_news_and_counts() {
    let mut s = Scene::new().start();
    s.register(&app("i1").knobs([knob("k").live(4)])).await;
    s.register(&app("i1").knobs([knob("k").live(7)])).await;
    assert_eq!(
        s.find(finding(0)).await.plan().old_value,
        Some(Value::Int(7))
    );
    let counts = s.stop().await.counts;
    assert_eq!((counts.registrations, counts.heartbeats), (2, 0));
}

// ── Silence ─────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn after_three_missed_heartbeats_an_application_is_silent_and_its_plans_are_held() {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1")).await;
    s.wait(29.9).await;
    assert_eq!(s.log.outcome().silent(), [""; 0]);
    s.find(finding(0).severity(0.1)).await;
    let before = s.log.len();
    s.wait(2.0).await;
    let came = s.log.since(before);
    assert!(
        matches!(&came.0[0], Told::Silent(i, n) if i == "i1" && n == "n1"),
        "{came:?}"
    );
    assert!(came.notices().contains(&"knob_silent"));
    for window in 0..5 {
        assert_eq!(s.find(finding(window)).await.held_by(), "silent");
        assert_eq!(s.find(finding(window).on("n1")).await.held_by(), "silent");
        assert_eq!(s.find(finding(window).on("n9")).await.held_by(), "silent");
    }
    s.wait(600.0).await;
    assert_eq!(s.log.outcome().silent(), ["i1"], "told once");
    let counts = s.stop().await.counts;
    assert_eq!((counts.silent, counts.applications, counts.left), (1, 0, 0));
    assert_eq!(
        counts.decisions.holds().find(|(gate, _)| *gate == "silent"),
        Some(("silent", 15))
    );
}

#[tokio::test(start_paused = true)]
async fn two_missed_heartbeats_are_none_too_many() {
    let mut s = Scene::new().start();
    for _ in 0..20 {
        s.register(&app("i1")).await;
        s.wait(29.5).await;
    }
    assert_eq!(s.stop().await.counts.silent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_slept_takes_nobody_for_silent_whose_heartbeats_wait() {
    for _ in 0..50 {
        let mut s = Scene::new().start();
        s.register(&app("i1")).await;
        // Stopped for a minute, as by a debugger; the heartbeats came in meanwhile.
        for _ in 0..6 {
            s.control.send_now(app("i1").record()).await;
        }
        tokio::time::advance(std::time::Duration::from_mins(1)).await;
        s.wait(5.0).await;
        assert_eq!(s.stop().await.counts.silent, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn how_many_may_be_missed_and_how_often_they_come_can_be_set() {
    let scene = Scene::new().settings(|s| {
        s.heartbeat = std::time::Duration::from_mins(1);
        s.missed_heartbeats = 5;
    });
    let mut s = scene.start();
    s.register(&app("i1")).await;
    s.wait(299.0).await;
    assert_eq!(s.log.outcome().silent(), [""; 0]);
    s.wait(3.0).await;
    assert_eq!(s.log.outcome().silent(), ["i1"]);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_beyond_all_time_are_never_missed() {
    let scene = Scene::new().settings(|s| s.heartbeat = std::time::Duration::MAX);
    let mut s = scene.start();
    s.register(&app("i1")).await;
    s.wait(3600.0).await;
    assert_eq!(s.stop().await.counts.silent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_application_is_back_with_its_next_registration() {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1")).await;
    s.wait(40.0).await;
    assert_eq!(s.find(finding(0)).await.held_by(), "silent");
    let came = s.register(&app("i1").on("n1")).await;
    assert_eq!(came.joined(), ["i1"]);
    assert_eq!(came.notices(), ["knob_heard"]);
    s.find(finding(0)).await.plan();
    assert_eq!(s.stop().await.counts.applications, 1);
}

#[tokio::test(start_paused = true)]
async fn a_plan_on_its_way_when_its_application_falls_silent_can_still_be_acknowledged() {
    let mut s = Scene::new().start();
    s.register(&app("i1")).await;
    let plan = s.find(finding(0)).await.plan().clone();
    s.wait(40.0).await;
    assert_eq!(s.ack(&applied(&plan).at(0)).await.notices(), ["applied"]);
    assert_eq!(s.find(finding(1)).await.held_by(), "silent");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_says_that_it_leaves_is_gone_at_once() {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1")).await;
    let came = s.on_control(farewell("i1")).await;
    assert!(
        matches!(&came.0[0], Told::Left(i, n) if i == "i1" && n == "n1"),
        "{came:?}"
    );
    assert_eq!(s.find(finding(0)).await.held_by(), "silent");
    s.wait(100.0).await;
    let counts = s.stop().await.counts;
    assert_eq!((counts.left, counts.silent, counts.applications), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_farewell_of_someone_unknown_changes_nothing() {
    let mut s = Scene::new().start();
    s.register(&app("i1")).await;
    for instance in ["", "i2", "i1x"] {
        let came = s.on_control(farewell(instance)).await;
        assert_eq!(came.notices(), [""; 0]);
    }
    s.find(finding(0)).await.plan();
    assert_eq!(s.stop().await.counts.left, 0);
}

// ── Several applications ────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_knob_that_two_applications_own_is_held_when_both_are_silent() {
    let mut s = Scene::new().start();
    let (one, two) = (app("i1").on("n1"), app("i2").on("n1"));
    s.register(&one).await;
    live_on(&mut s, &[two], 60).await;
    assert_eq!(s.log.outcome().silent(), ["i1"]);
    s.act(finding(0)).await;
    s.act(finding(0).on("n1")).await;
    s.wait(60.0).await;
    assert_eq!(s.log.outcome().silent(), ["i1", "i2"]);
    assert_eq!(s.find(finding(1)).await.held_by(), "silent");
}

#[tokio::test(start_paused = true)]
async fn on_two_nodes_the_silence_of_one_holds_the_plans_for_its_node_alone() {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1")).await;
    live_on(&mut s, &[app("i2").on("n2")], 60).await;
    assert_eq!(s.find(finding(0).on("n1")).await.held_by(), "silent");
    s.act(finding(0).on("n2")).await;
    s.act(finding(0)).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_silent_nodes_the_one_that_is_not_back_stays_held() {
    for (first, back, away) in [("i1", "n1", "n2"), ("i2", "n2", "n1")] {
        let mut s = Scene::new().start();
        s.register(&app("i1").on("n1")).await;
        s.register(&app("i2").on("n2")).await;
        s.wait(60.0).await;
        assert_eq!(s.find(finding(0).on("n1")).await.held_by(), "silent");
        s.register(&app(first).on(back)).await;
        s.act(finding(0).on(back)).await;
        assert_eq!(
            s.find(finding(0).on(away)).await.held_by(),
            "silent",
            "{away}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn f07_one_node_under_its_short_and_its_long_name_is_one_node() {
    for (lives, leaves) in [("n1", "n1.cluster.site"), ("n1.cluster.site", "n1")] {
        let mut s = Scene::new().start();
        s.register(&app("i1").on(lives)).await;
        s.register(&app("i2").on(leaves)).await;
        s.on_control(farewell("i2")).await;
        for name in ["n1", "n1.cluster.site"] {
            s.act(finding(0).on(name)).await;
        }
        s.on_control(farewell("i1")).await;
        assert_eq!(s.find(finding(9).on("n1")).await.held_by(), "silent");
    }
}

#[tokio::test(start_paused = true)]
async fn two_long_names_of_one_beginning_are_two_nodes() {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1.a")).await;
    s.register(&app("i2").on("n1.b")).await;
    s.on_control(farewell("i1")).await;
    assert_eq!(s.find(finding(0).on("n1.a")).await.held_by(), "silent");
    s.act(finding(0).on("n1.b")).await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_application_takes_over_from_the_one_that_was_killed() {
    let mut s = Scene::new().start();
    s.register(&app("before").on("n1")).await;
    let lost = s.find(finding(0)).await.plan().clone();
    // Killed; the new one is there ten seconds later, and says what is in force.
    s.wait(10.0).await;
    let after = app("after").on("n1").knobs([knob("k").live(6)]);
    live_on(&mut s, &[after], 60).await;
    assert_eq!(s.log.outcome().silent(), ["before"]);
    // What the old one left behind ends with patience.
    let came = s.find(finding(10)).await;
    assert_eq!(came.notices(), ["plan_expired"]);
    assert_eq!(came.plan().old_value, Some(Value::Int(6)));
    assert_ne!(came.plan().plan_id, lost.plan_id);
    assert_eq!(s.stop().await.counts.applications, 1);
}

#[tokio::test(start_paused = true)]
async fn each_knob_is_held_when_its_own_applications_are_silent() {
    let mut s = Scene::new().start();
    s.register(&app("i1").knobs([knob("k"), knob("both")]))
        .await;
    let other = app("i2").knobs([knob("l"), knob("both")]);
    live_on(&mut s, &[other], 60).await;
    let came = s.find(finding(0)).await;
    let planned: Vec<_> = came.plans().iter().map(|p| p.knob_id.clone()).collect();
    assert_eq!(planned, ["both", "l"]);
    assert_eq!(
        came.gates().iter().map(|g| g.name()).collect::<Vec<_>>(),
        ["silent"]
    );
}

// ── One application that has several functions ──────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn all_functions_of_one_application_live_and_leave_with_it() {
    for (first, second) in [
        (
            app("i1").function("train"),
            app("i1").function("load").knobs([knob("l")]),
        ),
        // Two objects of one name.
        (
            app("i1"),
            app("i1").in_namespace("other").knobs([knob("l")]),
        ),
    ] {
        let mut s = Scene::new().start();
        live_on(&mut s, &[first, second], 100).await;
        assert_eq!(s.find(finding(0)).await.plans().len(), 2);
        s.on_control(farewell("i1")).await;
        let gates = s.find(finding(20)).await;
        assert_eq!(gates.plans().len(), 0, "{gates:?}");
        let counts = s.stop().await.counts;
        assert_eq!((counts.registrations, counts.heartbeats), (2, 18));
        assert_eq!((counts.left, counts.silent), (1, 0));
    }
}

// ── Programs that do not say who they are ───────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_program_without_an_instance_is_never_silent() {
    let mut s = Scene::new().start();
    s.register(&app("")).await;
    s.register(&app("i1").on("n1")).await;
    s.wait(3600.0).await;
    assert_eq!(s.log.outcome().silent(), ["i1"]);
    s.act(finding(0)).await;
    s.act(finding(0).on("n1")).await;
    s.on_control(farewell("")).await;
    s.act(finding(1)).await;
}

#[tokio::test(start_paused = true)]
async fn applications_beyond_the_limit_are_counted_and_never_missed() {
    let mut s = Scene::new().settings(|s| s.applications = 2).start();
    for (instance, id) in [("i1", "a"), ("i2", "b"), ("i3", "c")] {
        s.register(&app(instance).knobs([knob(id)])).await;
    }
    s.wait(100.0).await;
    assert_eq!(s.log.outcome().silent(), ["i1", "i2"]);
    let came = s.find(finding(0)).await;
    assert_eq!(came.plan().knob_id, "c");
    assert_eq!(s.stop().await.counts.not_tracked, 1);
}

#[tokio::test(start_paused = true)]
async fn room_is_made_by_those_who_go() {
    let mut s = Scene::new().settings(|s| s.applications = 1).start();
    for i in 0..50 {
        let instance = format!("i{i}");
        s.register(&app(&instance)).await;
        s.on_control(farewell(&instance)).await;
    }
    let counts = s.stop().await.counts;
    assert_eq!(
        (counts.left, counts.not_tracked, counts.applications),
        (50, 0, 0)
    );
}
