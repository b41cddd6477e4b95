//! The writer on a disk that fails as it is told to.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfo_planner::{PlanIds, Planner, Settings};

use super::*;
use crate::archive::Archive;
use crate::problem::Flaw;
use crate::replay::{Replay, Step};
use crate::storage::SegmentFile;

/// What the disk does.
#[derive(Debug, Default)]
struct Faults {
    /// Bytes that it still takes; `None` is any number.
    room: Option<usize>,
    is_sync_broken: bool,
}

#[derive(Clone, Default)]
struct Control(Arc<Mutex<Faults>>);

impl Control {
    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().unwrap());
    }
}

struct Faulty {
    disk: Disk,
    control: Control,
}

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    control: Control,
}

impl Storage for Faulty {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let control = self.control.clone();
        let file = self.disk.create(name)?;
        Ok(Box::new(FaultyFile { file, control }))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn probe(&mut self, bytes: usize) -> io::Result<()> {
        let faults = self.control.0.lock().unwrap();
        match faults.room {
            Some(room) if room < bytes => Err(io::ErrorKind::StorageFull.into()),
            _ => self.disk.probe(bytes),
        }
    }
}

impl SegmentFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = self.control.0.lock().unwrap();
        let Some(room) = &mut faults.room else {
            return self.file.write(bytes);
        };
        if *room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&bytes[..bytes.len().min(*room)])?;
        *room -= written;
        Ok(written)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.control.0.lock().unwrap().is_sync_broken {
            true => Err(io::Error::other("the disk is broken")),
            false => self.file.sync(),
        }
    }
}

struct Scene {
    folder: tempfile::TempDir,
    control: Control,
    planner: Planner,
    settings: Settings,
    writer: Writer,
    reports: Receiver<Report>,
}

impl Scene {
    fn start() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::default();
        let settings = Settings::default();
        let planner = Planner::new(settings.clone(), PlanIds::from_seed(7));
        let (sender, reports) = mpsc::channel();
        let storage = Faulty {
            disk: Disk {
                folder: folder.path().to_owned(),
            },
            control: control.clone(),
        };
        let options = Options {
            retry_after: Duration::from_millis(1),
            ..Options::default()
        };
        let taken = Folder::lock(folder.path()).unwrap();
        let writer = Writer::start_on(
            Box::new(storage),
            &taken,
            options,
            GoOn::default(),
            &head(&settings, &planner),
            move |report| sender.send(report).unwrap_or_default(),
        );
        Scene {
            folder,
            control,
            writer: writer.unwrap(),
            planner,
            settings,
            reports,
        }
    }

    fn mark(&mut self, wish: Wish) -> u64 {
        let reason = "r".repeat(100);
        let seq = self.writer.mark(1, &Mark::Stopped { reason });
        self.writer.flush(wish);
        seq
    }

    fn rotate(&mut self) -> u64 {
        let head = head(&self.settings, &self.planner);
        self.writer.rotate(&head).unwrap()
    }

    fn report(&self) -> String {
        let report = self.reports.recv_timeout(Duration::from_mins(1));
        match report.unwrap() {
            Report::Failed { first_lost, .. } => format!("failed from {first_lost}"),
            Report::Written { seq } => format!("written {seq}"),
            Report::Synced { seq } => format!("synced {seq}"),
            Report::WantsSegment => "wants a segment".to_owned(),
            Report::Recovered { lost } => format!("recovered, lost {lost:?}"),
            other => format!("{other:?}"),
        }
    }

    /// The numbers that can be read, and what is wrong.
    fn read(self) -> (Vec<u64>, Vec<Flaw>) {
        drop(self.writer);
        let (mut seqs, mut flaws) = (Vec::new(), Vec::new());
        Replay::new().run(&Archive::open(self.folder.path()).unwrap(), |step| {
            match step {
                Step::Entry { entry, .. } => seqs.push(entry.seq),
                Step::Problem(problem) => flaws.push(problem.what.clone()),
                Step::Head { .. } => {}
            }
            std::ops::ControlFlow::Continue(())
        });
        (seqs, flaws)
    }
}

