//! A file that records are appended to, a line each.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use memchr::memrchr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Layout;
use super::brackets::Brackets;
use crate::ends::{Capabilities, Closed, Sink};
use crate::error::{ErrorKind, Operation, TransportError};
use crate::record::Record;

/// Appends records to a file, each as a line that is written at once.
///
/// The line is the payload; of a record without payload, such as the end of a stream, the metadata.
/// Line ends within it, which JSON has only between its parts, become blanks. Other metadata are left
/// out: what a message is, its payload says too.
///
/// A line without an end, as a crash leaves it, is cut off before the first one is written; if it is
/// whole but for its end, it gets that. Several may append to one file. A thread of its own writes, so
/// that a slow disk blocks nobody.
pub struct FileSink {
    name: String,
    jobs: mpsc::Sender<Job>,
    state: Arc<State>,
}

enum Job {
    Line(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

/// What the thread tells.
#[derive(Default)]
struct State {
    /// Lines that are not written yet.
    waiting: AtomicU64,
    failure: Mutex<Option<io::Error>>,
}

/// So many records may wait to be written.
const WAITING: usize = 64;

/// So much is read at once in search of the last line.
const CHUNK: u64 = 64 * 1024;

impl FileSink {
    /// Opens a file, which is made if there is none.
    ///
    /// # Errors
    /// It cannot be opened for writing, or no thread can be had.
    pub fn append(path: &Path) -> Result<Self, TransportError> {
        let name = path.display().to_string();
        let failed = |e| TransportError::from_io(Operation::Open, name.as_str(), e);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path);
        let file = file.map_err(failed)?;
        let (jobs, to_do) = mpsc::channel(WAITING);
        let state = Arc::new(State::default());
        let for_thread = Arc::clone(&state);
        std::thread::Builder::new()
            .name("dfo-file".to_owned())
            .spawn(move || write_all(file, to_do, &for_thread))
            .map_err(failed)?;
        Ok(Self { name, jobs, state })
    }

    fn failure(&self, operation: Operation) -> TransportError {
        let failure = self.state.failure.lock();
        let failure = failure.unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) => TransportError::from_io(operation, self.name.as_str(), error),
            None => TransportError::new(
                ErrorKind::Closed,
                operation,
                self.name.as_str(),
                "writing to it failed before",
            ),
        }
    }
}

/// Writes until no one has more, or until it fails.
fn write_all(mut file: File, mut to_do: mpsc::Receiver<Job>, state: &State) {
    let mut written = locked(&mut file, end_last_line);
    while let (Ok(()), Some(job)) = (&written, to_do.blocking_recv()) {
        match job {
            Job::Line(line) => {
                written = locked(&mut file, |file| write_whole(file, &line));
                if written.is_ok() {
                    state.waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }
            // Who gave up does not want to know.
            Job::Flush(done) => drop(done.send(())),
        }
    }
    if let Err(error) = written {
        let mut failure = state.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(error);
    }
}

/// While no other of us writes. Where the file system has no locks, it must do without.
fn locked(file: &mut File, work: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let has_lock = file.lock().is_ok();
    let done = work(file);
    if has_lock {
        // It goes with the file, at the latest.
        let _ = file.unlock();
    }
    done
}

/// Appends a line, whole or not at all.
fn write_whole(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| {
        // A pipe cannot be cut; what is torn there its reader sees.
        let _ = file.set_len(before);
    })
}

/// Sees to it that the file ends with the end of a line.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let length = file.metadata()?.len();
    let begin = begin_of_last_line(file, length)?;
    if begin == length {
        return Ok(());
    }
    file.seek(SeekFrom::Start(begin))?;
    let mut line = Vec::new();
    file.read_to_end(&mut line)?;
    match is_whole(&line) {
        true => file.write_all(b"\n"),
        false => file.set_len(begin),
    }
}

/// Where the text after the last line end begins.
fn begin_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(begin))?;
        chunk.clear();
        Read::by_ref(file)
            .take(end - begin)
            .read_to_end(&mut chunk)?;
        if let Some(last) = memrchr(b'\n', &chunk) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Whether it is an object whose brackets close.
