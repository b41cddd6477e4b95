//! Plans that no one takes, or not fast enough.

use super::dfo::Folder;
use super::live::findings::{BESIDE, END, finding, knobs, numbered, plan};
use super::live::peer::Peer;
use super::live::{Serve, is_plan, until};
use super::{every_plan_is_accounted_for, folder, tail, was_quick};

/// How many knobs act on a finding.
const KNOBS: usize = 25;

fn tags(count: usize) -> Vec<String> {
    numbered(count).collect()
}

/// A folder with knobs whose plans are so large that they soon fill the buffers of the kernel, too.
fn folder_of_large_plans() -> Folder {
    let mut registration = knobs(numbered(KNOBS));
    for knob in registration["knobs"].as_object_mut().unwrap().values_mut() {
        knob["target_function"] = "f".repeat(8000).into();
    }
    Folder::with("knobs.json", registration.to_string())
}

/// Findings for many nodes. How many plans they bring.
fn fill_the_buffers(diagnoser: &mut Peer) -> usize {
    const NODES: usize = 50;
    for n in 0..NODES {
        diagnoser.put(&[BESIDE, &finding(&format!("node:{n}"), tags(KNOBS), 1)]);
    }
    diagnoser.flush();
    NODES * KNOBS
}

#[test]
fn z01_without_a_plan_consumer_findings_go_on_and_the_service_ends_when_asked() {
    let here = folder(6);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    // Far more than fit the queues on the way.
    for window in 1..=5000 {
        diagnoser.put(&[BESIDE, &finding("app", tags(5), window)]);
    }
    diagnoser.send(&[BESIDE, &finding("node:last", vec!["k5"], 5000)]);
    serve.wait_for("the last plan", |e| {
        is_plan(e) && e["target_nodes"][0] == "last"
    });
    let served = serve.stop().in_order();
    was_quick("SIGTERM without a plan consumer", served.took);
    every_plan_is_accounted_for(&served);
    assert_eq!((served.count("findings"), served.count("sent")), (5001, 0));
    assert!(served.plans() >= 5 * 450, "{} plans", served.plans());
    // Each took the place of the one before, or expired; the last ones waited to the end.
    assert_eq!(served.count("undelivered"), 6);
}

#[test]
fn z01_a_consumer_that_stops_reading_holds_up_neither_findings_nor_the_end() {
    let here = folder_of_large_plans();
    let serve = Serve::listening(
        &here,
        "--knobs knobs.json --plan-queue 100 --high-water-mark 10",
    );
    let address = serve.address("plans");
    let (consumer, plans) = tail(
        &here,
        &format!("--plans-address {address} --high-water-mark 10"),
    );
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("node:first", tags(KNOBS), 1)]);
    plans.at_least(KNOBS);
    consumer.signal("STOP");
    let filling = fill_the_buffers(&mut diagnoser);
    diagnoser.send(&[BESIDE, &finding("node:last", vec!["k0"], 1)]);
    let is_last = |line: &str| line.contains(r#""target_nodes":["last"]"#).then_some(());
    serve.log.find("the last plan", 0, is_last);
    assert!(plans.len() < filling / 2, "it has stopped");

    consumer.signal("CONT");
    plans.find("the last plan", 0, is_last);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    every_plan_is_accounted_for(&served);
    assert_eq!(served.plans(), (KNOBS + filling + 1) as u64);
    let crowded_out = served.count("crowded_out");
    assert!(crowded_out > 0, "the queue was full");
    let others = ["superseded", "withdrawn", "undelivered"].map(|n| served.count(n));
    assert_eq!(others, [0, 0, 0]);
    // What was sent has arrived.
    let sent = usize::try_from(served.count("sent")).unwrap();
    assert_eq!(plans.at_least(sent).len(), sent);
}

#[test]
fn z06_the_end_does_not_wait_for_a_consumer_that_has_stopped_and_says_what_did_not_leave() {
    let here = folder_of_large_plans();
    let serve = Serve::listening(&here, "--knobs knobs.json --high-water-mark 10");
    let address = serve.address("plans");
    let (consumer, plans) = tail(
        &here,
        &format!("--plans-address {address} --high-water-mark 10"),
    );
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("node:first", tags(KNOBS), 1)]);
    plans.at_least(KNOBS);
    consumer.signal("STOP");
    fill_the_buffers(&mut diagnoser);
    diagnoser.send(&[END, b""]);
    let is_stopping = |line: &str| line.contains("optimizer.stopping").then_some(());
    serve.log.find("the end of findings", 0, is_stopping);
    let served = serve.ends().in_order();
    was_quick(
        "end of findings with a consumer that has stopped",
        served.took,
    );
    assert!(served.count("undelivered") > 0, "it says so");
    drop(consumer);
}

#[test]
fn z06_what_was_planned_before_the_end_arrives() {
    let here = folder(KNOBS);
    for round in 0..3 {
        let serve = Serve::listening(&here, "--knobs knobs.json");
        let consumer = Peer::connect(&serve.address("plans"), "PULL");
        let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
        for n in 0..80 {
            diagnoser.put(&[BESIDE, &finding(&format!("node:{n}"), tags(KNOBS), 1)]);
        }
        diagnoser.send(&[END, b""]);
        let served = serve.ends().in_order();
        let arrived = consumer.rest();
        assert_eq!(arrived.len(), 80 * KNOBS, "round {round}");
        assert_eq!(served.count("sent"), 80 * KNOBS as u64);
        assert_eq!(served.count("undelivered"), 0);
        // In order.
        let told = served.told_plans();
        for (message, event) in arrived.iter().zip(told) {
            assert_eq!(plan(message)["plan_id"], event["plan_id"]);
        }
    }
}

#[test]
fn a_consumer_that_is_killed_and_started_again_gets_the_next_plans() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let address = serve.address("plans");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut window = 0;
    for _ in 0..3 {
        let (mut consumer, plans) = tail(&here, &format!("--plans-address {address}"));
        // A plan that went to the one before is lost with it; patience ends the wait for it.
        until("a plan arrives", || {
            window += 1;
            diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], window)]);
            plans.len() > 0
        });
        consumer.kill();
    }
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    every_plan_is_accounted_for(&served);
    assert_eq!(served.count("findings"), u64::try_from(window).unwrap());
}
