//! Folding a journal: the planner that comes of it, and whether it decides as it did.

use std::ops::ControlFlow;

use dfo_planner::{Decisions, PlanIds, Planner};

use crate::archive::Archive;
use crate::entry::{self, Entry, Recorded};
use crate::head::{Head, Opened};
use crate::planner_state;
use crate::problem::{Flaw, Problem};
use crate::segment::{Line, Segment};

/// One step of a replay.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'s> {
    /// A segment begins, with a usable head.
    Head {
        /// The file, without its folder.
        segment: &'s str,
        /// Its head.
        head: &'s Head,
        /// Whether the planner was taken from the head, and not from the lines before it.
        is_taken_over: bool,
    },
    /// A line.
    Entry {
        /// The file, without its folder.
        segment: &'s str,
        /// Its line in the file, from 1.
        line: usize,
        /// What it holds.
        entry: &'s Entry<'s>,
        /// What the planner decides now; `None` for a mark, and where there is no planner for want of
        /// a head.
        decided: Option<&'s Decisions>,
        /// The planner after it.
        planner: Option<&'s Planner>,
    },
    /// Something is wrong.
    Problem(&'s Problem),
}

/// What a replay comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Segments with a usable head.
    pub segments: u64,
    /// Events that were decided on again.
    pub events: u64,
    /// Events that could not be decided on or compared: something before them is missing.
    pub not_compared: u64,
    /// Plans among what was decided.
    pub plans: u64,
    /// Marks of the service.
    pub marks: u64,
    /// Problems that are damage or a difference.
    pub problems: u64,
    /// Problems that are none: what a crash, a full disk or another file leaves.
    pub harmless: u64,
}

/// Folds the lines of a journal, one segment in memory at a time.
///
/// The planner begins with the first head's state. At each further head, what the lines came to is
/// compared with what the head says. Where events are lost, the planner goes on without them and
/// nothing is compared until the next head, from which it begins again.
#[derive(Debug, Default)]
pub struct Replay {
    planner: Option<Planner>,
    settings_of: Option<Head>,
    /// The number that the next line should have.
    next_seq: Option<u64>,
    /// The largest number so far.
    last_seq: Option<u64>,
    /// Something is lost since the last head.
    has_lost: bool,
    /// Where plan ids come from once events are lost, so that none is given twice.
    new_seed: Option<u128>,
    scratch: Vec<u8>,
    tally: Tally,
}

