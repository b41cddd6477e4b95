//! A file of records as a source: at full speed, or so many a second.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

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
/// A thread of its own reads ahead, a little, so that a slow disk or a pipe blocks nobody. It ends
/// with the file, or soon after the source is dropped (a thread that waits for standard input, when
/// that says something).
pub struct FileSource {
    name: String,
    read: mpsc::Receiver<Result<Read, TransportError>>,
    pace: Pace,
    /// When the next record is due.
    due: Option<Instant>,
    losses: Losses,
}

enum Read {
    Record(Bytes),
    TooLarge,
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
    /// A pace that is no number above 0, or no thread can be had.
    pub fn new(records: Records, pace: Pace) -> Result<Self, TransportError> {
        if let Pace::PerSecond(rate) = pace
            && !(rate.is_finite() && rate > 0.0)
        {
            let problem = format!("expected records per second, more than 0, found {rate}");
            return Err(TransportError::option("rate", problem));
        }
        let name = records.name().to_owned();
        let (sender, read) = mpsc::channel(AHEAD);
        std::thread::Builder::new()
            .name("dfo-file".to_owned())
            .spawn(move || read_all(records, &sender))
            .map_err(|e| TransportError::from_io(Operation::Open, name.as_str(), e))?;
        Ok(Self {
            name,
            read,
            pace,
            due: None,
            losses: Losses::default(),
        })
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

/// Reads until the end, an error, or until no one wants more.
fn read_all(mut records: Records, sender: &mpsc::Sender<Result<Read, TransportError>>) {
    loop {
        let read = match records.next_record() {
            Ok(None) => return,
            Ok(Some(record)) => Ok(match record.content {
                Content::Bytes(bytes) => Read::Record(Bytes::copy_from_slice(bytes)),
                Content::TooLarge { .. } => Read::TooLarge,
            }),
            Err(error) => Err(error),
        };
        let ended = read.is_err();
        if sender.blocking_send(read).is_err() || ended {
            return;
        }
    }
}

#[async_trait]
impl Source for FileSource {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream().with_replay()
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let limit = match self.pace {
            Pace::Full => limit.max(1),
            Pace::PerSecond(_) => 1,
        };
        let mut batch = Vec::new();
        self.keep_pace().await;
        while batch.len() < limit {
            // Only the first is waited for: nothing is held when the caller gives up.
            let read = match batch.is_empty() {
                true => self.read.recv().await,
                false => self.read.try_recv().ok(),
            };
            match read {
                None => break,
                Some(Ok(Read::Record(payload))) => batch.push(Record::new("", payload)),
                Some(Ok(Read::TooLarge)) => self.losses.too_large += 1,
                // Tell of it at the next call: what was read before counts.
                Some(Err(error)) if batch.is_empty() => return Err(error),
                Some(Err(error)) => {
                    let (sender, read) = mpsc::channel(1);
                    // The channel is new and has room for it.
                    let _ = sender.try_send(Err(error));
                    self.read = read;
                    break;
                }
            }
        }
        if !batch.is_empty() {
            self.handed_over();
        }
        Ok(batch)
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
}
