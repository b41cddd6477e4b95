//! The journal of a service: plans leave when their lines are safe, and a restart goes on.
//!
//! A thread writes, so that the clock here is the real one: these tests wait for what happens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dfo_journal::{Archive, JournalError, Options, Replay, SyncPolicy};
use dfo_planner::{Command, Planner};
use dfo_service::{AckMode, FoundInJournal, Journal, JournalSettings, JournalStatus, Unsent};
use dfo_transport::{FileSource, Pace};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::scene::{AckWords, Live, Scene, ack_record, app, applied, finding, knob, up};

/// Longer than a slow machine takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder, and how a journal is kept there.
struct Place {
    parent: TempDir,
    options: Options,
    is_required: bool,
    is_dry_run: bool,
}

impl Place {
    fn new() -> Self {
        Place {
            parent: TempDir::new().unwrap(),
            options: Options::default(),
            is_required: false,
            is_dry_run: false,
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.parent.path().join("journal")
    }

    fn open(&self) -> (Journal, Planner, FoundInJournal) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Journal, Planner, FoundInJournal), JournalError> {
        let settings = JournalSettings {
            folder: self.folder(),
            options: self.options.clone(),
            is_required: self.is_required,
            is_dry_run: self.is_dry_run,
        };
        Journal::open(settings, &dfo_planner::Settings::default(), None, 1)
    }

    /// A service that keeps its journal here.
    fn scene(&self) -> Scene {
        let (journal, planner, _) = self.open();
        Scene::new().planner(planner).journal(journal)
    }

    /// No new segment can begin.
    fn goes_away(&self) {
        fs::rename(self.folder(), self.parent.path().join("aside")).unwrap();
        fs::write(self.folder(), "in the way").unwrap();
    }

    fn comes_back(&self) {
        fs::remove_file(self.folder()).unwrap();
        fs::rename(self.parent.path().join("aside"), self.folder()).unwrap();
    }

    /// All lines of all segments.
    fn text(&self) -> String {
        text_of(&self.folder())
    }

    /// Folds the whole journal and compares: how many events, and what is wrong.
    fn verified(&self) -> (u64, u64) {
        let archive = Archive::open(self.folder()).unwrap();
        let go_on = |_: dfo_journal::Step<'_>| std::ops::ControlFlow::Continue(());
        let tally = Replay::new().run(&archive, go_on).tally;
        (tally.events, tally.problems)
    }
}

fn text_of(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = entries.filter(|p| p.extension().is_some()).collect();
    segments.sort();
    let texts = segments
        .iter()
        .map(|path| fs::read_to_string(path).unwrap());
    texts.collect()
}

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        // Sleeps: another thread makes it so, and tells nobody.
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the service has decided on so many events.
async fn decided(s: &Live, events: usize) {
    let log = s.log.clone();
    until("decisions", || log.decided() >= events).await;
}

/// How the journal is.
async fn journal_of(s: &Live) -> JournalStatus {
    s.remote.status().await.unwrap().journal.unwrap()
}

/// Findings that lead to nothing, until the journal cannot be written.
async fn fails(s: &mut Live) {
    let begun = Instant::now();
    while journal_of(s).await.failed.is_none() {
        assert!(begun.elapsed() < PATIENCE, "the journal can be written");
        s.diagnoser_sends(finding(0).severity(0.1).record()).await;
    }
}

/// The service dies without a word.
fn kill(s: Live) {
    s.abort();
}

