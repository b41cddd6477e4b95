//! The program: for each sample wait, compute; for each window tell the times, take changes.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use dfo_context::Window;
use serde::Serialize;

use crate::measure::{Measurements, Meter, WindowTimes};
use crate::pool::Pool;
use crate::sample;
use crate::storage::Storage;
use crate::tuning::{Change, Tuning};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Samples to read and compute on.
    pub samples: usize,
    /// Samples in a window.
    pub window: u64,
    /// What computing on a sample takes beside its checksum, as on an accelerator: the processor is
    /// free meanwhile.
    pub compute: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Samples computed on.
    pub samples: u64,
    /// Seconds from the first read to the last sample's end.
    pub seconds: f64,
    /// The throughput.
    pub samples_per_s: f64,
    /// Seconds in which the program waited for data.
    pub fetch_s: f64,
    /// Seconds in which it computed.
    pub compute_s: f64,
    /// Windows.
    pub windows: i64,
    /// Threads that read, at the end.
    pub threads: u32,
    /// The length of the queue, at the end.
    pub prefetch: u32,
    /// Whether every sample came once, as it was written.
    pub is_complete: bool,
    /// How many changes the optimizer wanted and got.
    pub applied: u64,
    /// How many it wanted and did not get.
    pub rejected: u64,
    /// The history of the knobs.
    pub changes: Vec<Change>,
}

/// Does the work.
///
/// # Errors
/// A sample cannot be read, or the system gives no threads.
pub fn run(
    work: &Workload,
    storage: Storage,
    tuning: &mut Tuning,
    measurements: &mut Measurements,
) -> io::Result<Outcome> {
    let expected = storage.checksum(work.samples);
    let mut window = Window::new().telling(tuning.context());
    window.update_cadence(work.window);
    let mut meter = Meter::default();
    let mut checksum = 0;

    let began = Instant::now();
    let knobs = tuning.knobs();
    let read = move |number| storage.read(number);
    let mut pool = Pool::start(knobs.threads, knobs.prefetch, work.samples, read)?;
    for _ in 0..work.samples {
        window.start();
        let Some(bytes) = meter.fetching(|| pool.next_sample())? else {
            break;
        };
        let of_sample = meter.computing(|| compute(&bytes, work.compute));
        checksum = sample::combined([checksum, of_sample]);
        if window.stop() {
            measurements.write(&times(&mut meter, window.window_index(), &pool));
            tuning.take_changes(window.window_index(), &mut pool);
        }
    }
    if window.flush() {
        measurements.write(&times(&mut meter, window.window_index(), &pool));
    }
    let seconds = began.elapsed().as_secs_f64();

    let whole = meter.whole();
    let changes = tuning.stop();
    let plans = tuning.context().status().plans;
    Ok(Outcome {
        samples: whole.samples,
        seconds,
        samples_per_s: per_second(whole.samples, seconds),
        fetch_s: whole.fetch_s,
        compute_s: whole.compute_s,
        windows: whole.window,
        threads: pool.threads(),
        prefetch: pool.prefetch(),
        is_complete: checksum == expected,
        applied: plans.applied,
        rejected: plans.rejected,
        changes,
    })
}

/// The times of a window, and with what it was run: changes are made between windows.
fn times<T: Send + 'static>(meter: &mut Meter, window: i64, pool: &Pool<T>) -> WindowTimes {
    WindowTimes {
        threads: pool.threads(),
        prefetch: pool.prefetch(),
        ..meter.window(window)
    }
}

fn compute(bytes: &[u8], takes: Duration) -> u64 {
    let checksum = sample::checksum(bytes);
    std::thread::sleep(takes);
    checksum
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
fn per_second(samples: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        samples as f64 / seconds
    } else {
        0.0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} samples in {:.2} s: {:.1} samples/s; waited {:.2} s for data, computed {:.2} s",
            self.samples, self.seconds, self.samples_per_s, self.fetch_s, self.compute_s
        )?;
        for change in &self.changes {
            let Change {
                window,
                knob,
                from,
                to,
                why,
            } = change;
            writeln!(
                f,
                "after window {window:>3}: {knob} {from} -> {to}  ({why})"
            )?;
        }
        write!(
            f,
            "at the end: reader.threads {}, reader.prefetch {}",
            self.threads, self.prefetch
        )?;
        match self.is_complete {
            true => Ok(()),
            false => f.write_str("\nSAMPLES ARE LOST OR SPOILT: the checksum is wrong"),
        }
    }
}
