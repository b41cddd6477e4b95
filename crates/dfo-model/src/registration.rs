//! An application telling which knobs it has.

use indexmap::IndexMap;
use serde::Serialize;

use crate::decode::fields::{Fields, Tree, value};
use crate::decode::{Decoded, read};
use crate::knob::Knob;
use crate::stream::Metadata;
use crate::value::Value;

/// An application, or one function of it, telling which knobs it has and what their values are.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Registration {
    /// The application's prefix of knob names.
    pub namespace: String,
    /// The function that owns the knobs.
    pub function_name: String,
    /// The knobs, by the name of the function's parameter; in a list's place, by their id.
    pub knobs: IndexMap<String, Knob>,
    /// The values in force, by parameter name or by knob id.
    pub current_values: IndexMap<String, Value>,
    /// Which process says so: unique for each start.
    pub instance: String,
    /// The node it runs on.
    pub node: String,
}

impl Registration {
    /// Reads a registration from one JSON object. Knobs and responses that cannot be used are left
    /// out, each with a problem; the others are there.
    pub fn decode(bytes: &[u8]) -> Decoded<Registration> {
        read(bytes, Self::read)
    }

    /// The value in force of one of the knobs, if it was sent along. A value under the parameter's
    /// name goes before one under the knob's id.
    pub fn current_value(&self, parameter: &str) -> Option<&Value> {
        let by_name = self.current_values.get(parameter);
        by_name.or_else(|| self.current_values.get(&self.knobs.get(parameter)?.id))
    }

    /// The metadata that travels beside it.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::KnobRegistration {
            namespace: &self.namespace,
            function: &self.function_name,
        }
    }

    fn read(fields: &mut Fields<'_, '_>) -> Option<Registration> {
        let namespace = fields.optional_text("namespace");
        let namespace = namespace
            .filter(|n| !n.is_empty())
            .unwrap_or("app".to_owned());
        let knobs = match fields.tree("knobs") {
            None => IndexMap::new(),
            Some(Tree::Object(map)) => named_knobs(fields, map, &namespace),
            Some(Tree::Array(list)) => listed_knobs(fields, list),
            Some(other) => {
                let what = "an object from parameter name to knob, or a list of knobs";
                fields.expected(what, other, "knobs");
                return None;
            }
        };
        Some(Registration {
            function_name: fields.text("function_name", ""),
            current_values: current_values(fields),
            instance: fields.text("instance", ""),
            node: fields.text("node", ""),
            namespace,
            knobs,
        })
    }
}

fn named_knobs<'t>(
    fields: &mut Fields<'t, '_>,
    map: &'t serde_json::Map<String, Tree>,
    namespace: &str,
) -> IndexMap<String, Knob> {
    let mut knobs = IndexMap::new();
    for (parameter, tree) in map {
        let id = format!("{namespace}.{parameter}");
        let read = |fields: &mut Fields<'_, '_>| Knob::read(fields, Some(&id));
        if let Some(knob) = fields.within(tree, &format!("knobs.{parameter}"), read) {
            knobs.insert(parameter.clone(), knob);
        }
    }
    knobs
}

fn listed_knobs<'t>(fields: &mut Fields<'t, '_>, list: &'t [Tree]) -> IndexMap<String, Knob> {
    let mut knobs = IndexMap::new();
    for (i, tree) in list.iter().enumerate() {
        let read = |fields: &mut Fields<'_, '_>| Knob::read(fields, None);
        if let Some(knob) = fields.within(tree, &format!("knobs[{i}]"), read) {
            knobs.insert(knob.id.clone(), knob);
        }
    }
    knobs
}

