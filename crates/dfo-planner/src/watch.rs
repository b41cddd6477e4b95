//! Plans that were applied, until it is known whether they did harm.
//!
//! A plan is made on a finding: its *grounds*. Some windows after it was applied, the same finding is
//! asked again: the metric that the plan was computed from, else the severity.

use dfo_model::{Evidence, FindingView, Value};
use serde::{Deserialize, Serialize};

use crate::account::Action;
use crate::clock::{Stamp, Time};
use crate::decision::Name;

/// What a plan was made on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grounds {
    /// The knob, as notices name it.
    pub(crate) knob_name: Name,
    finding_type: Name,
    scope: Name,
    severity: f64,
    /// The metric that the value was computed from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<(Metric, f64)>,
}

/// A metric that a value is computed from. More of it is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Metric {
    FetchFrac,
    FetchIterTimeFracParent,
}

/// What is compared, then and now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) measure: &'static str,
    pub(crate) then: f64,
    pub(crate) now: f64,
}

/// An applied plan under observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watch {
    pub(crate) plan_id: Name,
    pub(crate) grounds: Grounds,
    /// The value that the application put in force, and the one before it.
    pub(crate) value: Value,
    pub(crate) value_before: Value,
    /// The action that the plan was, at the time when it was applied.
    pub(crate) action: Action,
    /// When it is observed no longer, and a number that tells watches of one time apart.
    pub(crate) until: (Time, u64),
}

impl Metric {
    /// The one that a computation with evidence takes, and its value.
    fn used(evidence: &Evidence) -> Option<(Metric, f64)> {
        let all = [Metric::FetchFrac, Metric::FetchIterTimeFracParent];
        all.into_iter()
            .find_map(|metric| Some((metric, metric.of(evidence)?)))
    }

    fn of(self, evidence: &Evidence) -> Option<f64> {
        match self {
            Metric::FetchFrac => evidence.fetch_frac,
            Metric::FetchIterTimeFracParent => evidence.fetch_iter_time_frac_parent,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Metric::FetchFrac => "fetch_frac",
            Metric::FetchIterTimeFracParent => "fetch_iter_time_frac_parent",
        }
    }
}

impl Grounds {
    /// A finding as the grounds of a plan; with its metric, where the plan's value is computed from it.
    pub(crate) fn of(finding: &FindingView<'_>, knob_name: Name, is_computed: bool) -> Self {
        Grounds {
            knob_name,
            finding_type: finding.finding_type.as_ref().into(),
            scope: finding.scope.as_ref().into(),
            severity: finding.severity_score,
            metric: is_computed
                .then(|| Metric::used(&finding.evidence))
                .flatten(),
        }
    }

    fn is_asked_again_by(&self, finding: &FindingView<'_>) -> bool {
        *self.finding_type == *finding.finding_type && *self.scope == *finding.scope
    }

    /// What the finding says now of what they said then; `None` where it does not say.
    pub(crate) fn compared(&self, finding: &FindingView<'_>) -> Option<Comparison> {
        let Some((metric, then)) = self.metric else {
            return Some(Comparison {
                measure: "severity",
                then: self.severity,
                now: finding.severity_score,
            });
        };
        Some(Comparison {
            measure: metric.name(),
            then,
            now: metric.of(&finding.evidence)?,
        })
    }
}

impl Comparison {
    /// By which fraction of then it is worse now; of nothing, by how much. Finite.
    pub(crate) fn worse_by(&self) -> f64 {
        let more = self.now - self.then;
        let fraction = if self.then > 0.0 {
            more / self.then
        } else {
            more
        };
        fraction.clamp(f64::MIN, f64::MAX)
    }
}

impl Watch {
    pub(crate) fn applied_at(&self) -> Stamp {
        self.action.at
    }

    /// Whether a finding with this tag speaks of what the plan was made on, on the same axis of windows.
    pub(crate) fn is_about(&self, finding: &FindingView<'_>, tag: &str, now: Stamp) -> bool {
        self.action.tag == tag
            && self.applied_at().is_on_axis_of(now)
            && self.grounds.is_asked_again_by(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_a_fraction_of_then() {
        let worse = |then, now| {
            Comparison {
                measure: "severity",
                then,
                now,
            }
            .worse_by()
        };
        assert!((worse(0.4, 0.5) - 0.25).abs() < 1e-12);
        assert!((worse(0.5, 0.4) + 0.2).abs() < 1e-12);
        assert!((worse(0.0, 0.2) - 0.2).abs() < 1e-12);
        assert!(worse(f64::MIN_POSITIVE, f64::MAX).is_finite());
    }
}
