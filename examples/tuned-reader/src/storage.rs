//! Files to read, and reads that are as slow as on a loaded parallel file system.
//!
//! Two things make such a read slow, and they call for different cures. It waits for servers that are
//! busy with others: the *latency*, which reads at the same time wait out together. And all reads
//! share the *bandwidth* of one link, which is there but once. So more readers help until the link is
//! full.
//!
//! Where the servers are *contended*, reads at the same time get in each other's way, and more readers
//! do harm: with two each takes eight times as long, with three 27 times.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sample;

/// How slow reads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowness {
    /// What each read waits before its first byte.
    pub latency: Duration,
    /// What all reads together get in a second, at most; 0 is without limit.
    pub bytes_per_second: u64,
    /// What reads at the same time do to each other.
    pub servers: Servers,
}

/// How the servers stand reads at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Servers {
    /// They serve them side by side.
    #[default]
    Ample,
    /// With *n* reads at the same time, each read's latency is *n*³ times as long.
    Contended,
}

/// Files, and a slow way to them.
pub struct Storage {
    files: Vec<File>,
    slowness: Slowness,
    /// When the link has carried all that was asked for so far.
    link_is_free: Mutex<Instant>,
    /// Reads at this moment.
    reading: AtomicU32,
}

struct File {
    path: PathBuf,
    checksum: u64,
}

impl Storage {
    /// Makes so many files of so many bytes in a folder that is there. Files of their names are
    /// overwritten.
    ///
    /// # Errors
    /// A file cannot be written; those before it stay.
    pub fn create(
        folder: &Path,
        files: u32,
        bytes: usize,
        slowness: Slowness,
    ) -> io::Result<Storage> {
        let make = |number: u32| {
            let path = folder.join(format!("sample-{number:05}.bin"));
            let content = sample::bytes(number.into(), bytes);
            std::fs::write(&path, &content).map_err(|error| at(&path, &error))?;
            let checksum = sample::checksum(&content);
            Ok(File { path, checksum })
        };
        let files: io::Result<Vec<File>> = (0..files.max(1)).map(make).collect();
        Ok(Storage {
            files: files?,
            slowness,
            link_is_free: Mutex::new(Instant::now()),
            reading: AtomicU32::new(0),
        })
    }

    /// Reads a sample; after the last file comes the first one again. Takes as long as it does on the
    /// slow way.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, number: usize) -> io::Result<Vec<u8>> {
        let asked = Instant::now();
        let File { path, .. } = &self.files[number % self.files.len()];
        let bytes = std::fs::read(path).map_err(|error| at(path, &error))?;
        let reading = self.reading.fetch_add(1, Ordering::Relaxed) + 1;
        let there = self.carried(asked + self.latency(reading), bytes.len());
        std::thread::sleep(there.saturating_duration_since(Instant::now()));
        self.reading.fetch_sub(1, Ordering::Relaxed);
        Ok(bytes)
    }

    /// What a read waits before its first byte, with so many reads at the same time.
    fn latency(&self, reading: u32) -> Duration {
        let latency = self.slowness.latency;
        match self.slowness.servers {
            Servers::Ample => latency,
            Servers::Contended => latency.saturating_mul(reading.saturating_pow(3)),
        }
    }

    /// The checksum of the first samples, each taken once.
    pub fn checksum(&self, samples: usize) -> u64 {
        let files = self.files.iter().cycle().take(samples);
        sample::combined(files.map(|file| file.checksum))
    }

    /// When the link has carried so many bytes, if they are ready at `ready`: one after the other, as
    /// they are asked for.
    fn carried(&self, ready: Instant, bytes: usize) -> Instant {
        let takes = match self.slowness.bytes_per_second {
            0 => Duration::ZERO,
            rate => Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate),
        };
        let free = self.link_is_free.lock();
        let mut free = free.unwrap_or_else(PoisonError::into_inner);
        *free = ready.max(*free) + takes;
        *free
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(folder: &Path, slowness: Slowness) -> Storage {
        Storage::create(folder, 3, 1000, slowness).unwrap()
    }

    const LATENCY: Duration = Duration::from_millis(10);

    /// 1000 bytes take 20 ms.
    const SLOW: Slowness = Slowness {
        latency: LATENCY,
        bytes_per_second: 50_000,
        servers: Servers::Ample,
    };

    #[test]
    fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let slowness = Slowness {
            latency: Duration::ZERO,
            bytes_per_second: 0,
            servers: Servers::Ample,
        };
        let storage = storage(folder.path(), slowness);
        let read = (0..7).map(|number| sample::checksum(&storage.read(number).unwrap()));
        assert_eq!(sample::combined(read), storage.checksum(7));
        assert_ne!(storage.checksum(7), storage.checksum(8));
    }

    #[test]
    fn a_read_takes_its_latency_and_its_share_of_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(folder.path(), SLOW);
        let asked = Instant::now();
        storage.read(0).unwrap();
        assert!(asked.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn reads_wait_for_latency_together_and_for_the_link_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(folder.path(), SLOW);
        let ready = Instant::now() + LATENCY;
        let carried = |bytes| storage.carried(ready, bytes) - ready;
        assert_eq!(carried(1000), Duration::from_millis(20));
        assert_eq!(carried(500), Duration::from_millis(30));
        // Later, when the link is idle again.
        let later = ready + Duration::from_secs(1);
        assert_eq!(
            storage.carried(later, 1000) - later,
            Duration::from_millis(20)
        );
    }

    #[test]
    fn contended_servers_make_reads_at_the_same_time_wait_for_longer_than_they_save() {
        let folder = tempfile::tempdir().unwrap();
        let contended = Slowness {
            servers: Servers::Contended,
            ..SLOW
        };
        let latencies = |slowness| {
            let storage = storage(folder.path(), slowness);
            [1, 2, 3].map(|reading| storage.latency(reading).as_millis())
        };
        assert_eq!(latencies(SLOW), [10, 10, 10]);
        assert_eq!(latencies(contended), [10, 80, 270]);
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(folder.path(), SLOW);
        std::fs::remove_file(folder.path().join("sample-00001.bin")).unwrap();
        let error = storage.read(1).unwrap_err().to_string();
        assert!(error.contains("sample-00001.bin"), "{error}");
    }
}
