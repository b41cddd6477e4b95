//! Files of records as a source: at full speed, or so many a second; to their end, or as they grow.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::follow::{self, Follow, IsWanted, Wanted};
use super::{Content, Records};
use crate::ends::{Capabilities, Losses, Source};
use crate::error::{Operation, TransportError};
use crate::record::Record;

/// How fast a file is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the receiver takes it.
    Full,
    /// So many records a second, evenly; more than 0.
    PerSecond(f64),
}

/// The records of a file, with no metadata.
///
/// A thread of its own reads ahead, a little, so that a slow disk or a pipe blocks nobody. It begins
/// with the first call, and ends with the file, or soon after the source is dropped (a thread that
/// waits for standard input, when that says something).
pub struct FileSource {
    name: String,
    files: Files,
    going: Option<Going>,
    pace: Pace,
    /// When the next record is due.
    due: Option<Instant>,
    losses: Losses,
    /// Whether the same records can be read again.
    replays: bool,
    /// Whether a line may end a stream.
    ends_by_line: bool,
    /// Nothing is given before all of these say so.
    after: Vec<watch::Receiver<bool>>,
    /// Told when all was given that stood in the file at first.
    caught_up: watch::Sender<bool>,
    /// Whether that is so when more is asked for.
    at_the_end: bool,
}

/// What is to be read.
enum Files {
    InTurn(Vec<Records>),
    Growing(PathBuf),
}

/// The thread that reads.
struct Going {
    read: mpsc::Receiver<Result<Read, TransportError>>,
    /// When this goes, nobody waits for a file to grow.
    _wanted: Wanted,
}

enum Read {
    Record(Bytes),
    TooLarge,
    /// So many records were passed over.
    Passed(u64),
    /// All was read that stood in the file at first.
    AtTheEnd,
}

/// How many records are read ahead.
const AHEAD: usize = 1024;

impl FileSource {
    /// Opens a file. `-` is a file of that name.
    ///
    /// # Errors
    /// The file cannot be opened, or a pace that is no number above 0.
    pub fn open(path: &Path, pace: Pace) -> Result<Self, TransportError> {
        Self::new(Records::open(path)?, pace)
    }

    /// Any records.
    ///
    /// # Errors
    /// A pace that is no number above 0.
    pub fn new(records: Records, pace: Pace) -> Result<Self, TransportError> {
        Self::in_turn(vec![records], pace)
    }

    /// The records of several files, one file after the other.
    ///
    /// # Errors
    /// A pace that is no number above 0.
    pub fn in_turn(files: Vec<Records>, pace: Pace) -> Result<Self, TransportError> {
        let names: Vec<_> = files.iter().map(Records::name).collect();
        Self::reading(names.join(", "), pace, Files::InTurn(files))
    }

    /// A file as it grows, line by line, not compressed. A line counts once its end is written. A file
    /// that is not there yet is waited for. It may only grow: one that is shorter than what was read
    /// of it is an error.
    ///
    /// # Errors
    /// The path names a directory, or a pace that is no number above 0.
    pub fn follow(path: &Path, pace: Pace) -> Result<Self, TransportError> {
        let name = path.display().to_string();
        if path.is_dir() {
            let error = io::ErrorKind::IsADirectory.into();
            return Err(TransportError::from_io(Operation::Open, name, error));
        }
        Self::reading(name, pace, Files::Growing(path.to_owned()))
    }

    fn reading(name: String, pace: Pace, files: Files) -> Result<Self, TransportError> {
        if let Pace::PerSecond(rate) = pace
            && !(rate.is_finite() && rate > 0.0)
        {
            let problem = format!("expected records per second, more than 0, found {rate}");
            return Err(TransportError::option("rate", problem));
        }
        Ok(Self {
            name,
            files,
            going: None,
            pace,
            due: None,
            losses: Losses::default(),
            replays: true,
            ends_by_line: false,
            after: Vec::new(),
            caught_up: watch::Sender::new(false),
            at_the_end: false,
        })
    }

    /// The path, as it was given; of several files, all of them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says that what was read is gone, as of a pipe: it is without [`Capabilities::replay`].
    #[must_use]
    pub fn once(self) -> Self {
        Self {
            replays: false,
            ..self
        }
    }

