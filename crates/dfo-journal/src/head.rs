//! The first line of a segment: all that is needed to go on from there.

use std::collections::BTreeMap;

use dfo_planner::{Planner, Settings, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::JournalError;
use crate::line;
use crate::planner_state;

/// The version of the format that this crate writes and reads.
pub const VERSION: u64 = 1;

/// How many records of each end have been taken, by the end's name.
pub type Positions = BTreeMap<String, u64>;

/// What a new segment begins with.
#[derive(Debug, Clone, Copy)]
pub struct NewHead<'a> {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the node that the planner was told it runs on.
    pub node: Option<&'a str>,
    /// How the planner decides.
    pub settings: &'a Settings,
    /// The planner, after every event that was appended.
    pub planner: &'a Planner,
    /// What the service wants to find again: any JSON.
    pub companion: &'a serde_json::Value,
}

/// Why a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// The service started.
    Start,
    /// The segment before was long enough.
    Rotation,
    /// The disk works again: lines before may be missing, and nothing is needed from them.
    Recovery,
}

/// The first line of a segment, read.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why the segment begins.
    pub opened: Opened,
    /// The name of the node that the planner was told it runs on.
    pub node: Option<String>,
    /// How the planner decided from here on.
    pub settings: Settings,
    /// How many records of each end had been taken.
    pub positions: Positions,
    /// What the service wanted to find again.
    pub companion: serde_json::Value,
    /// What the planner knew: JSON.
    pub(crate) state: Box<RawValue>,
}

impl Head {
    /// The planner as it was.
    ///
    /// # Errors
    /// Why the state cannot be used.
    pub fn planner(&self) -> Result<Planner, String> {
        planner_state::restored(self.settings.clone(), self.state.get())
    }

    /// What the planner knew, as it stands in the line.
    pub fn state(&self) -> &str {
        self.state.get()
    }
}

/// The line of a head.
pub(crate) fn write(
    seq: u64,
    opened: Opened,
    positions: &Positions,
    head: &NewHead<'_>,
) -> Result<Vec<u8>, JournalError> {
    let unwritable = |why| JournalError::Unwritable { why };
    let line = HeadLine {
        dfo_journal: VERSION,
        seq,
        at_ms: head.at_ms,
        opened,
        positions,
        node: head.node,
        settings: head.settings,
        companion: head.companion,
        state: head.planner.state(),
    };
    let mut buffer = Vec::new();
    line::write(&mut buffer, &line).map_err(|e| unwritable(e.to_string()))?;
    Ok(buffer)
}

/// Reads a head whose checksum is right and whose version is ours.
pub(crate) fn read(line: &[u8]) -> Result<Head, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let head: HeadIn = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(Head {
        seq: head.seq,
        at_ms: head.at_ms,
        opened: head.opened,
        node: head.node,
        settings: head.settings,
        positions: head.positions,
        companion: head.companion,
        state: head.state,
    })
}

#[derive(Serialize)]
struct HeadLine<'a> {
    dfo_journal: u64,
    seq: u64,
    at_ms: u64,
    opened: Opened,
    positions: &'a Positions,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    settings: &'a Settings,
    companion: &'a serde_json::Value,
    state: State<'a>,
}

#[derive(Deserialize)]
struct HeadIn {
    seq: u64,
    at_ms: u64,
    opened: Opened,
    #[serde(default)]
    node: Option<String>,
    positions: Positions,
    settings: Settings,
    companion: serde_json::Value,
    state: Box<RawValue>,
}
