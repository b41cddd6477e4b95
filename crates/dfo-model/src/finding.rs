//! What the diagnoser found.
//!
//! Two forms of one message: [`Finding`] is the whole of it, owned, for those who write or check
//! findings; [`FindingView`] is what planning uses of it, borrowed from the bytes it came in.

mod view;

use indexmap::IndexMap;
use serde::Serialize;

use crate::decode::fields::{Fields, plain_text};
use crate::decode::{Decoded, Shape, read_strict};
use crate::value::Number;
pub use view::{Evidence, FindingView, Trend};

/// A finding, whole: what is wrong, how severe, how persistent, and which class of fix would help.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default))]
pub struct Finding {
    /// What is wrong: `fetch_pressure`, `io_contention`, …
    pub finding_type: String,
    /// Where: `layer:view[:entity]`, `node:<name>:…`, `global` or `global:…`.
    pub scope: String,
    /// The layer of the stack the facts speak of.
    pub layer: Option<String>,
    /// The axis of `window_index`: `window`, `epoch`, `step`, `time_range`, or a spatial view.
    pub view_type: Option<String>,
    /// The pattern behind it: `persistent_pressure`, `unclassified`, …
    pub motif: String,
    /// A label for people only: `critical`, `high`, …
    pub severity: String,
    /// What the gates use: 0 to 1 by convention; above is taken as it is.
    pub severity_score: f64,
    /// How sure the diagnoser is, 0 to 1.
    pub confidence: f64,
    /// The share of windows it was seen in, 0 to 1.
    pub prevalence: f64,
    /// Windows in the longest run of it.
    pub persistence: i64,
    /// Windows seen at all.
    pub support_windows: i64,
    /// `improving`, `stable`, `worsening`, or `insufficient_data`.
    pub trend_direction: String,
    /// The window it speaks of.
    pub window_index: i64,
    /// The last window it was seen in; `window_index` if not said.
    pub last_seen_window: i64,
    /// The facts behind it, each a type and a scope.
    pub contributing_facts: Vec<[String; 2]>,
    /// The name of a set of recommendations.
    pub recommendation_bundle: String,
    /// The classes of fix that would help; knobs respond to these.
    pub opportunity_tags: Vec<String>,
    /// From a global finding: the tags that are not to be acted on while it lasts.
    pub suppresses_tags: Vec<String>,
    /// One sentence for people.
    pub summary: String,
    /// Whether it is for acting on.
    pub publish_mode: PublishMode,
    /// The numbers behind it: `fetch_frac`, `compute_frac`, …
    pub key_metrics: IndexMap<String, Number>,
}

/// Whether a finding is for acting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// One window of a running job: act on it.
    #[default]
    Control,
    /// The whole run, told at its end: a live service records it and does not act.
    Summary,
}

impl PublishMode {
    /// What that word means; everything but `summary` is control.
    pub fn from_word(word: &str) -> Self {
        match word {
            "summary" => PublishMode::Summary,
            _ => PublishMode::Control,
        }
    }
}

impl Default for Finding {
    /// The finding that an empty object is.
    fn default() -> Self {
        Finding {
            finding_type: String::new(),
            scope: String::new(),
            layer: None,
            view_type: None,
            motif: view::DEFAULT_MOTIF.to_owned(),
            severity: "unknown".to_owned(),
            severity_score: 0.0,
            confidence: 0.0,
            prevalence: 0.0,
            persistence: 0,
            support_windows: 0,
            trend_direction: view::DEFAULT_TREND.to_owned(),
            window_index: 0,
            last_seen_window: 0,
            contributing_facts: Vec::new(),
            recommendation_bundle: String::new(),
            opportunity_tags: Vec::new(),
            suppresses_tags: Vec::new(),
            summary: String::new(),
            publish_mode: PublishMode::Control,
            key_metrics: IndexMap::new(),
        }
    }
}

impl Finding {
    /// Reads a finding from one JSON object and says everything that is wrong with it.
    pub fn decode(bytes: &[u8]) -> Decoded<Finding> {
        read_strict(bytes, |fields| Some(Self::read(fields)))
    }

