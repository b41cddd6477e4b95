//! Where records come from, and how their places are named.

use std::path::Path;

use dfo_transport::{Place, Records, TransportError};

/// Opens a file; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<Records, TransportError> {
    match path.to_str() {
        Some("-") => Ok(Records::stdin()),
        _ => Records::open(path),
    }
}

/// Names places within one file: by line, and by number where a line holds several records.
pub(crate) struct Places {
    name: String,
    last_line: u64,
}

impl Places {
    pub(crate) fn in_file(name: &str) -> Self {
        Places {
            name: name.to_owned(),
            last_line: 0,
        }
    }

    pub(crate) fn enter(&mut self, place: &Place) -> NamedPlace {
        let shares_its_line = place.line == self.last_line;
        self.last_line = place.line;
        NamedPlace {
            line: place.line,
            number: shares_its_line.then_some(place.number),
        }
    }

    /// `findings.jsonl:217`, or `findings.json:1 (record 5)`.
    pub(crate) fn show(&self, place: NamedPlace) -> String {
        let NamedPlace { line, number } = place;
        match number {
            Some(number) => format!("{}:{line} (record {number})", self.name),
            None => format!("{}:{line}", self.name),
        }
    }
}

/// What to say of a record that is not held.
pub(crate) fn too_large(bytes: u64, limit: usize) -> String {
    format!("too large: {bytes} bytes, at most {limit} are read")
}

/// A place, and whether it needs its number to be found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedPlace {
    pub(crate) line: u64,
    number: Option<u64>,
}

impl NamedPlace {
    /// Another line of the same record.
    pub(crate) fn at_line(self, line: u64) -> Self {
        NamedPlace { line, ..self }
    }
}

/// Says what is wrong, as often as fits a screen, and counts the rest.
#[derive(Default)]
pub(crate) struct Complaints {
    count: u64,
}

/// More than fills a screen is not read.
const SHOWN: u64 = 20;

impl Complaints {
    /// What to say about one more thing, if it is not one too many.
    pub(crate) fn add(&mut self, complaint: impl FnOnce() -> String) -> Option<String> {
        self.count += 1;
        (self.count <= SHOWN).then(complaint)
    }

    /// What to say in the end about those that were not said.
    pub(crate) fn rest(&self) -> Option<String> {
        let rest = self.count.saturating_sub(SHOWN);
        (rest > 0).then(|| format!("… and {rest} more like these, counted"))
    }
}
