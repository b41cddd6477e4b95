//! How a finding stands in a line: what planning uses of it, without what is as it is by default.
//!
//! A severity that is no finite number is written as a text, so that the planner refuses it again in
//! the same words.

use std::borrow::Cow;
use std::fmt;

use dfo_model::{Evidence, FindingView, PublishMode};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::json::Json;

const DEFAULT_MOTIF: &str = "unclassified";
const DEFAULT_TREND: &str = "insufficient_data";

/// Appends a finding as an object.
pub(crate) fn write(json: &mut Json<'_>, finding: &FindingView<'_>) {
    json.raw("{\"finding_type\":").text(&finding.finding_type);
    json.raw(",\"scope\":").text(&finding.scope);
    if let Some(view_type) = &finding.view_type {
        json.raw(",\"view_type\":").text(view_type);
    }
    if finding.motif != DEFAULT_MOTIF {
        json.raw(",\"motif\":").text(&finding.motif);
    }
    // Only +0.0 has no bits.
    if finding.severity_score.to_bits() != 0 {
        json.raw(",\"severity_score\":")
            .float(finding.severity_score);
    }
    if finding.persistence != 0 {
        json.raw(",\"persistence\":").int(finding.persistence);
    }
    if finding.trend_direction != DEFAULT_TREND {
        json.raw(",\"trend_direction\":")
            .text(&finding.trend_direction);
    }
    json.raw(",\"window_index\":").int(finding.window_index);
    if !finding.opportunity_tags.is_empty() {
        json.raw(",\"opportunity_tags\":")
            .texts(&finding.opportunity_tags);
    }
    if !finding.suppresses_tags.is_empty() {
        json.raw(",\"suppresses_tags\":")
            .texts(&finding.suppresses_tags);
    }
    if finding.publish_mode == PublishMode::Summary {
        json.raw(",\"publish_mode\":\"summary\"");
    }
    write_evidence(json, &finding.evidence);
    json.raw("}");
}

fn write_evidence(json: &mut Json<'_>, evidence: &Evidence) {
    let Evidence {
        fetch_frac,
        compute_frac,
        fetch_iter_time_frac_parent,
        compute_time_frac_parent,
    } = evidence;
    let mut before = ",\"key_metrics\":{";
    for (name, metric) in [
        ("\"fetch_frac\":", fetch_frac),
        ("\"compute_frac\":", compute_frac),
        (
            "\"fetch_iter_time_frac_parent\":",
            fetch_iter_time_frac_parent,
        ),
        ("\"compute_time_frac_parent\":", compute_time_frac_parent),
    ] {
        if let Some(metric) = metric {
            json.raw(before).raw(name).float(*metric);
            before = ",";
        }
    }
    if before == "," {
        json.raw("}");
    }
}

/// A finding as it stands in a line.
#[derive(serde::Deserialize)]
pub(crate) struct FindingIn<'l> {
    #[serde(borrow)]
    finding_type: Cow<'l, str>,
    #[serde(borrow)]
    scope: Cow<'l, str>,
    #[serde(borrow, default)]
    view_type: Option<Text<'l>>,
    #[serde(borrow, default)]
    motif: Option<Text<'l>>,
    #[serde(default)]
    severity_score: FloatIn,
    #[serde(default)]
    persistence: i64,
    #[serde(borrow, default)]
    trend_direction: Option<Text<'l>>,
    window_index: i64,
    #[serde(borrow, default)]
    opportunity_tags: Vec<Text<'l>>,
    #[serde(borrow, default)]
    suppresses_tags: Vec<Text<'l>>,
    #[serde(borrow, default)]
    publish_mode: Option<Text<'l>>,
    #[serde(default)]
    key_metrics: EvidenceIn,
}

/// A text, borrowed unless it has escapes. (`Option<Cow<str>>` would always copy.)
#[derive(serde::Deserialize)]
pub(crate) struct Text<'l>(#[serde(borrow)] pub(crate) Cow<'l, str>);

#[derive(serde::Deserialize, Default)]
struct EvidenceIn {
    fetch_frac: Option<FloatIn>,
    compute_frac: Option<FloatIn>,
    fetch_iter_time_frac_parent: Option<FloatIn>,
    compute_time_frac_parent: Option<FloatIn>,
}

impl<'l> FindingIn<'l> {
    pub(crate) fn view(self) -> FindingView<'l> {
        let or = |text: Option<Text<'l>>, default| text.map_or(Cow::Borrowed(default), |t| t.0);
        let all = |texts: Vec<Text<'l>>| texts.into_iter().map(|t| t.0).collect();
        let mode = self
            .publish_mode
            .map(|word| PublishMode::from_word(&word.0));
        let metric = |metric: Option<FloatIn>| metric.map(|float| float.0);
        FindingView {
            finding_type: self.finding_type,
            scope: self.scope,
            view_type: self.view_type.map(|t| t.0),
            motif: or(self.motif, DEFAULT_MOTIF),
            severity_score: self.severity_score.0,
            persistence: self.persistence,
            trend_direction: or(self.trend_direction, DEFAULT_TREND),
            window_index: self.window_index,
            opportunity_tags: all(self.opportunity_tags),
            suppresses_tags: all(self.suppresses_tags),
            publish_mode: mode.unwrap_or_default(),
            evidence: Evidence {
                fetch_frac: metric(self.key_metrics.fetch_frac),
                compute_frac: metric(self.key_metrics.compute_frac),
                fetch_iter_time_frac_parent: metric(self.key_metrics.fetch_iter_time_frac_parent),
                compute_time_frac_parent: metric(self.key_metrics.compute_time_frac_parent),
            },
        }
    }
}

#[derive(Default)]
struct FloatIn(f64);

impl<'de> Deserialize<'de> for FloatIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FloatVisitor;
        impl Visitor<'_> for FloatVisitor {
            type Value = FloatIn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
            }
            fn visit_f64<E: de::Error>(self, float: f64) -> Result<FloatIn, E> {
                Ok(FloatIn(float))
            }
            #[expect(clippy::cast_precision_loss, reason = "an int in a float's place")]
            fn visit_i64<E: de::Error>(self, int: i64) -> Result<FloatIn, E> {
                Ok(FloatIn(int as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "an int in a float's place")]
            fn visit_u64<E: de::Error>(self, int: u64) -> Result<FloatIn, E> {
                Ok(FloatIn(int as f64))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<FloatIn, E> {
                match word {
                    "NaN" => Ok(FloatIn(f64::NAN)),
                    "inf" => Ok(FloatIn(f64::INFINITY)),
                    "-inf" => Ok(FloatIn(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(FloatVisitor)
    }
}