fn is_whole(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{")
        && Brackets::new(Layout::Array).follow(line) == Some(line.len())
        && line.ends_with(b"}")
}

/// A record as a line.
fn line_of(record: &Record) -> Vec<u8> {
    let text = match record.payload.is_empty() {
        true => &record.metadata,
        false => &record.payload,
    };
    let mut line = Vec::with_capacity(text.len() + 1);
    line.extend_from_slice(text);
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    line
}

#[async_trait]
impl Sink for FileSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream().with_replay().with_fan_out()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let Ok(room) = self.jobs.reserve().await else {
            return Err(self.failure(Operation::Send));
        };
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        room.send(Job::Line(line_of(&record)));
        Ok(())
    }

    /// Waits until it is written: with the system, not necessarily on the disk.
    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            let sent = self.jobs.send(Job::Flush(done)).await;
            sent.is_ok() && is_done.await.is_ok()
        };
        match timeout(deadline, flushed).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.failure(Operation::Flush)),
            Err(_) => Err(TransportError::new(
                ErrorKind::TimedOut,
                Operation::Flush,
                self.name.as_str(),
                format!("not written within {deadline:?}"),
            )),
        }
    }

    async fn close(mut self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        match self.flush(deadline).await {
            Err(error) if error.kind() != ErrorKind::TimedOut => Err(error),
            _ => Ok(Closed::dropping(self.state.waiting.load(Ordering::Relaxed))),
        }
    }
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// What stands in a file that held this, once these were appended.
    async fn appended(before: &str, records: &[Record]) -> String {
        let (_folder, path) = file(before);
        let mut sink = Box::new(FileSink::append(&path).unwrap());
        for record in records {
            sink.send(record.clone()).await.unwrap();
        }
        assert_eq!(sink.close(SOON).await.unwrap(), Closed::dropping(0));
        fs::read_to_string(path).unwrap()
    }

    fn file(content: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.jsonl");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[tokio::test]
    async fn a_record_becomes_a_line() {
        let records = [
            Record::new("{\"x\":1}", "{\"a\":\r\n1}"),
            Record::new("{\"name\":\"end\"}", ""),
        ];
        let text = appended("{}\n", &records).await;
        assert_eq!(text, "{}\n{\"a\":  1}\n{\"name\":\"end\"}\n");
    }

    #[tokio::test]
    async fn what_a_crash_tore_off_is_cut_and_a_whole_line_gets_its_end() {
        let long = "x".repeat(100_000);
        for (before, kept) in [
            ("", ""),
            ("{\"a\":1}\n", "{\"a\":1}\n"),
            ("{\"a\":1}\n{\"a\":", "{\"a\":1}\n"),
            ("{\"a\":1}\n{", "{\"a\":1}\n"),
            ("{\"a\":\"}", ""),
            ("{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}\n"),
            ("{\"a\":{\"b\":[1]}} ", "{\"a\":{\"b\":[1]}} \n"),
            (&format!("{{}}\n{{\"a\":\"{long}"), "{}\n"),
            (&long, ""),
        ] {
            assert_eq!(
                appended(before, &[Record::new("", "{}")]).await,
                format!("{kept}{{}}\n")
            );
        }
    }

    #[tokio::test]
    async fn it_is_cut_also_where_nothing_is_appended() {
        assert_eq!(appended("{}\n{\"a", &[]).await, "{}\n");
    }

    #[tokio::test]
    async fn several_append_whole_lines() {
        let (_folder, path) = file("");
        let line = Record::new("", format!("{{\"fill\":\"{}\"}}", "x".repeat(10_000)));
        let writing = [(), (), (), ()].map(|()| async {
            let mut sink = Box::new(FileSink::append(&path).unwrap());
            for _ in 0..50 {
                sink.send(line.clone()).await.unwrap();
            }
            sink.close(SOON).await.unwrap();
        });
        let [a, b, c, d] = writing;
        tokio::join!(a, b, c, d);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 200);
        assert!(text.lines().all(|l| l.as_bytes() == line.payload));
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_sending() {
        let mut sink = Box::new(FileSink::append(Path::new("/dev/full")).unwrap());
        let error = loop {
            if let Err(error) = sink.send(Record::new("", "{}")).await {
                break error;
            }
            if let Err(error) = sink.flush(SOON).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error.to_string().starts_with("/dev/full: cannot "),
            "{error}"
        );
        assert_eq!(
            sink.close(SOON).await.unwrap_err().kind(),
            ErrorKind::Closed
        );
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileSink::append(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    }
}
