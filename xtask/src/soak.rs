//! The service for long: that it neither grows nor loses anything.
//!
//! Findings flow through `dfo serve zmq` as fast as it takes them. One in ten makes a plan, and an
//! application acknowledges every plan; the rest is held, some of it for nodes that are never heard of
//! again. In the end every count must be what was sent, and the service's memory what it was after
//! the first tenth.
//!
//! And the service with a journal, killed again and again.

mod application;
mod crashes;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value as Json;

use crate::peers::Peer;
use crate::peers::findings::{self, Finding, Node};
use crate::peers::served::{Memory, Served};
use application::{Application, Progress};

/// One finding in so many makes a plan.
const PLAN_IN: u64 = 10;

/// The application's knobs, and the nodes that have them: a knob on a node gets its next plan only
/// when all others have had theirs. All have had one within the first tenth, so that what is
/// remembered of each is not taken for growth.
const KNOBS: u64 = 16;
const NODES: u64 = 100;

/// Plans that the application has yet to answer, at most: fewer than the service queues.
const UNANSWERED: u64 = 500;

/// Findings of one window: few enough that time passes, and so many that no answer comes a patience
/// too late.
const PER_WINDOW: u64 = 50_000;

/// How much more memory there may be in the end than after the first tenth.
const GROWTH_KIB: u64 = 16 * 1024;

/// Runs it: ten million findings, a million plans, and 200 kills; `short` a fiftieth of that.
pub fn run(root: &Path, short: bool) -> Result<()> {
    for_long(short)?;
    println!();
    crashes::run(root, if short { 4 } else { 200 })
}

fn for_long(short: bool) -> Result<()> {
    let findings: u64 = if short { 200_000 } else { 10_000_000 };
    println!(
        "{findings} findings, {} plans, each acknowledged",
        findings / PLAN_IN
    );
    let (diagnoser, address) = Peer::diagnoser()?;
    let service = Served::start(&address, &[])?;
    let progress = Progress::default();
    let application = Application::join(&service, &progress, usize::try_from(KNOBS)?)?;
    // Its knobs are known before the first finding comes.
    service.wait_for("optimizer.joined")?;

    let memory = thread::scope(|scope| {
        let answering = scope.spawn(|| application.answer());
        let memory = send_all(&diagnoser, &service, &progress, findings);
        progress.leave();
        let answered = answering.join();
        answered.map_err(|_| anyhow!("the application's thread panicked"))??;
        memory
    })?;
    // What it says last comes after all its answers.
    service.wait_for("optimizer.left")?;
    let last = service.memory()?;
    show(findings, findings / PLAN_IN, last);
    println!("{:>40} KiB at the most", last.most_kib);
    diagnoser.send(&findings::end())?;
    let done = service.end()?;
    println!("{}", done["counts"]);
    check_counts(&done, findings)?;
    check_memory(memory, last)
}

/// Sends all findings. Gives the service's memory after the first tenth.
fn send_all(diagnoser: &Peer, service: &Served, progress: &Progress, count: u64) -> Result<Memory> {
    let mut after_first_tenth = None;
    let mut plans: u64 = 0;
    let mut start = Instant::now();
    for number in 0..count {
        if number.is_multiple_of(PLAN_IN) {
            progress.wait_until(plans.saturating_sub(UNANSWERED))?;
            plans += 1;
        }
        diagnoser.send(&finding(number).frames())?;
        let tenth = count / 10;
        if (number + 1).is_multiple_of(tenth) && number + 1 < count {
            progress.wait_until(plans)?;
            let memory = service.memory()?;
            show(number + 1, plans, memory);
            show_rate(tenth, start.elapsed());
            start = Instant::now();
            after_first_tenth.get_or_insert(memory);
        }
    }
    progress.wait_until(plans)?;
    after_first_tenth.context("more than one tenth")
}

