//! With pyzmq, a client that no one here wrote, at both ends: what travels is what the original sends,
//! and the same findings and acknowledgements give the same plans over ZeroMQ, in memory and by
//! replay.

#![cfg(feature = "zmq")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod dfo;
mod live;

use std::path::Path;

use dfo::{Folder, SESSION, example, json};
use dfo_knobs_dlio::Dlio;
use dfo_model::{Ack, AckStatus, ActionPlan, FindingView, KnobPack as _, Registration};
use dfo_planner::{Event, PlanIds, Planner, Settings};
use dfo_transport::{Content, Records};
use live::findings::{BESIDE, END, finding};
use live::peer::Peer;
use live::python::{Python, has_pyzmq};
use live::{Serve, Served};
use serde_json::Value as Json;

/// The findings of a recorded run, of which the last ones are summaries.
const RECORDED: usize = 1699;

const PLAN: [&str; 12] = [
    "plan_id",
    "knob_id",
    "target_function",
    "old_value",
    "new_value",
    "apply_when",
    "rationale",
    "finding_type",
    "severity",
    "opportunity_tag",
    "window_index",
    "target_nodes",
];

/// A process that pushes the recorded frames.
fn diagnoser() -> (Python, String) {
    let recorded = ["session_zmq.jsonl.gz", "session_zmq_meta.jsonl.gz"];
    let [findings, metadata] = recorded.map(|name| example(&format!("findings/{name}")));
    let diagnoser = Python::run("diagnoser.py", &[&findings, &metadata]);
    let address = diagnoser.out.at_least(1).remove(0);
    (diagnoser, address)
}

/// A process that pulls plans, and where it says `ready`.
fn application(args: &[&str]) -> Python {
    let application = Python::run("application.py", args);
    application.out.at_least(1);
    application
}

/// The plans that an application pulled, each looked at as it came.
fn pulled(application: &Python, count: u64) -> Vec<Json> {
    let count = usize::try_from(count).unwrap();
    let lines = application.out.at_least(count + 1);
    assert_eq!(lines.len(), count + 1);
    let plans = lines[1..].iter().map(|line| {
        let frames: Vec<String> = serde_json::from_str(line).unwrap();
        is_as_the_original_sends_it(&frames)
    });
    plans.collect()
}

/// Two frames; each field in its place and of its type. The plan.
fn is_as_the_original_sends_it(frames: &[String]) -> Json {
    let [metadata, payload] = frames else {
        panic!("{} frames: {frames:?}", frames.len());
    };
    let keys = |text: &str| {
        let object: serde_json::Map<String, Json> = serde_json::from_str(text).unwrap();
        object.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(payload), PLAN);
    let plan: Json = serde_json::from_str(payload).unwrap();
    let beside: Json = serde_json::from_str(metadata).unwrap();
    let mut expected = vec!["type", "plan_id", "knob_id", "target_function"];
    let is_for_all = plan["target_nodes"] == json!([]);
    expected.extend((!is_for_all).then_some("target_nodes"));
    assert_eq!(keys(metadata), expected);
    assert_eq!(beside["type"], "action_plan");
    for same in &expected[1..] {
        assert_eq!(beside[same], plan[same]);
    }
    for text in [
        "plan_id",
        "knob_id",
        "target_function",
        "apply_when",
        "rationale",
    ] {
        assert!(plan[text].is_string(), "{text}: {payload}");
    }
    for text in ["finding_type", "opportunity_tag"] {
        assert!(plan[text].is_string(), "{text}: {payload}");
    }
    assert!(plan["severity"].is_f64(), "{payload}");
    assert!(plan["window_index"].is_i64(), "{payload}");
    let nodes = plan["target_nodes"].as_array().unwrap();
    assert!(nodes.iter().all(Json::is_string), "{payload}");
    plan
}

/// Plans without the fields that differ between two runs. `assumed` is how plans end that were made
/// before an application had spoken.
fn comparable(plans: impl IntoIterator<Item = Json>, assumed: &str) -> Vec<Json> {
    let fields = |plan: Json| {
        let mut fields: Vec<_> = PLAN[1..].iter().map(|name| plan[name].clone()).collect();
        let rationale = fields[5].as_str().unwrap();
        let rationale = rationale.strip_suffix(assumed).unwrap_or(rationale);
        // An undo names the plan that it takes back.
        let undoes = rationale.strip_prefix("undo of plan_");
        let reason = undoes.and_then(|rest| rest.split_once(": "));
        fields[5] = json!(reason.map_or(rationale, |(_, reason)| reason));
        Json::from(fields)
    };
    plans.into_iter().map(fields).collect()
}

