//! What would have had to be different, a sentence for each gate, from its own numbers.

use dfo_planner::{Gate, Hold};

use crate::output::count;

/// Of a hold that is past.
pub(super) fn then(hold: &Hold) -> String {
    sentence(hold, "would have had to")
}

/// Of the hold that came last, for the next finding.
pub(super) fn now(hold: &Hold) -> String {
    sentence(hold, "would have to")
}

#[expect(clippy::too_many_lines, reason = "one sentence a gate")]
fn sentence(hold: &Hold, would: &str) -> String {
    let knob = hold.knob.as_deref().unwrap_or("the knob");
    let tag = hold.tag.as_deref().unwrap_or("the tag");
    match &hold.gate {
        Gate::WeakSuppression {
            severity,
            min_severity,
            persistence,
            min_persistence,
        } => {
            let mut parts = Vec::new();
            if severity < min_severity {
                parts.push(format!(
                    "severity {severity:.3} {would} be at least {min_severity}"
                ));
            }
            if persistence < min_persistence {
                parts.push(format!(
                    "it {would} last {} longer",
                    windows(min_persistence.saturating_sub(*persistence))
                ));
            }
            parts.join(", and ")
        }
        Gate::NoKnobs => format!(
            "an application {would} register its knobs, or a pack be named with --bootstrap"
        ),
        Gate::Trend => format!(
            "the trend {would} be another than improving: while it improves, nothing is changed"
        ),
        Gate::NoTags => format!("the finding {would} name an opportunity tag"),
        Gate::Suppressed { by, threshold, .. } => {
            format!("{by} {would} be over, or the severity of a node be above {threshold:.3}")
        }
        Gate::NoResponse => format!("a knob {would} respond to {tag}"),
        Gate::Pending { plan_id, .. } => format!("{plan_id} {would} be acknowledged, or expire"),
        Gate::Silent { node } => {
            let node = node
                .as_deref()
                .map_or(String::new(), |n| format!(" on {n}"));
            format!("a live application{node} {would} register {knob}")
        }
        Gate::Severity { value, threshold } => {
            format!("severity {value:.3} {would} be at least {threshold}")
        }
        Gate::Persistence { value, threshold } => format!(
            "the finding {would} last {} longer",
            windows(threshold.saturating_sub(*value))
        ),
        Gate::Cooldown { value, threshold } => {
            format!(
                "{} more {would} pass",
                windows(threshold.saturating_sub(*value))
            )
        }
        Gate::Ineffective {
            threshold,
            severity_then,
            windows_waited,
            patience,
            taken_back,
            ..
        } => {
            let wait = patience.map(|patience| {
                let more = patience.saturating_sub(*windows_waited);
                format!("{} more {would} pass", windows(more))
            });
            let fall = (!taken_back).then(|| {
                let most = severity_then * (1.0 - threshold);
                format!("severity {would} be at most {most:.3}")
            });
            match (fall, wait) {
                (Some(fall), Some(wait)) => format!("{fall}, or {wait}"),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => "nothing: it never tries again".to_owned(),
            }
        }
        Gate::NoChange { value } => format!(
            "another value than {value} {would} come out: it is at its limit, or the finding asks for \
             just that"
        ),
        Gate::Frozen { everything, .. } => match everything {
            true => "thaw everything: dfo ctl thaw".to_owned(),
            false => format!("thaw it: dfo ctl thaw {knob}"),
        },
        Gate::NotAllowed { allowed } => format!(
            "the limit `knobs` {would} allow {knob}; it allows {}",
            allowed.join(", ")
        ),
        Gate::LargestStep { value, .. } => {
            format!("the limit `largest_step` {would} be at least {value:.3}")
        }
        Gate::Constraint(violation) => match &violation.unknown {
            Some(unknown) => format!("{unknown} {would} have a number in force"),
            None => format!(
                "{} {would} hold with {}",
                violation.constraint, violation.wanted
            ),
        },
        Gate::PlansPerWindow { threshold, .. } => format!(
            "a new window {would} begin, or the limit `plans_per_window` be above {threshold}"
        ),
        Gate::PlansPerJob { threshold, .. } => {
            format!("the limit `plans_per_job` {would} be above {threshold}")
        }
        Gate::NoRoom { threshold } => format!(
            "a plan for another node {would} be acknowledged, or `nodes_remembered` be above {threshold}"
        ),
        // A gate of a later planner says itself what held.
        gate => gate.to_string(),
    }
}

fn windows(n: i64) -> String {
    count(u64::try_from(n).unwrap_or(0), "window")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gate_says_what_it_lacked_in_its_own_numbers() {
        let hold = |gate| Hold {
            gate,
            knob: Some("dlio.read_threads".into()),
            tag: Some("reader_parallelism".into()),
            node: None,
            window_index: 9,
        };
        let ineffective = |patience, taken_back| Gate::Ineffective {
            value: 0.0,
            threshold: 0.1,
            severity_then: 0.5,
            windows_waited: 3,
            patience,
            taken_back,
        };
        for (gate, expected) in [
            (
                Gate::Severity {
                    value: 0.31,
                    threshold: 0.5,
                },
                "severity 0.310 would have had to be at least 0.5",
            ),
            (
                Gate::Persistence {
                    value: 1,
                    threshold: 3,
                },
                "the finding would have had to last 2 windows longer",
            ),
            (
                Gate::Cooldown {
                    value: -2,
                    threshold: 3,
                },
                "5 windows more would have had to pass",
            ),
            (
                Gate::Pending {
                    plan_id: "plan_x".into(),
                    plan_node: None,
                },
                "plan_x would have had to be acknowledged, or expire",
            ),
            (
                ineffective(Some(5), false),
                "severity would have had to be at most 0.450, or 2 windows more would have had to pass",
            ),
            (ineffective(None, true), "nothing: it never tries again"),
            (
                Gate::Frozen {
                    value: 3_i64.into(),
                    everything: false,
                },
                "thaw it: dfo ctl thaw dlio.read_threads",
            ),
            (
                Gate::WeakSuppression {
                    severity: 0.1,
                    min_severity: 0.5,
                    persistence: 0,
                    min_persistence: 2,
                },
                "severity 0.100 would have had to be at least 0.5, and it would have had to last \
                 2 windows longer",
            ),
        ] {
            assert_eq!(then(&hold(gate)), expected);
        }
        let severity = Gate::Severity {
            value: 0.31,
            threshold: 0.5,
        };
        assert_eq!(
            now(&hold(severity)),
            "severity 0.310 would have to be at least 0.5"
        );
    }
}
