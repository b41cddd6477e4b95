//! What the thread that writes tells.

use std::io;
use std::ops::Range;

/// Something that became of lines, told on the thread that writes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// All lines up to this one are written, but those that a [`Report::Recovered`] names as lost.
    Written {
        /// Its number.
        seq: u64,
    },
    /// All lines up to this one are durable, but those that a [`Report::Recovered`] names as lost.
    Synced {
        /// Its number.
        seq: u64,
    },
    /// The disk takes no more lines. Told once; the disk is tried again and again.
    Failed {
        /// What the operating system said.
        error: io::Error,
        /// From this line on, lines are lost or may not be durable.
        first_lost: u64,
    },
    /// The disk would take a new segment: now is the time for `rotate`.
    WantsSegment,
    /// The disk works again: a new segment has begun, with a head that needs nothing from the lines
    /// that were lost.
    Recovered {
        /// The numbers of the lines that are lost, or were not certainly made durable.
        lost: Range<u64>,
    },
    /// A segment was removed to keep within the size that was asked for.
    Cut {
        /// Its file's name.
        segment: String,
        /// Its size.
        bytes: u64,
    },
    /// A segment should have been removed and could not.
    NotCut {
        /// Its file's name.
        segment: String,
        /// What the operating system said.
        error: io::Error,
    },
}
