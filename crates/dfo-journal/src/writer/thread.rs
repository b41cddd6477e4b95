//! The thread that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::{Options, Report, Shared, SyncPolicy, Wish};
use crate::folder;
use crate::head::Opened;
use crate::storage::{SegmentFile, Storage};

/// What the thread is to do, in this order.
#[derive(Debug)]
pub(super) enum Job {
    Lines {
        bytes: Vec<u8>,
        lines: u64,
        last_seq: u64,
        wish: Wish,
    },
    Segment {
        head: Vec<u8>,
        seq: u64,
        opened: Opened,
    },
    Sync,
}

/// Writes; owned by its thread.
pub(super) struct Scribe {
    storage: Box<dyn Storage>,
    open: Option<Open>,
    /// The earlier segments, oldest first, with their sizes.
    earlier: Vec<(String, u64)>,
    options: Options,
    shared: Arc<Shared>,
    report: Box<dyn Fn(Report) + Send>,
    give_back: Sender<Vec<u8>>,
    written_seq: u64,
    synced_seq: u64,
    told_written: u64,
    /// Since when a line waits to be made durable.
    unsynced_since: Option<Instant>,
    failing: Option<Failing>,
    head_bytes: u64,
}

/// The segment that is being written.
struct Open {
    name: String,
    file: Box<dyn SegmentFile>,
    /// Its whole lines.
    bytes: u64,
}

struct Failing {
    first_lost: u64,
    try_at: Instant,
    pause: Duration,
}

const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// What is gathered before it is reported.
const MOST_JOBS: usize = 64;

/// A new segment, durable with its name.
pub(super) fn begin(
    storage: &mut dyn Storage,
    name: &str,
    head: &[u8],
) -> io::Result<Box<dyn SegmentFile>> {
    let mut file = storage.create(name)?;
    let begun = write_all(&mut *file, head)
        .map_err(|(_, error)| error)
        .and_then(|()| file.sync())
        .and_then(|()| storage.sync_folder());
    match begun {
        Ok(()) => Ok(file),
        Err(error) => {
            // Half a head is of no use; where it stays, readers pass it over.
            let _ = storage.remove(name);
            Err(error)
        }
    }
}

