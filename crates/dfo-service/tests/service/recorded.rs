//! The recorded session of the diagnoser, as it was sent over ZeroMQ: 1,699 messages.
//!
//! The same findings and acknowledgements give the same plans through the service as by the planner
//! alone, to the last byte.

use std::path::Path;

use dfo_knobs_dlio::DlioKnobs;
use dfo_model::{Ack, ActionPlan, FindingView};
use dfo_planner::{Event, PlanIds, Planner, Settings};
use dfo_service::{AckMode, StandIn};
use dfo_transport::{Content, Record, Records};

use crate::scene::{AckWords, Scene, ack_record, applied, plan_of, sink, source};

const SEED: u128 = 7;

/// What an example file holds.
fn example(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/findings");
    let mut records = Records::open(&folder.join(name)).unwrap();
    let mut all = Vec::new();
    while let Some(record) = records.next_record().unwrap() {
        let Content::Bytes(bytes) = record.content else {
            panic!("{name}:{}", record.place.line);
        };
        all.push(bytes.to_vec());
    }
    all
}

/// The session: metadata and payload, as they were sent.
fn session() -> Vec<Record> {
    let metadata = example("session_zmq_meta.jsonl.gz");
    let payloads = example("session_zmq.jsonl.gz");
    assert_eq!((metadata.len(), payloads.len()), (1699, 1699));
    let frames = metadata.into_iter().zip(payloads);
    frames
        .map(|(metadata, payload)| Record::new(metadata, payload))
        .collect()
}

/// A planner with the knobs of DLIO, at most 8 threads.
fn planner(settings: Settings) -> Planner {
    let knobs = DlioKnobs {
        max_threads: 8,
        ..DlioKnobs::default()
    };
    let registration = knobs.bootstrap().registration;
    let mut planner = Planner::new(settings, PlanIds::from_seed(SEED));
    planner.handle(Event::Registration(&registration));
    planner
}

fn json(plan: &ActionPlan) -> String {
    serde_json::to_string(plan).unwrap()
}

fn lines(plans: &[ActionPlan]) -> Vec<String> {
    plans.iter().map(json).collect()
}

/// What the planner alone plans, with every plan acknowledged as `ack` says.
fn by_the_planner_alone(ack: impl Fn(&ActionPlan) -> Option<Ack>) -> Vec<String> {
    let mut planner = planner(Settings::default());
    let mut plans = Vec::new();
    // The last 30 are the summary of the run.
    for record in &session()[..1669] {
        let finding = FindingView::decode(&record.payload).unwrap();
        let made = planner.handle(Event::Finding(&finding));
        for plan in made.plans() {
            plans.push(json(plan));
            if let Some(ack) = ack(plan) {
                planner.handle(Event::Ack(&ack));
            }
        }
    }
    plans
}

/// What the service plans and sends, with every plan acknowledged by an application as `ack` says.
async fn by_the_service(
    ack: impl Fn(&ActionPlan) -> Option<Ack>,
) -> (Vec<String>, dfo_service::Ended) {
    let to = sink();
    let taken = to.taken();
    let scene = Scene::new().planner(planner(Settings::default()));
    let mut s = scene.plans_to("plans", to).start();
    let mut acknowledged = 0;
    for record in session() {
        s.on_findings(record).await;
        let records = taken.records();
        for record in &records[acknowledged..] {
            if let Some(ack) = ack(&plan_of(record)) {
                s.on_control(ack_record(&ack)).await;
            }
        }
        acknowledged = records.len();
    }
    (lines(&taken.plans()), s.stop().await)
}

#[tokio::test(start_paused = true)]
async fn z04_with_acknowledgements_the_session_goes_on_past_the_first_plan_of_each_knob() {
    let at_once = |plan: &ActionPlan| Some(applied(plan).at(plan.window_index));
    let (plans, ended) = by_the_service(at_once).await;
    assert_eq!(plans, by_the_planner_alone(at_once));
    // As the documentation of the planner has it; the original made 10.
    assert_eq!(plans.len(), 68);
    let counts = ended.counts;
    assert_eq!(
        (counts.findings, counts.summaries, counts.bad_records()),
        (1669, 30, 0)
    );
    assert_eq!((counts.acks, counts.sent), (68, 68));
    assert_eq!(counts.decisions.notices["applied"], 68);
}

