//! The closed loop: registrations in, plans out, and what became of them back in.

use dfo_model::{AckStatus, Value};
use dfo_planner::{AckIgnored, Notice};
use dfo_service::Reason;
use dfo_transport::{Record, Sink, memory};
use serde_json::json;

use crate::scene::{
    AckWords, Live, Scene, ack_record, app, applied, deferred, finding, knob, rejected, source, up,
};

/// A service, and an application that has registered knob `k`, which is 2.
async fn closed_loop() -> Live {
    let mut s = Scene::new().start();
    s.register(&app("i1").on("n1")).await;
    s
}

/// A knob that rests three windows after an action, at 8 now.
async fn closed_loop_of_a_resting_knob() -> Live {
    let mut s = Scene::new().start();
    let resting = knob("k").resting(3).live(8);
    s.register(&app("i1").on("n1").knobs([resting])).await;
    s
}

fn int(value: i64) -> Value {
    Value::Int(value)
}

// ── The loop ────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn z04_a_knob_is_planned_again_and_again_as_its_plans_are_acknowledged() {
    let mut s = closed_loop().await;
    for window in 0..10 {
        let plan = s.act(finding(window)).await;
        assert_eq!(plan.old_value, Some(int(2 + window)));
        assert_eq!(plan.new_value, int(3 + window));
        assert_eq!(plan.window_index, window);
    }
    let ended = s.stop().await;
    assert!(matches!(ended.reason, Reason::Asked));
    assert_eq!(ended.planner.value("k", None), Some(&int(12)));
    let counts = ended.counts;
    assert_eq!(
        (counts.findings, counts.registrations, counts.acks),
        (10, 1, 10)
    );
    assert_eq!((counts.decisions.plans, counts.sent), (10, 10));
    assert_eq!(counts.decisions.notices["applied"], 10);
    assert_eq!((counts.bad_records(), counts.undelivered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn z04_without_an_acknowledgement_the_knob_is_held_until_the_plan_expires() {
    let mut s = closed_loop().await;
    let first = s.find(finding(0)).await.plan().clone();
    for window in 1..10 {
        assert_eq!(s.find(finding(window)).await.held_by(), "pending");
    }
    let came = s.find(finding(10)).await;
    assert_eq!(came.notices(), ["plan_expired"]);
    assert_ne!(came.plan().plan_id, first.plan_id);
    assert_eq!(came.plan().old_value, Some(int(2)), "the value went back");
}

#[tokio::test(start_paused = true)]
async fn a_plan_travels_in_two_parts_with_every_field_as_it_always_was() {
    let mut s = closed_loop().await;
    for (finding, nodes, metadata_nodes) in [
        (finding(3), json!([]), None),
        (
            finding(3).on("n1").tag("u"),
            json!(["n1"]),
            Some(json!(["n1"])),
        ),
    ] {
        let knobs = [knob("k"), knob("l").responds_to("u", up())];
        s.register(&app("i1").on("n1").knobs(knobs)).await;
        let plan = s.find(finding).await.plan().clone();
        let record = s.application.receive_one().await;
        let mut metadata = json!({
            "type": "action_plan", "plan_id": plan.plan_id, "knob_id": plan.knob_id,
            "target_function": "train",
        });
        if let Some(nodes) = metadata_nodes {
            metadata["target_nodes"] = nodes;
        }
        let tag = &plan.opportunity_tag;
        let scope = if nodes == json!([]) {
            "app:window"
        } else {
            "node:n1:app:window"
        };
        let payload = json!({
            "plan_id": plan.plan_id, "knob_id": plan.knob_id, "target_function": "train",
            "old_value": 2, "new_value": 3, "apply_when": "epoch_boundary",
            "rationale": format!(
                "pressure: persistent (severity=1.000, persistence=5, trend=worsening, scope={scope}) -> {tag}"
            ),
            "finding_type": "pressure", "severity": 1.0, "opportunity_tag": tag,
            "window_index": 3, "target_nodes": nodes,
        });
        // As text: the order of the fields counts, and ints stay ints.
        assert_eq!(text(&record.metadata), metadata.to_string());
        assert_eq!(text(&record.payload), payload.to_string());
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

trait ReceiveOne {
    async fn receive_one(&mut self) -> Record;
}

impl ReceiveOne for memory::MemorySource {
    async fn receive_one(&mut self) -> Record {
        let records = dfo_transport::Source::receive(self, 1).await.unwrap();
        records.into_iter().next().expect("a record")
    }
}

#[tokio::test(start_paused = true)]
async fn a04_registrations_and_acknowledgements_may_come_from_a_source_each() {
    let (mut registry, registrations) = memory::pair(16);
    let (mut acks, acknowledgements) = memory::pair(16);
    let scene = Scene::new();
    let scene = scene.control_from("registry", registrations);
    let mut s = scene.control_from("acks", acknowledgements).start();
    registry.send(app("i1").record()).await.unwrap();
    s.settle().await;
    for window in 0..3 {
        let plan = s.find(finding(window)).await.plan().clone();
        acks.send(ack_record(&applied(&plan))).await.unwrap();
        s.settle().await;
    }
    assert_eq!(s.stop().await.counts.decisions.plans, 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_control_message_is_follows_from_its_payload_where_the_metadata_do_not_say() {
    for metadata in ["", "{}", r#"{"type": "something else"}"#, "no JSON at all"] {
        let mut s = Scene::new().start();
        let payload = app("i1").payload().to_string();
        s.on_control(Record::new(metadata, payload)).await;
        let plan = s.find(finding(0)).await.plan().clone();
        let ack = serde_json::to_vec(&applied(&plan)).unwrap();
        let came = s.on_control(Record::new(metadata, ack)).await;
        assert_eq!(came.notices(), ["applied"], "{metadata}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_before_any_registration_harms_nothing() {
    let mut s = Scene::new().start();
    let plan = serde_json::json!({"plan_id": "plan_x", "status": "applied", "new_value": 7});
    let record = Record::new(r#"{"type": "action_ack"}"#, plan.to_string());
    assert_eq!(s.on_control(record).await.notices(), ["ack_ignored"]);
    s.register(&app("i1")).await;
    assert_eq!(s.find(finding(0)).await.plan().new_value, int(3));
}

// ── Acknowledgements that must change nothing wrong ─────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a01_an_acknowledgement_of_an_unknown_plan_changes_nothing_and_is_counted() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let mut unknown = applied(&plan).value(13);
    unknown.plan_id = "plan_of_another".to_owned();
    for ack in [&unknown, &unknown] {
        let came = s.ack(ack).await;
        let Notice::AckIgnored { why, .. } = came.notice() else {
            panic!("{came:?}");
        };
        assert_eq!(*why, AckIgnored::Unknown);
    }
    assert_eq!(s.find(finding(1)).await.held_by(), "pending");
    let ended = s.stop().await;
    assert_eq!(ended.counts.acks, 2);
    assert_eq!(ended.counts.decisions.notices["ack_ignored"], 2);
    assert_eq!(ended.planner.value("k", None), Some(&int(3)));
    assert_eq!(ended.planner.pending()[0].plan_id, plan.plan_id);
}

#[tokio::test(start_paused = true)]
async fn a01_an_acknowledgement_that_comes_twice_counts_once() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let ack = applied(&plan).at(0).value(5);
    assert_eq!(s.ack(&ack).await.notices(), ["applied"]);
    assert_eq!(s.ack(&ack).await.notices(), ["ack_ignored"]);
    assert_eq!(s.find(finding(1)).await.plan().old_value, Some(int(5)));
    assert_eq!(s.ack(&ack).await.notices(), ["ack_ignored"]);
    assert_eq!(s.find(finding(2)).await.held_by(), "pending");
}

#[tokio::test(start_paused = true)]
async fn a03_acknowledgements_as_existing_applications_send_them_close_the_loop() {
    for on in ["", "n1"] {
        let mut s = closed_loop_of_a_resting_knob().await;
        let about = |window| match on {
            "" => finding(window),
            node => finding(window).on(node),
        };
        let plan = s.find(about(5)).await.plan().clone();
        // No window, no nodes, no instance.
        let ack = json!({
            "plan_id": plan.plan_id, "knob_id": "k", "status": "applied",
            "old_value": plan.old_value, "new_value": plan.new_value, "reason": "",
        });
        let metadata = json!({"type": "action_ack", "plan_id": plan.plan_id});
        let record = Record::new(metadata.to_string(), ack.to_string());
        assert_eq!(s.on_control(record).await.notices(), ["applied"]);
        assert_eq!(s.find(about(6)).await.held_by(), "cooldown");
        assert_eq!(s.find(about(7)).await.held_by(), "cooldown");
        assert_eq!(s.find(about(8)).await.plan().old_value, Some(int(9)));
        assert_eq!(s.stop().await.counts.bad_records(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a05_the_acknowledgement_of_an_earlier_plan_does_not_close_the_next() {
    let mut s = closed_loop().await;
    let first = s.act(finding(0)).await;
    let second = s.find(finding(1)).await.plan().clone();
    let late = applied(&first).at(1).value(99);
    assert!(["ack_ignored", "acks_disagree"].contains(&s.ack(&late).await.notices()[0]));
    assert_eq!(s.find(finding(2)).await.held_by(), "pending");
    let told = s.ack(&applied(&second)).await;
    assert_eq!(told.notices(), ["applied", "not_judged"]);
    assert_eq!(s.find(finding(3)).await.plan().old_value, Some(int(4)));
}

#[tokio::test(start_paused = true)]
async fn a05_an_acknowledgement_that_names_another_knob_is_refused_and_the_plan_stays_open() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let mut ack = applied(&plan);
    ack.knob_id = "another".to_owned();
    assert_eq!(s.ack(&ack).await.notices(), ["ack_refused"]);
    assert_eq!(s.find(finding(1)).await.held_by(), "pending");
}

#[tokio::test(start_paused = true)]
async fn a06_a_deferred_plan_stays_pending_and_its_value_is_not_built_upon() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    for window in 1..=30 {
        assert_eq!(s.ack(&deferred(&plan)).await.notices(), ["deferred"]);
        assert_eq!(s.find(finding(window)).await.held_by(), "pending");
    }
    assert_eq!(s.ack(&applied(&plan)).await.notices(), ["applied"]);
    assert_eq!(s.find(finding(31)).await.plan().old_value, Some(int(3)));
}

#[tokio::test(start_paused = true)]
async fn a06_a_status_that_there_is_none_of_is_a_bad_record_and_closes_nothing() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let ack = json!({"plan_id": plan.plan_id, "status": "done", "new_value": 9});
    let record = Record::new(r#"{"type": "action_ack"}"#, ack.to_string());
    let came = s.on_control(record).await;
    assert!(came.problems()[0].contains("status"), "{came:?}");
    assert_eq!(s.find(finding(1)).await.held_by(), "pending");
    let counts = s.stop().await.counts;
    assert_eq!((counts.acks, counts.bad_control), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a07_a_rejected_plan_gives_back_the_live_value_and_is_not_sent_again_at_once() {
    let mut s = closed_loop_of_a_resting_knob().await;
    let plan = s.find(finding(10)).await.plan().clone();
    assert_eq!(plan.old_value, Some(int(8)));
    // As they reject: with no values at all.
    assert_eq!(s.ack(&rejected(&plan)).await.notices(), ["rejected"]);
    for window in 11..13 {
        assert_eq!(s.find(finding(window)).await.held_by(), "cooldown");
    }
    assert_eq!(s.find(finding(13)).await.plan().old_value, Some(int(8)));
}

#[tokio::test(start_paused = true)]
async fn a09_an_acknowledgement_that_comes_after_its_plan_expired_is_too_late() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let came = s.find(finding(10)).await;
    let next = came.plan().clone();
    let came = s.ack(&applied(&plan).value(77)).await;
    let Notice::AckIgnored { why, .. } = came.notice() else {
        panic!("{came:?}");
    };
    assert_eq!(*why, AckIgnored::Expired);
    assert_eq!(s.find(finding(11)).await.held_by(), "pending");
    s.ack(&applied(&next)).await;
    assert_eq!(s.stop().await.planner.value("k", None), Some(&int(3)));
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_that_contradict_each_other_are_told_and_the_first_counts() {
    let mut s = closed_loop().await;
    s.register(&app("i2").on("n2")).await;
    let plan = s.find(finding(0)).await.plan().clone();
    assert_eq!(s.ack(&applied(&plan).by("n1")).await.notices(), ["applied"]);
    let came = s.ack(&rejected(&plan).by("n2")).await;
    let Notice::AcksDisagree {
        node,
        first,
        status,
        ..
    } = came.notice()
    else {
        panic!("{came:?}");
    };
    assert_eq!(node, "n2");
    assert_eq!((*first, *status), (AckStatus::Applied, AckStatus::Rejected));
    assert_eq!(s.find(finding(1)).await.plan().old_value, Some(int(3)));
    let notices = s.stop().await.counts.decisions.notices;
    assert_eq!(notices["acks_disagree"], 1);
}

#[tokio::test(start_paused = true)]
async fn a11_an_acknowledged_value_of_another_type_is_refused() {
    let mut s = closed_loop().await;
    let plan = s.find(finding(0)).await.plan().clone();
    let mut ack = applied(&plan);
    ack.new_value = Some(Value::from("lots"));
    assert_eq!(s.ack(&ack).await.notices(), ["ack_refused"]);
    assert_eq!(s.find(finding(1)).await.held_by(), "pending");
}

#[tokio::test(start_paused = true)]
async fn h06_a_plan_is_made_once_however_many_findings_ask_for_it_at_one_time() {
    let findings = || source().gives((0..500).map(|_| finding(0).record()));
    let scene = Scene::new().knobs([knob("k")]);
    let scene = scene.findings_from("a", findings().ends());
    let scene = scene.findings_from("b", findings().ends());
    let (ended, _) = scene.runs_to_its_end().await;
    assert_eq!(ended.counts.findings, 1000);
    assert_eq!(ended.counts.decisions.plans, 1);
}