#[tokio::test]
async fn a_plan_that_arrives_is_in_the_journal() {
    for sync in [
        SyncPolicy::EachPlan,
        SyncPolicy::Every(Duration::from_hours(1)),
    ] {
        let mut place = Place::new();
        place.options.sync = sync;
        let mut s = place.scene().knobs([knob("k")]).start();
        s.diagnoser_sends(finding(0).record()).await;
        let plan = s.plan().await;
        assert!(place.text().contains(&plan.plan_id));
        s.stop().await;
        assert!(place.text().contains(r#"{"stopped":"#));
    }
}

#[tokio::test]
async fn what_no_plan_waits_for_reaches_the_disk_all_the_same() {
    let place = Place::new();
    let mut s = place.scene().knobs([knob("k")]).start();
    s.diagnoser_sends(finding(0).severity(0.1).record()).await;
    decided(&s, 1).await;
    let begun = Instant::now();
    while journal_of(&s).await.lag_lines() > 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not");
        // Sleeps: the disk takes its time, and tells nobody here.
        sleep(Duration::from_millis(20)).await;
    }
    s.stop().await;
}

#[tokio::test]
async fn what_nobody_answered_is_sent_again_and_what_was_answered_is_not() {
    let place = Place::new();
    let scene = place.scene();
    let mut s = scene.start();
    let both = app("i").knobs([knob("a"), knob("b").responds_to("u", up())]);
    s.register(&both).await;
    s.diagnoser_sends(finding(0).record()).await;
    let one = s.plan().await;
    s.diagnoser_sends(finding(0).tag("u").record()).await;
    let other = s.plan().await;
    s.control_sends(ack_record(&applied(&one).at(0))).await;
    decided(&s, 4).await;
    until("the ack's line", || place.text().contains("\"ack\"")).await;
    kill(s);

    let (journal, planner, found) = place.open_when_free().await;
    assert_eq!((found.is_new, found.open_plans), (false, 1));
    let mut s = Scene::new().planner(planner).journal(journal).start();
    let again = s.plan().await;
    assert_eq!(again, other);
    s.control_sends(ack_record(&applied(&again).at(0))).await;
    decided(&s, 1).await;
    s.stop().await;
    let (_, _, found) = place.open_when_free().await;
    assert_eq!(found.open_plans, 0);
    assert_eq!(place.verified().1, 0);
}

#[test]
fn what_a_dry_run_thought_applied_is_not_gone_on_with_in_earnest() {
    for is_dry_run in [true, false] {
        let mut place = Place::new();
        place.is_dry_run = is_dry_run;
        drop(place.open());
        drop(place.open());
        let before = place.text();
        place.is_dry_run = !is_dry_run;
        let error = place.try_open().unwrap_err();
        assert!(matches!(error, JournalError::OtherMode { .. }), "{error}");
        assert!(error.to_string().contains("dry run"), "{error}");
        assert_eq!(place.text(), before, "nothing was changed");
    }
}

#[tokio::test]
async fn what_was_frozen_stays_frozen_and_waits() {
    let place = Place::new();
    let s = place.scene().start();
    let mut s = s;
    s.register(&app("i").knobs([knob("k")])).await;
    s.diagnoser_sends(finding(0).record()).await;
    s.plan().await;
    s.remote
        .command(Command::Freeze { knob: None })
        .await
        .unwrap();
    s.stop().await;

    let (journal, planner, _) = place.open_when_free().await;
    let mut s = Scene::new().planner(planner).journal(journal).start();
    let status = s.remote.status().await.unwrap();
    assert!(status.is_frozen);
    assert_eq!(status.sinks[0].waiting, 1, "the unanswered plan waits");
    s.remote
        .command(Command::Thaw { knob: None })
        .await
        .unwrap();
    s.plan().await;
    s.stop().await;
}

#[tokio::test]
async fn an_application_that_does_not_come_back_is_silent() {
    let place = Place::new();
    let mut s = place.scene().start();
    s.register(&app("i").on("n1").knobs([knob("k")])).await;
    decided(&s, 1).await;
    s.stop().await;

    let (journal, planner, _) = place.open_when_free().await;
    let scene = Scene::new().planner(planner).journal(journal);
    let scene = scene.settings(|s| s.heartbeat = Duration::from_millis(10));
    let s = scene.start();
    let log = s.log.clone();
    until("silence", || log.outcome().silent() == ["i"]).await;
    s.stop().await;
    assert!(
        place
            .text()
            .contains(r#"{"gone":{"instance":"i","node":"n1","left":false}}"#)
    );
}

#[tokio::test]
async fn a_dry_run_that_was_interrupted_decides_as_if_it_had_not_been() {
    let findings = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/findings/session_control.jsonl.gz"
    );
    let knobs = || [knob("k").responds_to("dataloader_prefetch", up())];
    for acks in [AckMode::Immediate, AckMode::Delay(3), AckMode::Never] {
        let of_one_run = Place::new();
        let all = || FileSource::open(Path::new(findings), Pace::Full).unwrap();
        let scene = of_one_run.scene().knobs_in_journal(knobs());
        let scene = scene.findings_from("f", all()).dry_run(acks);
        scene.runs_to_its_end().await;

        let place = Place::new();
        let scene = place.scene().knobs_in_journal(knobs());
        let s = scene.findings_from("f", all()).dry_run(acks).start();
        decided(&s, 300).await;
        kill(s);
        let (journal, planner, found) = place.open_when_free().await;
        assert!(found.events > 0);
        let scene = Scene::new().planner(planner).journal(journal);
        let scene = scene.findings_from("f", all()).dry_run(acks);
        scene.runs_to_its_end().await;

        assert_eq!(events(&of_one_run), events(&place), "{acks:?}");
        assert_eq!(place.verified().1, 0);
    }
}

/// Every event with its decisions, without numbers and times.
fn events(place: &Place) -> Vec<String> {
    let text = place.text();
    let events = text.lines().filter_map(|line| {
        let event = line.find("\"event\":")?;
        let end = line.rfind(",\"crc\"")?;
        Some(line[event..end].to_owned())
    });
    events.collect()
}

#[tokio::test]
async fn while_a_required_journal_cannot_be_written_no_plan_leaves() {
    let mut place = Place::new();
    place.is_required = true;
    place.options.segment_bytes = 1;
    place.options.retry_after = Duration::from_millis(10);
    let mut s = place.scene().knobs([knob("k")]).start();
    place.goes_away();
    fails(&mut s).await;
    s.diagnoser_sends(finding(51).record()).await;
    let log = s.log.clone();
    until("a plan", || !log.outcome().plans().is_empty()).await;
    assert_eq!(s.remote.status().await.unwrap().sinks[0].sent, 0);
    place.comes_back();
    let plan = s.plan().await;
    assert!(place.text().contains(&plan.plan_id));
    let journal = journal_of(&s).await;
    assert_eq!((journal.failed, journal.failures), (None, 1));
    s.stop().await;
}

#[tokio::test]
async fn a_journal_that_is_not_required_holds_up_nothing() {
    let mut place = Place::new();
    place.options.segment_bytes = 1;
    let mut s = place.scene().knobs([knob("k")]).start();
    place.goes_away();
    fails(&mut s).await;
    s.diagnoser_sends(finding(1).record()).await;
    s.plan().await;
    s.stop().await;
}

#[tokio::test]
async fn a_plan_that_expires_while_it_is_held_never_leaves() {
    let mut place = Place::new();
    place.is_required = true;
    place.options.segment_bytes = 1;
    place.options.retry_after = Duration::from_millis(10);
    let mut s = place.scene().knobs([knob("k")]).start();
    place.goes_away();
    fails(&mut s).await;
    s.diagnoser_sends(finding(1).record()).await;
    s.diagnoser_sends(finding(11).severity(0.1).record()).await;
    let log = s.log.clone();
    until("the withdrawal", || !log.outcome().unsent().is_empty()).await;
    assert_eq!(log.outcome().unsent()[0].1, Unsent::Withdrawn);
    place.comes_back();
    s.diagnoser_sends(finding(40).record()).await;
    assert_eq!(s.plan().await.window_index, 40);
    s.stop().await;
}

impl Place {
    /// Opens it once the service that was killed has let it go.
    async fn open_when_free(&self) -> (Journal, Planner, FoundInJournal) {
        let folder = self.folder();
        until("the folder is free", || {
            dfo_journal::Folder::lock(&folder).is_ok()
        })
        .await;
        self.open()
    }
}

#[tokio::test]
async fn no_id_is_given_twice_though_lines_are_lost() {
    let mut place = Place::new();
    place.options.segment_bytes = 1;
    let scene = place.scene().knobs_in_journal([knob("k")]);
    let mut s = scene.start();
    place.goes_away();
    fails(&mut s).await;
    s.diagnoser_sends(finding(1).record()).await;
    let lost = s.plan().await;
    kill(s);
    place.comes_back();

    let (journal, planner, _) = place.open_when_free().await;
    assert!(planner.pending().is_empty(), "nothing is known of it");
    let mut s = Scene::new().planner(planner).journal(journal).start();
    s.diagnoser_sends(finding(1).record()).await;
    assert_ne!(s.plan().await.plan_id, lost.plan_id);
    s.stop().await;
}

#[tokio::test]
async fn a_disk_that_works_again_goes_on_with_a_whole_journal() {
    let mut place = Place::new();
    place.options.segment_bytes = 1;
    place.options.retry_after = Duration::from_millis(10);
    let scene = place.scene().knobs_in_journal([knob("k").resting(1)]);
    let mut s = scene.start();
    s.diagnoser_sends(finding(0).record()).await;
    let first = s.plan().await;
    s.control_sends(ack_record(&applied(&first).at(0))).await;
    place.goes_away();
    fails(&mut s).await;
    s.diagnoser_sends(finding(20).record()).await;
    s.plan().await;
    place.comes_back();
    let begun = Instant::now();
    while journal_of(&s).await.failed.is_some() {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
        s.diagnoser_sends(finding(20).severity(0.1).record()).await;
    }
    s.diagnoser_sends(finding(60).record()).await;
    let last = s.plan().await;
    s.stop().await;
    assert!(place.text().contains(&last.plan_id));
    assert_eq!(
        place.verified().1,
        0,
        "what is lost is named, and no damage"
    );
}
