//! A journal as anyone can read it: lines of JSON in files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// All whole lines of a journal, heads too, in their order.
pub struct Journal {
    pub lines: Vec<Line>,
}

pub struct Line {
    pub text: String,
    pub json: Json,
}

/// The segments of a journal, oldest first.
pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the journal is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    paths.sort();
    paths
}

/// How many bytes it has; none where it is not there yet.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.metadata().ok())
        .map(|about| about.len())
        .sum()
}

impl Journal {
    /// Reads it as it is; a torn line at the end of a segment is left out.
    pub fn read(folder: &Path) -> Self {
        let mut lines = Vec::new();
        for segment in segments(folder) {
            let bytes = fs::read(&segment).expect("a segment");
            let whole = bytes
                .split_inclusive(|b| *b == b'\n')
                .filter(|l| l.ends_with(b"\n"));
            for line in whole {
                let text = String::from_utf8(line.trim_ascii().to_vec()).expect("UTF-8");
                let json = serde_json::from_str(&text).expect("JSON");
                lines.push(Line { text, json });
            }
        }
        Journal { lines }
    }

    /// The numbers of its lines have no gap.
    #[track_caller]
    pub fn is_without_gap(&self) {
        let seqs = self
            .lines
            .iter()
            .map(|l| l.json["seq"].as_u64().expect("a number"));
        for (expected, seq) in (1..).zip(seqs) {
            assert_eq!(seq, expected);
        }
    }

    pub fn events(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|l| l.json.get("event").is_some())
    }

    /// How many starts there were.
    pub fn starts(&self) -> usize {
        self.lines
            .iter()
            .filter(|l| l.json["opened"] == "start")
            .count()
    }

    /// The plans, in the order in which they were made.
    pub fn plans(&self) -> impl Iterator<Item = &Json> {
        self.events().flat_map(|line| line.decisions("plan"))
    }

    pub fn plan_ids(&self) -> BTreeSet<String> {
        self.plans().map(|plan| text(&plan["plan_id"])).collect()
    }

    /// The plans for which an acknowledgement is in it.
    pub fn acknowledged(&self) -> BTreeSet<String> {
        let acks = self.events().filter_map(|l| l.json["event"].get("ack"));
        acks.map(|ack| text(&ack["plan_id"])).collect()
    }

    /// The plans of which it says that they expired, or were not sent.
    pub fn given_up(&self) -> BTreeSet<String> {
        let notices = self.events().flat_map(|line| line.decisions("notice"));
        let expired = notices.filter(|notice| notice["notice"] == "plan_expired");
        let marks = self
            .lines
            .iter()
            .filter_map(|l| l.json["mark"].get("unsent"));
        expired
            .chain(marks)
            .map(|of| text(&of["plan_id"]))
            .collect()
    }

    /// What was decided on findings and acknowledgements, with what they were: all of it that does
    /// not depend on when the service was started, and how often.
    pub fn decided(&self) -> Vec<&str> {
        let of_a_start = ["bootstrap", "registration"];
        let events = self.events();
        let events = events.filter(|l| of_a_start.iter().all(|k| l.json["event"].get(k).is_none()));
        events.map(Line::decided).collect()
    }

    /// A knob has never two plans pending, and rests so many windows between them.
    #[track_caller]
    pub fn gates_hold(&self, cooldown_windows: i64) {
        let mut pending: BTreeMap<String, String> = BTreeMap::new();
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        for line in self.events() {
            if let Some(ack) = line.json["event"].get("ack") {
                pending.retain(|_, id| *id != text(&ack["plan_id"]));
            }
            for notice in line.decisions("notice") {
                if notice["notice"] == "plan_expired" {
                    pending.retain(|_, id| *id != text(&notice["plan_id"]));
                }
            }
            for plan in line.decisions("plan") {
                let key = format!("{} {}", plan["knob_id"], plan["target_nodes"]);
                let window = plan["window_index"].as_i64().expect("a window");
                let open = pending.insert(key.clone(), text(&plan["plan_id"]));
                assert_eq!(open, None, "{key} was pending: {}", line.text);
                if let Some(before) = last.insert(key.clone(), window) {
                    let rested = window - before;
                    assert!(
                        rested >= cooldown_windows,
                        "{key} after {rested}: {}",
                        line.text
                    );
                }
            }
        }
    }
}

impl Line {
    /// Its decisions of a kind: `plan`, `hold`, `notice`.
    pub fn decisions<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Json> {
        let decisions = self.json["decisions"].as_array().into_iter().flatten();
        decisions.filter_map(move |decision| decision.get(kind))
    }

    /// The event and what was decided, byte for byte.
    fn decided(&self) -> &str {
        let begin = self.text.find("\"event\":").expect("an event");
        let end = self.text.rfind(",\"crc\"").expect("a checksum");
        &self.text[begin..end]
    }
}

fn text(value: &Json) -> String {
    value.as_str().expect("a text").to_owned()
}
