//! A file of registrations, JSON or TOML.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dfo_model::{Decoded, Problem, ProblemKind, Registration};
use dfo_planner::Notice;
use dfo_transport::{Content, MAX_RECORD_BYTES};

use super::Bootstrap;
use crate::exit::Failure;
use crate::input;
use crate::locate::{Lines, lines_before};

/// A file of registrations, as far as it could be read.
pub(crate) struct KnobFile {
    name: String,
    records: Vec<KnobRecord>,
}

/// One registration of a file.
pub(crate) struct KnobRecord {
    lines: Lines,
    decoded: Decoded<Registration>,
}

/// What the planner has to say against a registration.
pub(crate) struct Complaint {
    pub(crate) line: u64,
    pub(crate) what: String,
    /// Something was not registered; otherwise it is only worth knowing.
    pub(crate) is_refusal: bool,
}

/// Whether a file is to be read as TOML: by its name.
pub(crate) fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
}

/// Reads a file; one that cannot be read to its end is an error.
pub(crate) fn read(path: &Path) -> Result<KnobFile, Failure> {
    let cannot = |error: dfo_transport::TransportError| Failure::CannotRead(error.to_string());
    if is_toml(path) {
        let name = path.display().to_string();
        let file = dfo_transport::open(path).map_err(cannot)?;
        let record = read_toml(file)
            .map_err(|e| Failure::CannotRead(format!("{name}: cannot read: {e}")))?;
        let records = vec![record];
        return Ok(KnobFile { name, records });
    }
    let mut source = input::open(path).map_err(cannot)?;
    let name = source.name().to_owned();
    let mut records = Vec::new();
    while let Some(record) = source.next_record().map_err(cannot)? {
        let line = record.place.line;
        records.push(match record.content {
            Content::Bytes(bytes) => KnobRecord::of_json(bytes, line),
            Content::TooLarge { bytes, limit } => {
                KnobRecord::unusable(line, input::too_large(bytes, limit))
            }
        });
    }
    Ok(KnobFile { name, records })
}

/// A TOML file is one record, and no larger than one.
fn read_toml(file: File) -> io::Result<KnobRecord> {
    let mut text = Vec::new();
    let limit = MAX_RECORD_BYTES as u64;
    let size = file.metadata()?.len();
    file.take(limit + 1).read_to_end(&mut text)?;
    if text.len() > MAX_RECORD_BYTES {
        let what = input::too_large(size, MAX_RECORD_BYTES);
        return Ok(KnobRecord::unusable(1, what));
    }
    Ok(KnobRecord::of_toml(&text))
}

impl KnobFile {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn records(&self) -> &[KnobRecord] {
        &self.records
    }
}

impl KnobRecord {
    /// A JSON text that begins on that line of its file.
    pub(crate) fn of_json(bytes: &[u8], line: u64) -> Self {
        KnobRecord {
            lines: Lines::of_json(&String::from_utf8_lossy(bytes), line),
            decoded: Registration::decode(bytes),
        }
    }

    fn of_toml(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::unusable(1, "not UTF-8".to_owned());
        };
        match text.parse::<toml::Table>() {
            Ok(table) => KnobRecord {
                lines: Lines::of_toml(text),
                decoded: Registration::decode(json_text(&toml::Value::Table(table)).as_bytes()),
            },
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                let line = 1 + lines_before(text, offset);
                Self::unusable(line, format!("not TOML: {}", error.message()))
            }
        }
    }

    fn unusable(line: u64, what: String) -> Self {
        let problem = Problem {
            path: String::new(),
            what,
            kind: ProblemKind::Wrong,
        };
        KnobRecord {
            lines: Lines::of_json("", line),
            decoded: Decoded {
                message: None,
                problems: vec![problem],
            },
        }
    }

    /// What decoding found wrong, each with its line.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (u64, &Problem)> {
        let problems = self.decoded.problems.iter();
        problems.map(|problem| (self.lines.line_of(&problem.path), problem))
    }

    /// Registers what can be used; what the planner has to say against it.
    pub(crate) fn register(&self, bootstrap: Bootstrap<'_>) -> Vec<Complaint> {
        let Some(registration) = &self.decoded.message else {
            return Vec::new();
        };
        let decisions = bootstrap(registration);
        let complaint = |notice| self.complaint(notice, registration);
        decisions.notices().filter_map(complaint).collect()
    }

    fn complaint(&self, notice: &Notice, registration: &Registration) -> Option<Complaint> {
        let (path, what, is_refusal) = match notice {
            Notice::KnobRefused {
                knob,
                tag,
                field,
                why,
            } => {
                let path = path_of(registration, knob, tag.as_deref(), field);
                let what = format!("{path}: {why}; not registered");
                (path, what, true)
            }
            Notice::ValueKept { knob, .. } | Notice::ValueRefused { knob, .. } => {
                let path = path_of_value(registration, knob);
                let what = format!("{path}: {notice}");
                (path, what, matches!(notice, Notice::ValueRefused { .. }))
            }
            _ => return None,
        };
        Some(Complaint {
            line: self.lines.line_of(&path),
            what,
            is_refusal,
        })
    }
}

/// The path of a knob's field. A list of knobs has no names; its path ends at the list.
fn path_of(registration: &Registration, knob: &str, tag: Option<&str>, field: &str) -> String {
    let named = registration.knobs.iter().find(|(_, k)| k.id == knob);
    let name = named.map_or(knob, |(parameter, _)| parameter);
    match tag {
        Some(tag) => format!("knobs.{name}.responds_to.{tag}.{field}"),
        None => format!("knobs.{name}.{field}"),
    }
}

fn path_of_value(registration: &Registration, knob: &str) -> String {
    let named = registration.knobs.iter().find(|(_, k)| k.id == knob);
    let parameter = named.map_or(knob, |(parameter, _)| parameter);
    let live = [parameter, knob]
        .into_iter()
        .find(|name| registration.current_values.contains_key(*name));
    match live {
        Some(name) => format!("current_values.{name}"),
        None => format!("knobs.{parameter}.default"),
    }
}

/// TOML in the wire form. What is not finite becomes the token that decoding knows it by.
fn json_text(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(f) if f.is_nan() => "NaN".to_owned(),
        toml::Value::Float(f) if f.is_infinite() && *f > 0.0 => "Infinity".to_owned(),
        toml::Value::Float(f) if f.is_infinite() => "-Infinity".to_owned(),
        toml::Value::Float(f) => serde_json::Value::from(*f).to_string(),
        toml::Value::Integer(i) => i.to_string(),
        toml::Value::Boolean(b) => b.to_string(),
        toml::Value::String(s) => quoted(s),
        toml::Value::Datetime(d) => quoted(&d.to_string()),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json_text).collect();
            format!("[{}]", items.join(","))
        }
        toml::Value::Table(table) => {
            let field =
                |(name, value): (&String, _)| format!("{}:{}", quoted(name), json_text(value));
            let fields: Vec<String> = table.iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
