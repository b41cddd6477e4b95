//! Everything that a planner knows but its settings, to be written down and taken up again.
//!
//! Each part of the planner says beside itself how it is written down (`clock/saved.rs` and so on).
//! Here they are put together. What is written depends on what is known only: not on how a table
//! happens to be ordered, nor on whether the planner was restored before.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

use crate::clock::{Clock, SavedClock};
use crate::command::Freeze;
use crate::ledger::{Ledger, SavedLedger};
use crate::limits::PlansMade;
use crate::plan_ids::PlanIds;
use crate::planner::Planner;
use crate::presence::{Presence, SavedPresence};
use crate::registry::{Registry, SavedRegistry};
use crate::settings::Settings;
use crate::suppression::{SavedSuppressions, Suppressions};

/// Everything that a planner knows but its settings, to be serialised.
///
/// The format has to say what stands in it, as JSON does. [`Planner::restored`] reads it.
#[derive(Debug, Clone, Copy)]
pub struct State<'p>(&'p Planner);

/// How it is written down. A part that knows nothing is left out.
///
/// A new part of the planner is a field here, and a line in [`Saved::of`] and in
/// [`Saved::into_planner`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    plan_ids: PlanIds,
    clock: SavedClock,
    #[serde(default, skip_serializing_if = "SavedRegistry::is_empty")]
    registry: SavedRegistry,
    #[serde(default, skip_serializing_if = "SavedLedger::is_empty")]
    ledger: SavedLedger,
    #[serde(default, skip_serializing_if = "is_default")]
    suppressions: SavedSuppressions,
    #[serde(default, skip_serializing_if = "is_default")]
    presence: SavedPresence,
    #[serde(default, skip_serializing_if = "is_default")]
    freeze: Freeze,
    #[serde(default, skip_serializing_if = "is_default")]
    plans_made: PlansMade,
}

impl Saved {
    fn of(planner: &Planner) -> Self {
        Saved {
            plan_ids: planner.plan_ids.clone(),
            clock: planner.clock.saved(),
            registry: planner.registry.saved(),
            ledger: planner.ledger.saved(&planner.plan_ids),
            suppressions: planner.suppressions.saved(),
            presence: planner.presence.saved(),
            freeze: planner.freeze.clone(),
            plans_made: planner.plans_made,
        }
    }

    fn into_planner(self, settings: Settings) -> Result<Planner, String> {
        let in_part = |part: &'static str| move |why| format!("{part}: {why}");
        let most_nodes = settings.nodes_remembered;
        let clock = Clock::restored(settings.new_run_below, self.clock);
        let clock = clock.map_err(in_part("clock"))?;
        let registry = Registry::restored(&self.registry).map_err(in_part("registry"))?;
        let ledger = Ledger::restored(most_nodes, self.ledger, &registry, &clock, &self.plan_ids);
        let suppressions = Suppressions::restored(settings.suppression_patience, self.suppressions);
        let presence = Presence::restored(most_nodes, self.presence, &registry);
        for knob in self.freeze.knobs() {
            registry.check_id(knob).map_err(in_part("freeze"))?;
        }
        Ok(Planner {
            plan_ids: self.plan_ids,
            ledger: ledger.map_err(in_part("ledger"))?,
            suppressions: suppressions.map_err(in_part("suppressions"))?,
            presence: presence.map_err(in_part("presence"))?,
            freeze: self.freeze,
            plans_made: self.plans_made,
            clock,
            registry,
            settings,
        })
    }
}

impl Planner {
    /// Everything that it knows but its settings, to be written down. Two planners that were told the
    /// same write the same, byte for byte.
    pub fn state(&self) -> State<'_> {
        State(self)
    }

    /// The planner of a [`Planner::state`] that was written down. Under the same settings it decides
    /// as the one that was saved would have; where fewer nodes may be remembered than there are, the
    /// least recently seen ones are forgotten.
    ///
    /// # Errors
    /// What cannot be read, and what was read and makes no sense: a knob that would not be
    /// registered, a number of a knob, node or axis that there is not, a thing that is there twice.
    pub fn restored<'de, D: Deserializer<'de>>(
        settings: Settings,
        from: D,
    ) -> Result<Planner, D::Error> {
        let saved = Saved::deserialize(from)?;
        let planner = saved.into_planner(settings);
        planner.map_err(|why| D::Error::custom(format_args!("the planner's state: {why}")))
    }
}

impl Serialize for State<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Saved::of(self.0).serialize(serializer)
    }
}

/// Whether a field says what its absence would.
pub(crate) fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}
