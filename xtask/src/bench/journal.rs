//! Starting with a journal: from its lines, and from a snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dfo_cli::Exit;
use dfo_journal::{Recorded, RecordedEvent, Since, recover};
use dfo_planner::Settings;

use super::Size;
use super::measure::{median, rate, timed};
use super::replay::{long_session, replay_to_file};
use crate::peers::Peer;
use crate::peers::served::Served;
use crate::product;

/// How often the findings are in the journal that is long.
const TIMES: usize = 4;

/// A folder that is empty at first and gone in the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(root: &Path, name: &str) -> Result<Self> {
        let folder = root.join("target/bench").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }

    pub fn text(&self) -> Result<&str> {
        self.0.to_str().context("a path in UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is overwritten by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Findings a second when a journal is read back, beside a replay of the same findings; then the time
/// of a start from a snapshot behind a long journal.
pub fn recovery(root: &Path, size: &Size) -> Result<()> {
    let Size { findings, rounds } = *size;
    println!("the findings of a replay, median of {rounds} rounds, the sides in turn");
    let work = Scratch::new(root, "recovery")?;
    let input = work.0.join("findings.jsonl");
    fs::write(&input, long_session(root, findings)?)?;
    let long = Scratch::new(root, "long-journal")?;
    serve_file(&input, &long)?;

    let one = work.0.join("one-segment");
    fs::create_dir(&one)?;
    let segments = segments(&long.0)?;
    let first = segments.first().context("a journal")?;
    fs::copy(first, one.join(first.file_name().context("a name")?))?;
    let recovered = recover_from(&one)?;

    let (mut replays, mut recoveries) = (Vec::new(), Vec::new());
    let plans = work.0.join("plans.jsonl");
    for _ in 0..rounds {
        replays.push(timed(|| replay_to_file(&input, &plans))?);
        recoveries.push(timed(|| recover_from(&one).map(drop))?);
    }
    let replay = rate(findings, &mut replays);
    let recovery = rate(recovered, &mut recoveries);
    println!("replay, JSON plans to a file {replay:>12.0} findings/s");
    println!("recovery from lines          {recovery:>12.0} findings/s");
    println!(
        "recovery / replay            {:>6.2}   (aim: at least 0.5)\n",
        recovery / replay
    );
    start_from_snapshot(&long, rounds)
}

/// How long `dfo serve` takes to be ready, behind all that was journalled.
fn start_from_snapshot(long: &Scratch, rounds: usize) -> Result<()> {
    let (_diagnoser, address) = Peer::diagnoser()?;
    // The journal is one of a dry run, and only such a service goes on with it.
    let arguments = ["--dry-run", "--journal", long.text()?];
    let (mut fresh, mut behind) = (Vec::new(), Vec::new());
    // The first one makes the snapshot; all are killed, so that none makes another at its end.
    drop(Served::start(&address, &arguments)?);
    for _ in 0..rounds {
        fresh.push(started(&address, &["--dry-run"])?);
        behind.push(started(&address, &arguments)?);
    }
    let sizes = segments(&long.0)?
        .into_iter()
        .map(|path| fs::metadata(path).map(|m| m.len()));
    let bytes: u64 = sizes.sum::<std::io::Result<u64>>()?;
    let [fresh, behind] = [fresh, behind].map(|mut times| median(&mut times).as_secs_f64());
    println!("start without a journal      {:>12.0} ms", fresh * 1e3);
    println!(
        "start from a snapshot        {:>12.0} ms, behind {} MiB   (aim: less than 1000)",
        behind * 1e3,
        bytes >> 20
    );
    Ok(())
}

fn started(address: &str, arguments: &[&str]) -> Result<Duration> {
    let begun = Instant::now();
    let _service = Served::start(address, arguments)?;
    Ok(begun.elapsed())
}

/// A journal of a dry run over these findings, several times.
fn serve_file(input: &Path, journal: &Scratch) -> Result<()> {
    let mut args: Vec<std::ffi::OsString> = Vec::new();
    args.extend(["dfo", "serve", "file", "--dry-run", "--bootstrap", "dlio"].map(Into::into));
    args.extend(["--journal".into(), journal.0.clone().into()]);
    for _ in 0..TIMES {
        args.extend(["--findings".into(), input.into()]);
    }
    let exit = product::command().run_with(args, std::io::sink(), std::io::sink());
    ensure!(exit == Exit::Done, "dfo serve file ended with {exit:?}");
    Ok(())
}

/// Reads a journal back; how many findings are in it.
fn recover_from(folder: &Path) -> Result<usize> {
    let mut findings = 0;
    let recovered = recover(folder, &Settings::default(), 0, |since| {
        if let Since::Entry { entry, .. } = since
            && let Recorded::Event { event, .. } = &entry.what
        {
            findings += usize::from(matches!(event, RecordedEvent::Finding(_)));
        }
    })?;
    ensure!(recovered.problems.is_empty(), "{:?}", recovered.problems);
    Ok(findings)
}

/// The segments of a journal, oldest first.
fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "jsonl"));
    paths.sort();
    Ok(paths)
}
