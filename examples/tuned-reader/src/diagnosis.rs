//! What the diagnoser makes of the times of windows: findings of the type `fetch_pressure`.
//!
//! The real diagnoser (`DFDiagnoser`) finds many things in what the tracer took down of a whole job.
//! This one knows one program and one thing, but says it in the same words and with the same numbers.
//! One difference: the real one tells the severity and the metrics of the worst window so far, this one
//! of the latest, so that what a change did is seen at once.

use dfo_model::{Finding, Number};
use dfo_transport::Record;
use serde_json::json;

use crate::measure::WindowTimes;

/// Below this share of waiting there is nothing to find.
const NOTHING: f64 = 0.10;
/// From this share on it is as severe as it gets.
const WORST: f64 = 0.95;

/// The windows of one program, as they come.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// All windows so far.
    windows: u32,
    /// The severity in each window in which there was something to find.
    severities: Vec<f64>,
    /// Such windows in a row, up to now.
    run: i64,
    /// The most in a row.
    longest_run: i64,
}

impl Diagnosis {
    /// Takes in a window. A finding, if there is something to find in it.
    pub fn look(&mut self, times: &WindowTimes) -> Option<Finding> {
        self.windows += 1;
        let fetch = times.fetch_frac();
        if fetch <= NOTHING {
            self.run = 0;
            return None;
        }
        let severity = ((fetch - NOTHING) / (WORST - NOTHING)).min(1.0);
        self.severities.push(severity);
        self.run += 1;
        self.longest_run = self.longest_run.max(self.run);
        Some(self.finding(times.window, severity, fetch))
    }

    fn finding(&self, window: i64, severity: f64, fetch: f64) -> Finding {
        const TYPE: &str = "fetch_pressure";
        const SCOPE: &str = "app:window";
        let seen = u32::try_from(self.severities.len()).unwrap_or(u32::MAX);
        let prevalence = f64::from(seen) / f64::from(self.windows);
        let persistence = self.longest_run;
        let trend = trend(&self.severities);
        let (motif, recommendation, confidence) = match prevalence > 0.5 && persistence > 3 {
            true => ("persistent_pressure", "input_pipeline_tuning", 0.8),
            false => ("unclassified", "investigate", 0.5),
        };
        Finding {
            finding_type: TYPE.to_owned(),
            scope: SCOPE.to_owned(),
            layer: Some("app".to_owned()),
            view_type: Some("window".to_owned()),
            motif: motif.to_owned(),
            severity: label(severity).to_owned(),
            severity_score: severity,
            confidence,
            prevalence,
            persistence,
            support_windows: seen.into(),
            trend_direction: trend.to_owned(),
            window_index: window,
            last_seen_window: window,
            contributing_facts: vec![[TYPE.to_owned(), SCOPE.to_owned()]],
            recommendation_bundle: recommendation.to_owned(),
            opportunity_tags: vec![
                "dataloader_prefetch".to_owned(),
                "reader_parallelism".to_owned(),
            ],
            summary: format!(
                "{TYPE}({SCOPE}), motif={motif}, prevalence={prevalence:.2}, \
                 persistence={persistence}, trend={trend}"
            ),
            key_metrics: [
                ("fetch_frac".to_owned(), Number::Float(fetch)),
                ("compute_frac".to_owned(), Number::Float(1.0 - fetch)),
            ]
            .into_iter()
            .collect(),
            ..Finding::default()
        }
    }
}

/// Whether the last up to three severities are lower than the as many before, by 15 in 100, or
/// higher, or neither.
fn trend(severities: &[f64]) -> &'static str {
    let compared = (severities.len() / 2).min(3);
    if compared == 0 {
        return "insufficient_data";
    }
    let (before, last) = severities.split_at(severities.len() - compared);
    let last: f64 = last.iter().sum();
    let before: f64 = before[before.len() - compared..].iter().sum();
    match last / before {
        less if less < 0.85 => "improving",
        more if more > 1.15 => "worsening",
        _ => "stable",
    }
}

fn label(severity: f64) -> &'static str {
    match severity {
        s if s >= 0.9 => "critical",
        s if s >= 0.75 => "very high",
        s if s >= 0.5 => "high",
        s if s >= 0.25 => "medium",
        _ => "low",
    }
}

