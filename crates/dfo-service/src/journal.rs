//! The journal of a running service: every event goes in before anything comes of it, and a plan
//! leaves only once its line is safe.
//!
//! What the planner knows stands in the head of each segment; what the service knows besides stands
//! there as the *companion*, and is folded from the lines after it.

mod companion;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfo_journal::{
    JournalError, Mark, NewEntry, NewHead, Options, Positions, Problem, Report, SyncPolicy, Wish,
    Writer, recover,
};
use dfo_model::ActionPlan;
use dfo_planner::{Decisions, Event, PlanIds, Planner, Settings};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) use companion::{Companion, KnownApplication, KnownApplications, OpenPlan};

use crate::remote::JournalStatus;

/// Where a journal is, and how it is kept.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Its folder; made where there is none.
    pub folder: PathBuf,
    /// How segments are written and kept.
    pub options: Options,
    /// While it cannot be written no plan leaves.
    pub is_required: bool,
    /// It is of a dry run: what was applied there was applied nowhere. Neither goes on with the other's.
    pub is_dry_run: bool,
}

/// What was found when a journal was opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundInJournal {
    /// Whether there was nothing yet.
    pub is_new: bool,
    /// Events since the newest head that were folded.
    pub events: u64,
    /// Bytes of a torn line that were cut off.
    pub cut_bytes: u64,
    /// What is wrong in what was read.
    pub problems: Vec<Problem>,
    /// Plans that await their acknowledgement: they are sent again.
    pub open_plans: usize,
    /// Why it is not known which plans nobody has answered, and which applications lived, if it is not.
    pub unreadable: Option<String>,
}

/// The journal of a service.
#[derive(Debug)]
pub struct Journal {
    writer: Writer,
    reports: mpsc::UnboundedReceiver<Report>,
    is_required: bool,
    sync: SyncPolicy,
    settings: Settings,
    node: Option<String>,
    held: Held,
    /// Whether a line that a plan waits for has not been handed over.
    wants_flush: Option<Wish>,
    /// The newest line handed over at a time, until the disk has it. Lines of about the same time are
    /// together.
    unsynced: VecDeque<(u64, Instant)>,
    safe_seq: u64,
    /// The newest line when everything was handed over at the end.
    finished_seq: u64,
    status: JournalStatus,
    /// For plan ids, once lines are lost.
    spare_seed: u128,
    /// What was known at the start besides the planner.
    pub(crate) companion: Companion,
}

/// Plans whose lines are not safe yet. There may be many, while the disk takes nothing.
#[derive(Debug, Default)]
struct Held {
    /// In the order of making: the line and the plan.
    plans: BTreeMap<u64, (u64, ActionPlan)>,
    numbers: HashMap<String, u64, foldhash::fast::RandomState>,
    made: u64,
}

impl Held {
    fn push(&mut self, line: u64, plan: ActionPlan) {
        self.made += 1;
        self.numbers.insert(plan.plan_id.clone(), self.made);
        self.plans.insert(self.made, (line, plan));
    }

    /// The line of the plan that was made first.
    fn first(&self) -> Option<u64> {
        self.plans.first_key_value().map(|(_, (line, _))| *line)
    }

    fn pop(&mut self) -> Option<ActionPlan> {
        let (_, (_, plan)) = self.plans.pop_first()?;
        self.numbers.remove(&plan.plan_id);
        Some(plan)
    }

    /// Takes a plan out. Whether it was there.
    fn remove(&mut self, plan_id: &str) -> bool {
        let number = self.numbers.remove(plan_id);
        number.is_some_and(|number| self.plans.remove(&number).is_some())
    }
}

/// Something that a journal has to tell.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalNews {
    /// It cannot be written.
    Failed {
        /// Why.
        error: std::io::Error,
        /// Whether plans wait until it can be.
        holds_plans: bool,
    },
    /// It can be written again.
    Recovered {
        /// The numbers of the lines that are not in it.
        lost: Range<u64>,
    },
    /// A segment was removed to keep within its size.
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
        /// Why.
        error: std::io::Error,
    },
    /// A new segment could not begin.
    NotRotated {
        /// Why.
        error: JournalError,
    },
}

/// Lines that no plan waits for reach the disk after so long, and the second until it is noticed.
const OLD: Duration = Duration::from_secs(1);

/// Findings wait while more than so many bytes wait for the disk.
const MOST_BACKLOG: u64 = 64 << 20;

/// So exactly it is known since when lines wait for the disk.
const TOGETHER: Duration = Duration::from_millis(10);

