//! What became of a plan.

use serde::{Deserialize, Serialize};

use crate::decode::fields::Fields;
use crate::decode::{Decoded, read_strict};
use crate::stream::Metadata;
use crate::value::Value;

/// An application telling what became of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ack {
    /// The plan.
    pub plan_id: String,
    /// Its knob, as the application sees it.
    pub knob_id: String,
    /// What became of it.
    pub status: AckStatus,
    /// The value before.
    pub old_value: Option<Value>,
    /// The value now. `None`: the plan's.
    pub new_value: Option<Value>,
    /// Why, in one line for people.
    pub reason: String,
    /// The window in which it was applied; −1 on the wire if not known.
    #[serde(serialize_with = "window_or_minus_one")]
    #[cfg_attr(feature = "schema", schemars(with = "i64"))]
    pub window_index: Option<i64>,
    /// The node that speaks.
    pub target_nodes: Vec<String>,
    /// The process that speaks: unique for each start.
    pub instance: String,
    /// The node it runs on.
    pub node: String,
}

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AckStatus {
    /// The value is in force.
    Applied,
    /// The application refused; the old value is in force.
    Rejected,
    /// Not yet; another acknowledgement follows.
    Deferred,
}

impl AckStatus {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            AckStatus::Applied => "applied",
            AckStatus::Rejected => "rejected",
            AckStatus::Deferred => "deferred",
        }
    }
}

const STATUSES: [(&str, AckStatus); 3] = [
    ("applied", AckStatus::Applied),
    ("rejected", AckStatus::Rejected),
    ("deferred", AckStatus::Deferred),
];

impl Ack {
    /// An acknowledgement that says nothing but the status.
    pub fn new(plan_id: impl Into<String>, status: AckStatus) -> Self {
        Ack {
            plan_id: plan_id.into(),
            knob_id: String::new(),
            status,
            old_value: None,
            new_value: None,
            reason: String::new(),
            window_index: None,
            target_nodes: Vec::new(),
            instance: String::new(),
            node: String::new(),
        }
    }

    /// Reads an acknowledgement from one JSON object. A status that is none of the three is wrong.
    pub fn decode(bytes: &[u8]) -> Decoded<Ack> {
        read_strict(bytes, Self::read)
    }

    /// The metadata that travels beside it.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::ActionAck {
            plan_id: &self.plan_id,
        }
    }

    fn read(fields: &mut Fields<'_, '_>) -> Option<Ack> {
        let status = fields.word("status", &STATUSES);
        if status.is_none() && fields.tree("status").is_none() {
            fields.wrong("status", "missing: applied, rejected or deferred");
        }
        let plan_id = fields.text("plan_id", "");
        if plan_id.is_empty() {
            fields.wrong("plan_id", "missing: an acknowledgement names its plan");
        }
        let ack = Ack {
            plan_id,
            knob_id: fields.text("knob_id", ""),
            old_value: fields.value("old_value"),
            new_value: fields.value("new_value"),
            reason: fields.text("reason", ""),
            window_index: fields.optional_whole("window_index").filter(|w| *w >= 0),
            target_nodes: fields.texts("target_nodes"),
            instance: fields.text("instance", ""),
            node: fields.text("node", ""),
            // Last, so that every other field has been looked at.
            status: status?,
        };
        Some(ack)
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn window_or_minus_one<S: serde::Serializer>(
    window: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(window.unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"plan_id":"p","knob_id":"k","status":"applied","old_value":2,"new_value":3,"reason":"","window_index":12,"target_nodes":["n1"],"instance":"i","node":"n1"}"#;
        let ack = Ack::decode(text.as_bytes()).into_result().unwrap();
        assert_eq!(ack.window_index, Some(12));
        assert_eq!(serde_json::to_string(&ack).unwrap(), text);
    }

    #[test]
    fn an_unknown_window_is_absent_null_or_negative() {
        for window in ["", ", \"window_index\": null", ", \"window_index\": -1"] {
            let text = format!("{{\"plan_id\": \"p\", \"status\": \"applied\"{window}}}");
            let ack = Ack::decode(text.as_bytes()).into_result().unwrap();
            assert_eq!(ack.window_index, None);
            assert!(
                serde_json::to_string(&ack)
                    .unwrap()
                    .contains("\"window_index\":-1")
            );
        }
    }

    #[test]
    fn a06_an_unknown_status_is_refused() {
        for (text, problem) in [
            (
                r#"{"plan_id": "p", "status": "done"}"#,
                "status: unknown word \"done\"; one of: applied, rejected, deferred",
            ),
            (
                r#"{"plan_id": "p"}"#,
                "status: missing: applied, rejected or deferred",
            ),
            (
                r#"{"plan_id": "p", "status": 1}"#,
                "status: expected a string, found 1",
            ),
        ] {
            let decoded = Ack::decode(text.as_bytes());
            assert_eq!(decoded.problems[0].to_string(), problem);
            assert_eq!(decoded.message, None);
        }
    }
}