/// What `dfo replay` plans for the same findings; summaries are not acted on live, and not in this
/// file.
fn replayed(here: &Folder, args: &str, assumed: &str) -> Vec<Json> {
    let args = format!("{} --format json {args}", example(SESSION));
    let ran = here.replay(&args).succeeds();
    let plans = ran.events_named("optimizer.plan").into_iter();
    comparable(plans.map(Json::Object), assumed)
}

/// Findings that bring plans, by their number from 1, and the plans.
type Steps = Vec<(usize, Vec<ActionPlan>)>;

/// What a planner decides in memory. With acknowledgements each plan is applied at once.
fn in_memory(settings: Settings, start: &Event<'_>, acknowledges: bool) -> Steps {
    let mut planner = Planner::new(settings, PlanIds::from_seed(0));
    planner.handle(*start);
    let mut findings = Records::open(Path::new(&example(SESSION))).unwrap();
    let mut steps = Vec::new();
    for number in 1.. {
        let Some(record) = findings.next_record().unwrap() else {
            break;
        };
        let Content::Bytes(bytes) = record.content else {
            panic!("too large");
        };
        let finding = FindingView::decode(bytes).unwrap();
        let decisions = planner.handle(Event::Finding(&finding));
        let plans: Vec<_> = decisions.plans().cloned().collect();
        for plan in plans.iter().filter(|_| acknowledges) {
            let ack = Ack {
                new_value: Some(plan.new_value.clone()),
                ..Ack::new(&plan.plan_id, AckStatus::Applied)
            };
            planner.handle(Event::Ack(&ack));
        }
        if !plans.is_empty() {
            steps.push((number, plans));
        }
    }
    steps
}

fn plans_of(steps: Steps) -> Vec<Json> {
    let plans = steps.into_iter().flat_map(|(_, plans)| plans);
    plans
        .map(|plan| serde_json::to_value(plan).unwrap())
        .collect()
}

/// The knobs of DLIO, for eight threads.
fn dlio() -> Registration {
    let variable = |name: &str| (name == "DLIO_KNOB_MAX_THREADS").then(|| "8".to_owned());
    Dlio.bootstrap(&variable).unwrap().registration
}

/// The recorded findings go by, and an application pulls plans. Findings wait until the plans
/// before them have been pulled: else they would expire in the queue, of findings that are far
/// ahead of them.
fn run_without_acks(settings: &str, steps: &Steps) -> (Served, Vec<Json>) {
    let (mut diagnoser, findings) = diagnoser();
    let args = format!(
        "--address {findings} --plans-address tcp://127.0.0.1:* --bootstrap dlio {settings}"
    );
    let serve = Serve::zmq(&Folder::new(), &args);
    let application = application(&[&serve.address("plans")]);
    let mut count = 1;
    for (number, plans) in steps {
        diagnoser.tell(&number.to_string());
        count += plans.len();
        application.out.at_least(count);
    }
    diagnoser.tell(&RECORDED.to_string());
    diagnoser.tell("end");
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("summaries")),
        (1669, 30)
    );
    assert_eq!(served.count("bad_findings"), 0);
    assert_eq!(served.count("sent"), served.plans());
    let pulled = pulled(&application, served.plans());
    (served, pulled)
}

#[test]
fn without_acknowledgements_there_is_one_plan_for_each_knob_and_node_until_patience_ends() {
    if !has_pyzmq() {
        return;
    }
    let (registration, here) = (dlio(), Folder::new());
    let start = Event::Bootstrap(&registration);
    let steps = in_memory(Settings::default(), &start, false);
    let (served, plans) = run_without_acks("", &steps);
    let target = |plan: &Json| {
        (
            plan["knob_id"].to_string(),
            plan["target_nodes"].to_string(),
        )
    };
    for (i, plan) in plans.iter().enumerate() {
        let before = plans[..i].iter().rfind(|p| target(p) == target(plan));
        let window = |p: &Json| p["window_index"].as_i64().unwrap();
        let since = before.map(|p| window(plan) - window(p));
        assert!(
            since.is_none_or(|windows| windows >= 10),
            "after {since:?}: {plan}"
        );
    }
    assert_eq!(
        served.plans() - served.notices("plan_expired"),
        served.done()["open_plans"]
    );
    let plans = comparable(plans, "");
    assert_eq!(plans, comparable(plans_of(steps), ""));
    assert_eq!(plans, replayed(&here, "--acks never --settings ours", ""));

    // The original waits for ever: one plan for each of two knobs, on four nodes and for all.
    let steps = in_memory(Settings::original(), &start, false);
    let (served, plans) = run_without_acks("--settings original", &steps);
    assert_eq!(served.plans(), 10);
    let plans = comparable(plans, "");
    assert_eq!(plans, comparable(plans_of(steps), ""));
    assert_eq!(plans, replayed(&here, "--acks never", ""));
}