fn head<'a>(settings: &'a Settings, planner: &'a Planner) -> NewHead<'a> {
    NewHead {
        at_ms: 0,
        node: None,
        settings,
        planner,
        companion: &serde_json::Value::Null,
    }
}

#[test]
fn a_line_that_the_disk_takes_half_is_cut_and_everything_else_is_there() {
    let mut scene = Scene::start();
    scene.mark(Wish::Durable);
    assert_eq!(scene.report(), "written 2");
    assert_eq!(scene.report(), "synced 2");

    // One line and a half.
    scene.control.set(|faults| faults.room = Some(250));
    let reason = "r".repeat(100);
    for _ in 0..3 {
        let reason = reason.clone();
        scene.writer.mark(1, &Mark::Stopped { reason });
    }
    scene.writer.flush(Wish::Durable);
    assert_eq!(scene.report(), "written 3");
    assert_eq!(scene.report(), "synced 3");
    assert_eq!(scene.report(), "failed from 4");
    assert!(!scene.writer.wants_new_segment());
    scene.mark(Wish::Durable);

    scene.control.set(|faults| faults.room = None);
    assert_eq!(scene.report(), "wants a segment");
    assert!(scene.writer.wants_new_segment());
    assert_eq!(scene.rotate(), 7);
    assert_eq!(scene.report(), "recovered, lost 4..7");
    assert_eq!(scene.report(), "written 7");
    assert_eq!(scene.report(), "synced 7");
    assert!(!scene.writer.wants_new_segment());
    scene.mark(Wish::Durable);
    assert_eq!(scene.report(), "written 8");
    assert_eq!(scene.report(), "synced 8");
    let not_taken = Flaw::NotTaken { first: 4, last: 6 };
    assert_eq!(scene.read(), (vec![2, 3, 8], vec![not_taken]));
}

#[test]
fn a_disk_that_cannot_make_durable_is_not_believed_again() {
    let mut scene = Scene::start();
    scene.control.set(|faults| faults.is_sync_broken = true);
    scene.mark(Wish::Durable);
    assert_eq!(scene.report(), "written 2");
    assert_eq!(scene.report(), "failed from 2");
    scene.control.set(|faults| faults.is_sync_broken = false);
    assert_eq!(scene.report(), "wants a segment");
    scene.mark(Wish::Written);
    assert_eq!(scene.rotate(), 4);
    assert_eq!(scene.report(), "recovered, lost 2..4");
    // The line that was written is there all the same.
    let (seqs, flaws) = scene.read();
    assert_eq!(seqs, [2]);
    assert_eq!(flaws, [Flaw::NotTaken { first: 3, last: 3 }]);
}

#[test]
fn a_segment_that_cannot_begin_is_tried_again() {
    let mut scene = Scene::start();
    scene.control.set(|faults| faults.room = Some(10));
    assert_eq!(scene.rotate(), 2);
    assert_eq!(scene.report(), "failed from 2");
    let names = || fs::read_dir(scene.folder.path()).unwrap().count();
    // The lock and the first segment; half a head is removed.
    assert_eq!(names(), 2);
    scene.control.set(|faults| faults.room = None);
    assert_eq!(scene.report(), "wants a segment");
    assert_eq!(scene.rotate(), 3);
    assert_eq!(scene.report(), "recovered, lost 2..3");
    assert_eq!(scene.read().0, [0; 0]);
}

#[test]
fn many_plans_become_durable_in_groups() {
    let mut scene = Scene::start();
    let last = (0..500).map(|_| scene.mark(Wish::Durable)).last();
    let mut syncs = 0;
    loop {
        let report = scene.report();
        syncs += usize::from(report.starts_with("synced"));
        if report == format!("synced {}", last.unwrap()) {
            break;
        }
    }
    assert!((1..=500).contains(&syncs));
    assert_eq!(scene.writer.backlog_bytes(), 0);
    assert_eq!(scene.read().0.len(), 500);
}
