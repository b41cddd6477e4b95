//! Over files, which can be read again: the decisions are those of a run that nothing interrupts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use crate::dfo::{Dfo, Folder};
use crate::journal::{Journal, segments};
use crate::live::Serve;
use crate::live::findings::ack;
use crate::random::Random;
use crate::{COOLDOWN, finding, kill_some_time, kills, knobs, verified};

const KNOBS: u64 = 6;
const PER_SECOND: u64 = 3_000;

/// Findings of one window: few enough for many plans, and so many that a disk mostly has a plan before
/// it expires.
const PER_WINDOW: u64 = 30;

/// A folder with findings for so many kills, and knobs.
fn folder(random: &mut Random, kills: u64) -> Folder {
    let count = 600 * (kills + 1);
    let findings = (0..count).map(|n| finding(random, KNOBS, n / PER_WINDOW) + "\n");
    let findings: String = findings.collect();
    let knobs = knobs(usize::try_from(KNOBS).unwrap()).to_string();
    Folder::with("knobs.json", knobs).file("findings.jsonl", findings)
}

fn serve(here: &Folder, args: &str) -> Dfo {
    let files = "--findings findings.jsonl --knobs knobs.json";
    here.dfo(&format!("serve file --format json {files} {args}"))
}

/// Kills it again and again, and lets it come to its end at last. How often it was killed.
fn interrupted(here: &Folder, random: &mut Random, args: &str, mut each: impl FnMut()) -> u64 {
    let journal = here.path("journal");
    let args = format!("{args} --journal journal --rate {PER_SECOND}");
    let mut killed = 0;
    while killed < kills() {
        let mut serving = Serve::spawn(serve(here, &args));
        if !kill_some_time(&mut serving, random, &journal, 30_000) {
            break;
        }
        killed += 1;
        each();
    }
    Serve::spawn(serve(here, &args)).ends().exits(0);
    each();
    killed
}

/// The same from the first head on, with the same ids for plans, without an interruption.
fn uninterrupted(here: &Folder, args: &str) -> Journal {
    let first = segments(&here.path("journal")).remove(0);
    let text = fs::read_to_string(&first).unwrap();
    let head = text.split_inclusive('\n').next().unwrap();
    let calm = here.path("calm");
    fs::create_dir(&calm).unwrap();
    fs::write(calm.join(first.file_name().unwrap()), head).unwrap();
    Serve::spawn(serve(here, &format!("{args} --journal calm")))
        .ends()
        .exits(0);
    Journal::read(&calm)
}

#[track_caller]
fn decides_the_same(journal: &Journal, calm: &Journal) {
    let (decided, expected) = (journal.decided(), calm.decided());
    for (n, (decided, expected)) in decided.iter().zip(&expected).enumerate() {
        assert_eq!(decided, expected, "event {n}");
    }
    assert_eq!(decided.len(), expected.len());
}

#[test]
fn a_dry_run_that_is_killed_decides_as_one_that_is_not() {
    let random = &mut Random::new("a dry run over files");
    let here = folder(random, kills());
    let killed = interrupted(&here, random, "--dry-run", || {});
    verified(&here);
    let journal = Journal::read(&here.path("journal"));
    let starts = journal.starts();
    println!(
        "{killed} kills, {starts} starts, {} plans",
        journal.plans().count()
    );
    assert!(starts > 1);
    assert!(journal.plans().count() > 100);
    decides_the_same(&journal, &uninterrupted(&here, "--dry-run"));
}

