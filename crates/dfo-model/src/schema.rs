//! JSON Schemas of the messages, derived from the types.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use crate::{Ack, ActionPlan, Finding, Number, Range, Registration};

/// The schema of every message as it is written, by its name.
pub fn schemas() -> [(&'static str, Schema); 4] {
    [
        ("finding", schema_for!(Finding)),
        ("registration", schema_for!(Registration)),
        ("action_plan", schema_for!(ActionPlan)),
        ("ack", schema_for!(Ack)),
    ]
}

impl JsonSchema for Range {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = generator.subschema_for::<Number>();
        json_schema!({
            "description": "Two bounds, both allowed.",
            "type": "array", "items": number, "minItems": 2, "maxItems": 2,
        })
    }
}
