//! The journal of `dfo serve`: its flags, and what is told of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dfo_journal::{Options, SyncPolicy};
use dfo_model::{Knob, Registration};
use dfo_planner::{Decisions, Event, Planner, Settings};
use dfo_service::{FoundInJournal, Journal, JournalNews, JournalSettings};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::json;

use super::log::Log;
use crate::exit::Failure;
use crate::input::Complaints;
use crate::output::count;
use crate::report::{Level, Target};

/// Where a journal is kept, and how; on the command line and in the file alike.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct JournalArgs {
    /// Keep every event and decision in this folder, and go on from there after a restart.
    #[arg(long = "journal", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Keep so much of the journal, and remove its oldest segments: bytes, or with K, M, G or T.
    /// [default: all]
    #[arg(long = "journal-keep", value_name = "SIZE", value_parser = size)]
    #[serde(deserialize_with = "size_in_file")]
    keep: Option<u64>,
    /// Begin a new segment after so much. [default: 64M]
    #[arg(long = "journal-segment", value_name = "SIZE", value_parser = size)]
    #[serde(deserialize_with = "size_in_file")]
    segment: Option<u64>,
    /// When the disk has to have it: before each plan leaves (`plan`; plans that come together go
    /// together), or every so many milliseconds. [default: plan]
    #[arg(long = "journal-sync", value_name = "WHEN", value_parser = sync)]
    #[serde(deserialize_with = "sync_in_file")]
    sync: Option<SyncPolicy>,
    /// Send no plans while the journal cannot be written. [default: go on, and say so]
    #[arg(
        long = "journal-required",
        num_args = 0,
        default_missing_value = "true"
    )]
    required: Option<bool>,
}

impl JournalArgs {
    /// What was given goes before what is in the file.
    pub(crate) fn or(self, file: JournalArgs) -> JournalArgs {
        JournalArgs {
            dir: self.dir.or(file.dir),
            keep: self.keep.or(file.keep),
            segment: self.segment.or(file.segment),
            sync: self.sync.or(file.sync),
            required: self.required.or(file.required),
        }
    }

    /// The settings, if there is to be a journal.
    pub(crate) fn settings(self, is_dry_run: bool) -> Result<Option<JournalSettings>, Failure> {
        let mut options = Options::default();
        options.keep_bytes = self.keep;
        options.segment_bytes = self.segment.unwrap_or(options.segment_bytes);
        options.sync = self.sync.unwrap_or(options.sync);
        let says_how = self.keep.or(self.segment).is_some() || self.sync.is_some();
        match self.dir {
            Some(folder) => Ok(Some(JournalSettings {
                folder,
                options,
                is_required: self.required == Some(true),
                is_dry_run,
            })),
            None if says_how || self.required == Some(true) => Err(Failure::Usage(
                "how to keep a journal is said, and not where; add --journal DIR".to_owned(),
            )),
            None => Ok(None),
        }
    }
}

/// A planner, and the journal of what it decides.
pub(crate) struct Kept {
    pub(crate) planner: Planner,
    pub(crate) journal: Option<Journal>,
    found: Option<(PathBuf, FoundInJournal)>,
}

impl Kept {
    /// Opens a journal, and the planner as it was; without one, a planner that knows nothing.
    pub(crate) fn open(
        journal: Option<JournalSettings>,
        settings: Settings,
        node: String,
        seed: u128,
    ) -> Result<Self, Failure> {
        let Some(journal) = journal else {
            let ids = dfo_planner::PlanIds::from_seed(seed);
            return Ok(Kept {
                planner: Planner::new(settings, ids).on_node(node),
                journal: None,
                found: None,
            });
        };
        let folder = journal.folder.clone();
        let opened = Journal::open(journal, &settings, Some(node), seed);
        let opened = opened.map_err(|error| Failure::CannotRead(format!("journal: {error}")));
        let (journal, planner, found) = opened?;
        Ok(Kept {
            planner,
            journal: Some(journal),
            found: Some((folder, found)),
        })
    }

    /// Tells the planner of knobs from packs and files. After a restart only of what is new: the values
    /// of the others are known better.
    pub(crate) fn bootstrap(&mut self, registration: &Registration) -> Decisions {
        let is_known = |knob: &Knob| self.planner.knobs().any(|known| known == knob);
        let is_restart = self.found.as_ref().is_some_and(|(_, f)| !f.is_new);
        if is_restart && registration.knobs.values().all(is_known) {
            return Decisions::default();
        }
        let event = Event::Bootstrap(registration);
        match &mut self.journal {
            Some(journal) => journal.decide(&mut self.planner, event),
            None => self.planner.handle(event),
        }
    }

