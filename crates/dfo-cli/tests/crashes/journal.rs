//! A journal as anyone can read it: lines of JSON in files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

/// The whole lines of a journal, heads too, in their order.
#[derive(Default)]
pub struct Journal {
    pub lines: Vec<Line>,
    /// How many segments were read, and the number of the last line in them.
    segments: usize,
    last_seq: u64,
    /// Whether lines are left out in which nothing was done.
    forgets: bool,
}

pub struct Line {
    pub text: String,
    /// Parsed, where something was done.
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
    #[track_caller]
    pub fn read(folder: &Path) -> Self {
        let mut journal = Journal::default();
        journal.read_on(folder);
        journal
    }

    /// One that leaves out events on which nothing was done: holds alone.
    pub fn of_deeds() -> Self {
        Journal {
            forgets: true,
            ..Journal::default()
        }
    }

    /// Reads the segments that are new, while no one writes. The numbers of the lines have no gap.
    #[track_caller]
    pub fn read_on(&mut self, folder: &Path) {
        if !folder.exists() {
            return;
        }
        for segment in segments(folder).iter().skip(self.segments) {
            self.segments += 1;
            let text = fs::read_to_string(segment).expect("a segment, in UTF-8");
            let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
            whole.for_each(|line| self.add(line.trim_end()));
        }
    }

    #[track_caller]
    fn add(&mut self, line: &str) {
        let has = |what: &str| line.contains(what);
        let is_head = line.starts_with("{\"dfo_journal\"");
        let seq = line
            .split_once("\"seq\":")
            .and_then(|(_, rest)| rest.split_once(','));
        let seq: u64 = seq.and_then(|(seq, _)| seq.parse().ok()).expect("a number");
        assert_eq!(seq, self.last_seq + 1, "{line:.200}");
        self.last_seq = seq;
        let kinds = [
            "{\"plan\":",
            "{\"notice\":",
            "{\"ack\":",
            "{\"registration\":",
            "\"mark\":",
        ];
        let is_deed = is_head || kinds.into_iter().any(has);
        if is_deed || !self.forgets {
            let json = match (is_head, is_deed) {
                // Its state may be large.
                (true, _) => json!({"is_start": has("\"opened\":\"start\"")}),
                (false, true) => serde_json::from_str(line).expect("JSON"),
                (false, false) => json!({"event": null}),
            };
            let text = line.to_owned();
            self.lines.push(Line { text, json });
        }
    }

    pub fn events(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|l| l.json.get("event").is_some())
    }

    /// How many starts there were.
    pub fn starts(&self) -> usize {
        self.lines
            .iter()
            .filter(|l| l.json["is_start"] == true)
            .count()
    }

    /// The plans, in the order in which they were made.
    pub fn plans(&self) -> impl Iterator<Item = &Json> {
        self.events().flat_map(|line| line.decisions("plan"))
    }

    pub fn plan_ids(&self) -> BTreeSet<String> {
        self.plans().map(|plan| text(&plan["plan_id"])).collect()
    }

    /// The plans that its acknowledgements are about, in their order.
    pub fn acks(&self) -> impl Iterator<Item = String> {
        let acks = self.events().filter_map(|l| l.json["event"].get("ack"));
        acks.map(|ack| text(&ack["plan_id"]))
    }

    /// The plans for which an acknowledgement is in it.
    pub fn acknowledged(&self) -> BTreeSet<String> {
        self.acks().collect()
    }

    /// The plans of which it says that they were not sent; or that they expired, right before the
    /// service was killed, so that it could say no more.
    pub fn unsent(&self) -> BTreeSet<String> {
        const RIGHT_BEFORE: usize = 5;
        let marks = self
            .lines
            .iter()
            .filter_map(|l| l.json["mark"].get("unsent"));
        let mut unsent: BTreeSet<String> = marks.map(|mark| text(&mark["plan_id"])).collect();
        for (at, _) in self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, l)| l.json["is_start"] == true)
        {
            for line in &self.lines[at.saturating_sub(RIGHT_BEFORE)..at] {
                let notices = line.decisions("notice");
                let expired = notices.filter(|notice| notice["notice"] == "plan_expired");
                unsent.extend(expired.map(|notice| text(&notice["plan_id"])));
            }
        }
        unsent
    }

    /// What was decided on findings and acknowledgements, with what they were: all of it that does
    /// not depend on when the service was started, and how often.
    pub fn decided(&self) -> Vec<&str> {
        let of_a_start = ["bootstrap", "registration"];
        let events = self.events();
        let events = events.filter(|l| of_a_start.iter().all(|k| !l.is_of(k)));
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

    /// Whether its event is of a kind: `bootstrap`, `ack`, …
    fn is_of(&self, kind: &str) -> bool {
        self.text.contains(&format!("\"event\":{{\"{kind}\":"))
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
