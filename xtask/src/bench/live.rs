//! The service over ZeroMQ, beside a bare forwarder in its place.
//!
//! Both are processes of their own, between the same diagnoser and the same application, which are
//! threads of this one. The original's figures, for context, are of the same machine size: 12,100
//! held findings a second, 2,840 where each makes a plan, and a p99 of 3.7 ms.

use std::fs;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Size;
use super::measure::{median, percentile, rate};
use crate::peers::findings::{self, Finding, Node};
use crate::peers::forwarder::Forwarder;
use crate::peers::served::Served;
use crate::peers::{Frames, Peer};

/// Nodes of the job whose findings are held.
const NODES: usize = 64;

/// How many findings come to the latency's one second.
const PER_SECOND: u32 = 1_000;

/// What is measured: a diagnoser and an application, and what is between them.
struct Line {
    diagnoser: Peer,
    application: Peer,
    marked: usize,
    _between: Between,
}

#[expect(dead_code, reason = "kept so that the process goes on")]
enum Between {
    Forwarder(Forwarder),
    Service(Served),
}

/// A flood, and how it came out at the other end.
struct Flood {
    time: Duration,
    arrived: usize,
}

/// Findings a second: sent as fast as they are taken, until the last one has had its effect.
pub fn rate_of_service(root: &Path, size: &Size) -> Result<()> {
    let Size { findings, rounds } = *size;
    println!(
        "{}-byte findings over loopback TCP, median of {rounds} rounds, the sides in turn",
        findings::BYTES
    );
    let knobs = knobs(root)?;
    let mut forwarder = Line::through_forwarder()?;
    let mut service = Line::through_service(&knobs)?;
    let mut planning = Line::through_service(&knobs)?;
    let held: Vec<Frames> = (0..NODES)
        .map(|node| Finding::held(Node::Plain(node), 0).frames())
        .collect();
    // Each plan is the first one of its node, so that nothing holds it.
    let plans = findings / 10;

    let (mut bare, mut gated, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    let mut arrived = 0;
    for round in 0..rounds {
        bare.push(forwarder.flood(&held, findings)?.time);
        let flood = service.flood(&held, findings)?;
        ensure!(
            flood.arrived == 1,
            "a finding that should be held made a plan"
        );
        gated.push(flood.time);
        let fresh: Vec<Frames> = (0..plans)
            .map(|node| Finding::severe(Node::Plain(round * plans + node), 0).frames())
            .collect();
        let flood = planning.flood(&fresh, plans)?;
        planned.push(flood.time);
        arrived += flood.arrived - 1;
    }
    let [bare, gated] = [bare, gated].map(|mut times| rate(findings, &mut times));
    let planned = rate(plans, &mut planned);
    println!("bare forwarder               {bare:>12.0} findings/s");
    println!("dfo serve zmq, held          {gated:>12.0} findings/s");
    println!("dfo serve zmq, all plans     {planned:>12.0} findings/s");
    let made = plans * rounds;
    println!("                             {arrived:>12} of {made} plans were taken in time");
    println!(
        "serve, held / forwarder      {:>6.2}   (aim: at least 0.6)",
        gated / bare
    );
    Ok(())
}

/// One finding in so many makes a plan, where the journal is measured.
const PLAN_IN: usize = 100;

/// Findings a second with a journal, which is synced for every plan, and without.
pub fn rate_with_journal(root: &Path, size: &Size) -> Result<()> {
    let Size { findings, rounds } = *size;
    println!(
        "{}-byte findings over loopback TCP, a plan in {PLAN_IN}, median of {rounds} rounds, in turn",
        findings::BYTES
    );
    let knobs = knobs(root)?;
    let journal = super::journal::Scratch::new(root, "journal")?;
    let mut without = Line::through_service(&knobs)?;
    let mut with = Line::of_service(&["--knobs", &knobs, "--journal", journal.text()?])?;
    let held: Vec<Frames> = (0..NODES)
        .map(|node| Finding::held(Node::Plain(node), 0).frames())
        .collect();
    let plans = findings / PLAN_IN;

    let (mut plain, mut journalled, mut arrived) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        // Each plan is the first one of its node, so that nothing holds it.
        let fresh = |plan| Node::Plain(NODES + round * plans + plan);
        let fresh: Vec<Frames> = (0..plans)
            .map(|plan| Finding::severe(fresh(plan), 0).frames())
            .collect();
        let all = || {
            let finding = |number: usize| match number % PLAN_IN {
                0 => &fresh[number / PLAN_IN],
                other => &held[other % NODES],
            };
            (0..plans * PLAN_IN).map(finding)
        };
        plain.push(without.flood_of(all())?.time);
        let flood = with.flood_of(all())?;
        journalled.push(flood.time);
        arrived += flood.arrived - 1;
    }
    let count = plans * PLAN_IN;
    let [plain, journalled] = [plain, journalled].map(|mut times| rate(count, &mut times));
    println!("dfo serve zmq                {plain:>12.0} findings/s");
    println!("dfo serve zmq --journal      {journalled:>12.0} findings/s");
    let made = plans * rounds;
    println!("                             {arrived:>12} of {made} plans were taken in time");
    println!(
        "with / without a journal     {:>6.2}   (aim: at least 0.7)",
        journalled / plain
    );
    Ok(())
}