    /// A line that begins with `{"name":"end"`, however it is spaced, becomes the metadata of a record
    /// without payload: the end of a stream.
    pub(super) fn ended_by_a_line(self) -> Self {
        Self {
            ends_by_line: true,
            ..self
        }
    }

    /// Gives nothing before each of these says so, or is gone.
    pub(super) fn after(self, after: Vec<watch::Receiver<bool>>) -> Self {
        Self { after, ..self }
    }

    /// Says when all was given that stood in the file at first, and more is asked for.
    pub(super) fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.subscribe()
    }

    /// What the thread reads. Where there is none yet, one begins, and passes over so many records.
    fn begin(&mut self, skip: u64) -> Result<&mut Going, TransportError> {
        let going = match self.going.take() {
            Some(going) => going,
            None => self.start(skip)?,
        };
        Ok(self.going.insert(going))
    }

    fn start(&mut self, skip: u64) -> Result<Going, TransportError> {
        let files = std::mem::replace(&mut self.files, Files::InTurn(Vec::new()));
        let (sender, read) = mpsc::channel(AHEAD);
        let (wanted, is_wanted) = follow::wanted();
        std::thread::Builder::new()
            .name("dfo-file".to_owned())
            .spawn(move || Reading::new(skip, sender).read_all(files, is_wanted))
            .map_err(|e| TransportError::from_io(Operation::Open, self.name.as_str(), e))?;
        Ok(Going {
            read,
            _wanted: wanted,
        })
    }

    fn record(&self, line: Bytes) -> Record {
        match self.ends_by_line && ends_stream(&line) {
            true => Record::new(line, ""),
            false => Record::new("", line),
        }
    }

    /// Waits until those have caught up that come before.
    async fn wait_for_others(&mut self) {
        while let Some(after) = self.after.last_mut() {
            // Fails where they are gone, and nothing is to be waited for.
            let _ = after.wait_for(|caught_up| *caught_up).await;
            self.after.pop();
        }
    }

    /// Waits until the next record may go.
    async fn keep_pace(&mut self) {
        if let (Pace::PerSecond(_), Some(due)) = (self.pace, self.due) {
            sleep_until(due).await;
        }
    }

    /// Notes that a record was handed over. A timer's lateness is made up for, so that the rate
    /// holds; a receiver's is not, so that none gets a burst.
    fn handed_over(&mut self) {
        if let Pace::PerSecond(rate) = self.pace {
            let now = Instant::now();
            let due = self.due.unwrap_or(now);
            let due = due.max(now.checked_sub(TIMER_LATENESS).unwrap_or(now));
            // A rate too small for a `Duration` waits as long as one can say.
            let apart = Duration::try_from_secs_f64(rate.recip()).unwrap_or(A_DAY);
            self.due = Some(due + apart.min(A_DAY));
        }
    }
}

/// So late a timer may be.
const TIMER_LATENESS: Duration = Duration::from_millis(10);

const A_DAY: Duration = Duration::from_hours(24);

/// Whether a line says that a stream ends: see [`FileSource::ended_by_a_line`].
fn ends_stream(line: &[u8]) -> bool {
    let mut rest = line.trim_ascii_start();
    for token in [&b"{"[..], b"\"name\"", b":", b"\"end\""] {
        let Some(after) = rest.strip_prefix(token) else {
            return false;
        };
        rest = after.trim_ascii_start();
    }
    matches!(rest.first(), Some(b',' | b'}'))
}

/// The thread's work.
struct Reading {
    sender: mpsc::Sender<Result<Read, TransportError>>,
    /// So many records are passed over, and so many were.
    skip: u64,
    passed: u64,
    /// Whether a growing file's end is waited at.
    waits: Arc<AtomicBool>,
}

impl Reading {
    fn new(skip: u64, sender: mpsc::Sender<Result<Read, TransportError>>) -> Self {
        Self {
            sender,
            skip,
            passed: 0,
            // What is passed over stands in the file already.
            waits: Arc::new(AtomicBool::new(skip == 0)),
        }
    }

    /// Reads until the end, an error, or until no one wants more.
    fn read_all(mut self, files: Files, wanted: IsWanted) {
        let go_on = match files {
            Files::InTurn(mut files) => files.iter_mut().try_for_each(|file| self.read(file)),
            Files::Growing(path) => {
                let name = path.display().to_string();
                let sender = self.sender.clone();
                let at_the_end = move || drop(sender.blocking_send(Ok(Read::AtTheEnd)));
                let waits = Arc::clone(&self.waits);
                let follow = Follow::new(path, waits, wanted, Box::new(at_the_end));
                self.read(&mut Records::from_reader(name, follow))
            }
        };
        if go_on.is_continue() && self.passed < self.skip {
            // Where no one listens any more, no one wants to know.
            let _ = self.put(Ok(Read::Passed(self.passed)));
        }
    }

