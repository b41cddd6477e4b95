//! What planning uses of a finding, borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Finding, PlannedFields, PublishMode};
use crate::decode::{Problem, read_named};
use crate::value::Number;

pub(super) const DEFAULT_MOTIF: &str = "unclassified";
pub(super) const DEFAULT_TREND: &str = "insufficient_data";

/// What planning uses of a finding; the texts are borrowed where they can be.
///
/// The fields are those of [`Finding`].
#[derive(Debug, Clone, PartialEq)]
pub struct FindingView<'a> {
    /// What is wrong.
    pub finding_type: Cow<'a, str>,
    /// Where.
    pub scope: Cow<'a, str>,
    /// The axis of `window_index`.
    pub view_type: Option<Cow<'a, str>>,
    /// The pattern behind it.
    pub motif: Cow<'a, str>,
    /// What the gates use, 0 to 1 by convention.
    pub severity_score: f64,
    /// Windows in the longest run of it.
    pub persistence: i64,
    /// The trend, as it was written.
    pub trend_direction: Cow<'a, str>,
    /// The window it speaks of.
    pub window_index: i64,
    /// The classes of fix that would help.
    pub opportunity_tags: Vec<Cow<'a, str>>,
    /// The tags that a global finding suppresses.
    pub suppresses_tags: Vec<Cow<'a, str>>,
    /// Whether it is for acting on.
    pub publish_mode: PublishMode,
    /// The metrics that an `evidence` response computes with.
    pub evidence: Evidence,
}

/// The metrics that an `evidence` response computes with: fractions of the iteration time, 0 to 1.
/// Always finite; `None` is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// Time spent fetching.
    pub fetch_frac: Option<f64>,
    /// Time spent computing.
    pub compute_frac: Option<f64>,
    /// Stands in for `fetch_frac`.
    pub fetch_iter_time_frac_parent: Option<f64>,
    /// Stands in for `compute_frac`.
    pub compute_time_frac_parent: Option<f64>,
}

/// Where the severity is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// The last action is working.
    Improving,
    /// No change.
    Stable,
    /// Getting worse.
    Worsening,
    /// Not known; also every word that is not one of the three.
    InsufficientData,
}

impl Evidence {
    /// The fraction of time spent fetching, from the first of its two names that is there.
    pub fn fetch(&self) -> Option<f64> {
        self.fetch_frac.or(self.fetch_iter_time_frac_parent)
    }

    /// The fraction of time spent computing, from the first of its two names that is there.
    pub fn compute(&self) -> Option<f64> {
        self.compute_frac.or(self.compute_time_frac_parent)
    }

    fn set(&mut self, name: &str, metric: Option<f64>) {
        match name {
            "fetch_frac" => self.fetch_frac = metric,
            "compute_frac" => self.compute_frac = metric,
            "fetch_iter_time_frac_parent" => self.fetch_iter_time_frac_parent = metric,
            "compute_time_frac_parent" => self.compute_time_frac_parent = metric,
            _ => {}
        }
    }

    fn from_metrics<'m>(metrics: impl IntoIterator<Item = (&'m String, &'m Number)>) -> Self {
        let mut evidence = Evidence::default();
        for (name, metric) in metrics {
            evidence.set(name, Some(metric.as_f64()));
        }
        evidence
    }
}

