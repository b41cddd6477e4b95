//! Over ZeroMQ and under load, with an application that answers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::dfo::{Folder, json};
use crate::journal::Journal;
use crate::live::Serve;
use crate::live::findings::{BESIDE, ack, plan, register};
use crate::live::peer::Peer;
use crate::random::Random;
use crate::{COOLDOWN, finding, kill_some_time, kills, knobs, verified};

const KNOBS: u64 = 16;

/// Findings of one window.
const PER_WINDOW: u64 = 100;

#[test]
fn nothing_that_went_out_is_lost_and_nothing_that_was_acknowledged_comes_again() {
    let random = &mut Random::new("under load");
    let here = Folder::new();
    let folder = here.path("journal");
    let sent = AtomicU64::new(0);
    let (mut received, mut again) = (BTreeSet::new(), 0);
    let mut acknowledged = BTreeSet::new();
    let mut journal = Journal::of_deeds();
    for _ in 0..kills() {
        let mut serve = Serve::listening(&here, "--journal journal --heartbeat 1000");
        let addresses = ["findings", "control", "plans"].map(|channel| serve.address(channel));
        let [findings, control, plans] = addresses.each_ref();
        let diagnoser = Peer::connect(findings, "PUSH");
        let mut answers = Peer::connect(control, "PUSH");
        let plans = Peer::connect(plans, "PULL");
        if !has_registration(&journal) {
            register(&mut answers, &knobs(usize::try_from(KNOBS).unwrap()));
            serve.wait_for("the knobs", |e| e["event"] == "optimizer.joined");
        }
        let seed = random.next();
        let came = thread::scope(|scope| {
            scope.spawn(|| send_until_the_end(diagnoser, seed, &sent));
            let answering = scope.spawn(move || answer_until_the_end(&plans, answers, seed));
            kill_some_time(&mut serve, random, &folder, 500_000);
            answering.join().unwrap()
        });
        for id in came {
            // What was in the journal when this life began must not come in it.
            assert!(
                !acknowledged.contains(&id),
                "{id} was acknowledged, and came again"
            );
            again += usize::from(!received.insert(id));
        }
        journal.read_on(&folder);
        let made = journal.plan_ids();
        let unknown: Vec<_> = received.difference(&made).collect();
        assert!(
            unknown.is_empty(),
            "received, and not in the journal: {unknown:?}"
        );
        acknowledged = journal.acknowledged();
    }
    verified(&here);
    journal.gates_hold(COOLDOWN);
    println!(
        "{} findings sent, {} plans received, {again} of them again, {} acknowledgements journalled",
        sent.load(Ordering::Relaxed),
        received.len(),
        acknowledged.len(),
    );
    // One life is too short for any, another has many.
    assert!(
        acknowledged.len() as u64 > kills(),
        "{}",
        acknowledged.len()
    );
}

fn has_registration(journal: &Journal) -> bool {
    journal
        .events()
        .any(|line| line.json["event"].get("registration").is_some())
}

/// Sends findings of ever later windows, as fast as they are taken.
fn send_until_the_end(mut diagnoser: Peer, seed: u64, sent: &AtomicU64) {
    let random = &mut Random::again(seed);
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let finding = finding(random, KNOBS, number / PER_WINDOW);
        let frames = [BESIDE, finding.as_bytes()];
        let taken = diagnoser.try_put(&frames);
        if taken.is_err() || (number.is_multiple_of(10) && diagnoser.try_flush().is_err()) {
            return;
        }
    }
}

/// Answers most plans until the service is gone. The plans that came.
fn answer_until_the_end(plans: &Peer, mut answers: Peer, seed: u64) -> Vec<String> {
    let random = &mut Random::again(!seed);
    let mut came = Vec::new();
    while let Some(message) = plans.next() {
        let plan = plan(&message);
        came.push(plan["plan_id"].as_str().unwrap().to_owned());
        if !random.one_in(20) {
            let metadata = json!({"type": "action_ack", "plan_id": plan["plan_id"]}).to_string();
            let ack = ack(&plan, "applied", &plan["new_value"]).to_string();
            // Fails where the service is gone; what came from it before still counts.
            let put = answers.try_put(&[metadata.as_bytes(), ack.as_bytes()]);
            let _ = put.and_then(|()| answers.try_flush());
        }
    }
    came
}