/// A live value that is none at all is left out, with a problem; the knob's default counts then.
fn current_values(fields: &mut Fields<'_, '_>) -> IndexMap<String, Value> {
    let mut values = IndexMap::new();
    let Some(tree) = fields.tree("current_values") else {
        return values;
    };
    let Some(map) = tree.as_object() else {
        fields.expected("an object from knob to value", tree, "current_values");
        return values;
    };
    for (name, tree) in map {
        match value(tree) {
            Some(v) => {
                values.insert(name.clone(), v);
            }
            None if tree.is_null() => {}
            None => fields.expected("a value", tree, &format!("current_values.{name}")),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, KnobType, Number, Range, Response, StepMode};

    fn decode(text: &str) -> (Registration, Vec<String>) {
        let decoded = Registration::decode(text.as_bytes());
        let problems = decoded.problems.iter().map(ToString::to_string).collect();
        (decoded.message.unwrap(), problems)
    }

    #[test]
    fn a_map_of_knobs_keeps_its_order_and_its_defaults() {
        let (registration, problems) = decode(
            r#"{"namespace": "app", "function_name": "train", "knobs": {
                "zeta": {"default": 2, "range": [1, 16], "responds_to": {"t": {"step": 2}}},
                "alpha": {"id": "other.alpha", "default": 0.5, "type": "double"}}}"#,
        );
        assert_eq!(problems, [""; 0]);
        let ids: Vec<_> = registration.knobs.values().map(|k| k.id.as_str()).collect();
        assert_eq!(ids, ["app.zeta", "other.alpha"]);
        let zeta = &registration.knobs["zeta"];
        assert_eq!(zeta.range, Some(Range::new(1, 16)));
        let response = Response {
            step: Some(Number::Int(2)),
            ..Response::default()
        };
        assert_eq!(zeta.responds_to["t"], response);
        assert_eq!(registration.knobs["alpha"].kind, KnobType::Float);
    }

    #[test]
    fn a_list_of_knobs_and_a_knob_response_are_what_dftracer_sends() {
        let (registration, problems) = decode(
            r#"{"knobs": [{"id": "df.buffer", "default": 4, "knob_response":
                {"direction": "decrease", "step": 2, "step_mode": "multiply"}},
                {"default": 1}]}"#,
        );
        assert_eq!(problems, ["knobs[1].id: missing: a knob needs a name"]);
        let response = &registration.knobs["df.buffer"].responds_to["io_bottleneck"];
        assert_eq!(response.direction, Direction::Decrease);
        assert_eq!(response.step_mode, StepMode::Multiply);
    }

    #[test]
    fn e03_type_aliases_are_read_and_unknown_types_refused() {
        let (registration, problems) = decode(
            r#"{"knobs": {"a": {"default": "b", "type": "string"}, "b": {"default": true, "type": "boolean"},
                "c": {"default": 1, "type": "integer"}, "d": {"default": 1, "type": "complex"}}}"#,
        );
        let kinds: Vec<_> = registration.knobs.values().map(|k| k.kind).collect();
        assert_eq!(kinds, [KnobType::Str, KnobType::Bool, KnobType::Int]);
        assert_eq!(
            problems,
            ["knobs.d.type: unknown type \"complex\"; one of: int, float, str, bool"]
        );
    }

    #[test]
    fn e04_one_wrong_knob_does_not_lose_the_others() {
        let (registration, problems) = decode(
            r#"{"knobs": {"good": {"default": 1, "responds_to": null}, "no_default": {}, "scalar": {"default": 1, "range": 5},
                "null_bound": {"default": 1, "range": [0, null]}, "text": "x", "also_good": {"default": 2}}}"#,
        );
        let names: Vec<_> = registration.knobs.keys().collect();
        assert_eq!(names, ["good", "also_good"]);
        assert_eq!(
            problems,
            [
                "knobs.no_default.default: missing: a knob needs a value to start from",
                "knobs.scalar.range: expected a list [min, max], found 5",
                "knobs.null_bound.range[1]: expected a finite number, found null",
                "knobs.text: expected an object, found \"x\"",
            ]
        );
        assert_eq!(decode(r#"{"knobs": null}"#).0.knobs.len(), 0);
    }

    #[test]
    fn e06_an_empty_range_is_an_error_not_unbounded() {
        let (registration, problems) = decode(r#"{"knobs": {"a": {"default": 1, "range": []}}}"#);
        assert!(registration.knobs.is_empty());
        assert!(problems[0].starts_with("knobs.a.range: expected a list [min, max], found 0"));
    }

    #[test]
    fn a_wrong_response_is_left_out_and_its_knob_stays() {
        let (registration, problems) = decode(
            r#"{"knobs": {"a": {"default": 1, "responds_to": {"x": {"direction": "Increase", "step": 1},
                "y": {"step": "two"}, "z": {"step": 1, "stepp": 1}, "w": 5}}}}"#,
        );
        let tags: Vec<_> = registration.knobs["a"].responds_to.keys().collect();
        assert_eq!(tags, ["z"]);
        assert_eq!(
            problems,
            [
                "knobs.a.responds_to.x.direction: unknown word \"Increase\"; one of: increase, decrease, set",
                "knobs.a.responds_to.y.step: expected a finite number, found \"two\"",
                "knobs.a.responds_to.z.stepp: unknown field",
                "knobs.a.responds_to.w: expected an object, found 5",
            ]
        );
    }

    #[test]
    fn a_value_under_the_parameter_name_goes_before_one_under_the_id() {
        let (registration, problems) = decode(
            r#"{"namespace": "n", "knobs": {"a": {"default": 1}, "b": {"default": 1}, "c": {"default": 1}},
                "current_values": {"n.a": 2, "a": 3, "n.b": 4, "c": [1], "d": null}}"#,
        );
        assert_eq!(registration.current_value("a"), Some(&Value::Int(3)));
        assert_eq!(registration.current_value("b"), Some(&Value::Int(4)));
        assert_eq!(registration.current_value("c"), None);
        assert_eq!(
            problems,
            ["current_values.c: expected a value, found a list"]
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = r#"{"namespace":"n","function_name":"f","knobs":{"a":{"id":"n.a","default":2,"type":"int","range":[1,16],"values":null,"scope":"node","responds_to":{"t":{"direction":"increase","step":2,"step_mode":"add","set_to":null,"min_severity":0.5,"min_persistence":2,"cooldown_windows":3,"apply_when":"epoch_boundary","effectiveness_threshold":0.1}},"target_function":"f"}},"current_values":{"a":4},"instance":"i","node":"n1"}"#;
        let (registration, problems) = decode(text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(serde_json::to_string(&registration).unwrap(), text);
    }
}
