//! What a process prints, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::DEADLINE;

/// The lines of a stream, read by a thread as they come.
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    lines: Vec<String>,
    is_over: bool,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        // A test that fails while it looks leaves it as it was.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let to = Arc::clone(&shared);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                to.told().lines.push(text);
                to.changed.notify_all();
                line.clear();
            }
            to.told().is_over = true;
            to.changed.notify_all();
        });
        Lines(shared)
    }

    /// How many there are by now.
    pub fn len(&self) -> usize {
        self.0.told().lines.len()
    }

    /// All by now.
    pub fn so_far(&self) -> Vec<String> {
        self.0.told().lines.clone()
    }

    /// Waits for the end of the stream; all lines.
    #[track_caller]
    pub fn all(&self) -> Vec<String> {
        self.at_last("the end of the stream", |told| told.is_over);
        self.so_far()
    }

    /// Waits until there are so many; all by then.
    #[track_caller]
    pub fn at_least(&self, count: usize) -> Vec<String> {
        let what = format!("{count} lines");
        self.at_last(&what, |told| told.lines.len() >= count);
        self.so_far()
    }

    /// Waits for a line, from the `from`th on, that is found to be something. Gives that, and the
    /// number of the line.
    #[track_caller]
    pub fn find<T>(
        &self,
        what: &str,
        from: usize,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> (usize, T) {
        let (mut looked_at, mut result) = (from, None);
        self.at_last(what, |told| {
            while let Some(line) = told.lines.get(looked_at) {
                if let Some(found) = found(line) {
                    result = Some((looked_at, found));
                    return true;
                }
                looked_at += 1;
            }
            false
        });
        result.expect("it was found")
    }

    #[track_caller]
    fn at_last(&self, what: &str, mut is_so: impl FnMut(&Told) -> bool) {
        let begun = Instant::now();
        let mut told = self.0.told();
        while !is_so(&told) {
            let is_late = begun.elapsed() >= DEADLINE;
            if is_late || told.is_over {
                let why = if is_late { "in time" } else { "before the end" };
                panic!("no {what} {why}; the last lines:\n{}", last(&told.lines));
            }
            let waited = self.0.changed.wait_timeout(told, DEADLINE / 100);
            told = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The last of many lines, as far as they fit a screen.
pub fn last<L: ToString>(lines: &[L]) -> String {
    let skipped = lines.len().saturating_sub(20);
    let shown = |line: &L| line.to_string().chars().take(400).collect::<String>();
    let lines: Vec<_> = lines[skipped..].iter().map(shown).collect();
    lines.join("\n")
}