impl<'a> FindingView<'a> {
    /// Reads what planning uses from one JSON object, and skips the rest.
    ///
    /// Findings that are in order are read in one pass without copying. Whatever is odd (a `NaN`, a
    /// duplicate key, a wrong type) goes the careful way of [`Finding::decode`], which decides.
    ///
    /// # Errors
    /// The first field that is wrong, or what is wrong with the JSON.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Problem> {
        match Self::decode_fast(bytes) {
            Some(view) => Ok(view),
            None => Self::decode_carefully(bytes),
        }
    }

    /// The trend, as far as it matters.
    pub fn trend(&self) -> Trend {
        match &*self.trend_direction {
            "improving" => Trend::Improving,
            "stable" => Trend::Stable,
            "worsening" => Trend::Worsening,
            _ => Trend::InsufficientData,
        }
    }

    pub(super) fn of(finding: &'a Finding) -> Self {
        let borrowed = |texts: &'a [String]| texts.iter().map(|t| t.as_str().into()).collect();
        FindingView {
            finding_type: finding.finding_type.as_str().into(),
            scope: finding.scope.as_str().into(),
            view_type: finding.view_type.as_deref().map(Cow::Borrowed),
            motif: finding.motif.as_str().into(),
            severity_score: finding.severity_score,
            persistence: finding.persistence,
            trend_direction: finding.trend_direction.as_str().into(),
            window_index: finding.window_index,
            opportunity_tags: borrowed(&finding.opportunity_tags),
            suppresses_tags: borrowed(&finding.suppresses_tags),
            publish_mode: finding.publish_mode,
            evidence: Evidence::from_metrics(&finding.key_metrics),
        }
    }

    fn decode_carefully(bytes: &[u8]) -> Result<Self, Problem> {
        let planned = read_named(bytes, &PlannedFields::SHAPES, PlannedFields::read)?;
        let owned = |texts: Vec<String>| texts.into_iter().map(Cow::Owned).collect();
        Ok(FindingView {
            finding_type: planned.finding_type.into(),
            scope: planned.scope.into(),
            view_type: planned.view_type.map(Cow::Owned),
            motif: planned.motif.into(),
            severity_score: planned.severity_score,
            persistence: planned.persistence,
            trend_direction: planned.trend_direction.into(),
            window_index: planned.window_index,
            opportunity_tags: owned(planned.opportunity_tags),
            suppresses_tags: owned(planned.suppresses_tags),
            publish_mode: planned.publish_mode,
            evidence: Evidence::from_metrics(&planned.key_metrics),
        })
    }

    /// `None` for everything that is not plainly in order.
    fn decode_fast(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        // serde would take a list for a struct.
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let fast: InOrder<'a> = serde_json::from_str(text).ok()?;
        let text = |t: Option<Text<'a>>, default| t.map_or(Cow::Borrowed(default), |t| t.0);
        let texts = |t: Option<Texts<'a>>| t.map_or_else(Vec::new, |t| t.0);
        let publish_mode = fast.publish_mode.map(|t| PublishMode::from_word(&t.0));
        Some(FindingView {
            finding_type: text(fast.finding_type, ""),
            scope: text(fast.scope, ""),
            view_type: fast.view_type.map(|t| t.0),
            motif: text(fast.motif, DEFAULT_MOTIF),
            severity_score: fast.severity_score.map_or(0.0, |n| n.0),
            persistence: fast.persistence.unwrap_or(0),
            trend_direction: text(fast.trend_direction, DEFAULT_TREND),
            window_index: fast.window_index.unwrap_or(0),
            opportunity_tags: texts(fast.opportunity_tags),
            suppresses_tags: texts(fast.suppresses_tags),
            publish_mode: publish_mode.unwrap_or_default(),
            evidence: fast.key_metrics.map_or_else(Evidence::default, |m| m.0),
        })
    }
}

/// A finding that is in order. Everything else fails to decode into this: serde refuses wrong
/// types, duplicate keys and Python's tokens by itself.
#[derive(Deserialize)]
struct InOrder<'a> {
    #[serde(borrow)]
    finding_type: Option<Text<'a>>,
    #[serde(borrow)]
    scope: Option<Text<'a>>,
    #[serde(borrow)]
    view_type: Option<Text<'a>>,
    #[serde(borrow)]
    motif: Option<Text<'a>>,
    severity_score: Option<Float>,
    persistence: Option<i64>,
    #[serde(borrow)]
    trend_direction: Option<Text<'a>>,
    window_index: Option<i64>,
    #[serde(borrow)]
    opportunity_tags: Option<Texts<'a>>,
    #[serde(borrow)]
    suppresses_tags: Option<Texts<'a>>,
    #[serde(borrow)]
    publish_mode: Option<Text<'a>>,
    key_metrics: Option<Metrics>,
}

