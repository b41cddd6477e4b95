//! From a plan to its answer, and from there to the next finding of the same kind: did it help?

use std::collections::HashMap;

use dfo_journal::RecordedEvent;
use dfo_model::FindingView;
use dfo_planner::{Decision, Notice};
use serde_json::json;

/// The plans that are followed.
#[derive(Default)]
pub(super) struct Chains {
    plans: HashMap<String, Standing>,
    /// Applied plans, by the type and the scope of the finding that led to them.
    waiting: HashMap<(String, String), Vec<(String, Seen)>>,
    /// How they were made, in order.
    order: Vec<String>,
}

/// What has become of a plan.
#[derive(Debug, Clone)]
enum Standing {
    /// Nobody has answered; what it was made on, if a finding made it.
    Open(Option<((String, String), Seen)>),
    /// Applied, and the next finding of the kind has not come.
    Applied,
    /// Nothing more is to come.
    Closed,
}

/// What a finding says of how bad things are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    severity: f64,
    fetch: Option<f64>,
    compute: Option<f64>,
}

impl Seen {
    fn of(finding: &FindingView<'_>) -> Self {
        Seen {
            severity: finding.severity_score,
            fetch: finding.evidence.fetch(),
            compute: finding.evidence.compute(),
        }
    }
}

/// The first finding of a plan's kind after it was applied.
pub(super) struct After {
    pub(super) plan_id: String,
    then: Seen,
    now: Seen,
}

impl Chains {
    /// Whether a plan is followed.
    pub(super) fn has(&self, plan_id: &str) -> bool {
        self.plans.contains_key(plan_id)
    }

    /// Follows a plan from now on, and what becomes of one that is followed.
    pub(super) fn follow(&mut self, decision: &Decision, event: &RecordedEvent<'_>) {
        match decision {
            Decision::Plan(plan) => {
                let made_on = match event {
                    RecordedEvent::Finding(finding) => {
                        let kind = (finding.finding_type.to_string(), finding.scope.to_string());
                        Some((kind, Seen::of(finding)))
                    }
                    _ => None,
                };
                self.order.push(plan.plan_id.clone());
                self.plans
                    .insert(plan.plan_id.clone(), Standing::Open(made_on));
            }
            Decision::Notice(notice) => match &**notice {
                Notice::Applied { plan_id, .. } => {
                    let Some(standing) = self.plans.get_mut(plan_id.as_str()) else {
                        return;
                    };
                    // What no finding led to, an operator's revert, no finding judges.
                    let before = std::mem::replace(standing, Standing::Closed);
                    if let Standing::Open(Some((kind, seen))) = before {
                        *standing = Standing::Applied;
                        let waiting = self.waiting.entry(kind).or_default();
                        waiting.push((plan_id.to_string(), seen));
                    }
                }
                Notice::Rejected { plan_id, .. }
                | Notice::PlanExpired { plan_id, .. }
                | Notice::PlanSuperseded { plan_id, .. }
                | Notice::Reverted {
                    plan_id: Some(plan_id),
                    ..
                } => {
                    if let Some(standing) = self.plans.get_mut(plan_id.as_str()) {
                        *standing = Standing::Closed;
                    }
                }
                _ => {}
            },
            Decision::Hold(_) => {}
        }
    }

    /// The plans whose kind of finding comes again for the first time.
    pub(super) fn next_finding(&mut self, finding: &FindingView<'_>) -> Vec<After> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let kind = (finding.finding_type.to_string(), finding.scope.to_string());
        let plans = self.waiting.remove(&kind).unwrap_or_default();
        let now = Seen::of(finding);
        let after = |(plan_id, then): (String, Seen)| {
            self.plans.insert(plan_id.clone(), Standing::Closed);
            After { plan_id, then, now }
        };
        plans.into_iter().map(after).collect()
    }

    /// The plans to which something is missing in the end, and what.
    pub(super) fn unanswered(&self) -> Vec<(String, &'static str)> {
        let missing = |id: &String| match self.plans.get(id)? {
            Standing::Open(_) => Some((id.clone(), "not acknowledged yet")),
            Standing::Applied => Some((
                id.clone(),
                "applied; no finding of its kind has come since, so nothing says whether it helped",
            )),
            Standing::Closed => None,
        };
        self.order.iter().filter_map(missing).collect()
    }
}

impl After {
    /// In one line for people.
    pub(super) fn sentence(&self) -> String {
        let mut parts = vec![compared("severity", self.then.severity, self.now.severity)];
        for (name, then, now) in [
            ("fetch", self.then.fetch, self.now.fetch),
            ("compute", self.then.compute, self.now.compute),
        ] {
            if let (Some(then), Some(now)) = (then, now) {
                parts.push(compared(name, then, now));
            }
        }
        format!("the first finding of its kind since: {}", parts.join("; "))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "plan_id": self.plan_id,
            "severity_then": self.then.severity, "severity_now": self.now.severity,
            "fetch_frac_then": self.then.fetch, "fetch_frac_now": self.now.fetch,
            "compute_frac_then": self.then.compute, "compute_frac_now": self.now.compute,
        })
    }
}

fn compared(name: &str, then: f64, now: f64) -> String {
    let change = if then == 0.0 || !(now / then).is_finite() {
        String::new()
    } else {
        let percent = (now - then) / then.abs() * 100.0;
        match percent.abs() < 0.05 {
            true => " (no change)".to_owned(),
            false => format!(" ({percent:+.1} %)"),
        }
    };
    format!("{name} {then:.3} then, {now:.3} now{change}")
}
