//! Going on after an end, in order or not.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use dfo_planner::{Decisions, PlanIds, Planner, Settings};

use crate::archive::Archive;
use crate::entry::Entry;
use crate::error::JournalError;
use crate::folder::Folder;
use crate::head::{Head, VERSION};
use crate::planner_state;
use crate::problem::{Flaw, Problem};
use crate::replay::{Replay, Step, Tally};
use crate::segment::Segment;
use crate::writer::GoOn;

/// What a service goes on with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// The folder, which this process alone writes now.
    pub folder: Folder,
    /// The planner: what the lines come to, under the settings that were asked for.
    pub planner: Planner,
    /// Where the journal goes on.
    pub go_on: GoOn,
    /// What the service wanted to find again, as the newest usable head says; `None` in a new journal.
    /// What happened since was told line by line.
    pub companion: Option<serde_json::Value>,
    /// Everything that is wrong in what was read.
    pub problems: Vec<Problem>,
    /// Bytes that were cut off the end of the newest segment: a torn line.
    pub cut_bytes: u64,
    /// What was folded.
    pub tally: Tally,
}

impl Recovered {
    /// Whether there was nothing to recover.
    pub fn is_new(&self) -> bool {
        self.companion.is_none()
    }
}

/// Something that a service folds for its own part, in this order: first the head, once or more
/// often, then the lines after it.
#[derive(Debug)]
pub enum Since<'s> {
    /// Begin with this.
    Head(&'s Head),
    /// Then this happened.
    Entry {
        /// The line.
        entry: &'s Entry<'s>,
        /// What the planner decided; `None` for a mark.
        decided: Option<&'s Decisions>,
    },
}

/// Takes a folder and finds out what the planner knew: from the newest usable head and the lines
/// after it, however long the journal is. A torn line at the end is cut off.
///
/// `seed` is for the plan ids of a journal that is new, or that has lost events; take it from the
/// operating system's source of randomness. The lines are folded under the settings that
/// they were written under; then `settings` count.
///
/// # Errors
/// The folder cannot be taken; it or its newest segment cannot be read, or is of a later version; there are segments,
/// and none of them has a usable head. Nothing has been changed then.
pub fn recover(
    folder: impl Into<PathBuf>,
    settings: &Settings,
    seed: u128,
    mut fold: impl FnMut(Since<'_>),
) -> Result<Recovered, JournalError> {
    let folder = Folder::lock(folder)?;
    let mut archive = Archive::open(folder.path())?;
    let mut problems: Vec<Problem> = archive.strangers().collect();
    let (newest, cut_bytes) = cut_torn_tail(&mut archive, &mut problems)?;
    let Some((newest, first)) = archive.newest_usable(newest) else {
        return match archive.is_empty() {
            true => Ok(Recovered {
                folder,
                planner: Planner::new(settings.clone(), PlanIds::from_seed(seed)),
                go_on: GoOn::default(),
                companion: None,
                problems,
                cut_bytes,
                tally: Tally::default(),
            }),
            false => Err(JournalError::NoHead {
                path: folder.path().to_owned(),
            }),
        };
    };

    let mut replay = Replay::going_on(seed);
    let mut go_on = GoOn::default();
    let mut companion = serde_json::Value::Null;
    let mut written_under = settings.clone();
    let mut each = |step: Step<'_>| {
        match step {
            Step::Head { head, .. } => {
                go_on.positions.clone_from(&head.positions);
                companion.clone_from(&head.companion);
                written_under.clone_from(&head.settings);
                fold(Since::Head(head));
            }
            Step::Entry { entry, decided, .. } => {
                if let Some((end, n)) = &entry.from {
                    match go_on.positions.get_mut(&**end) {
                        Some(position) => *position = *n,
                        None => {
                            go_on.positions.insert(end.to_string(), *n);
                        }
                    }
                }
                fold(Since::Entry { entry, decided });
            }
            Step::Problem(problem) => problems.push(problem.clone()),
        }
        ControlFlow::Continue(())
    };
    let _ = replay.take(&first, &mut each);
    drop(first);
    for listed in &archive.segments[newest + 1..] {
        let _ = replay.take(&Segment::read(listed), &mut each);
    }
    let outcome = replay.folded();
    let Some(planner) = outcome.planner else {
        return Err(JournalError::NoHead {
            path: folder.path().to_owned(),
        });
    };
    // Where nothing says what the last line was, at least no number of a head comes again.
    let after_heads = archive
        .segments
        .last()
        .map_or(1, |s| s.order.saturating_add(1));
    go_on.next_seq = outcome.next_seq.unwrap_or(0).max(after_heads);
    let planner = match written_under == *settings {
        true => planner,
        false => under(settings, &planner)?,
    };
    Ok(Recovered {
        folder,
        planner,
        go_on,
        companion: Some(companion),
        problems,
        cut_bytes,
        tally: outcome.tally,
    })
}

fn under(settings: &Settings, planner: &Planner) -> Result<Planner, JournalError> {
    let state = planner_state::saved(planner);
    let restored = state.and_then(|state| planner_state::restored(settings.clone(), &state));
    restored.map_err(|why| JournalError::Unwritable { why })
}

/// Cuts a torn line off the newest segment; one that has no whole line is removed. Gives the segment
/// as it is then, and how much was cut.
fn cut_torn_tail(
    archive: &mut Archive,
    problems: &mut Vec<Problem>,
) -> Result<(Option<Segment>, u64), JournalError> {
    let Some(newest) = archive.segments.last() else {
        return Ok((None, 0));
    };
    let mut segment = Segment::read(newest);
    match &segment.head {
        Err(Flaw::Version { found }) => {
            return Err(JournalError::Version {
                path: newest.path.clone(),
                found: *found,
                known: VERSION,
            });
        }
        // What is in it may be whole: better no start than one without it.
        Err(Flaw::Unreadable { why }) => {
            let error = io::Error::other(why.clone());
            return Err(JournalError::io(&newest.path, "cannot read", error));
        }
        _ => {}
    }
    let is_empty = newest.bytes == 0;
    let Some(torn_at) = segment.torn_at.or(is_empty.then_some(0)) else {
        return Ok((Some(segment), 0));
    };
    let cut = if torn_at == 0 {
        fs::remove_file(&newest.path)
    } else {
        let file = File::options().write(true).open(&newest.path);
        file.and_then(|file| file.set_len(torn_at).and_then(|()| file.sync_all()))
    };
    cut.map_err(|e| JournalError::io(&newest.path, "cannot cut off a torn line", e))?;
    let cut_bytes = newest.bytes.saturating_sub(torn_at);
    let is_torn = |problem: &mut Problem| matches!(problem.what, Flaw::Torn { .. });
    problems.extend(segment.problems.extract_if(.., is_torn));
    if torn_at == 0 {
        archive.segments.pop();
        return Ok((None, cut_bytes));
    }
    Ok((Some(segment), cut_bytes))
}