    /// What planning uses of it.
    pub fn view(&self) -> FindingView<'_> {
        FindingView::of(self)
    }

    fn read(fields: &mut Fields<'_, '_>) -> Finding {
        let planned = PlannedFields::read(fields);
        Finding {
            layer: fields.optional_text("layer"),
            severity: fields.text("severity", "unknown"),
            confidence: fields.float("confidence", 0.0),
            prevalence: fields.float("prevalence", 0.0),
            support_windows: fields.whole("support_windows", 0),
            last_seen_window: fields.whole("last_seen_window", planned.window_index),
            contributing_facts: facts(fields),
            recommendation_bundle: fields.text("recommendation_bundle", ""),
            summary: fields.text("summary", ""),
            finding_type: planned.finding_type,
            scope: planned.scope,
            view_type: planned.view_type,
            motif: planned.motif,
            severity_score: planned.severity_score,
            persistence: planned.persistence,
            trend_direction: planned.trend_direction,
            window_index: planned.window_index,
            opportunity_tags: planned.opportunity_tags,
            suppresses_tags: planned.suppresses_tags,
            publish_mode: planned.publish_mode,
            key_metrics: planned.key_metrics,
        }
    }
}

/// The fields that planning uses, read the careful way. The one place that says how.
struct PlannedFields {
    finding_type: String,
    scope: String,
    view_type: Option<String>,
    motif: String,
    severity_score: f64,
    persistence: i64,
    trend_direction: String,
    window_index: i64,
    opportunity_tags: Vec<String>,
    suppresses_tags: Vec<String>,
    publish_mode: PublishMode,
    key_metrics: IndexMap<String, Number>,
}

impl PlannedFields {
    const SHAPES: [(&str, Shape); 12] = [
        ("finding_type", Shape::Scalar),
        ("scope", Shape::Scalar),
        ("view_type", Shape::Scalar),
        ("motif", Shape::Scalar),
        ("severity_score", Shape::Scalar),
        ("persistence", Shape::Scalar),
        ("trend_direction", Shape::Scalar),
        ("window_index", Shape::Scalar),
        ("opportunity_tags", Shape::List),
        ("suppresses_tags", Shape::List),
        ("publish_mode", Shape::Scalar),
        ("key_metrics", Shape::Object),
    ];

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        PlannedFields {
            finding_type: fields.text("finding_type", ""),
            scope: fields.text("scope", ""),
            view_type: fields.optional_text("view_type"),
            motif: fields.text("motif", view::DEFAULT_MOTIF),
            severity_score: fields.float("severity_score", 0.0),
            persistence: fields.whole("persistence", 0),
            trend_direction: fields.text("trend_direction", view::DEFAULT_TREND),
            window_index: fields.whole("window_index", 0),
            opportunity_tags: fields.texts("opportunity_tags"),
            suppresses_tags: fields.texts("suppresses_tags"),
            publish_mode: PublishMode::from_word(&fields.text("publish_mode", "control")),
            key_metrics: fields.metrics("key_metrics"),
        }
    }
}

