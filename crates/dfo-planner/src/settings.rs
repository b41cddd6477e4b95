//! Every choice, ours and the original's.

mod read;
mod write;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// How many windows a state may wait. In a configuration file a number, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// That many.
    Windows(i64),
    /// For ever, as the original does.
    Unlimited,
}

impl Patience {
    /// Whether that many windows of waiting are enough.
    pub fn is_over(self, windows_waited: i64) -> bool {
        match self {
            Patience::Windows(limit) => windows_waited >= limit,
            Patience::Unlimited => false,
        }
    }
}

/// How the planner decides where there is more than one good way.
///
/// [`Settings::default`] is ours; [`Settings::original`] is what the original optimizer does, and
/// what its recorded scenarios are compared under.
///
/// ```
/// use dfo_planner::{Patience, Settings};
///
/// let mut settings = Settings::default();
/// settings.pending_patience = Patience::Windows(4);
/// assert!(Settings::original().pending_patience.is_over(1_000_000) == false);
/// ```
///
/// In a configuration file each field may be left out and is then ours; a field that is unknown is
/// an error. What settings serialise to is what they are read from.
///
/// ```
/// # use dfo_planner::{Patience, Settings};
/// let settings: Settings = toml::from_str(
///     r#"
///     pending_patience = 20
///     suppression_patience = "unlimited"
///     new_run_below = "never"
///     "#,
/// )?;
/// assert_eq!(settings.pending_patience, Patience::Windows(20));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Settings {
    /// How long a plan waits for its acknowledgement before it expires and its value goes back.
    pub pending_patience: Patience,
    /// How long a knob is held because its last action did not help. Doubles with each retry that
    /// does not help either.
    pub ineffective_patience: Patience,
    /// What that doubling ends at, in windows.
    #[serde(deserialize_with = "read::limit", serialize_with = "write::limit")]
    pub ineffective_patience_limit: i64,
    /// How long a suppression lasts that no global finding refreshes.
    pub suppression_patience: Patience,
    /// A rejected plan starts the knob's cooldown.
    pub rejection_starts_cooldown: bool,
    /// Whether an action helped is judged by findings with the tag it was made for, and no other.
    pub judge_by_same_tag: bool,
    /// The severity score from which on a global finding suppresses.
    #[serde(deserialize_with = "read::number", serialize_with = "write::number")]
    pub suppress_min_severity: f64,
    /// The persistence, in windows, from which on a global finding suppresses.
    pub suppress_min_persistence: i64,
    /// A pending or cooling job-wide plan holds the knob's node plans, and the other way round.
    pub scopes_hold_each_other: bool,
    /// A global plan for all nodes clears the knob's node values.
    pub global_plan_clears_node_values: bool,
    /// A window that lies more than so many below the newest of its view starts a new run, in which
    /// cooldowns and patience begin anew. `None`: windows only ever go on.
    #[serde(
        deserialize_with = "read::or_never",
        serialize_with = "write::or_never"
    )]
    pub new_run_below: Option<i64>,
    /// A plan made before any application has spoken for its knob says in its rationale that the old
    /// value is assumed.
    pub rationale_says_assumed: bool,
    /// So many windows after a plan was applied it is judged by what it was made on: where that is
    /// worse, the plan is undone. `None`: never.
    #[serde(
        deserialize_with = "read::or_never",
        serialize_with = "write::or_never"
    )]
    pub undo_after: Option<i64>,
    /// By more than this fraction it must be worse.
    #[serde(deserialize_with = "read::number", serialize_with = "write::number")]
    pub undo_margin: f64,
    /// What the operator allows at most.
    pub limits: Limits,
    /// How many nodes are remembered. Beyond it the least recently seen one without an open plan is
    /// forgotten. In a configuration file a number, or `"unlimited"`.
    #[serde(deserialize_with = "read::count", serialize_with = "write::count")]
    pub nodes_remembered: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pending_patience: Patience::Windows(10),
            ineffective_patience: Patience::Windows(5),
            ineffective_patience_limit: 80,
            suppression_patience: Patience::Windows(20),
            rejection_starts_cooldown: true,
            judge_by_same_tag: true,
            suppress_min_severity: 0.5,
            suppress_min_persistence: 2,
            scopes_hold_each_other: true,
            global_plan_clears_node_values: true,
            new_run_below: Some(10),
            rationale_says_assumed: true,
            undo_after: Some(3),
            undo_margin: 0.10,
            limits: Limits::default(),
            nodes_remembered: 131_072,
        }
    }
}

impl Settings {
    /// The choices of the original.
    pub fn original() -> Self {
        Settings {
            pending_patience: Patience::Unlimited,
            ineffective_patience: Patience::Unlimited,
            ineffective_patience_limit: i64::MAX,
            suppression_patience: Patience::Unlimited,
            rejection_starts_cooldown: false,
            judge_by_same_tag: false,
            suppress_min_severity: f64::NEG_INFINITY,
            suppress_min_persistence: i64::MIN,
            scopes_hold_each_other: false,
            global_plan_clears_node_values: false,
            new_run_below: None,
            rationale_says_assumed: false,
            undo_after: None,
            undo_margin: 0.10,
            limits: Limits::default(),
            nodes_remembered: usize::MAX,
        }
    }

    /// How long a knob is held whose last `retries` actions did not help.
    pub(crate) fn patience_after(&self, retries: u32) -> Patience {
        match self.ineffective_patience {
            Patience::Unlimited => Patience::Unlimited,
            Patience::Windows(first) => {
                let doubled = 2_i64.checked_pow(retries).unwrap_or(i64::MAX);
                let limit = self.ineffective_patience_limit.max(first);
                Patience::Windows(first.saturating_mul(doubled).min(limit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_for_an_ineffective_knob_doubles_up_to_its_limit() {
        let settings = Settings::default();
        let windows: Vec<_> = [0, 1, 2, 3, 4, 5, 62, 63, 64, u32::MAX]
            .map(|retries| settings.patience_after(retries))
            .into_iter()
            .collect();
        let expected = [5, 10, 20, 40, 80, 80, 80, 80, 80, 80].map(Patience::Windows);
        assert_eq!(windows, expected);
    }
}