type Each<'e> = &'e mut dyn FnMut(Step<'_>) -> ControlFlow<()>;

impl Replay {
    /// A replay that has not begun.
    pub fn new() -> Self {
        Replay::default()
    }

    /// One for going on afterwards: once events are lost, the planner makes plans with ids of that
    /// seed.
    pub(crate) fn going_on(new_seed: u128) -> Self {
        Replay {
            new_seed: Some(new_seed),
            ..Replay::default()
        }
    }

    /// Replays a whole journal, from the oldest segment on, and tells each step. A step that breaks
    /// ends it early.
    pub fn run(
        mut self,
        archive: &Archive,
        mut each: impl FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Folded {
        for problem in archive.strangers() {
            if self.tell(&problem, &mut each).is_break() {
                return self.folded();
            }
        }
        for listed in &archive.segments {
            let segment = Segment::read(listed);
            if self.take(&segment, &mut each).is_break() {
                break;
            }
        }
        self.folded()
    }

    pub(crate) fn folded(self) -> Folded {
        Folded {
            planner: self.planner,
            next_seq: self.next_seq,
            tally: self.tally,
        }
    }

    /// Folds a segment.
    pub(crate) fn take(&mut self, segment: &Segment, each: Each<'_>) -> ControlFlow<()> {
        if let Some(seq) = self.is_repeated(segment) {
            let what = Flaw::Repeated { seq };
            return self.tell(&problem(segment, None, what), each);
        }
        match &segment.head {
            Ok(head) => self.take_head(segment, head, each)?,
            Err(flaw) => {
                let place = matches!(flaw, Flaw::NoHead { .. }).then_some(1);
                self.tell(&problem(segment, place, flaw.clone()), each)?;
                if flaw.loses_events() {
                    self.next_seq = None;
                    return ControlFlow::Continue(());
                }
                // The head had a number too.
                self.next_seq = self.next_seq.map(|seq| seq + 1);
            }
        }
        // Problems stand before the good lines that they come before.
        let mut problems = segment.problems.iter().peekable();
        for line in &segment.lines {
            while let Some(earlier) = problems.next_if(|p| p.line < Some(line.number)) {
                self.tell(earlier, each)?;
            }
            self.check_number(segment, line, each)?;
            self.take_line(segment, line, each)?;
        }
        for rest in problems {
            self.tell(rest, each)?;
        }
        let damaged: u64 = segment.lines.iter().map(|line| line.damaged_before).sum();
        // Damaged lines at the end had numbers as well.
        let at_end = segment.damaged - damaged;
        self.next_seq = self.next_seq.map(|seq| seq.saturating_add(at_end));
        let head = segment.head.as_ref().ok().map(|head| head.seq);
        let last = segment.lines.last().map(|line| line.seq);
        self.last_seq = self.last_seq.max(head).max(last);
        ControlFlow::Continue(())
    }

    /// A copy of what was here before has only known numbers.
    fn is_repeated(&self, segment: &Segment) -> Option<u64> {
        let head = segment.head.as_ref().ok()?;
        let last = segment.lines.last().map_or(head.seq, |line| line.seq);
        (last <= self.last_seq?).then_some(head.seq)
    }

    fn take_head(&mut self, segment: &Segment, head: &Head, each: Each<'_>) -> ControlFlow<()> {
        self.tally.segments += 1;
        if let Some(expected) = self.next_seq.filter(|expected| *expected < head.seq) {
            let (first, last) = (expected, head.seq - 1);
            let what = match head.opened {
                Opened::Recovery => Flaw::NotTaken { first, last },
                Opened::Start | Opened::Rotation => Flaw::Missing { first, last },
            };
            self.tell(&problem(segment, Some(1), what), each)?;
        }
        self.next_seq = Some(head.seq.saturating_add(1));

        let is_taken_over = match self.comes_to(head) {
            Some(true) => false,
            Some(false) => {
                let what = Flaw::OtherState { seq: head.seq };
                self.tell(&problem(segment, Some(1), what), each)?;
                true
            }
            None => true,
        };
        if is_taken_over {
            match head.planner() {
                Ok(planner) => {
                    self.planner = Some(planner);
                    self.has_lost = false;
                }
                Err(why) => {
                    let what = Flaw::NoHead { why };
                    self.tell(&problem(segment, Some(1), what), each)?;
                }
            }
        }
        self.settings_of = Some(head.clone());
        each(Step::Head {
            segment: &segment.name,
            head,
            is_taken_over,
        })
    }

    /// Whether the planner is what the head says. `None` where that cannot be told.
    fn comes_to(&mut self, head: &Head) -> Option<bool> {
        if self.has_lost {
            return None;
        }
        // A service that starts tells its planner where it runs.
        if let (Opened::Start, Some(node)) = (head.opened, &head.node) {
            self.planner = self.planner.take().map(|p| p.on_node(node));
        }
        let state = planner_state::saved(self.planner.as_ref()?).ok()?;
        let settings = &self.settings_of.as_ref()?.settings;
        if *settings == head.settings {
            return Some(state == head.state());
        }
        // Under other settings the service began with the same state, as far as they let it.
        let restored = planner_state::restored(head.settings.clone(), &state).ok()?;
        let state = planner_state::saved(&restored).ok()?;
        match state == head.state() {
            true => None,
            false => Some(false),
        }
    }

    fn check_number(&mut self, segment: &Segment, line: &Line, each: Each<'_>) -> ControlFlow<()> {
        let after_damage = self
            .next_seq
            .map(|seq| seq.saturating_add(line.damaged_before));
        self.next_seq = Some(line.seq.saturating_add(1));
        match after_damage {
            Some(expected) if expected < line.seq => {
                let (first, last) = (expected, line.seq - 1);
                let what = Flaw::Missing { first, last };
                self.tell(&problem(segment, Some(line.number), what), each)
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn take_line(&mut self, segment: &Segment, line: &Line, each: Each<'_>) -> ControlFlow<()> {
        let entry = match entry::read(segment.text(line)) {
            Ok(entry) => entry,
            Err(why) => {
                let what = Flaw::NotUnderstood { why };
                return self.tell(&problem(segment, Some(line.number), what), each);
            }
        };
        let Recorded::Event { event, decisions } = &entry.what else {
            self.tally.marks += 1;
            return each(Step::Entry {
                segment: &segment.name,
                line: line.number,
                entry: &entry,
                decided: None,
                planner: self.planner.as_ref(),
            });
        };
        let Some(planner) = &mut self.planner else {
            self.tally.not_compared += 1;
            return each(Step::Entry {
                segment: &segment.name,
                line: line.number,
                entry: &entry,
                decided: None,
                planner: None,
            });
        };
        let decided = planner.handle(event.event());
        self.tally.plans += decided.plans().count() as u64;
        let differs = match self.has_lost {
            true => {
                self.tally.not_compared += 1;
                None
            }
            false => {
                self.tally.events += 1;
                let is_worth_it = self.new_seed.is_none() || has_plans(&decided, decisions);
                let mut is_same = || {
                    let written = entry::write_decisions(&mut self.scratch, &decided);
                    written.is_ok() && self.scratch == decisions.as_bytes()
                };
                let differs = is_worth_it && !is_same();
                differs.then(|| Flaw::DecidesOtherwise {
                    seq: entry.seq,
                    recorded: (*decisions).to_owned(),
                    now: String::from_utf8_lossy(&self.scratch).into_owned(),
                })
            }
        };
        each(Step::Entry {
            segment: &segment.name,
            line: line.number,
            entry: &entry,
            decided: Some(&decided),
            planner: self.planner.as_ref(),
        })?;
        match differs {
            Some(what) => self.tell(&problem(segment, Some(line.number), what), each),
            None => ControlFlow::Continue(()),
        }
    }

    fn tell(&mut self, problem: &Problem, each: Each<'_>) -> ControlFlow<()> {
        if problem.what.loses_events() && !self.has_lost {
            self.has_lost = true;
            if let (Some(seed), Some(planner)) = (self.new_seed, &mut self.planner) {
                planner.take_plan_ids_from(PlanIds::from_seed(seed));
            }
        }
        match problem.what.is_harmless() {
            true => self.tally.harmless += 1,
            false => self.tally.problems += 1,
        }
        each(Step::Problem(problem))
    }
}

/// Whether a plan is among what was decided, now or then. To go on it is only plans that matter.
fn has_plans(decided: &Decisions, recorded: &str) -> bool {
    decided.plans().next().is_some() || recorded.contains("{\"plan\":")
}

/// What the lines of a journal came to.
#[derive(Debug)]
pub struct Folded {
    /// The planner after the last line; `None` without any usable head.
    pub planner: Option<Planner>,
    /// The number that the next line would have.
    pub next_seq: Option<u64>,
    /// What was counted.
    pub tally: Tally,
}

fn problem(segment: &Segment, line: Option<usize>, what: Flaw) -> Problem {
    Problem {
        segment: segment.name.clone(),
        line,
        what,
    }
}