fn facts(fields: &mut Fields<'_, '_>) -> Vec<[String; 2]> {
    let pair = "a pair of a type and a scope";
    let read = fields.list("contributing_facts", "a list of pairs", pair, |tree| {
        let [kind, scope] = tree.as_array()?.as_slice() else {
            return None;
        };
        Some([plain_text(kind)?.to_owned(), plain_text(scope)?.to_owned()])
    });
    read.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let decoded = Finding::decode(text.as_bytes());
        decoded.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_object_is_the_default_finding() {
        assert_eq!(Finding::decode(b"{}").into_result(), Ok(Finding::default()));
    }

    #[test]
    fn null_counts_as_missing_in_every_field() {
        let written = serde_json::to_value(Finding::default()).unwrap();
        let nulls: serde_json::Map<_, _> = written
            .as_object()
            .unwrap()
            .keys()
            .map(|k| (k.clone(), serde_json::Value::Null))
            .collect();
        let text = serde_json::to_vec(&nulls).unwrap();
        let decoded = Finding::decode(&text);
        assert_eq!(decoded.problems, []);
        assert_eq!(decoded.message, Some(Finding::default()));
    }

    #[test]
    fn every_wrong_type_is_named_with_its_field() {
        let text = r#"{"finding_type": 1, "scope": [], "layer": {}, "view_type": true, "motif": 2,
            "severity": 3, "severity_score": "high", "confidence": [], "prevalence": {},
            "persistence": "five", "support_windows": 1.5, "trend_direction": 0,
            "window_index": "x", "last_seen_window": [], "contributing_facts": [["a"]],
            "recommendation_bundle": 1, "opportunity_tags": "tttt", "suppresses_tags": ["a", 1],
            "summary": false, "publish_mode": 1, "key_metrics": []}"#;
        let mut found = problems(text);
        found.sort();
        assert_eq!(
            found,
            [
                "confidence: expected a finite number, found a list",
                "contributing_facts[0]: expected a pair of a type and a scope, found a list",
                "finding_type: expected a string, found 1",
                "key_metrics: expected an object of numbers, found a list",
                "last_seen_window: expected a whole number, found a list",
                "layer: expected a string, found an object",
                "motif: expected a string, found 2",
                "opportunity_tags: expected a list of strings, found \"tttt\"",
                "persistence: expected a whole number, found \"five\"",
                "prevalence: expected a finite number, found an object",
                "publish_mode: expected a string, found 1",
                "recommendation_bundle: expected a string, found 1",
                "scope: expected a string, found a list",
                "severity: expected a string, found 3",
                "severity_score: expected a finite number, found \"high\"",
                "summary: expected a string, found false",
                "support_windows: expected a whole number, found 1.5",
                "suppresses_tags[1]: expected a string, found 1",
                "trend_direction: expected a string, found 0",
                "view_type: expected a string, found true",
                "window_index: expected a whole number, found \"x\"",
            ]
        );
        assert_eq!(Finding::decode(text.as_bytes()).message, None);
    }

    #[test]
    fn an_unknown_field_is_named_but_no_obstacle() {
        let decoded = Finding::decode(br#"{"persistance": 5}"#);
        assert_eq!(
            decoded.problems[0].to_string(),
            "persistance: unknown field"
        );
        assert!(decoded.message.is_some());
    }

    #[test]
    fn ints_beyond_64_bits_saturate_and_metrics_beyond_count_as_missing() {
        let text = br#"{"persistence": 99999999999999999999, "window_index": -99999999999999999999,
            "key_metrics": {"a": 99999999999999999999, "b": 1e999, "c": NaN, "d": null, "e": true,
                            "f": "x", "g": 2, "h": 0.5}}"#;
        let finding = Finding::decode(text).message.unwrap();
        assert_eq!(finding.persistence, i64::MAX);
        assert_eq!(finding.window_index, i64::MIN);
        let metrics: Vec<_> = finding.key_metrics.into_iter().collect();
        assert_eq!(
            metrics,
            [
                ("g".to_owned(), Number::Int(2)),
                ("h".to_owned(), Number::Float(0.5))
            ]
        );
    }

    #[test]
    fn the_last_of_a_duplicate_key_counts() {
        let finding = Finding::decode(br#"{"persistence": "x", "persistence": 3}"#);
        assert_eq!(finding.message.unwrap().persistence, 3);
    }

    #[test]
    fn what_is_written_has_every_field_in_order() {
        let written = serde_json::to_string(&Finding::default()).unwrap();
        assert_eq!(
            written,
            "{\"finding_type\":\"\",\"scope\":\"\",\"layer\":null,\"view_type\":null,\
             \"motif\":\"unclassified\",\"severity\":\"unknown\",\"severity_score\":0.0,\
             \"confidence\":0.0,\"prevalence\":0.0,\"persistence\":0,\"support_windows\":0,\
             \"trend_direction\":\"insufficient_data\",\"window_index\":0,\"last_seen_window\":0,\
             \"contributing_facts\":[],\"recommendation_bundle\":\"\",\"opportunity_tags\":[],\
             \"suppresses_tags\":[],\"summary\":\"\",\"publish_mode\":\"control\",\"key_metrics\":{}}"
        );
    }
}