/// From a finding to its plan, at a steady pace, each finding making one.
pub fn latency_of_service(root: &Path, size: &Size) -> Result<()> {
    let Size { findings, rounds } = *size;
    println!(
        "{PER_SECOND} findings/s, each makes a plan, median of {rounds} rounds, the sides in turn"
    );
    let mut forwarder = Line::through_forwarder()?;
    let mut service = Line::through_service(&knobs(root)?)?;

    let percents = [50, 99];
    let mut bare = percents.map(|_| Vec::new());
    let mut served = percents.map(|_| Vec::new());
    for round in 0..rounds {
        let nodes: Vec<usize> = (0..findings).map(|node| round * findings + node).collect();
        for (line, of_rounds) in [(&mut forwarder, &mut bare), (&mut service, &mut served)] {
            let mut times = line.pace(&nodes)?;
            for (percent, times_of_rounds) in percents.iter().zip(of_rounds) {
                times_of_rounds.push(percentile(&mut times, *percent));
            }
        }
    }
    let micros = |mut times: Vec<Duration>| median(&mut times).as_secs_f64() * 1e6;
    let [bare_half, bare_most] = bare.map(micros);
    let [served_half, served_most] = served.map(micros);
    println!("bare forwarder       p50 {bare_half:>7.0} µs   p99 {bare_most:>7.0} µs");
    println!("dfo serve zmq        p50 {served_half:>7.0} µs   p99 {served_most:>7.0} µs");
    println!(
        "serve / forwarder    p50 {:>7.2}      (aim: at most 1.5)",
        served_half / bare_half
    );
    println!(
        "serve / forwarder    p99 {:>7.2}      (aim: at most 2)",
        served_most / bare_most
    );
    Ok(())
}

/// A file with the one knob.
fn knobs(root: &Path) -> Result<String> {
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join("knobs.json");
    fs::write(&file, findings::knobs(1).to_string())?;
    let file = file.into_os_string().into_string();
    file.map_err(|path| anyhow!("{}: not a path in UTF-8", path.display()))
}

impl Line {
    fn through_forwarder() -> Result<Self> {
        let (diagnoser, findings) = Peer::diagnoser()?;
        let forwarder = Forwarder::start(&findings)?;
        let application = Peer::application(&forwarder.plans)?;
        Self::joined(diagnoser, application, Between::Forwarder(forwarder))
    }

    fn through_service(knobs: &str) -> Result<Self> {
        Self::of_service(&["--knobs", knobs])
    }