impl Scribe {
    #[expect(clippy::too_many_arguments, reason = "all that the thread takes over")]
    pub(super) fn new(
        storage: Box<dyn Storage>,
        (name, file, bytes): (String, Box<dyn SegmentFile>, u64),
        earlier: Vec<(String, u64)>,
        options: Options,
        seq: u64,
        shared: Arc<Shared>,
        report: Box<dyn Fn(Report) + Send>,
        give_back: Sender<Vec<u8>>,
    ) -> Self {
        Scribe {
            storage,
            open: Some(Open { name, file, bytes }),
            earlier,
            options,
            shared,
            report,
            give_back,
            written_seq: seq,
            synced_seq: seq,
            told_written: seq,
            unsynced_since: None,
            failing: None,
            head_bytes: bytes,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        self.cut();
        loop {
            let next = match self.deadline() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let mut wish = Wish::Written;
            match next {
                Ok(first) => {
                    for job in std::iter::once(first).chain(jobs.try_iter().take(MOST_JOBS)) {
                        wish = wish.max(self.take(job));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tell_written();
            if wish == Wish::Durable || self.is_sync_due() {
                self.sync();
            }
            self.probe();
        }
        self.sync();
    }

    /// When there is something to do without a job.
    fn deadline(&self) -> Option<Instant> {
        if let Some(failing) = &self.failing {
            let waits = self.shared.wants_segment.load(Ordering::Acquire);
            return (!waits).then_some(failing.try_at);
        }
        match self.options.sync {
            SyncPolicy::EachPlan => None,
            SyncPolicy::Every(pause) => self.unsynced_since.map(|since| since + pause),
        }
    }

    fn is_sync_due(&self) -> bool {
        self.failing.is_none() && self.deadline().is_some_and(|at| at <= Instant::now())
    }

    /// What the policy makes of the caller's wish.
    fn take(&mut self, job: Job) -> Wish {
        match job {
            Job::Lines {
                bytes,
                lines,
                last_seq,
                wish,
            } => {
                self.write(&bytes, lines, last_seq);
                self.done_with(bytes);
                match self.options.sync {
                    SyncPolicy::EachPlan => wish,
                    SyncPolicy::Every(_) => Wish::Written,
                }
            }
            Job::Segment { head, seq, opened } => {
                self.begin_segment(&head, seq, opened);
                self.done_with(head);
                Wish::Written
            }
            Job::Sync => Wish::Durable,
        }
    }

    fn done_with(&mut self, mut bytes: Vec<u8>) {
        let length = bytes.len() as u64;
        self.shared.backlog.fetch_sub(length, Ordering::Relaxed);
        bytes.clear();
        // Nobody waits for it at the end.
        let _ = self.give_back.send(bytes);
    }

    fn write(&mut self, bytes: &[u8], lines: u64, last_seq: u64) {
        let Some(open) = &mut self.open else {
            return;
        };
        match write_all(&mut *open.file, bytes) {
            Ok(()) => {
                open.bytes += bytes.len() as u64;
                self.written_seq = last_seq;
                self.unsynced_since.get_or_insert_with(Instant::now);
            }
            Err((written, error)) => {
                // Lines that are there as a whole stay; the torn piece goes.
                let whole = memchr::memrchr(b'\n', &bytes[..written]);
                let whole = &bytes[..whole.map_or(0, |at| at + 1)];
                let whole_lines = memchr::memchr_iter(b'\n', whole).count() as u64;
                open.bytes += whole.len() as u64;
                // Where it cannot go, readers name it.
                let _ = open.file.truncate(open.bytes);
                self.written_seq = last_seq - lines + whole_lines;
                self.tell_written();
                self.sync();
                self.fail(error);
            }
        }
    }

    fn begin_segment(&mut self, head: &[u8], seq: u64, opened: Opened) {
        if self.failing.is_some() && opened != Opened::Recovery {
            // It says that nothing is missing before it, which is no longer so.
            return;
        }
        self.tell_written();
        self.sync();
        let name = folder::segment_name(seq);
        match begin(&mut *self.storage, &name, head) {
            Ok(file) => {
                let bytes = head.len() as u64;
                let before = self.open.replace(Open { name, file, bytes });
                if let Some(before) = before {
                    self.earlier.push((before.name, before.bytes));
                }
                self.head_bytes = bytes;
                if let Some(failing) = self.failing.take() {
                    self.shared.is_failing.store(false, Ordering::Release);
                    let lost = failing.first_lost..seq;
                    (self.report)(Report::Recovered { lost });
                }
                self.written_seq = seq;
                self.synced_seq = seq;
                self.unsynced_since = None;
                self.tell_written();
                (self.report)(Report::Synced { seq });
                self.cut();
            }
            Err(error) => self.fail(error),
        }
    }

    fn sync(&mut self) {
        if self.synced_seq == self.written_seq {
            return;
        }
        let Some(open) = &mut self.open else {
            return;
        };
        match open.file.sync() {
            Ok(()) => {
                self.synced_seq = self.written_seq;
                self.unsynced_since = None;
                let seq = self.synced_seq;
                (self.report)(Report::Synced { seq });
            }
            // What a disk could not make durable once, a second try may only seem to.
            Err(error) => self.fail(error),
        }
    }

    /// From now on lines are lost, until a new segment begins.
    fn fail(&mut self, error: io::Error) {
        if let Some(open) = self.open.take() {
            self.earlier.push((open.name, open.bytes));
        }
        self.unsynced_since = None;
        let now = Instant::now();
        if let Some(failing) = &mut self.failing {
            failing.pause = (failing.pause * 2).min(LONGEST_PAUSE);
            failing.try_at = now + failing.pause;
            return;
        }
        let first_lost = self.synced_seq.min(self.written_seq) + 1;
        let pause = self.options.retry_after;
        self.failing = Some(Failing {
            first_lost,
            try_at: now + pause,
            pause,
        });
        self.shared.is_failing.store(true, Ordering::Release);
        (self.report)(Report::Failed { error, first_lost });
    }

    /// While the disk takes nothing: would it again?
    fn probe(&mut self) {
        let Some(failing) = &mut self.failing else {
            return;
        };
        let waits = self.shared.wants_segment.load(Ordering::Acquire);
        if waits || failing.try_at > Instant::now() {
            return;
        }
        // A head, and some lines.
        let bytes = usize::try_from(self.head_bytes).unwrap_or(usize::MAX);
        match self.storage.probe(bytes.saturating_add(64 * 1024)) {
            Ok(()) => {
                // If the head does not come, or does not fit after all, the next try is later.
                failing.try_at = Instant::now() + failing.pause;
                self.shared.wants_segment.store(true, Ordering::Release);
                (self.report)(Report::WantsSegment);
            }
            Err(_) => {
                failing.pause = (failing.pause * 2).min(LONGEST_PAUSE);
                failing.try_at = Instant::now() + failing.pause;
            }
        }
    }

    fn tell_written(&mut self) {
        let seq = self.written_seq;
        if seq > self.told_written {
            self.told_written = seq;
            (self.report)(Report::Written { seq });
        }
    }

    /// Removes the oldest segments so that the others, and one more, fit.
    fn cut(&mut self) {
        let Some(keep) = self.options.keep_bytes else {
            return;
        };
        let open = self.open.as_ref().map_or(0, |open| open.bytes);
        let to_come = self.options.segment_bytes.saturating_sub(open);
        let mut total: u64 = self.earlier.iter().map(|(_, bytes)| bytes).sum();
        total += open + to_come;
        // The open one and the one before it stay.
        while total > keep && self.earlier.len() > 1 {
            let (segment, bytes) = self.earlier.remove(0);
            total -= bytes;
            match self.storage.remove(&segment) {
                Ok(()) => (self.report)(Report::Cut { segment, bytes }),
                Err(error) => (self.report)(Report::NotCut { segment, error }),
            }
        }
    }
}

/// Writes everything; on an error, how much was.
fn write_all(file: &mut dyn SegmentFile, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}