#[tokio::test(start_paused = true)]
async fn the_same_findings_and_acknowledgements_give_the_same_plans() {
    // What existing applications send: no window.
    let bare = |plan: &ActionPlan| Some(applied(plan));
    // One in three is refused, one in three never answered.
    let mixed = |plan: &ActionPlan| match plan.window_index % 3 {
        0 => Some(applied(plan).by("tuolumne1001")),
        1 => Some(crate::scene::rejected(plan)),
        _ => None,
    };
    let (plans, _) = by_the_service(bare).await;
    assert_eq!(plans, by_the_planner_alone(bare));
    let (plans, ended) = by_the_service(mixed).await;
    assert_eq!(plans, by_the_planner_alone(mixed));
    assert!(ended.counts.decisions.notices["plan_expired"] > 0);
    let (plans, _) = by_the_service(|_| None).await;
    assert_eq!(plans, by_the_planner_alone(|_| None));
}

#[tokio::test(start_paused = true)]
async fn under_the_originals_settings_and_without_acknowledgements_it_makes_the_originals_ten_plans()
 {
    let findings = source().gives(session()).ends();
    let scene = Scene::new().planner(planner(Settings::original()));
    let (ended, log) = scene
        .findings_from("session", findings)
        .runs_to_its_end()
        .await;
    assert_eq!(ended.counts.decisions.plans, 10);
    assert_eq!((ended.counts.sent, ended.counts.undelivered), (10, 0));
    assert_eq!((ended.counts.findings, ended.counts.summaries), (1669, 30));
    let told = log.outcome();
    let mut targets: Vec<_> = told
        .plans()
        .iter()
        .map(|p| (&p.knob_id, &p.target_nodes))
        .collect();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), 10, "one per knob and node");
}

/// What a replay does: each finding is decided on, and the stand-in answers when it is due.
fn replayed(acks: AckMode) -> Vec<String> {
    let mut planner = planner(Settings::default());
    let mut application = StandIn::new(acks);
    let mut plans = Vec::new();
    for record in &session()[..1669] {
        let finding = FindingView::decode(&record.payload).unwrap();
        let answer = |planner: &mut Planner, application: &mut StandIn| {
            for ack in application.due(&finding) {
                planner.handle(Event::Ack(&ack));
            }
        };
        answer(&mut planner, &mut application);
        let made = planner.handle(Event::Finding(&finding));
        plans.extend(made.plans().map(json));
        application.receive(&finding, &made);
        answer(&mut planner, &mut application);
    }
    plans
}

#[tokio::test(start_paused = true)]
async fn z13_a_dry_run_plans_what_a_replay_plans_and_sends_nothing() {
    for (acks, count) in [
        (AckMode::Immediate, Some(68)),
        (AckMode::Never, None),
        (AckMode::Delay(2), None),
    ] {
        let to = sink();
        let taken = to.taken();
        let scene = Scene::new()
            .planner(planner(Settings::default()))
            .dry_run(acks);
        let scene = scene.findings_from("session", source().gives(session()).ends());
        let scene = scene.plans_to("plans", to);
        let (ended, log) = scene.runs_to_its_end().await;
        let told = log.outcome();
        let plans: Vec<_> = told.plans().into_iter().map(json).collect();
        assert_eq!(plans, replayed(acks), "{acks:?}");
        if let Some(count) = count {
            assert_eq!(plans.len(), count);
        }
        assert_eq!(taken.records(), []);
        let counts = ended.counts;
        assert_eq!((counts.sent, counts.undelivered, counts.acks), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_metadata_alone_say_which_findings_are_the_summary() {
    let session = session();
    let (control, summary) = session.split_at(1669);
    for record in summary {
        let finding = FindingView::decode(&record.payload).unwrap();
        assert_eq!(finding.publish_mode, dfo_model::PublishMode::Control);
    }
    let scene = Scene::new().planner(planner(Settings::default()));
    let mut s = scene.start();
    for record in summary {
        assert!(s.on_findings(record.clone()).await.0.is_empty());
    }
    for record in control.iter().take(5) {
        assert!(!s.on_findings(record.clone()).await.0.is_empty());
    }
}
