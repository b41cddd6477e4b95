//! The folder of a journal: which files are segments, and who writes them.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::line;

/// A folder that this process alone writes, until this value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

const LOCK: &str = "lock";
const PREFIX: &str = "segment-";
const SUFFIX: &str = "jsonl";

impl Folder {
    /// Makes the folder if there is none, and takes it.
    ///
    /// # Errors
    /// [`JournalError::InUse`] where another service has it; [`JournalError::Io`].
    pub fn lock(path: impl Into<PathBuf>) -> Result<Folder, JournalError> {
        let path = path.into();
        let made = fs::create_dir_all(&path);
        made.map_err(|e| JournalError::io(&path, "cannot make the folder", e))?;
        let name = path.join(LOCK);
        let mut options = File::options();
        let opened = options.create(true).truncate(false).write(true).open(&name);
        let lock = opened.map_err(|e| JournalError::io(&name, "cannot open the lock", e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path }),
            Err(TryLockError::Error(e)) => Err(JournalError::io(name, "cannot lock", e)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The name of the segment whose head has that number.
pub(crate) fn segment_name(seq: u64) -> String {
    format!("{PREFIX}{seq:020}.{SUFFIX}")
}

/// The number in the name of a segment.
pub(crate) fn seq_in_name(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let number = number.strip_suffix('.')?.parse().ok();
    number.filter(|seq| *seq <= line::LARGEST)
}

/// A file that is a segment, or was one.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// The version and the number that its head begins with, if it begins like one.
    pub(crate) start: Option<(u64, u64)>,
    /// By which it stands among the others.
    pub(crate) order: u64,
}

/// The segments of a folder, in order; and the files that end like one and are none.
pub(crate) fn segments(folder: &Path) -> Result<(Vec<Listed>, Vec<String>), JournalError> {
    let cannot_list = |e| JournalError::io(folder, "cannot list", e);
    let (mut segments, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(cannot_list)? {
        let path = entry.map_err(cannot_list)?.path();
        if path.extension() != Some(OsStr::new(SUFFIX)) || !path.is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        let bytes = fs::metadata(&path).map_or(0, |m| m.len());
        let start = start_of(&path).map_err(|e| JournalError::io(&path, "cannot read", e))?;
        let in_name = seq_in_name(&name);
        let order = match (start, in_name) {
            (Some((_, seq)), Some(named)) if seq == named => Some(seq),
            // One of them is wrong; a head is believed if it is whole.
            (Some((_, seq)), _) if has_whole_head(&path) => Some(seq),
            (Some(_) | None, Some(named)) => Some(named),
            (Some((_, seq)), None) => Some(seq),
            (None, None) => None,
        };
        match order {
            Some(order) => segments.push(Listed {
                path,
                name,
                bytes,
                start,
                order,
            }),
            None => others.push(name),
        }
    }
    segments.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    others.sort();
    Ok((segments, others))
}

fn start_of(path: &Path) -> io::Result<Option<(u64, u64)>> {
    const ENOUGH: u64 = 128;
    let mut start = Vec::new();
    File::open(path)?.take(ENOUGH).read_to_end(&mut start)?;
    Ok(line::head_start(&start))
}

fn has_whole_head(path: &Path) -> bool {
    use std::io::BufRead;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| io::BufReader::new(f).read_until(b'\n', &mut head));
    let head = head.strip_suffix(b"\n").unwrap_or(&head);
    read.is_ok() && line::check(head).is_ok()
}