impl Journal {
    /// Opens a journal, and the planner as it was when the journal ended; in a new one, a planner that
    /// knows nothing, whose plan ids come from `seed`.
    ///
    /// # Errors
    /// The folder cannot be read or written, or is in use; its newest segment is of a later version; or
    /// it is of a dry run, and this is none, or the other way round.
    pub fn open(
        settings: JournalSettings,
        planner: &Settings,
        node: Option<String>,
        seed: u128,
    ) -> Result<(Journal, Planner, FoundInJournal), JournalError> {
        let JournalSettings {
            folder,
            options,
            is_required,
            is_dry_run,
        } = settings;
        let mut companion = Companion::default();
        let recovered = recover(folder, planner, seed, |since| companion.fold(&since))?;
        if !recovered.is_new() && companion.is_dry_run != is_dry_run {
            return Err(JournalError::OtherMode {
                path: recovered.folder.path().to_owned(),
                why: match is_dry_run {
                    false => "the journal of a dry run, in which no plan left and all were applied",
                    true => "the journal of a service that sent its plans, and this is a dry run",
                },
            });
        }
        companion.is_dry_run = is_dry_run;
        let unreadable = companion.unreadable.take();
        let mut found = FoundInJournal {
            is_new: recovered.is_new(),
            events: recovered.tally.events,
            cut_bytes: recovered.cut_bytes,
            problems: recovered.problems,
            open_plans: 0,
            unreadable,
        };
        let mut of_node = recovered.planner;
        if let Some(node) = &node {
            of_node = of_node.on_node(node);
        }
        companion.keep_open_plans(&of_node);
        found.open_plans = companion.open_plans.len();
        let (sender, reports) = mpsc::unbounded_channel();
        let sync = options.sync;
        let saved = companion.saved();
        let head = NewHead {
            at_ms: now_ms(),
            node: node.as_deref(),
            settings: planner,
            planner: &of_node,
            companion: &saved,
        };
        // Where no one listens any more, no one wants to know.
        let report = move |report| drop(sender.send(report));
        let writer = Writer::start(recovered.folder, options, recovered.go_on, &head, report)?;
        let safe_seq = writer.last_seq();
        let journal = Journal {
            writer,
            reports,
            is_required,
            sync,
            settings: planner.clone(),
            node,
            held: Held::default(),
            spare_seed: seed,
            wants_flush: None,
            unsynced: VecDeque::new(),
            safe_seq,
            finished_seq: safe_seq,
            status: JournalStatus {
                is_required,
                written_seq: safe_seq,
                synced_seq: safe_seq,
                ..JournalStatus::default()
            },
            companion,
        };
        Ok((journal, of_node, found))
    }

    /// Has a planner decide on an event before the service runs (a bootstrap), and takes it down.
    pub fn decide(&mut self, planner: &mut Planner, event: Event<'_>) -> Decisions {
        let decisions = planner.handle(event);
        self.append(now_ms(), None, event, &decisions);
        decisions
    }

    /// How many records of each end had been taken.
    pub(crate) fn positions(&self) -> &Positions {
        self.writer.positions()
    }

    /// Takes an event down, with what was decided on it. Its plans are held.
    pub(crate) fn append(
        &mut self,
        at_ms: u64,
        from: Option<(&str, u64)>,
        event: Event<'_>,
        decisions: &Decisions,
    ) {
        let mut view = None;
        if let Event::Finding(finding) = event {
            view = finding.view_type.as_deref();
            self.companion.last_finding = match self.companion.last_finding.take() {
                // The text is mostly the same, and is not copied then.
                Some((_, last)) if last.as_deref() == view => Some((finding.window_index, last)),
                _ => Some((finding.window_index, view.map(str::to_owned))),
            };
        }
        let entry = NewEntry {
            at_ms,
            from,
            event,
            decisions,
        };
        let seq = self.writer.append(&entry);
        self.companion.open_plans.note(decisions, view);
        // What an operator has frozen stays frozen, whatever happens; while it does, no plan comes
        // that would take the line along to the disk.
        let mut wish = match event {
            Event::Command(_) => Wish::Durable,
            _ => Wish::Written,
        };
        for plan in decisions.plans() {
            self.held.push(seq, plan.clone());
            if self.sync == SyncPolicy::EachPlan {
                wish = Wish::Durable;
            }
        }
        self.wants_flush = self.wants_flush.max(Some(wish));
    }