/// A text, borrowed unless it has escapes. (`Option<Cow<str>>` would always copy.)
struct Text<'a>(Cow<'a, str>);

struct Texts<'a>(Vec<Cow<'a, str>>);

struct Metrics(Evidence);

/// A number whose size leaves no doubt what it was written as.
struct Float(f64);

/// One metric. What is no number counts as missing.
struct Metric(Option<f64>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(s)))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Text<'de>, E> {
                // An odd number's mark (see `decode::python`) needs an escape, so it comes here.
                if s.starts_with('\0') {
                    return Err(E::custom("odd"));
                }
                Ok(Text(Cow::Owned(s.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_seq(TextsVisitor)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetricsVisitor;
        impl<'de> Visitor<'de> for MetricsVisitor {
            type Value = Metrics;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut evidence = Evidence::default();
                while let Some(Text(name)) = map.next_key()? {
                    let Metric(metric) = map.next_value()?;
                    evidence.set(&name, metric);
                }
                Ok(Metrics(evidence))
            }
        }
        deserializer.deserialize_map(MetricsVisitor)
    }
}

/// Here an int beyond 64 bits looks like a float; the careful way can tell.
fn plain_float<E: de::Error>(n: f64) -> Result<f64, E> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match n.abs() < BEYOND {
        true => Ok(n),
        false => Err(E::custom("odd")),
    }
}