/// A finding as the diagnoser sends it: what it is about beside it.
///
/// # Errors
/// It holds a number that JSON cannot say.
pub fn record(finding: &Finding) -> Result<Record, serde_json::Error> {
    let metadata = json!({
        "artifact_type": "diagnosis_finding",
        "publish_mode": "control",
        "finding_type": finding.finding_type,
        "scope": finding.scope,
    });
    let payload = serde_json::to_vec(finding)?;
    Ok(Record::new(metadata.to_string(), payload))
}

/// What says that no more findings come.
pub fn end() -> Record {
    Record::new(&br#"{"name": "end"}"#[..], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finding after windows with these shares of waiting.
    fn after(shares: &[f64]) -> Option<Finding> {
        let mut diagnosis = Diagnosis::default();
        let windows = (1..).zip(shares).map(|(window, share)| WindowTimes {
            window,
            samples: 8,
            fetch_s: *share,
            compute_s: 1.0 - share,
            ..WindowTimes::default()
        });
        windows.map(|times| diagnosis.look(&times)).last().flatten()
    }

    /// From a session of the real diagnoser: its first two findings for `app:window`.
    #[test]
    fn it_says_what_the_real_diagnoser_says() {
        let finding = after(&[0.3992]).unwrap();
        let severity = 0.351_997_042_880_988_43;
        assert!((finding.severity_score - severity).abs() < 1e-4);
        let theirs = "fetch_pressure(app:window), motif=unclassified, prevalence=1.00, \
                      persistence=1, trend=insufficient_data";
        assert_eq!(finding.summary, theirs);
        assert_eq!(finding.severity, "medium");

        let finding = after(&[0.3992, 0.3992]).unwrap();
        assert_eq!(finding.trend_direction, "stable");
        assert_eq!((finding.persistence, finding.support_windows), (2, 2));
    }

    #[test]
    fn the_metrics_are_of_the_latest_window() {
        let finding = after(&[0.9, 0.4]).unwrap();
        let metric = |name| finding.key_metrics[name];
        assert_eq!(metric("fetch_frac"), Number::Float(0.4));
        assert_eq!(metric("compute_frac"), Number::Float(0.6));
        assert_eq!(finding.window_index, 2);
    }

    #[test]
    fn where_hardly_anything_is_waited_for_nothing_is_found() {
        assert_eq!(after(&[0.05]), None);
        assert_eq!(after(&[0.9, 0.1]), None);
    }

    #[test]
    fn persistence_is_the_longest_run() {
        let finding = after(&[0.9, 0.9, 0.9, 0.0, 0.9]).unwrap();
        assert_eq!((finding.persistence, finding.support_windows), (3, 4));
        assert!((finding.prevalence - 0.8).abs() < 1e-12);
    }

    #[test]
    fn pressure_that_stays_is_persistent() {
        let finding = after(&[0.6; 4]).unwrap();
        assert_eq!(finding.motif, "persistent_pressure");
        assert_eq!(finding.severity, "high");
    }

    #[test]
    fn the_trend_compares_the_last_three_with_the_three_before() {
        let cases: [(&[f64], &str); 6] = [
            (&[], "insufficient_data"),
            (&[0.5], "insufficient_data"),
            (&[0.5, 0.5], "stable"),
            (&[0.5, 0.4], "improving"),
            (&[0.1, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5], "improving"),
            (&[0.9, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5], "worsening"),
        ];
        for (severities, expected) in cases {
            assert_eq!(trend(severities), expected, "{severities:?}");
        }
    }

    #[test]
    fn the_record_is_a_finding_to_those_who_read_it() {
        let finding = after(&[0.7, 0.8]).unwrap();
        let record = record(&finding).unwrap();
        let read = Finding::decode(&record.payload).into_result().unwrap();
        assert_eq!(read, finding);
        let metadata = str::from_utf8(&record.metadata).unwrap();
        assert_eq!(
            metadata,
            r#"{"artifact_type":"diagnosis_finding","publish_mode":"control","finding_type":"fetch_pressure","scope":"app:window"}"#
        );
    }
}