    /// Tells what was found in the journal.
    pub(crate) fn tell(&self, log: &mut Log) {
        let Some((folder, found)) = &self.found else {
            return;
        };
        let dir = folder.display().to_string();
        let mut complaints = Complaints::default();
        for problem in &found.problems {
            let Some(text) = complaints.add(|| format!("journal {dir}: {problem}")) else {
                continue;
            };
            let fields = [
                ("segment", json!(problem.segment)),
                ("line", json!(problem.line)),
                ("problem", json!(problem.what.to_string())),
            ];
            let weight = (Target::Journal, Level::Warning);
            log.remark("optimizer.journal.problem", weight, &text, &fields);
        }
        if let Some(rest) = complaints.rest() {
            let weight = (Target::Journal, Level::Warning);
            log.remark("optimizer.journal.problem", weight, &rest, &[]);
        }
        if let Some(why) = &found.unreadable {
            let text = format!(
                "journal {dir}: who was alive and which plans are unanswered cannot be read: {why}; such \
                 plans are not sent again and expire"
            );
            let weight = (Target::Journal, Level::Warning);
            let fields = [("problem", json!(why))];
            log.remark("optimizer.journal.problem", weight, &text, &fields);
        }
        let text = match found.is_new {
            true => format!("journal {dir}: new"),
            false => {
                let cut = match found.cut_bytes {
                    0 => String::new(),
                    bytes => format!(", a torn end of {bytes} bytes cut off"),
                };
                let plans = count(found.open_plans as u64, "plan");
                let events = count(found.events, "event");
                format!(
                    "journal {dir}: goes on after {events} since its newest head{cut}; {plans} unanswered"
                )
            }
        };
        let fields = [
            ("dir", json!(dir)),
            ("is_new", json!(found.is_new)),
            ("events", json!(found.events)),
            ("cut_bytes", json!(found.cut_bytes)),
            ("open_plans", json!(found.open_plans)),
        ];
        let weight = (Target::Journal, Level::Info);
        log.remark("optimizer.journal.opened", weight, &text, &fields);
    }
}

/// Tells what becomes of a journal while the service runs.
pub(super) fn tell_news(news: &JournalNews, log: &mut Log) {
    let (event, level, text, fields) = match news {
        JournalNews::Failed { error, holds_plans } => {
            let meanwhile = match holds_plans {
                true => "no plan leaves meanwhile (--journal-required)",
                false => "plans leave meanwhile and are not in it",
            };
            (
                "optimizer.journal.failed",
                Level::Error,
                format!("the journal cannot be written: {error}; it is tried again, {meanwhile}"),
                vec![
                    ("error", json!(error.to_string())),
                    ("holds_plans", json!(holds_plans)),
                ],
            )
        }
        JournalNews::Recovered { lost } => {
            let lines = count(lost.end.saturating_sub(lost.start), "line");
            (
                "optimizer.journal.recovered",
                Level::Warning,
                format!("the journal is written again; {lines} are lost"),
                vec![("first_lost", json!(lost.start)), ("end", json!(lost.end))],
            )
        }
        JournalNews::Cut { segment, bytes } => (
            "optimizer.journal.cut",
            Level::Info,
            format!(
                "the journal's oldest segment {segment} ({bytes} bytes) was removed (--journal-keep)"
            ),
            vec![("segment", json!(segment)), ("bytes", json!(bytes))],
        ),
        JournalNews::NotCut { segment, error } => (
            "optimizer.journal.not_cut",
            Level::Warning,
            format!("the journal's oldest segment {segment} cannot be removed: {error}"),
            vec![
                ("segment", json!(segment)),
                ("error", json!(error.to_string())),
            ],
        ),
        JournalNews::NotRotated { error } => (
            "optimizer.journal.not_rotated",
            Level::Warning,
            format!("the journal's segment goes on: {error}"),
            vec![("error", json!(error.to_string()))],
        ),
        _ => return,
    };
    log.remark(event, (Target::Journal, level), &text, &fields);
}

fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected bytes, or with K, M, G or T (of 1024), found {text:?}");
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1 << 30,
        "T" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

fn sync(text: &str) -> Result<SyncPolicy, String> {
    if text == "plan" {
        return Ok(SyncPolicy::EachPlan);
    }
    let millis = text.trim_end_matches("ms").trim().parse().ok();
    match millis {
        Some(millis) if millis > 0 => Ok(SyncPolicy::Every(Duration::from_millis(millis))),
        _ => Err(format!(
            "expected `plan`, or milliseconds, more than 0, found {text:?}"
        )),
    }
}

/// In the file, a number or a text.
fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("expected a number or a text")),
    }
}

fn size_in_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = number_or_text(from)?;
    size(&text).map(Some).map_err(D::Error::custom)
}

fn sync_in_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SyncPolicy>, D::Error> {
    let text = number_or_text(from)?;
    sync(&text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("1048576"), Ok(1 << 20));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        for wrong in ["", "M", "-1", "1.5G", "3X", "99999999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn syncs_are_read() {
        assert_eq!(sync("plan"), Ok(SyncPolicy::EachPlan));
        let fifty = SyncPolicy::Every(Duration::from_millis(50));
        assert_eq!((sync("50"), sync("50ms")), (Ok(fifty), Ok(fifty)));
        for wrong in ["0", "", "never", "-1"] {
            assert!(sync(wrong).is_err(), "{wrong}");
        }
    }
}