    /// Takes down what the planner has no part in.
    pub(crate) fn mark(&mut self, at_ms: u64, mark: &Mark) {
        if let Mark::Unsent { plan_id, .. } = mark {
            self.companion.open_plans.remove(plan_id);
        }
        self.writer.mark(at_ms, mark);
        self.wants_flush = self.wants_flush.max(Some(Wish::Written));
    }

    /// Takes a plan out that is open no longer. Whether it was still held.
    pub(crate) fn withdraw(&mut self, plan_id: &str) -> bool {
        self.held.remove(plan_id)
    }

    /// Plans that wait for their lines to be safe.
    pub(crate) fn held(&self) -> usize {
        self.held.plans.len()
    }

    /// Hands over what was taken down.
    pub(crate) fn flush(&mut self, now: Instant) {
        if let Some(wish) = self.wants_flush.take() {
            self.writer.flush(wish);
            self.note_unsynced(self.writer.last_seq(), now);
        }
    }

    fn note_unsynced(&mut self, seq: u64, now: Instant) {
        // While the disk takes nothing, all that matters is since when.
        let is_failing = self.status.failed.is_some();
        match self.unsynced.back_mut() {
            Some((line, since)) if is_failing || now - *since < TOGETHER => *line = seq,
            _ => self.unsynced.push_back((seq, now)),
        }
    }

    /// Has the disk take what it has not had for a second, though no plan waits for it.
    pub(crate) fn sync_what_is_old(&mut self, now: Instant) {
        let oldest = self.unsynced.front();
        let is_old = oldest.is_some_and(|(_, since)| now - *since >= OLD);
        if is_old && self.sync == SyncPolicy::EachPlan {
            self.writer.flush(Wish::Durable);
        }
    }

    /// Whether it is time for [`Journal::rotate`].
    pub(crate) fn wants_new_segment(&self) -> bool {
        self.writer.wants_new_segment()
    }

    /// Begins a new segment with what is known now.
    pub(crate) fn rotate(
        &mut self,
        planner: &Planner,
        applications: KnownApplications,
    ) -> Option<JournalNews> {
        self.companion.applications = applications;
        let companion = self.companion.saved();
        let head = NewHead {
            at_ms: now_ms(),
            node: self.node.as_deref(),
            settings: &self.settings,
            planner,
            companion: &companion,
        };
        let rotated = self.writer.rotate(&head);
        rotated.err().map(|error| JournalNews::NotRotated { error })
    }

    /// Whether the disk is so far behind that events should wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.writer.backlog_bytes() > MOST_BACKLOG
    }

    /// What the thread that writes has to tell next. Cancel-safe.
    pub(crate) async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // The thread has ended; there is nothing more to tell.
            None => std::future::pending().await,
        }
    }

    /// Takes a report; what is news for others.
    pub(crate) fn take(&mut self, report: Report) -> Option<JournalNews> {
        match report {
            Report::Written { seq } => {
                self.status.written_seq = seq;
                if !matches!(self.sync, SyncPolicy::EachPlan) {
                    self.safe_seq = self.safe_seq.max(seq);
                }
                None
            }
            Report::Synced { seq } => {
                self.status.synced_seq = seq;
                self.safe_seq = self.safe_seq.max(seq);
                while self.unsynced.front().is_some_and(|(line, _)| *line <= seq) {
                    self.unsynced.pop_front();
                }
                None
            }
            Report::Failed { error, .. } => {
                self.status.failed = Some(error.to_string());
                self.status.failures += 1;
                Some(JournalNews::Failed {
                    error,
                    holds_plans: self.is_required,
                })
            }
            Report::Recovered { lost } => {
                self.status.failed = None;
                self.status.lost_lines += lost.end.saturating_sub(lost.start);
                Some(JournalNews::Recovered { lost })
            }
            Report::Cut { segment, bytes } => {
                self.status.segments_cut += 1;
                Some(JournalNews::Cut { segment, bytes })
            }
            Report::NotCut { segment, error } => Some(JournalNews::NotCut { segment, error }),
            // The loop asks `wants_new_segment` after every report.
            _ => None,
        }
    }

    /// A plan whose line was lost, and that therefore does not leave: its id may be given again after a
    /// restart. None where plans wait for the disk.
    pub(crate) fn next_lost(&mut self) -> Option<ActionPlan> {
        match self.is_required {
            true => None,
            false => self.held.pop(),
        }
    }

    /// Ids that nothing in the journal leads to again: for plans that leave without a line.
    pub(crate) fn other_plan_ids(&mut self) -> PlanIds {
        // Another number each time, and as far from a random one as random ones are.
        const FAR: u128 = 0x5851_F42D_4C95_7F2D_1405_7B7E_F767_814F;
        self.spare_seed = self.spare_seed.rotate_left(41).wrapping_mul(FAR) ^ FAR;
        PlanIds::from_seed(self.spare_seed)
    }

    /// The next plan whose line the disk has.
    pub(crate) fn next_safe(&mut self) -> Option<ActionPlan> {
        let is_safe = self.held.first()? <= self.safe_seq;
        is_safe.then(|| self.held.pop())?
    }

    /// The next plan that may leave.
    pub(crate) fn next_free(&mut self) -> Option<ActionPlan> {
        match self.status.failed.is_some() && !self.is_required {
            true => self.held.pop(),
            false => self.next_safe(),
        }
    }

    /// Whether everything that was there at [`Journal::finish`] is safe, or never will be. What came
    /// after is no event, and no plan waits for it.
    pub(crate) fn is_settled(&self) -> bool {
        self.status.failed.is_some() || self.status.synced_seq >= self.finished_seq
    }

    /// Hands over all, to be made durable.
    pub(crate) fn finish(&mut self) {
        self.writer.flush(Wish::Durable);
        self.wants_flush = None;
        self.finished_seq = self.writer.last_seq();
    }

    /// How it is.
    pub(crate) fn status(&self, now: Instant) -> JournalStatus {
        let oldest = self.unsynced.front();
        JournalStatus {
            appended_seq: self.writer.last_seq(),
            backlog_bytes: self.writer.backlog_bytes(),
            oldest_unsynced_s: oldest.map_or(0.0, |(_, since)| (now - *since).as_secs_f64()),
            ..self.status.clone()
        }
    }
}

