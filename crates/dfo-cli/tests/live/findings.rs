//! Findings, knobs and acknowledgements for scenes that are not about DLIO.

use serde_json::{Value as Json, json};

use super::peer::{Message, Peer};

/// The metadata that a diagnoser sends beside a finding.
pub const BESIDE: &[u8] = br#"{"artifact_type": "diagnosis_finding", "publish_mode": "control"}"#;

/// The metadata of the end of a stream.
pub const END: &[u8] = br#"{"name": "end"}"#;

/// A response that always acts: one more at each finding, whatever it says.
pub fn one_more() -> Json {
    json!({
        "direction": "increase", "step": 1, "step_mode": "add", "min_severity": 0.0,
        "min_persistence": 0, "cooldown_windows": 0, "effectiveness_threshold": 0.0,
        "apply_when": "window_boundary",
    })
}

/// A registration of knobs `app.<name>` that respond to the tag `<name>` with [`one_more`].
pub fn knobs<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Json {
    let knob = |name: &str| json!({"default": 0, "responds_to": {name: one_more()}});
    let knobs = names.into_iter().map(|name| {
        let name = name.as_ref();
        (name.to_owned(), knob(name))
    });
    let knobs: serde_json::Map<_, _> = knobs.collect();
    json!({"namespace": "app", "function_name": "step", "knobs": knobs})
}

/// Names with numbers.
pub fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("k{n}"))
}

/// A severe finding with some tags, of a scope and in a window.
pub fn finding<T: Into<Json>>(scope: &str, tags: T, window: i64) -> Vec<u8> {
    let finding = json!({
        "finding_type": "test", "scope": scope, "severity_score": 1.0, "persistence": 9,
        "trend_direction": "worsening", "window_index": window,
        "opportunity_tags": tags.into(),
    });
    finding.to_string().into_bytes()
}

/// The metadata and the payload of a plan, with both frames there.
#[track_caller]
pub fn plan(message: &Message) -> Json {
    let [metadata, payload] = message.as_slice() else {
        panic!("a plan has two frames, not {}", message.len());
    };
    let metadata: Json = serde_json::from_slice(metadata).expect("JSON");
    let payload: Json = serde_json::from_slice(payload).expect("JSON");
    assert_eq!(metadata["type"], "action_plan");
    assert_eq!(metadata["plan_id"], payload["plan_id"]);
    payload
}

/// An acknowledgement, with the fields that applications of the original send.
pub fn ack(plan: &Json, status: &str, value: &Json) -> Json {
    json!({
        "plan_id": plan["plan_id"], "knob_id": plan["knob_id"], "status": status,
        "old_value": plan["old_value"], "new_value": value, "reason": "",
    })
}

/// Sends an acknowledgement.
#[track_caller]
pub fn send_ack(to: &mut Peer, ack: &Json) {
    let metadata = json!({"type": "action_ack", "plan_id": ack["plan_id"]});
    to.send(&[metadata.to_string().as_bytes(), ack.to_string().as_bytes()]);
}

/// Acknowledges a plan as applied.
#[track_caller]
pub fn applied(to: &mut Peer, plan: &Json) {
    send_ack(to, &ack(plan, "applied", &plan["new_value"]));
}

/// Sends a registration.
#[track_caller]
pub fn register(to: &mut Peer, registration: &Json) {
    let metadata = json!({
        "type": "knob_registration", "namespace": registration["namespace"],
        "function": registration["function_name"],
    });
    to.send(&[
        metadata.to_string().as_bytes(),
        registration.to_string().as_bytes(),
    ]);
}
