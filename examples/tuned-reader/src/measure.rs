//! How long the program waits for data, and how long it computes: per window, as JSON lines.
//!
//! This is what a tracer would take down, such as `DFTracer`, and an analyzer add up.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The times of a window.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct WindowTimes {
    /// Its number, from 1.
    pub window: i64,
    /// Samples computed in it.
    pub samples: u64,
    /// Seconds in which the program waited for data.
    pub fetch_s: f64,
    /// Seconds in which it computed.
    pub compute_s: f64,
    /// Threads that read, in the window; 0 where the program does not say.
    #[serde(default)]
    pub threads: u32,
    /// The length of the queue, in the window; 0 where the program does not say.
    #[serde(default)]
    pub prefetch: u32,
}

impl WindowTimes {
    /// The share of the time in which the program waited, 0 to 1.
    pub fn fetch_frac(&self) -> f64 {
        let all = self.fetch_s + self.compute_s;
        if all > 0.0 { self.fetch_s / all } else { 0.0 }
    }
}

/// Takes the times, of a window and of the whole run.
#[derive(Debug, Default)]
pub struct Meter {
    samples: u64,
    fetching: Duration,
    computing: Duration,
    whole: WindowTimes,
}

impl Meter {
    /// Waits for data.
    pub fn fetching<T>(&mut self, fetch: impl FnOnce() -> T) -> T {
        let (fetched, time) = timed(fetch);
        self.fetching += time;
        fetched
    }

    /// Computes on a sample.
    pub fn computing<T>(&mut self, compute: impl FnOnce() -> T) -> T {
        let (computed, time) = timed(compute);
        self.computing += time;
        self.samples += 1;
        computed
    }

    /// The times since the last call. With which threads and queue, it does not know.
    pub fn window(&mut self, window: i64) -> WindowTimes {
        let times = WindowTimes {
            window,
            samples: std::mem::take(&mut self.samples),
            fetch_s: std::mem::take(&mut self.fetching).as_secs_f64(),
            compute_s: std::mem::take(&mut self.computing).as_secs_f64(),
            ..WindowTimes::default()
        };
        self.whole.window = window;
        self.whole.samples += times.samples;
        self.whole.fetch_s += times.fetch_s;
        self.whole.compute_s += times.compute_s;
        times
    }

    /// The times of all windows together; the number is the last one's.
    pub fn whole(&self) -> WindowTimes {
        self.whole
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// Where measurements are written: a file or a pipe, or nowhere.
///
/// That no one reads any more must not end the work: then writing ends, and the error is kept.
#[derive(Debug, Default)]
pub struct Measurements {
    file: Option<File>,
    error: Option<io::Error>,
}

impl Measurements {
    /// They are not written.
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// They are written to this file, or to this pipe, which someone must read.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn to(path: &Path) -> io::Result<Self> {
        Ok(Measurements {
            file: Some(File::create(path)?),
            error: None,
        })
    }

    /// Writes a line.
    pub fn write(&mut self, times: &WindowTimes) {
        let Some(file) = &mut self.file else {
            return;
        };
        let line = serde_json::to_string(times).map_err(io::Error::other);
        // One write for each line, so that a reader never sees half of one for long.
        if let Err(error) = line.and_then(|line| file.write_all(format!("{line}\n").as_bytes())) {
            self.error = Some(error);
            self.file = None;
        }
    }

    /// Why writing ended before its time, if it did.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_times_since_the_last_one() {
        let mut meter = Meter::default();
        let number = meter.fetching(|| 7);
        meter.computing(|| ());
        let first = meter.window(1);
        meter.computing(|| ());
        meter.computing(|| ());
        let second = meter.window(2);
        assert_eq!(number, 7);
        assert_eq!((first.window, first.samples), (1, 1));
        assert_eq!((second.window, second.samples), (2, 2));
        assert!(second.fetch_s.abs() < f64::EPSILON);
        let whole = meter.whole();
        assert_eq!((whole.window, whole.samples), (2, 3));
        assert!((whole.fetch_s - first.fetch_s).abs() < f64::EPSILON);
    }

    #[test]
    fn the_share_of_waiting_is_a_fraction() {
        let times = |fetch_s, compute_s| WindowTimes {
            fetch_s,
            compute_s,
            ..WindowTimes::default()
        };
        assert!((times(3.0, 1.0).fetch_frac() - 0.75).abs() < 1e-12);
        assert!(times(0.0, 0.0).fetch_frac().abs() < f64::EPSILON);
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut measurements = Measurements::to(file.path()).unwrap();
        let times = WindowTimes {
            window: 3,
            samples: 8,
            fetch_s: 0.25,
            compute_s: 0.1,
            threads: 2,
            prefetch: 4,
        };
        measurements.write(&times);
        measurements.write(&times);
        let text = std::fs::read_to_string(file.path()).unwrap();
        let read: Vec<WindowTimes> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, [times, times]);
    }

    #[test]
    fn the_work_goes_on_when_no_one_reads_the_pipe_any_more() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut measurements = Measurements {
            file: Some(File::from(std::os::fd::OwnedFd::from(writer))),
            error: None,
        };
        measurements.write(&WindowTimes::default());
        let kind = measurements.error().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::BrokenPipe));
        measurements.write(&WindowTimes::default());
    }
}
