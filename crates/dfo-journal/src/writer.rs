//! Appending: lines into a buffer, the buffer to a thread, the thread to the disk.
//!
//! The caller's side never waits for the disk, and loses nothing silently: [`Writer::backlog_bytes`]
//! says how far the disk is behind, so that the caller can wait; what the disk does not take is
//! [reported](Report).

mod report;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

pub use report::Report;
use thread::{Job, Scribe};

use crate::entry::{self, Mark, NewEntry};
use crate::error::JournalError;
use crate::folder::{self, Folder};
use crate::head::{self, NewHead, Opened, Positions};
use crate::storage::{Disk, Storage};

/// When lines are made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Whenever a plan waits for it ([`Wish::Durable`]); the lines of several plans in one go, where
    /// the disk is slower than they come.
    EachPlan,
    /// That long after a line was written, at the latest.
    Every(Duration),
}

/// How segments are written and kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// A new segment begins when the one before has so many bytes (and four times its head).
    pub segment_bytes: u64,
    /// The oldest segments are removed so that the rest, and one more, fits; the newest two stay.
    /// `None` keeps all.
    pub keep_bytes: Option<u64>,
    /// When lines are made durable.
    pub sync: SyncPolicy,
    /// How long after a failure the disk is tried again; doubles up to a minute.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            keep_bytes: None,
            sync: SyncPolicy::EachPlan,
            retry_after: Duration::from_millis(500),
        }
    }
}

/// What a caller of [`Writer::flush`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// That the lines are written: they outlive the process.
    Written,
    /// That they are durable: they outlive the machine's sudden end.
    Durable,
}

/// Where a journal goes on; of a new one, the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoOn {
    /// The number of the next line.
    pub next_seq: u64,
    /// How many records of each end have been taken.
    pub positions: Positions,
}

impl Default for GoOn {
    fn default() -> Self {
        GoOn {
            next_seq: 1,
            positions: Positions::new(),
        }
    }
}

/// Some batches of lines.
const FRESH_BUFFER: usize = 64 * 1024;

/// Writes a journal.
///
/// Dropping it writes and syncs what it holds, and waits for that.
#[derive(Debug)]
pub struct Writer {
    next_seq: u64,
    positions: Positions,
    buffer: Vec<u8>,
    lines_in_buffer: u64,
    segment_bytes: u64,
    head_bytes: u64,
    options: Options,
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    spare: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
    /// For as long as anything is written.
    folder: Option<Folder>,
}

/// What both sides look at.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes that were handed over and have not been written or given up.
    backlog: AtomicU64,
    /// The disk takes nothing.
    is_failing: AtomicBool,
    /// It would take a new segment.
    wants_segment: AtomicBool,
}

impl Writer {
    /// Begins a new segment in a folder, and a thread that writes. `report` is called on that thread.
    ///
    /// # Errors
    /// The segment cannot be written.
    pub fn start(
        folder: Folder,
        options: Options,
        go_on: GoOn,
        head: &NewHead<'_>,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Writer, JournalError> {
        let disk = Disk {
            folder: folder.path().to_owned(),
        };
        let mut writer = Self::start_on(Box::new(disk), &folder, options, go_on, head, report)?;
        writer.folder = Some(folder);
        Ok(writer)
    }

    pub(crate) fn start_on(
        mut storage: Box<dyn Storage>,
        folder: &Folder,
        options: Options,
        go_on: GoOn,
        head: &NewHead<'_>,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Writer, JournalError> {
        let (earlier, _) = folder::segments(folder.path())?;
        let mut next_seq = go_on.next_seq;
        while earlier
            .iter()
            .any(|segment| segment.name == folder::segment_name(next_seq))
        {
            next_seq += 1;
        }
        let line = head::write(next_seq, Opened::Start, &go_on.positions, head)?;
        let name = folder::segment_name(next_seq);
        let begun = thread::begin(&mut *storage, &name, &line);
        let file = begun.map_err(|error| {
            let path = folder.path().join(&name);
            JournalError::io(path, "cannot begin a segment", error)
        })?;

        let shared = Arc::new(Shared::default());
        let (jobs, received) = mpsc::channel();
        let (give_back, spare) = mpsc::channel();
        let ours = |segment: &folder::Listed| {
            let is_ours = segment.start.is_none_or(|(v, _)| v == head::VERSION);
            let is_named = folder::seq_in_name(&segment.name).is_some();
            (is_ours && is_named).then(|| (segment.name.clone(), segment.bytes))
        };
        let head_bytes = length(&line);
        let scribe = Scribe::new(
            storage,
            (name, file, head_bytes),
            earlier.iter().filter_map(ours).collect(),
            options.clone(),
            next_seq,
            Arc::clone(&shared),
            Box::new(report),
            give_back,
        );
        let builder = std::thread::Builder::new().name("dfo-journal".to_owned());
        let spawned = builder.spawn(move || scribe.run(&received));
        let thread = spawned.map_err(|error| {
            JournalError::io(folder.path(), "cannot start the thread that writes", error)
        })?;
        Ok(Writer {
            next_seq: next_seq + 1,
            positions: go_on.positions,
            buffer: Vec::new(),
            lines_in_buffer: 0,
            segment_bytes: head_bytes,
            head_bytes,
            options,
            shared,
            jobs: Some(jobs),
            spare,
            thread: Some(thread),
            folder: None,
        })
    }

