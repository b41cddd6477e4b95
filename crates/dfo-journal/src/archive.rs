//! A journal for reading: its segments in order.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dfo_planner::Planner;

use crate::error::JournalError;
use crate::folder::{self, Listed};
use crate::problem::{Flaw, Problem};
use crate::replay::{Replay, Step};
use crate::segment::Segment;

/// A journal that is read, and not written to. It may be in use.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    pub(crate) segments: Vec<Listed>,
    others: Vec<String>,
}

impl Archive {
    /// Looks which segments there are. A folder without any is an empty journal.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Archive, JournalError> {
        let folder = folder.into();
        let (segments, others) = folder::segments(&folder)?;
        Ok(Archive {
            folder,
            segments,
            others,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The sizes of all segments together.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether there is no segment at all.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The planner at the end, found from the newest usable head; `None` where there is none.
    pub fn newest_planner(&self) -> Option<Planner> {
        let (newest, first) = self.newest_usable(None)?;
        let mut replay = Replay::new();
        let mut each = |_: Step<'_>| ControlFlow::Continue(());
        // Nothing breaks it.
        let _ = replay.take(&first, &mut each);
        for listed in &self.segments[newest + 1..] {
            let _ = replay.take(&Segment::read(listed), &mut each);
        }
        replay.folded().planner
    }

    /// The files that end like a segment and are none.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = Problem> {
        self.others.iter().map(|name| Problem {
            segment: name.clone(),
            line: None,
            what: Flaw::NoSegment,
        })
    }

    /// The newest segment that has a usable head, and its place. `newest` is the very newest, where it
    /// has been read.
    pub(crate) fn newest_usable(&self, newest: Option<Segment>) -> Option<(usize, Segment)> {
        let last = self.segments.len().checked_sub(1)?;
        let earlier = match newest {
            Some(segment) if segment.head.is_ok() => return Some((last, segment)),
            Some(_) => last,
            None => self.segments.len(),
        };
        let newest_first = self.segments[..earlier].iter().enumerate().rev();
        newest_first
            .map(|(i, listed)| (i, Segment::read(listed)))
            .find(|(_, segment)| segment.head.is_ok())
    }
}
