//! One segment in memory: its head, its good lines in order, and what is wrong with the others.

use std::fs;
use std::ops::Range;

use crate::folder::Listed;
use crate::head::{self, Head};
use crate::line::{self, Malformed};
use crate::problem::{Flaw, Problem};

/// A segment, read.
pub(crate) struct Segment {
    pub(crate) name: String,
    bytes: Vec<u8>,
    pub(crate) head: Result<Head, Flaw>,
    /// The good lines after the head, by number, each once.
    pub(crate) lines: Vec<Line>,
    /// What is wrong with single lines, in their order.
    pub(crate) problems: Vec<Problem>,
    /// Where the file could be cut: what comes after is no whole line.
    pub(crate) torn_at: Option<u64>,
    /// How many lines are damaged, the head not counted.
    pub(crate) damaged: u64,
}

/// Where a line stands.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// From 1.
    pub(crate) number: usize,
    /// How many damaged lines stand between the good one before and this one.
    pub(crate) damaged_before: u64,
    range: Range<usize>,
}

impl Segment {
    /// Reads a segment. A file that cannot be read has a flaw for its head, and no lines.
    pub(crate) fn read(listed: &Listed) -> Segment {
        let read = fs::read(&listed.path);
        let (bytes, unreadable) = match read {
            Ok(bytes) => (bytes, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let mut segment = Segment {
            name: listed.name.clone(),
            bytes,
            head: Err(Flaw::NoHead {
                why: "the file is empty".to_owned(),
            }),
            lines: Vec::new(),
            problems: Vec::new(),
            torn_at: None,
            damaged: 0,
        };
        match unreadable {
            Some(why) => segment.head = Err(Flaw::Unreadable { why }),
            None => segment.find_lines(),
        }
        segment
    }

    pub(crate) fn text(&self, line: &Line) -> &[u8] {
        &self.bytes[line.range.clone()]
    }

    fn find_lines(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut start = 0;
        let mut number = 0;
        let mut damaged_before = 0;
        while start < bytes.len() {
            number += 1;
            let rest = &bytes[start..];
            let end = memchr::memchr(b'\n', rest);
            let is_whole = end.is_some();
            let range = start..start + end.unwrap_or(rest.len());
            start = range.end + 1;
            let text = &bytes[range.clone()];
            let checked = line::check(text);
            if !is_whole && checked.is_err() {
                let torn = Flaw::Torn {
                    bytes: text.len() as u64,
                };
                self.torn_at = Some(range.start as u64);
                if number == 1 {
                    let why = "it is torn".to_owned();
                    self.head = Err(Flaw::NoHead { why });
                }
                self.flaw(number, torn);
                break;
            }
            if number == 1 && self.take_head(text, checked) {
                continue;
            }
            let flaw = match (checked, line::seq_of(text)) {
                (Ok(()), Some(seq)) => {
                    let line = Line {
                        seq,
                        number,
                        damaged_before: std::mem::take(&mut damaged_before),
                        range,
                    };
                    self.lines.push(line);
                    continue;
                }
                (Ok(()), None) => Flaw::NotUnderstood {
                    why: "it does not begin with its number".to_owned(),
                },
                (Err(Malformed::NoChecksum), _) => Flaw::NotALine,
                (Err(Malformed::WrongChecksum), _) => Flaw::Checksum,
            };
            damaged_before += 1;
            self.damaged += 1;
            self.flaw(number, flaw);
        }
        self.bytes = bytes;
        self.put_in_order();
    }

    /// The first line: whether it is the head, good or not.
    fn take_head(&mut self, text: &[u8], checked: Result<(), Malformed>) -> bool {
        let start = line::head_start(text);
        let no_head = |why: &str| Flaw::NoHead {
            why: why.to_owned(),
        };
        self.head = match (checked, start) {
            (Ok(()), Some((head::VERSION, _))) => {
                head::read(text).map_err(|why| Flaw::NoHead { why })
            }
            (Ok(()), Some((found, _))) => Err(Flaw::Version { found }),
            // A good line of another kind: the head is what is missing.
            (Ok(()), None) => {
                self.head = Err(no_head("it begins with another line"));
                return false;
            }
            (Err(Malformed::WrongChecksum), _) => Err(no_head("its checksum does not match")),
            (Err(Malformed::NoChecksum), _) => Err(no_head("it is not a line of a journal")),
        };
        true
    }

    fn put_in_order(&mut self) {
        let mut largest = self.head.as_ref().ok().map(|head| head.seq);
        let mut is_in_order = true;
        let mut flaws = Vec::new();
        for line in &self.lines {
            match largest {
                Some(largest) if line.seq <= largest => {
                    is_in_order = false;
                    if line.seq < largest {
                        flaws.push((line.number, Flaw::OutOfOrder { seq: line.seq }));
                    }
                }
                _ => largest = Some(line.seq),
            }
        }
        if is_in_order {
            return;
        }
        for (number, flaw) in flaws {
            self.flaw(number, flaw);
        }
        // Stable: of several with one number the first counts.
        self.lines.sort_by_key(|line| line.seq);
        let mut last = self.head.as_ref().ok().map(|head| head.seq);
        let mut repeated = Vec::new();
        self.lines.retain(|line| {
            let is_new = last != Some(line.seq);
            if !is_new {
                repeated.push((line.number, line.seq));
            }
            last = Some(line.seq);
            is_new
        });
        for (number, seq) in repeated {
            self.flaw(number, Flaw::Repeated { seq });
        }
        self.problems.sort_by_key(|problem| problem.line);
    }

    fn flaw(&mut self, line: usize, what: Flaw) {
        self.problems.push(Problem {
            segment: self.name.clone(),
            line: Some(line),
            what,
        });
    }
}