/// The plans that the whole lines of a file are about.
fn ids(here: &Folder, file: &str) -> Vec<String> {
    let text = fs::read_to_string(here.path(file)).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let messages = whole.map(|line| serde_json::from_str::<Json>(line).unwrap());
    let ids = messages.map(|message| message["plan_id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// Answers each plan that is appended, as an application would, whether the service is there or not.
fn answer(here: &std::path::Path, is_over: &AtomicBool) {
    let open = |name: &str| {
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true).read(true);
        options.open(here.join(name)).unwrap()
    };
    let (mut plans, mut control) = (open("plans.jsonl"), open("control.jsonl"));
    let mut answered = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut text = String::new();
        plans.seek(SeekFrom::Start(answered)).unwrap();
        plans.read_to_string(&mut text).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        for line in whole {
            answered += line.len() as u64;
            let plan: Json = serde_json::from_str(line).unwrap();
            let ack = ack(&plan, "applied", &plan["new_value"]).to_string() + "\n";
            control.write_all(ack.as_bytes()).unwrap();
        }
        // Sleeps: looks at what another process writes, until the test is over.
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_was_acknowledged_is_not_sent_again_and_no_acknowledgement_counts_twice() {
    let random = &mut Random::new("acknowledgements in a file");
    let here = folder(random, kills());
    let (mut journal, is_over) = (Journal::of_deeds(), AtomicBool::new(false));
    let (mut known, mut acknowledged) = (0, BTreeSet::new());
    let each = || {
        let sent = ids(&here, "plans.jsonl");
        for id in &sent[known..] {
            assert!(
                !acknowledged.contains(id),
                "{id} was acknowledged, and sent again"
            );
        }
        known = sent.len();
        journal.read_on(&here.path("journal"));
        acknowledged = journal.acknowledged();
    };
    let killed = thread::scope(|scope| {
        let folder = here.path("");
        scope.spawn(|| {
            let folder = folder;
            answer(&folder, &is_over);
        });
        let over = Over(&is_over);
        let args = "--plans plans.jsonl --control control.jsonl";
        let killed = interrupted(&here, random, args, each);
        drop(over);
        killed
    });
    verified(&here);
    let journal = Journal::read(&here.path("journal"));
    journal.gates_hold(COOLDOWN);
    let answers = ids(&here, "control.jsonl");
    let taken: Vec<_> = journal.acks().collect();
    println!(
        "{killed} kills, {} answers, {} of them taken",
        answers.len(),
        taken.len()
    );
    assert!(taken.len() > 50);
    // All that were appended before the end, each once, in their order.
    assert_eq!(taken, answers[..taken.len()]);
}

/// Says that it is over when it goes, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn plans_in_a_file_are_those_of_the_journal_however_often_it_is_killed() {
    let random = &mut Random::new("plans in a file");
    let here = folder(random, kills());
    let sent = || {
        let mut sent = BTreeMap::new();
        for id in ids(&here, "plans.jsonl") {
            *sent.entry(id).or_insert(0) += 1;
        }
        sent
    };
    // Whatever the moment: no plan went out that is not in the journal.
    let mut so_far = Journal::of_deeds();
    let each = || {
        so_far.read_on(&here.path("journal"));
        let known = so_far.plan_ids();
        let unknown: Vec<_> = sent()
            .into_keys()
            .filter(|id| !known.contains(id))
            .collect();
        assert!(
            unknown.is_empty(),
            "sent, and not in the journal: {unknown:?}"
        );
    };
    let killed = interrupted(&here, random, "--plans plans.jsonl", each);
    verified(&here);
    let journal = Journal::read(&here.path("journal"));
    journal.gates_hold(COOLDOWN);
    let (sent, made) = (sent(), journal.plan_ids());
    let twice = sent.iter().filter(|(_, times)| **times > 1);
    let twice: Vec<_> = twice.map(|(id, _)| id).collect();
    let counts = (made.len(), twice.len());
    println!(
        "{killed} kills, {} plans, {} of them sent twice",
        counts.0, counts.1
    );
    // Only what has no acknowledgement is sent again; here nothing has.
    assert_eq!(journal.acknowledged().len(), 0);
    assert!(made.len() > 100);
    let unsent = journal.unsent();
    let missing: Vec<_> = made.iter().filter(|id| !sent.contains_key(*id)).collect();
    let lost: Vec<_> = missing.iter().filter(|id| !unsent.contains(**id)).collect();
    assert!(
        lost.is_empty(),
        "in the journal, and neither sent nor said to be not: {lost:?}"
    );
    // Where the disk is slow, some expire before they may leave.
    assert!(
        missing.len() * 2 < made.len(),
        "{} of {}",
        missing.len(),
        made.len()
    );
    decides_the_same(&journal, &uninterrupted(&here, "--plans calm.jsonl"));
}
