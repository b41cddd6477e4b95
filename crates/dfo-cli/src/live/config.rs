//! The configuration file of `dfo serve`: TOML, everything that a flag can say.
//!
//! Keys are the names of the flags. Paths are relative to the file. A flag goes before the
//! environment, and that before the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use dfo_planner::Settings;
use dfo_service::AckMode;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::journal::JournalArgs;
use super::levels::Levels;
use super::{metrics, serve};
use crate::args::{Format, Whose, ack_mode};
use crate::exit::Failure;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    /// The transport's name.
    pub(crate) transport: Option<String>,
    pub(crate) knobs: Vec<PathBuf>,
    pub(crate) bootstrap: Vec<String>,
    #[serde(deserialize_with = "seconds")]
    pub(crate) idle_timeout: Option<f64>,
    pub(crate) senders: Option<usize>,
    #[serde(deserialize_with = "seconds")]
    pub(crate) heartbeat: Option<f64>,
    pub(crate) plan_queue: Option<usize>,
    pub(crate) dead_letter: Option<PathBuf>,
    pub(crate) dead_letter_limit: Option<u64>,
    pub(crate) dry_run: Option<bool>,
    #[serde(deserialize_with = "acks")]
    pub(crate) acks: Option<AckMode>,
    #[serde(deserialize_with = "choice")]
    pub(crate) settings: Option<Whose>,
    pub(crate) explain: Option<bool>,
    #[serde(deserialize_with = "choice")]
    #[serde(alias = "format")]
    pub(crate) log_format: Option<Format>,
    #[serde(deserialize_with = "levels")]
    pub(crate) log_level: Option<Levels>,
    pub(crate) control_socket: Option<PathBuf>,
    #[serde(deserialize_with = "address")]
    pub(crate) metrics_address: Option<String>,
    /// The journal: its `dir`, and how it is kept.
    pub(crate) journal: JournalArgs,
    /// Options of the transport: a text, a number, a bool, or a list of them.
    options: BTreeMap<String, toml::Value>,
    /// The planner's settings, ours where they are not named.
    pub(crate) planner: Option<Settings>,
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::CannotRead(format!("{shown}: cannot read: {error}; check the path"))
        })?;
        let wrong = |error: toml::de::Error| {
            let before = text.get(..error.span().map_or(0, |span| span.start));
            let line = before.unwrap_or_default().matches('\n').count() + 1;
            let what = error.message().trim_end().replace('\n', "; ");
            Failure::Usage(format!("{shown}:{line}: {what}"))
        };
        let mut config: Config = toml::from_str(&text).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = config.knobs.iter_mut();
        let paths = paths
            .chain(&mut config.dead_letter)
            .chain(&mut config.control_socket)
            .chain(&mut config.journal.dir);
        paths.for_each(|path| *path = folder.join(&*path));
        for (name, value) in &config.options {
            texts(value).ok_or_else(|| {
                let expected = "a text, a number, a bool, or a list of them";
                Failure::Usage(format!("{shown}: options.{name}: expected {expected}"))
            })?;
        }
        Ok(config)
    }

    /// The options of the transport, as they would be given on the command line.
    pub(crate) fn options(&self) -> Vec<(String, String)> {
        let named = self.options.iter().flat_map(|(name, value)| {
            let texts = texts(value).unwrap_or_default();
            texts.into_iter().map(|text| (name.clone(), text))
        });
        named.collect()
    }
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    };
    match value {
        toml::Value::Array(values) => values.iter().map(text).collect(),
        value => Some(vec![text(value)?]),
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let seconds = f64::deserialize(from)?;
    serve::check_seconds(seconds)
        .map(Some)
        .map_err(D::Error::custom)
}

fn acks<'de, D: Deserializer<'de>>(from: D) -> Result<Option<AckMode>, D::Error> {
    let text = String::deserialize(from)?;
    ack_mode(&text).map(Some).map_err(D::Error::custom)
}

/// One of the words that the flag takes.
fn choice<'de, T: ValueEnum, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    T::from_str(&text, false).map(Some).map_err(|_| {
        let known = T::value_variants().iter().filter_map(T::to_possible_value);
        let known: Vec<_> = known.map(|v| v.get_name().to_owned()).collect();
        D::Error::custom(format!("expected {}, found {text:?}", known.join(" or ")))
    })
}

fn levels<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Levels>, D::Error> {
    let text = String::deserialize(from)?;
    Levels::read(&text).map(Some).map_err(D::Error::custom)
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    metrics::check_address(&text)
        .map(Some)
        .map_err(D::Error::custom)
}
