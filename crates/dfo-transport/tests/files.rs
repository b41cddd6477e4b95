//! Files as a transport: followed, appended to, skipped.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dfo_transport::{
    ErrorKind, FileSource, Files, OptimizerEnds, Options, Pace, Record, Role, Source,
    Transport as _, TransportError,
};
use tempfile::TempDir;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn append(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }

    /// Options, of which those that are no switch are names of files here.
    fn options(&self, role: Role, given: &[(&str, &str)]) -> Result<Options, TransportError> {
        let given = given.iter().map(|(name, value)| match *name {
            "follow" | "rate" => (*name, (*value).to_owned()),
            _ => (*name, self.path(value).display().to_string()),
        });
        Options::check(Files.options(), role, given, &|_| None)
    }

    async fn optimizer(&self, given: &[(&str, &str)]) -> Result<OptimizerEnds, TransportError> {
        Files
            .optimizer(&self.options(Role::Optimizer, given)?)
            .await
    }
}

async fn next(source: &mut dyn Source) -> Vec<String> {
    let batch = timeout(DEADLINE, source.receive(100)).await;
    batch.unwrap().unwrap().iter().map(shown).collect()
}

/// So many records, in as few or as many batches as they come.
async fn some(source: &mut dyn Source, count: usize) -> Vec<String> {
    let mut came = Vec::new();
    while came.len() < count {
        let batch = next(source).await;
        assert!(!batch.is_empty(), "{came:?}, then the end");
        came.extend(batch);
    }
    came
}

fn shown(record: &Record) -> String {
    let Record { metadata, payload } = record;
    format!("{}{}", metadata.escape_ascii(), payload.escape_ascii())
}

/// Whether nothing comes, as far as that can be seen.
async fn is_silent(source: &mut dyn Source) -> bool {
    let soon = Duration::from_millis(150);
    timeout(soon, source.receive(100)).await.is_err()
}

fn follow(path: &Path) -> FileSource {
    FileSource::follow(path, Pace::Full).unwrap()
}

#[tokio::test]
async fn what_is_appended_is_read_as_it_comes() {
    let folder = Folder::new();
    let mut source = follow(&folder.append("f", "1\n2\n"));
    assert_eq!(some(&mut source, 2).await, ["1", "2"]);
    assert!(is_silent(&mut source).await);
    folder.append("f", "3\n");
    assert_eq!(next(&mut source).await, ["3"]);
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    let folder = Folder::new();
    let mut source = follow(&folder.path("f"));
    assert!(is_silent(&mut source).await);
    folder.append("f", "1\n");
    assert_eq!(next(&mut source).await, ["1"]);
}

#[tokio::test]
async fn a_line_counts_once_its_end_is_there() {
    let folder = Folder::new();
    let mut source = follow(&folder.append("f", "{\"a\": 1}\n{\"a\""));
    assert_eq!(next(&mut source).await, ["{\\\"a\\\": 1}"]);
    assert!(is_silent(&mut source).await);
    folder.append("f", ": 2}\n");
    assert_eq!(next(&mut source).await, ["{\\\"a\\\": 2}"]);
}

#[tokio::test]
async fn a_torn_line_that_is_cut_off_does_the_reader_no_harm() {
    let folder = Folder::new();
    let path = folder.append("f", "1\n{\"torn");
    let mut source = follow(&path);
    assert_eq!(next(&mut source).await, ["1"]);
    assert!(is_silent(&mut source).await);
    fs::write(&path, "1\n").unwrap();
    folder.append("f", "2\n");
    assert_eq!(next(&mut source).await, ["2"]);
}

#[tokio::test]
async fn a_line_longer_than_any_buffer_is_whole() {
    let folder = Folder::new();
    let long = "x".repeat(3_000_000);
    let mut source = follow(&folder.append("f", &format!("{long}\n2\n")));
    assert_eq!(some(&mut source, 2).await, [&long, "2"]);
}

#[tokio::test]
async fn a_file_that_shrinks_is_an_error() {
    let folder = Folder::new();
    let path = folder.append("f", "1\n2\n");
    let mut source = follow(&path);
    some(&mut source, 2).await;
    fs::write(&path, "1\n").unwrap();
    let error = timeout(DEADLINE, source.receive(1)).await.unwrap();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("may only grow"), "{error}");
}