#[test]
fn z04_with_registration_and_acknowledgements_plans_go_on_past_the_first_of_each_knob() {
    if !has_pyzmq() {
        return;
    }
    let registration = dlio();
    let text = serde_json::to_string(&registration).unwrap();
    let here = Folder::with("registration.json", text);
    let (mut diagnoser, findings) = diagnoser();
    let args = format!(
        "--address {findings} --plans-address tcp://127.0.0.1:* \
         --control-address tcp://127.0.0.1:* --explain"
    );
    let serve = Serve::zmq(&here, &args);
    let path = here.path("registration.json");
    let application = application(&[
        &serve.address("plans"),
        &serve.address("control"),
        path.to_str().unwrap(),
    ]);
    serve.wait_for("the registration", |e| e["event"] == "optimizer.joined");

    // Each plan is acknowledged before the next finding comes, as in memory.
    let start = Event::Registration(&registration);
    let steps = in_memory(Settings::default(), &start, true);
    let mut told = 0;
    for (number, plans) in &steps {
        diagnoser.tell(&number.to_string());
        for _ in plans {
            let what = format!("plan applied after finding {number}");
            let applied = |line: &str| line.contains(r#""notice":"applied""#).then_some(());
            told = serve.log.find(&what, told, applied).0 + 1;
        }
    }
    diagnoser.tell(&RECORDED.to_string());
    diagnoser.tell("end");
    let served = serve.ends().in_order();
    assert_eq!(
        (served.count("findings"), served.count("summaries")),
        (1669, 30)
    );
    assert_eq!(served.count("acks"), served.plans());
    assert_eq!(served.notices("applied"), served.plans());
    assert_eq!(served.done()["open_plans"], 0);

    let plans = pulled(&application, served.plans());
    let plans = comparable(plans, "");
    assert_eq!(plans, comparable(plans_of(steps), ""));
    // A replay knows the knobs before any application speaks.
    assert_eq!(plans, replayed(&here, "", "; old value assumed"));
    assert!(plans.len() > 60, "{} plans", plans.len());
    for value in ["node_state", "knob_state"] {
        assert_ne!(served.done()[value], json!({}));
    }
}

#[test]
fn values_of_every_type_arrive_as_what_they_are() {
    if !has_pyzmq() {
        return;
    }
    let set_to = |value: Json| json!({"direction": "set", "set_to": value, "min_persistence": 0});
    let add = |step: Json| json!({"step": step, "min_persistence": 0, "apply_when": "next_window"});
    // A list of knobs with ids, as another tracer sends it.
    let registration = json!({
        "namespace": "app", "function_name": "Loop.step",
        "knobs": [
            {"id": "app.int", "default": 1, "type": "integer", "responds_to": {"t": add(json!(2))}},
            {"id": "app.float", "default": 1, "type": "double", "responds_to": {"t": add(json!(1))}},
            {"id": "app.str", "default": "a", "type": "string",
             "responds_to": {"t": set_to(json!("b\u{e9}\n"))}},
            {"id": "app.bool", "default": false, "type": "boolean",
             "responds_to": {"t": set_to(json!(true))}, "target_function": "Loop.other"},
        ],
        "current_values": {"app.int": 4},
    });
    let here = Folder::with("registration.json", registration.to_string());
    let serve = Serve::listening(&here, "");
    let path = here.path("registration.json");
    let application = application(&[
        &serve.address("plans"),
        &serve.address("control"),
        path.to_str().unwrap(),
    ]);
    serve.wait_for("the registration", |e| e["event"] == "optimizer.joined");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("node:n1:app", vec!["t"], 5)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    let plans = pulled(&application, served.plans());
    let values: Vec<_> = plans
        .iter()
        .map(|p| json!([p["old_value"], p["new_value"]]))
        .collect();
    let values = Json::from(values).to_string();
    assert_eq!(values, r#"[[4,6],[1.0,2.0],["a","bé\n"],[false,true]]"#);
    let functions: Vec<_> = plans
        .iter()
        .map(|p| p["target_function"].as_str().unwrap())
        .collect();
    assert_eq!(functions[3], "Loop.other");
    for plan in &plans {
        assert_eq!(
            (&plan["window_index"], &plan["severity"]),
            (&json!(5), &json!(1.0))
        );
        assert_eq!(plan["target_nodes"], json!(["n1"]));
    }
}
