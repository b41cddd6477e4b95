//! What a planner knows, as JSON and back.

use dfo_planner::{Planner, Settings};

pub(crate) fn saved(planner: &Planner) -> Result<String, String> {
    serde_json::to_string(&planner.state()).map_err(|e| e.to_string())
}

pub(crate) fn restored(settings: Settings, state: &str) -> Result<Planner, String> {
    let mut json = serde_json::Deserializer::from_str(state);
    Planner::restored(settings, &mut json).map_err(|e| e.to_string())
}