fn plain_int<E: de::Error>(n: u64) -> Result<f64, E> {
    let n = i64::try_from(n).map_err(|_| E::custom("odd"))?;
    Ok(Number::Int(n).as_f64())
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FloatVisitor;
        impl Visitor<'_> for FloatVisitor {
            type Value = Float;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Float, E> {
                plain_float(n).map(Float)
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Float, E> {
                Ok(Float(Number::Int(n).as_f64()))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Float, E> {
                plain_int(n).map(Float)
            }
        }
        deserializer.deserialize_f64(FloatVisitor)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetricVisitor;
        impl<'de> Visitor<'de> for MetricVisitor {
            type Value = Metric;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Metric, E> {
                plain_float(n).map(|n| Metric(Some(n)))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Metric, E> {
                Ok(Metric(Some(Number::Int(n).as_f64())))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Metric, E> {
                plain_int(n).map(|n| Metric(Some(n)))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Metric, E> {
                Ok(Metric(None))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Metric, E> {
                Ok(Metric(None))
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<Metric, E> {
                Ok(Metric(None))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Metric, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Metric(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metric, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Metric(None))
            }
        }
        deserializer.deserialize_any(MetricVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn findings_in_order_are_borrowed_whole() {
        let text =
            br#"{"finding_type": "fetch_pressure", "scope": "app:epoch", "view_type": "epoch",
            "severity_score": 1, "opportunity_tags": ["a"], "summary": "\u2028 skipped",
            "key_metrics": {"fetch_frac": 0.89, "other": [1]}, "nested": [[{"a": 1e999}]]}"#;
        let view = FindingView::decode_fast(text).unwrap();
        assert!(matches!(view.finding_type, Cow::Borrowed("fetch_pressure")));
        assert!(matches!(view.view_type, Some(Cow::Borrowed("epoch"))));
        assert!(matches!(view.opportunity_tags[..], [Cow::Borrowed("a")]));
        assert_eq!(view.evidence.fetch(), Some(0.89));
    }

    #[test]
    fn the_first_wrong_field_is_named() {
        let wrong = |text: &str| {
            FindingView::decode(text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            wrong(r#"{"persistence": "five"}"#),
            "persistence: expected a whole number, found \"five\""
        );
        assert_eq!(
            wrong(r#"{"severity_score": NaN}"#),
            "severity_score: expected a finite number, found NaN"
        );
        assert_eq!(
            wrong(r#"["fetch_pressure"]"#),
            "expected an object, found a list"
        );
    }

    #[test]
    fn wrong_types_in_fields_that_planning_does_not_use_are_skipped() {
        let view = FindingView::decode(br#"{"confidence": "high", "persistence": 3}"#).unwrap();
        assert_eq!(view.persistence, 3);
    }

    #[test]
    fn a_severity_beyond_64_bits_is_read_the_careful_way() {
        let severity = |text: &str| {
            let text = format!("{{\"severity_score\": {text}}}");
            FindingView::decode(text.as_bytes()).unwrap().severity_score
        };
        assert_eq!(
            severity("99999999999999999999").to_bits(),
            9_223_372_036_854_775_807_f64.to_bits()
        );
        assert_eq!(severity("1e20").to_bits(), 1e20_f64.to_bits());
    }

    #[test]
    fn a_large_finding_is_read_the_careful_way_too() {
        let padding = "1,".repeat(1 << 19);
        let odd = format!(
            "{{\"x\": [{padding}1], \"key_metrics\": {{\"fetch_frac\": NaN}}, \"persistence\": 3}}"
        );
        assert_eq!(FindingView::decode(odd.as_bytes()).unwrap().persistence, 3);
    }

    /// JSON as Python might write it, odd things included.
    fn json_text() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("NaN".to_owned()),
            Just("-Infinity".to_owned()),
            Just("99999999999999999999".to_owned()),
            Just("9223372036854775808".to_owned()),
            Just("1e999".to_owned()),
            Just("3.0".to_owned()),
            Just("\"\\u0000NaN\"".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i64>().prop_map(|i| i.to_string()),
            (-2.0..2.0f64).prop_map(|f| f.to_string()),
            "[a-z:\\\\n\u{e9}]{0,8}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        ];
        scalar.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec((field_name(), inner), 0..3).prop_map(object),
            ]
        })
    }

    fn field_name() -> impl Strategy<Value = String> {
        let names = [
            "finding_type",
            "scope",
            "view_type",
            "motif",
            "severity_score",
            "persistence",
            "trend_direction",
            "window_index",
            "opportunity_tags",
            "suppresses_tags",
            "publish_mode",
            "key_metrics",
            "fetch_frac",
            "compute_frac",
            "layer",
            "x",
        ];
        prop::sample::select(names.to_vec()).prop_map(str::to_owned)
    }

    #[expect(clippy::needless_pass_by_value, reason = "prop_map passes by value")]
    fn object(fields: Vec<(String, String)>) -> String {
        let fields = fields.iter().map(|(k, v)| format!("\"{k}\": {v}"));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
    }

    proptest! {
        /// The fast way never decides otherwise than the careful one.
        #[test]
        fn both_ways_of_decoding_agree(fields in prop::collection::vec((field_name(), json_text()), 0..6)) {
            let text = object(fields);
            let careful = FindingView::decode_carefully(text.as_bytes());
            if let Some(fast) = FindingView::decode_fast(text.as_bytes()) {
                prop_assert_eq!(Ok(fast), careful, "{}", text);
            }
        }

        /// What is written reads back the same, and planning sees the same in both forms.
        #[test]
        fn a_whole_finding_and_its_view_agree(fields in prop::collection::vec((field_name(), json_text()), 0..6)) {
            let text = object(fields);
            if let Ok(finding) = Finding::decode(text.as_bytes()).into_result() {
                let view = FindingView::decode(text.as_bytes());
                prop_assert_eq!(view, Ok(finding.view()), "{}", text);
                let written = serde_json::to_vec(&finding).unwrap();
                prop_assert_eq!(Finding::decode(&written).into_result(), Ok(finding));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let view = FindingView::decode(&bytes).is_ok();
            prop_assert!(view || !Finding::decode(&bytes).problems.is_empty());
        }
    }
}