/// The finding of this number.
fn finding(number: u64) -> Finding {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let plan = number / PLAN_IN;
    let (knob, node) = (size(plan % KNOBS), plan / KNOBS % NODES);
    let finding = match number % PLAN_IN {
        0 => Finding::severe(Node::Plain(size(node)), knob),
        // Nobody responds to the tag.
        1 | 2 => Finding::severe(Node::Plain(size(node)), size(KNOBS)),
        // A node that is not heard of again.
        3..=5 => Finding::held(Node::Plain(size(NODES + number)), knob),
        // A node whose last plan was answered long ago.
        _ => Finding::held(Node::Plain(size((node + NODES / 2) % NODES)), knob),
    };
    Finding {
        window: size(number / PER_WINDOW),
        ..finding
    }
}

fn show(findings: u64, plans: u64, memory: Memory) {
    let Memory { resident_kib, .. } = memory;
    println!("{findings:>10} findings  {plans:>9} plans  {resident_kib:>7} KiB");
}

fn show_rate(findings: u64, time: Duration) {
    let findings = u32::try_from(findings).unwrap_or(u32::MAX);
    println!(
        "{:>44.0} findings/s",
        f64::from(findings) / time.as_secs_f64()
    );
}

/// Every finding was decided on, every plan sent, applied and known to be, and nothing else was.
fn check_counts(done: &Json, findings: u64) -> Result<()> {
    let plans = findings / PLAN_IN;
    let expected = [
        ("/findings", findings),
        ("/decisions/plans", plans),
        ("/decisions/holds/severity", plans * 7),
        ("/decisions/holds/no_response", plans * 2),
        ("/decisions/notices/applied", plans),
        ("/acks", plans),
        ("/sent", plans),
        ("/summaries", 0),
        ("/bad_findings", 0),
        ("/bad_control", 0),
        ("/superseded", 0),
        ("/crowded_out", 0),
        ("/withdrawn", 0),
        ("/undelivered", 0),
        ("/too_large", 0),
        ("/silent", 0),
        ("/left", 1),
        ("/ends", 1),
    ];
    let counts = &done["counts"];
    let found = |path: &str| counts.pointer(path).and_then(Json::as_u64);
    let wrong = expected
        .iter()
        .filter(|(path, count)| found(path) != Some(*count));
    let wrong: Vec<String> = wrong
        .map(|(path, count)| format!("{path}: expected {count}, found {:?}", found(path)))
        .collect();
    ensure!(
        wrong.is_empty(),
        "counts do not add up: {}",
        wrong.join("; ")
    );
    let open = &done["open_plans"];
    ensure!(open == 0, "{open} plans are open still");
    println!("all counts add up");
    Ok(())
}

fn check_memory(first: Memory, last: Memory) -> Result<()> {
    let growth = last.resident_kib.saturating_sub(first.resident_kib);
    println!("memory grew by {growth} KiB since the first tenth (at most {GROWTH_KIB})");
    ensure!(growth <= GROWTH_KIB, "the service grew");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_that_is_not_what_was_sent_is_named() {
        let done = json!({"counts": {"findings": 9}, "open_plans": 0});
        let error = check_counts(&done, 10).unwrap_err().to_string();
        assert!(
            error.contains("/findings: expected 10, found Some(9)"),
            "{error}"
        );
        assert!(error.contains("/acks: expected 1, found None"), "{error}");
    }

    #[test]
    fn a_service_that_grew_fails() {
        let memory = |resident_kib| Memory {
            resident_kib,
            most_kib: 1 << 20,
        };
        check_memory(memory(100_000), memory(100_000 + GROWTH_KIB)).unwrap();
        check_memory(memory(100_000), memory(90_000)).unwrap();
        check_memory(memory(100_000), memory(100_001 + GROWTH_KIB)).unwrap_err();
    }

    #[test]
    fn of_ten_findings_one_makes_a_plan() {
        let kinds: Vec<_> = (0..10).map(|n| finding(n).severe).collect();
        assert_eq!(kinds.iter().filter(|severe| **severe).count(), 3);
        assert_eq!(finding(0).knob, 0);
        assert_eq!(finding(1).knob, usize::try_from(KNOBS).unwrap());
    }
}