    fn of_service(arguments: &[&str]) -> Result<Self> {
        let (diagnoser, findings) = Peer::diagnoser()?;
        let service = Served::start(&findings, arguments)?;
        let application = Peer::application(&service.plans)?;
        Self::joined(diagnoser, application, Between::Service(service))
    }

    /// All are connected, and have worked once.
    fn joined(diagnoser: Peer, application: Peer, between: Between) -> Result<Self> {
        let mut line = Line {
            diagnoser,
            application,
            marked: 0,
            _between: between,
        };
        line.flood(&[], 0)?;
        Ok(line)
    }

    /// Sends these again and again, so many in all, and a marked one; waits for what comes of that.
    fn flood(&mut self, findings: &[Frames], count: usize) -> Result<Flood> {
        self.flood_of(findings.iter().cycle().take(count))
    }

    /// Sends these and a marked one; waits for what comes of that.
    fn flood_of<'f>(&mut self, findings: impl Iterator<Item = &'f Frames> + Send) -> Result<Flood> {
        let marked = Finding::severe(Node::Marked(self.marked), 0).frames();
        self.marked += 1;
        let (diagnoser, application) = (&mut self.diagnoser, &mut self.application);
        let start = Instant::now();
        thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let mut findings = findings;
                findings.try_for_each(|finding| diagnoser.send(finding))?;
                diagnoser.send(&marked)
            });
            let arrived = until_marked(application)?;
            let time = start.elapsed();
            outcome(sending)?;
            Ok(Flood { time, arrived })
        })
    }

    /// Sends a finding of each node at a steady pace. How long each took to the other end.
    fn pace(&mut self, nodes: &[usize]) -> Result<Vec<Duration>> {
        let frames = |node: &usize| Finding::severe(Node::Plain(*node), 0).frames();
        let findings: Vec<Frames> = nodes.iter().map(frames).collect();
        let (diagnoser, application) = (&mut self.diagnoser, &mut self.application);
        thread::scope(|scope| {
            let sending = scope.spawn(move || send_in_time(diagnoser, &findings));
            let arrived = receive_in_order(application, nodes)?;
            let sent = outcome(sending)?;
            let pairs = arrived.iter().zip(sent);
            Ok(pairs.map(|(arrived, sent)| *arrived - sent).collect())
        })
    }
}

/// Receives up to what came of the marked finding; how many in all.
fn until_marked(application: &Peer) -> Result<usize> {
    let mut frames = Frames::default();
    for arrived in 1.. {
        application.receive(&mut frames)?;
        if findings::is_marked(&frames) {
            return Ok(arrived);
        }
    }
    Err(anyhow!("more than can be counted"))
}

/// Each at its time, counted from the beginning, so that being late once makes none of the others
/// late. When each was sent.
fn send_in_time(diagnoser: &Peer, findings: &[Frames]) -> Result<Vec<Instant>> {
    let interval = Duration::from_secs(1) / PER_SECOND;
    let mut due = Instant::now();
    let mut sent = Vec::with_capacity(findings.len());
    for finding in findings {
        due += interval;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sent.push(Instant::now());
        diagnoser.send(finding)?;
    }
    Ok(sent)
}

/// Receives one for each node, in this order. When each arrived.
fn receive_in_order(application: &Peer, nodes: &[usize]) -> Result<Vec<Instant>> {
    let mut frames = Frames::default();
    let mut arrived = Vec::with_capacity(nodes.len());
    for node in nodes {
        application.receive(&mut frames)?;
        arrived.push(Instant::now());
        let name = Node::Plain(*node).name();
        let metadata = String::from_utf8_lossy(&frames.metadata);
        ensure!(
            metadata.contains(&name),
            "expected {name}, found {metadata}"
        );
    }
    Ok(arrived)
}

/// What a thread came to.
fn outcome<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    let joined = thread.join();
    joined
        .map_err(|_| anyhow!("the diagnoser's thread panicked"))?
        .context("the diagnoser")
}
