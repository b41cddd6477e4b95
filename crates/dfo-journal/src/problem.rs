//! What is wrong within a journal, each with its place.

use std::fmt;

/// One thing wrong with a journal. What is good beside it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, without its folder.
    pub segment: String,
    /// Its line, from 1; `None` is the whole file, or what should stand before it.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: Flaw,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The last line ends in its middle: the process or the machine ended while it was written.
    Torn {
        /// Bytes of the piece.
        bytes: u64,
    },
    /// The checksum does not match: the line was changed after it was written.
    Checksum,
    /// Not a line of a journal: it does not end in a checksum.
    NotALine,
    /// The checksum matches, but this program makes no sense of it.
    NotUnderstood {
        /// Why.
        why: String,
    },
    /// Lines are missing before this place.
    Missing {
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
    },
    /// Lines are missing before this place, and the journal says so itself: the disk did not take them.
    NotTaken {
        /// The first number.
        first: u64,
        /// The last number.
        last: u64,
    },
    /// The number was there before; this line is passed over.
    Repeated {
        /// The number.
        seq: u64,
    },
    /// A line stands after one with a larger number; it was put back in its place.
    OutOfOrder {
        /// Its number.
        seq: u64,
    },
    /// A version that this program does not know; the segment is passed over.
    Version {
        /// The version.
        found: u64,
    },
    /// The segment has no usable head; the planner goes on from the segment before.
    NoHead {
        /// Why.
        why: String,
    },
    /// The file could not be read.
    Unreadable {
        /// Why.
        why: String,
    },
    /// It ends like a segment, and neither its name nor its text is one's; it is passed over.
    NoSegment,
    /// Other decisions come out than were written.
    DecidesOtherwise {
        /// The number of the line.
        seq: u64,
        /// The decisions as they were written.
        recorded: String,
        /// The decisions that come out now.
        now: String,
    },
    /// The head does not say what the lines before it come to.
    OtherState {
        /// The number of the head.
        seq: u64,
    },
}

impl Flaw {
    /// Whether an event may be lost by it: what is decided afterwards cannot be compared until the
    /// next head.
    pub fn loses_events(&self) -> bool {
        match self {
            Flaw::Checksum
            | Flaw::NotALine
            | Flaw::NotUnderstood { .. }
            | Flaw::Missing { .. }
            | Flaw::NotTaken { .. }
            | Flaw::Version { .. }
            | Flaw::Unreadable { .. } => true,
            // A torn line was never acted on; the others are a matter of order, or of what was decided.
            Flaw::Torn { .. }
            | Flaw::Repeated { .. }
            | Flaw::OutOfOrder { .. }
            | Flaw::NoHead { .. }
            | Flaw::NoSegment
            | Flaw::DecidesOtherwise { .. }
            | Flaw::OtherState { .. } => false,
        }
    }

    /// Whether it is no damage: a process that was killed leaves it, a full disk, another file.
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Flaw::Torn { .. } | Flaw::NotTaken { .. } | Flaw::NoSegment
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Torn { bytes } => write!(
                f,
                "the last line is torn after {bytes} bytes, as a crash leaves it; passed over"
            ),
            Flaw::Checksum => f.write_str("the checksum does not match: line passed over"),
            Flaw::NotALine => f.write_str("not a line of a journal: passed over"),
            Flaw::NotUnderstood { why } => {
                write!(f, "makes no sense to this program: {why}; line passed over")
            }
            Flaw::Missing { first, last } => {
                write!(f, "{} missing before this", numbers(*first, *last))
            }
            Flaw::NotTaken { first, last } => write!(
                f,
                "{} missing before this: the disk did not take them when they were written",
                numbers(*first, *last)
            ),
            Flaw::Repeated { seq } => write!(f, "line number {seq} is repeated: passed over"),
            Flaw::OutOfOrder { seq } => {
                write!(
                    f,
                    "line number {seq} is out of order: put back in its place"
                )
            }
            Flaw::Version { found } => write!(
                f,
                "a journal of version {found}, this program knows version {}: passed over",
                crate::VERSION
            ),
            Flaw::NoHead { why } => write!(
                f,
                "no usable head ({why}): its lines go on from the segment before"
            ),
            Flaw::Unreadable { why } => write!(f, "cannot be read: {why}"),
            Flaw::NoSegment => f.write_str("not a segment of a journal: ignored"),
            Flaw::DecidesOtherwise { seq, .. } => {
                write!(
                    f,
                    "line number {seq}: other decisions come out than were written"
                )
            }
            Flaw::OtherState { seq } => write!(
                f,
                "head number {seq} does not say what the lines before it come to"
            ),
        }
    }
}

fn numbers(first: u64, last: u64) -> String {
    match first == last {
        true => format!("line number {first} is"),
        false => format!("line numbers {first} to {last} are"),
    }
}
