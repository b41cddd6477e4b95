//! What the writer asks of a disk, so that a test can let it fail.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// A folder to write segments into.
pub(crate) trait Storage: Send {
    /// A new, empty file. It is an error if there is one of that name.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names of created files durable.
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Whether that many bytes can be written and made durable.
    fn probe(&mut self, bytes: usize) -> io::Result<()>;
}

/// A segment that is being written.
pub(crate) trait SegmentFile: Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the file system.
pub(crate) struct Disk {
    pub(crate) folder: PathBuf,
}

const PROBE: &str = "probe";

impl Storage for Disk {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        // Appending: after a cut the next write goes to the new end.
        let mut options = File::options();
        let file = options.append(true).create_new(true);
        Ok(Box::new(file.open(self.folder.join(name))?))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn probe(&mut self, bytes: usize) -> io::Result<()> {
        let path = self.folder.join(PROBE);
        let tried = File::create(&path).and_then(|mut file| {
            let block = vec![b' '; bytes.clamp(1, 64 * 1024)];
            for _ in 0..bytes.div_ceil(block.len()) {
                file.write_all(&block)?;
            }
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        tried.and(removed)
    }
}

impl SegmentFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
