//! Records that cannot be used: named, counted, and gone past.

use dfo_service::Channel;
use dfo_transport::Record;
use serde_json::json;

use crate::scene::{App, Live, Scene, Told, app, finding, finding_record, knob, source};

/// A service whose planner knows knob `k`.
fn service() -> Live {
    Scene::new().knobs([knob("k")]).start()
}

/// Deeper than anyone can mean.
fn nested(open: &str) -> String {
    open.repeat(200_000)
}

#[tokio::test(start_paused = true)]
async fn z07_a_finding_in_a_single_frame_is_accepted() {
    let mut s = service();
    let record = Record::new("", finding(0).payload());
    s.on_findings(record).await.plan();
    let counts = s.stop().await.counts;
    assert_eq!((counts.findings, counts.bad_findings), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn z02_metadata_that_are_json_but_no_object_are_told_and_counted_and_cost_no_other() {
    let metadata = [r#"["x"]"#, "3", "null", r#""end""#, "true", "[]", " [1] "];
    let mut s = service();
    for (i, metadata) in metadata.into_iter().enumerate() {
        let came = s
            .on_findings(Record::new(metadata, finding(0).payload()))
            .await;
        let [problem] = came.problems()[..] else {
            panic!("{metadata}: {came:?}");
        };
        assert!(
            problem.starts_with("metadata: expected an object"),
            "{problem}"
        );
        assert!(came.plans().is_empty(), "it is not acted on");
        let bad = came.0.iter().find_map(|told| match told {
            Told::Bad {
                channel,
                from,
                record,
                ..
            } => Some((*channel, from.as_str(), record)),
            _ => None,
        });
        let (channel, from, record) = bad.unwrap();
        assert_eq!((channel, from), (Channel::Findings, "findings"));
        assert_eq!(record.metadata, metadata);
        let window = i64::try_from(i).unwrap() * 20;
        assert_eq!(
            s.find(finding(window)).await.plans().len(),
            1,
            "the next one is decided on"
        );
    }
    let counts = s.stop().await.counts;
    assert_eq!((counts.findings, counts.bad_findings), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn z02_the_same_on_the_control_channel() {
    let mut s = Scene::new().start();
    let payload = app("i1").payload().to_string();
    for metadata in [r#"["x"]"#, "3", "null"] {
        let came = s.on_control(Record::new(metadata, payload.clone())).await;
        assert_eq!(came.problems().len(), 1);
        assert_eq!(came.joined(), [""; 0]);
    }
    assert_eq!(s.register(&app("i1")).await.joined(), ["i1"]);
    assert_eq!(s.stop().await.counts.bad_control, 3);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_are_no_json_at_all_say_nothing_and_the_finding_counts() {
    let mut s = service();
    let odd: [&[u8]; 4] = [b"findings", b"{", b"\xff\xfe", b"topic end stop"];
    for (window, metadata) in (0..).step_by(20).zip(odd) {
        let came = s
            .on_findings(Record::new(metadata, finding(window).payload()))
            .await;
        assert_eq!(came.plans().len(), 1, "{metadata:?}");
    }
    assert_eq!(s.stop().await.counts.bad_findings, 0);
}

#[tokio::test(start_paused = true)]
async fn b04_a_payload_that_is_no_finding_is_told_and_counted_and_costs_no_other() {
    let payloads = [
        "",
        " ",
        "garbage",
        "[1]",
        "null",
        "3",
        "{",
        "{}}",
        r#"{"severity_score":"high"}"#,
        r#"{"opportunity_tags": "tttt"}"#,
        r#"{"severity_score": NaN}"#,
        r#"{"severity_score": Infinity}"#,
        r#"{"scope": "node:"}"#,
        r#"{"scope": "node::x"}"#,
        r#"{"persistence": "5"}"#,
        "\u{feff}",
    ];
    let mut s = service();
    for payload in payloads {
        let came = s.on_findings(Record::new("", payload)).await;
        let [problem] = came.problems()[..] else {
            panic!("{payload}: {came:?}");
        };
        assert!(!problem.is_empty());
        assert!(came.plans().is_empty() && came.gates().is_empty());
    }
    s.find(finding(0)).await.plan();
    let counts = s.stop().await.counts;
    assert_eq!(
        (counts.findings, counts.bad_findings),
        (1, payloads.len() as u64)
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_that_no_one_can_mean_end_nothing() {
    let mut s = service();
    let bytes = [
        b"\xff\xfe\x00".to_vec(),
        vec![0; 4096],
        nested("[").into_bytes(),
        nested(r#"{"a":"#).into_bytes(),
        format!("{{\"finding_type\": \"{}\"}}", "x".repeat(1 << 20)).into_bytes(),
        vec![b' '; 1 << 20],
    ];
    for bytes in &bytes {
        for metadata in ["", r#"{"type": "action_ack"}"#] {
            let record = Record::new(metadata, bytes.clone());
            assert_eq!(s.on_findings(record.clone()).await.problems().len(), 1);
            assert_eq!(s.on_control(record).await.problems().len(), 1);
        }
        // As a registration or as metadata they say nothing, or are wrong.
        let metadata = r#"{"type": "knob_registration"}"#;
        s.on_control(Record::new(metadata, bytes.clone())).await;
        s.on_findings(Record::new(bytes.clone(), finding(0).payload()))
            .await;
        s.on_control(Record::new(bytes.clone(), "{}")).await;
    }
    assert!(s.is_running());
    assert!(s.stop().await.counts.bad_findings >= 12);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_bad_messages_in_a_row_cost_no_good_one() {
    let bad = [
        Record::new(r#"["x"]"#, "{}"),
        Record::new("", "garbage"),
        Record::new("{}", r#"{"severity_score": NaN}"#),
        Record::new("\u{0}", "\u{0}"),
    ];
    let bad = bad.into_iter().cycle().take(100_000);
    let records = bad.clone().chain([finding_record(0)]);
    let control = source().gives(bad.chain([app("i1").record()]));
    let scene = Scene::new().findings_from("f", source().gives(records));
    let scene = scene.control_from("c", control);
    let s = scene.start();
    s.settle().await;
    let counts = s.stop().await.counts;
    assert_eq!((counts.bad_findings, counts.findings), (100_000, 1));
    assert_eq!((counts.bad_control, counts.registrations), (100_000, 1));
}

#[tokio::test(start_paused = true)]
async fn d21_a_summary_is_recorded_and_not_acted_on_wherever_it_says_so() {
    let mut s = service();
    let summary = r#"{"publish_mode": "summary"}"#;
    let in_payload = finding(0).with("publish_mode", "summary");
    for record in [
        Record::new(summary, finding(0).payload()),
        Record::new("", in_payload.payload()),
        Record::new(r#"{"publish_mode": "control"}"#, in_payload.payload()),
    ] {
        let came = s.on_findings(record).await;
        assert!(came.0.is_empty(), "{came:?}");
    }
    let counts = s.stop().await.counts;
    assert_eq!((counts.summaries, counts.findings), (3, 0));
}

// ── Control ─────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(start_paused = true)]
async fn a_control_record_that_is_neither_is_told_and_counted() {
    let mut s = Scene::new().start();
    let plan = json!({"plan_id": "p", "knob_id": "k", "new_value": 3}).to_string();
    for (metadata, payload) in [
        ("", "garbage"),
        ("", "{}"),
        ("{}", "[]"),
        (r#"{"type": "action_plan"}"#, plan.as_str()),
        (r#"{"type": "action_ack"}"#, "{}"),
        (r#"{"type": "action_ack"}"#, r#"{"plan_id": "p"}"#),
        (r#"{"type": "action_ack"}"#, r#"{"status": "applied"}"#),
        (r#"{"type": "knob_registration"}"#, r#"{"knobs": 5}"#),
        (r#"{"type": "knob_registration"}"#, ""),
        ("", &finding(0).payload()),
    ] {
        let came = s
            .on_control(Record::new(metadata, payload.to_owned()))
            .await;
        assert_eq!(came.problems().len(), 1, "{metadata} {payload}: {came:?}");
        assert_eq!(came.notices(), [""; 0]);
    }
    let counts = s.stop().await.counts;
    assert_eq!(
        (counts.bad_control, counts.acks, counts.registrations),
        (10, 0, 0)
    );
}

/// One knob that is right, one without a default, one whose range is reversed.
fn partly_wrong() -> App {
    let no_default = knob("no_default").with("default", json!(null));
    let reversed = knob("reversed").with("range", json!([9, 1]));
    app("i1").knobs([no_default, knob("k"), reversed])
}

#[tokio::test(start_paused = true)]
async fn e04_what_is_right_of_a_registration_counts_and_the_rest_is_named() {
    let mut s = Scene::new().start();
    let came = s.register(&partly_wrong()).await;
    assert_eq!(came.joined(), ["i1"]);
    assert!(came.problems()[0].contains("no_default") || came.problems()[0].contains("knobs[0]"));
    let mut notices = came.notices();
    notices.sort_unstable();
    assert_eq!(notices, ["knob_refused", "knob_registered"]);
    s.find(finding(0)).await.plan();
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_registration_is_told_once_and_not_with_every_heartbeat() {
    let mut s = Scene::new().start();
    for _ in 0..5 {
        s.register(&partly_wrong()).await;
        s.wait(10.0).await;
    }
    assert_eq!(s.log.outcome().problems().len(), 1);
    let counts = s.stop().await.counts;
    assert_eq!((counts.registrations, counts.heartbeats), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_is_right_in_part_is_counted_once() {
    let mut s = Scene::new().start();
    s.register(&partly_wrong()).await;
    let counts = s.stop().await.counts;
    assert_eq!((counts.registrations, counts.registrations_in_part), (1, 1));
    let what = "what is neither a registration nor an acknowledgement";
    assert_eq!(counts.bad_control, 0, "{what}");
}