/// Wall time, for the people who read a journal.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use tempfile::TempDir;

    use super::*;

    /// A new journal, and the folder that it is in.
    fn opened(is_required: bool) -> (TempDir, Journal, Planner) {
        let folder = TempDir::new().unwrap();
        let settings = JournalSettings {
            folder: folder.path().join("journal"),
            options: Options::default(),
            is_required,
            is_dry_run: false,
        };
        let opened = Journal::open(settings, &Settings::default(), None, 1);
        let (journal, planner, _) = opened.unwrap();
        (folder, journal, planner)
    }

    #[tokio::test]
    async fn a_command_is_made_durable_though_it_makes_no_plan() {
        let (_folder, mut journal, mut planner) = opened(false);
        let freeze = dfo_planner::Command::Freeze { knob: None };
        journal.decide(&mut planner, Event::Command(&freeze));
        journal.flush(Instant::now());
        let frozen = journal.writer.last_seq();
        let durable = async {
            while journal.status.synced_seq < frozen {
                let report = journal.report().await;
                journal.take(report);
            }
        };
        let in_time = tokio::time::timeout(Duration::from_mins(1), durable);
        in_time.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_marked_while_plans_leave_at_the_end_is_not_waited_for() {
        let (_folder, mut journal, _) = opened(false);
        let mark = || Mark::Stopped {
            reason: String::new(),
        };
        journal.mark(0, &mark());
        journal.finish();
        assert!(!journal.is_settled());
        let settled = async {
            while !journal.is_settled() {
                let report = journal.report().await;
                journal.take(report);
            }
        };
        let in_time = tokio::time::timeout(Duration::from_mins(1), settled);
        in_time.await.unwrap();
        // Nobody has this made durable.
        journal.mark(0, &mark());
        journal.flush(Instant::now());
        assert!(journal.is_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_disk_takes_nothing_the_lag_takes_no_memory() {
        let (_folder, mut journal, _) = opened(true);
        let begun = Instant::now();
        let line = |journal: &mut Journal, after: Duration| {
            let reason = String::new();
            journal.mark(0, &Mark::Stopped { reason });
            journal.flush(begun + after);
        };
        for millis in 0..10 {
            line(&mut journal, Duration::from_millis(millis));
        }
        assert_eq!(journal.unsynced.len(), 1, "lines of about the same time");
        let error = io::Error::other("full");
        let first_lost = 1;
        journal.take(Report::Failed { error, first_lost });
        for second in 1..1000 {
            line(&mut journal, Duration::from_secs(second));
        }
        assert_eq!(journal.unsynced.len(), 1);
        let lag = journal.status(begun + Duration::from_secs(1000));
        assert!(lag.oldest_unsynced_s >= 999.0);
        let seq = journal.writer.last_seq();
        journal.take(Report::Synced { seq });
        assert!(journal.unsynced.is_empty());
    }
}