    fn read(&mut self, records: &mut Records) -> ControlFlow<()> {
        loop {
            let read = match records.next_record() {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(record)) => match record.content {
                    Content::Bytes(_) if self.passed < self.skip => {
                        self.passed += 1;
                        if self.passed < self.skip {
                            continue;
                        }
                        self.waits.store(true, Ordering::Relaxed);
                        Ok(Read::Passed(self.passed))
                    }
                    Content::Bytes(bytes) => Ok(Read::Record(Bytes::copy_from_slice(bytes))),
                    Content::TooLarge { .. } => Ok(Read::TooLarge),
                },
                Err(error) => Err(error),
            };
            self.put(read)?;
        }
    }

    /// Hands it over; breaks off after an error, and where no one wants more.
    fn put(&self, read: Result<Read, TransportError>) -> ControlFlow<()> {
        let failed = read.is_err();
        match self.sender.blocking_send(read) {
            Ok(()) if !failed => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

#[async_trait]
impl Source for FileSource {
    fn capabilities(&self) -> Capabilities {
        match self.replays {
            true => Capabilities::stream().with_replay(),
            false => Capabilities::stream(),
        }
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let limit = match self.pace {
            Pace::Full => limit.max(1),
            Pace::PerSecond(_) => 1,
        };
        self.wait_for_others().await;
        self.keep_pace().await;
        let mut batch = Vec::new();
        while batch.len() < limit {
            if batch.is_empty() && self.at_the_end {
                self.caught_up.send_replace(true);
            }
            let read = &mut self.begin(0)?.read;
            // Only the first is waited for: nothing is held when the caller gives up.
            let read = match batch.is_empty() {
                true => read.recv().await,
                false => read.try_recv().ok(),
            };
            match read {
                None => break,
                Some(Ok(Read::Record(line))) => batch.push(self.record(line)),
                Some(Ok(Read::TooLarge)) => self.losses.too_large += 1,
                Some(Ok(Read::AtTheEnd)) => self.at_the_end = true,
                // Who asked for it gave up.
                Some(Ok(Read::Passed(_))) => {}
                // Tell of it at the next call: what was read before counts.
                Some(Err(error)) if batch.is_empty() => return Err(error),
                Some(Err(error)) => {
                    let (sender, read) = mpsc::channel(1);
                    // The channel is new and has room for it.
                    let _ = sender.try_send(Err(error));
                    self.begin(0)?.read = read;
                    break;
                }
            }
        }
        match batch.is_empty() {
            true => drop(self.caught_up.send_replace(true)),
            false => self.handed_over(),
        }
        Ok(batch)
    }

    /// Nothing is copied of those that are passed over.
    async fn skip(&mut self, records: u64) -> Result<u64, TransportError> {
        let mut passed = 0;
        while passed < records {
            match self.begin(records)?.read.recv().await {
                None => break,
                Some(Ok(Read::Passed(all))) => return Ok(all),
                // It was begun before.
                Some(Ok(Read::Record(_))) => passed += 1,
                Some(Ok(Read::TooLarge)) => self.losses.too_large += 1,
                Some(Ok(Read::AtTheEnd)) => self.at_the_end = true,
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(passed)
    }

    fn losses(&self) -> Losses {
        self.losses
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }
}

impl std::fmt::Debug for FileSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSource")
            .field("name", &self.name)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read as _};

    use super::*;
    use crate::ErrorKind;

    fn source(text: &str, pace: Pace) -> FileSource {
        FileSource::new(
            Records::from_reader("f", Cursor::new(text.to_owned())),
            pace,
        )
        .unwrap()
    }

    async fn all(mut source: FileSource) -> Vec<Vec<Record>> {
        let mut batches = Vec::new();
        loop {
            match source.receive(2).await.unwrap() {
                batch if batch.is_empty() => return batches,
                batch => batches.push(batch),
            }
        }
    }

    #[tokio::test]
    async fn the_records_come_in_order_and_at_most_so_many_at_once() {
        let batches = all(source("1\n2\n3\n", Pace::Full)).await;
        assert!(batches.iter().all(|batch| batch.len() <= 2));
        let payloads: Vec<_> = batches.concat().into_iter().map(|r| r.payload).collect();
        assert_eq!(payloads, ["1", "2", "3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_sets_the_records_apart_evenly() {
        let start = Instant::now();
        assert_eq!(
            all(source("1\n2\n3\n", Pace::PerSecond(4.0))).await.len(),
            3
        );
        let took = start.elapsed().as_millis();
        assert!((500..=760).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_was_late_gets_no_burst() {
        let mut source = source("1\n2\n3\n", Pace::PerSecond(4.0));
        source.receive(1).await.unwrap();
        sleep_until(Instant::now() + Duration::from_mins(1)).await;
        source.receive(1).await.unwrap();
        let second = Instant::now();
        source.receive(1).await.unwrap();
        assert!(second.elapsed() >= Duration::from_millis(240));
    }

    #[test]
    fn a_pace_of_nothing_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let records = Records::from_reader("f", io::empty());
            let error = FileSource::new(records, Pace::PerSecond(rate)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
        }
    }

    #[tokio::test]
    async fn what_was_read_before_an_error_comes_first_then_the_error_then_the_end() {
        struct Failing;
        impl io::Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let reader = Cursor::new("1\n2\n").chain(Failing);
        let records = Records::from_reader("f", reader);
        let mut source = FileSource::new(records, Pace::Full).unwrap();
        let mut received = 0;
        let error = loop {
            match source.receive(10).await {
                Ok(batch) => received += batch.len(),
                Err(error) => break error,
            }
        };
        assert_eq!((received, error.kind()), (2, ErrorKind::Io));
        assert!(source.receive(10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_is_counted_and_the_next_one_comes() {
        let text = format!("\"{}\"\n2\n", "x".repeat(100));
        let records = Records::from_reader("f", Cursor::new(text)).with_limit(10);
        let mut source = FileSource::new(records, Pace::Full).unwrap();
        assert_eq!(source.receive(10).await.unwrap()[0].payload, "2");
        assert_eq!(source.losses().too_large, 1);
    }

    #[test]
    fn a_line_that_ends_a_stream_is_known_however_it_is_spaced() {
        for (line, ends) in [
            (r#"{"name":"end"}"#, true),
            (r#"{"name": "end"}"#, true),
            (r#" { "name" : "end" , "instance": "a" }"#, true),
            (r#"{"name":"ends"}"#, false),
            (r#"{"name":"end""#, false),
            (r#"{"names":"end"}"#, false),
            (r#"{"finding_type":"x","name":"end"}"#, false),
            ("", false),
        ] {
            assert_eq!(ends_stream(line.as_bytes()), ends, "{line}");
        }
    }

    #[tokio::test]
    async fn files_in_turn_are_one_stream_and_are_passed_over_as_one() {
        let files = || {
            let texts = ["1\n2\n", "", "3\n4"].map(|t| Records::from_reader("f", Cursor::new(t)));
            FileSource::in_turn(texts.into(), Pace::Full).unwrap()
        };
        assert_eq!(files().name(), "f, f, f");
        let mut source = files();
        assert_eq!(source.skip(3).await.unwrap(), 3);
        assert_eq!(source.receive(9).await.unwrap()[0].payload, "4");
        let mut source = files();
        assert_eq!(source.receive(1).await.unwrap()[0].payload, "1");
        assert_eq!(source.skip(2).await.unwrap(), 2);
        assert_eq!(source.receive(9).await.unwrap()[0].payload, "4");
        assert_eq!(files().skip(9).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_is_none_that_is_passed_over() {
        let text = format!("1\n\"{}\"\n2\n3\n", "x".repeat(100));
        let records = Records::from_reader("f", Cursor::new(text)).with_limit(10);
        let mut source = FileSource::new(records, Pace::Full).unwrap();
        assert_eq!(source.skip(2).await.unwrap(), 2);
        assert_eq!(source.receive(9).await.unwrap()[0].payload, "3");
        assert_eq!(source.losses().too_large, 1);
    }

    #[test]
    fn what_is_gone_cannot_be_replayed() {
        let source = source("1", Pace::Full);
        assert!(source.capabilities().replay);
        assert!(!source.once().capabilities().replay);
    }
}