#[tokio::test]
async fn what_is_known_is_passed_over_and_what_is_appended_comes() {
    let folder = Folder::new();
    let path = folder.append("f", "1\n2\n3\n");
    let mut source = follow(&path);
    assert_eq!(source.skip(3).await.unwrap(), 3);
    assert!(is_silent(&mut source).await);
    folder.append("f", "4\n");
    assert_eq!(next(&mut source).await, ["4"]);
    // What is not there is not waited for.
    assert_eq!(follow(&path).skip(5).await.unwrap(), 4);
    assert_eq!(follow(&folder.path("none")).skip(5).await.unwrap(), 0);
}

#[tokio::test]
async fn control_that_stands_there_comes_before_the_first_finding() {
    let folder = Folder::new();
    folder.append("findings", "1\n");
    folder.append("control", "a\nb\n");
    let given = [("findings", "findings"), ("control", "control")];
    let mut ends = folder.optimizer(&given).await.unwrap();
    let findings = &mut *ends.findings[0].end;
    let control = &mut *ends.control[0].end;
    assert!(is_silent(findings).await);
    assert_eq!(some(control, 2).await, ["a", "b"]);
    // Not before more of it is asked for: what was given is on its way then.
    assert!(is_silent(findings).await);
    assert!(is_silent(control).await);
    assert_eq!(next(findings).await, ["1"]);
    assert!(next(findings).await.is_empty());
}

#[tokio::test]
async fn a_line_ends_a_stream() {
    let folder = Folder::new();
    folder.append("findings", "1\n{\"name\": \"end\"}\n");
    let given = [("findings", "findings"), ("follow", "true")];
    let mut ends = folder.optimizer(&given).await.unwrap();
    let source = &mut *ends.findings[0].end;
    let mut records = Vec::new();
    while records.len() < 2 {
        records.extend(source.receive(2).await.unwrap());
    }
    assert_eq!(records[0], Record::new("", "1"));
    assert_eq!(records[1], Record::new("{\"name\": \"end\"}", ""));
}

#[tokio::test]
async fn files_are_read_in_turn_or_side_by_side() {
    let folder = Folder::new();
    folder.append("a", "1\n");
    folder.append("b", "2\n");
    let given = [("findings", "a"), ("findings", "b")];
    let mut ends = folder.optimizer(&given).await.unwrap();
    assert_eq!(ends.findings.len(), 1);
    assert_eq!(some(&mut *ends.findings[0].end, 2).await, ["1", "2"]);
    let given = [("findings", "a"), ("findings", "b"), ("follow", "true")];
    let ends = folder.optimizer(&given).await.unwrap();
    assert_eq!(ends.findings.len(), 2);
}

#[tokio::test]
async fn what_the_roles_send_the_others_receive() {
    let folder = Folder::new();
    let given = [
        ("plans", "plans"),
        ("control", "control"),
        ("follow", "true"),
    ];
    let options = folder.options(Role::Application, &given).unwrap();
    let mut application = Files.application(&options).await.unwrap();
    let given = [
        ("findings", "findings"),
        ("control", "control"),
        ("plans", "plans"),
        ("follow", "true"),
    ];
    let mut optimizer = folder.optimizer(&given).await.unwrap();
    let options = folder
        .options(Role::Diagnoser, &[("to", "findings")])
        .unwrap();
    let mut diagnoser = Files.diagnoser(&options).await.unwrap();

    let control = application.control.as_mut().unwrap();
    control
        .send(Record::new("m", "registration"))
        .await
        .unwrap();
    let received = &mut *optimizer.control[0].end;
    assert_eq!(next(received).await, ["registration"]);
    assert!(is_silent(received).await);
    diagnoser.send(Record::new("m", "finding")).await.unwrap();
    assert_eq!(next(&mut *optimizer.findings[0].end).await, ["finding"]);
    let plans = &mut optimizer.plans[0].end;
    plans.send(Record::new("m", "plan")).await.unwrap();
    assert_eq!(next(&mut *application.plans).await, ["plan"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_said() {
    let folder = Folder::new();
    folder.append("f", "");
    let missing = folder.optimizer(&[]).await.unwrap_err().to_string();
    assert!(missing.contains("--findings"), "{missing}");
    for rate in ["0", "-1", "nan", "fast"] {
        let given = [("findings", "f"), ("rate", rate)];
        let error = folder.optimizer(&given).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{rate}");
    }
    let error = folder.optimizer(&[("findings", "none")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