    /// Appends an event with its decisions, and gives the number of its line. Nothing is handed to
    /// the disk before [`Writer::flush`].
    pub fn append(&mut self, entry: &NewEntry<'_>) -> u64 {
        if let Some((end, n)) = entry.from {
            match self.positions.get_mut(end) {
                Some(position) => *position = n,
                None => {
                    self.positions.insert(end.to_owned(), n);
                }
            }
        }
        self.line(|buffer, seq| entry::write_event(buffer, seq, entry))
    }

    /// Appends a mark, and gives the number of its line.
    pub fn mark(&mut self, at_ms: u64, mark: &Mark) -> u64 {
        self.line(|buffer, seq| entry::write_mark(buffer, seq, at_ms, mark))
    }

    /// Hands over what was appended. What became of it is reported.
    pub fn flush(&mut self, wish: Wish) {
        if self.buffer.is_empty() {
            if wish == Wish::Durable {
                self.send(Job::Sync);
            }
            return;
        }
        let spare = self.spare.try_recv();
        let spare = spare.unwrap_or_else(|_| Vec::with_capacity(FRESH_BUFFER));
        let bytes = std::mem::replace(&mut self.buffer, spare);
        let handed_over = length(&bytes);
        self.shared
            .backlog
            .fetch_add(handed_over, Ordering::Relaxed);
        let lines = std::mem::take(&mut self.lines_in_buffer);
        let last_seq = self.next_seq - 1;
        self.send(Job::Lines {
            bytes,
            lines,
            last_seq,
            wish,
        });
    }

    /// Bytes that are appended, and not yet written or given up. A caller that goes on while they
    /// grow fills the memory.
    pub fn backlog_bytes(&self) -> u64 {
        self.shared.backlog.load(Ordering::Relaxed) + length(&self.buffer)
    }

    /// The number of the line appended last, or of the head.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// How many records of each end have been taken.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Whether it is time for [`Writer::rotate`]: the segment is long enough, or the disk works
    /// again after a failure.
    pub fn wants_new_segment(&self) -> bool {
        let enough = self.options.segment_bytes.max(4 * self.head_bytes);
        let is_long = self.segment_bytes > enough;
        let is_failing = self.shared.is_failing.load(Ordering::Acquire);
        self.shared.wants_segment.load(Ordering::Acquire) || (is_long && !is_failing)
    }

    /// Begins a new segment with what is known now, after everything that was appended; and hands
    /// over. Gives the number of the head.
    ///
    /// # Errors
    /// The head has no form in the journal; the old segment goes on.
    pub fn rotate(&mut self, head: &NewHead<'_>) -> Result<u64, JournalError> {
        self.flush(Wish::Written);
        self.shared.wants_segment.store(false, Ordering::Release);
        let opened = match self.shared.is_failing.load(Ordering::Acquire) {
            true => Opened::Recovery,
            false => Opened::Rotation,
        };
        let seq = self.next_seq;
        let line = head::write(seq, opened, &self.positions, head)?;
        self.next_seq += 1;
        self.head_bytes = length(&line);
        self.segment_bytes = self.head_bytes;
        let handed_over = length(&line);
        self.shared
            .backlog
            .fetch_add(handed_over, Ordering::Relaxed);
        self.send(Job::Segment {
            head: line,
            seq,
            opened,
        });
        Ok(seq)
    }

    /// Writes and syncs what is appended, ends the thread, and gives the folder back. All reports have
    /// been made then.
    pub fn close(mut self) -> Option<Folder> {
        self.end();
        self.folder.take()
    }

    fn end(&mut self) {
        self.flush(Wish::Durable);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; if a report did, it has been told.
            let _ = thread.join();
        }
    }

    fn line(&mut self, write: impl FnOnce(&mut Vec<u8>, u64)) -> u64 {
        let seq = self.next_seq;
        let before = self.buffer.len();
        write(&mut self.buffer, seq);
        self.segment_bytes += length(&self.buffer[before..]);
        self.next_seq += 1;
        self.lines_in_buffer += 1;
        seq
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread is there until this sender is gone.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}
