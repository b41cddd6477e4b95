//! What the optimizer wants changed.

use serde::Serialize;

use crate::decode::fields::Fields;
use crate::decode::{Decoded, read_strict};
use crate::stream::Metadata;
use crate::value::Value;

/// One change of one knob, for an application to apply at a boundary and to acknowledge.
///
/// A *global plan* is the same message from an optimizer above this one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActionPlan {
    /// Unique; what an acknowledgement names.
    pub plan_id: String,
    /// The knob to change.
    pub knob_id: String,
    /// The function that applies it.
    pub target_function: String,
    /// The value that the optimizer takes to be in force. `None` where it is not known.
    pub old_value: Option<Value>,
    /// The value wanted.
    pub new_value: Value,
    /// The boundary at which to apply it.
    pub apply_when: String,
    /// Why, in one line for people.
    pub rationale: String,
    /// The finding that led to it.
    pub finding_type: String,
    /// The severity score of that finding.
    pub severity: f64,
    /// The tag that the knob responded to.
    pub opportunity_tag: String,
    /// The window of that finding; −1 if not known.
    pub window_index: i64,
    /// The nodes it is for; empty means every node.
    pub target_nodes: Vec<String>,
}

impl ActionPlan {
    /// Reads a plan from one JSON object.
    pub fn decode(bytes: &[u8]) -> Decoded<ActionPlan> {
        read_strict(bytes, Self::read)
    }

    /// The metadata that travels beside it.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::ActionPlan {
            plan_id: &self.plan_id,
            knob_id: &self.knob_id,
            target_function: &self.target_function,
            target_nodes: &self.target_nodes,
        }
    }

    fn read(fields: &mut Fields<'_, '_>) -> Option<ActionPlan> {
        let new_value = fields.value("new_value");
        if new_value.is_none() && fields.tree("new_value").is_none() {
            fields.wrong("new_value", "missing: a plan needs a value");
        }
        let knob_id = fields.text("knob_id", "");
        if knob_id.is_empty() {
            fields.wrong("knob_id", "missing: a plan needs a knob");
        }
        let plan = ActionPlan {
            plan_id: fields.text("plan_id", ""),
            knob_id,
            target_function: fields.text("target_function", ""),
            old_value: fields.value("old_value"),
            apply_when: fields.text("apply_when", "next_window"),
            rationale: fields.text("rationale", ""),
            finding_type: fields.text("finding_type", ""),
            severity: fields.float("severity", 0.0),
            opportunity_tag: fields.text("opportunity_tag", ""),
            window_index: fields.whole("window_index", -1),
            target_nodes: fields.texts("target_nodes"),
            // Last, so that every other field has been looked at.
            new_value: new_value?,
        };
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = r#"{"plan_id":"p","knob_id":"k","target_function":"f","old_value":2,"new_value":3.0,"apply_when":"window_boundary","rationale":"r","finding_type":"t","severity":1.0,"opportunity_tag":"o","window_index":9,"target_nodes":["n1"]}"#;

    #[test]
    fn what_is_written_reads_back() {
        let plan = ActionPlan::decode(WRITTEN.as_bytes())
            .into_result()
            .unwrap();
        assert_eq!(plan.old_value, Some(Value::Int(2)));
        assert_eq!(plan.new_value, Value::Float(3.0));
        assert_eq!(serde_json::to_string(&plan).unwrap(), WRITTEN);
    }

    #[test]
    fn target_nodes_stand_in_the_metadata_only_where_there_are_any() {
        let mut plan = ActionPlan::decode(WRITTEN.as_bytes())
            .into_result()
            .unwrap();
        let json = |plan: &ActionPlan| serde_json::to_string(&plan.metadata()).unwrap();
        assert_eq!(
            json(&plan),
            r#"{"type":"action_plan","plan_id":"p","knob_id":"k","target_function":"f","target_nodes":["n1"]}"#
        );
        plan.target_nodes.clear();
        assert_eq!(
            json(&plan),
            r#"{"type":"action_plan","plan_id":"p","knob_id":"k","target_function":"f"}"#
        );
    }

    #[test]
    fn a_plan_without_a_usable_value_is_none() {
        for (text, problem) in [
            (
                r#"{"knob_id": "k"}"#,
                "new_value: missing: a plan needs a value",
            ),
            (
                r#"{"knob_id": "k", "new_value": NaN}"#,
                "new_value: expected a bool, a finite number or a string, found NaN",
            ),
            (
                r#"{"knob_id": "k", "new_value": 1, "target_nodes": "n1"}"#,
                "target_nodes: expected a list of strings, found \"n1\"",
            ),
            (
                r#"{"new_value": 1}"#,
                "knob_id: missing: a plan needs a knob",
            ),
        ] {
            let decoded = ActionPlan::decode(text.as_bytes());
            assert_eq!(decoded.problems[0].to_string(), problem);
            assert_eq!(decoded.message, None);
        }
    }
}
