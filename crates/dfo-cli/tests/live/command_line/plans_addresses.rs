//! Where plans go: nowhere, to one address, to two with a pattern each; and nowhere in a dry run.

use serde_json::Value as Json;

use super::dfo::{Folder, SESSION, example};
use super::live::findings::{BESIDE, END, finding, knobs, numbered, plan};
use super::live::peer::Peer;
use super::live::{Event, Serve, is_plan, until};

fn folder(count: usize) -> Folder {
    Folder::with("knobs.json", knobs(numbered(count)).to_string())
}

#[test]
fn plans_go_to_each_address_by_its_pattern() {
    let here = folder(20);
    let args = "--knobs knobs.json --bind --address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans push \
                --plans-address tcp://127.0.0.1:* --plans pub";
    let serve = Serve::zmq(&here, args);
    let addresses = serve.addresses("plans");
    let pulling = Peer::connect(&addresses[0], "PULL");
    let mut subscribing = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::connect(&addresses[1], "SUB");
        // To everything.
        peer.send(&[&[1]]);
        subscribing.push(peer);
    }
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    // Plans until both subscriptions have arrived: what was published before is for nobody.
    let mut window = 0;
    let mut is_subscribed = [false, false];
    until("the subscriptions arrive", || {
        if !is_subscribed.contains(&false) {
            return true;
        }
        window += 1;
        diagnoser.send(&[
            BESIDE,
            &finding(&format!("node:n{window}"), vec!["k0"], window),
        ]);
        plan(&pulling.receive());
        for (peer, is_subscribed) in subscribing.iter().zip(&mut is_subscribed) {
            *is_subscribed |= !peer.received().is_empty();
        }
        false
    });
    let tags: Vec<_> = numbered(20).skip(1).collect();
    diagnoser.send(&[BESIDE, &finding("app", tags, window)]);
    diagnoser.send(&[END, b""]);
    let ids = |peer: &Peer| {
        let plans = peer.rest().iter().map(plan).collect::<Vec<_>>();
        let of_tags = plans.into_iter().filter(|p| p["opportunity_tag"] != "k0");
        of_tags
            .map(|p| p["plan_id"].to_string())
            .collect::<Vec<_>>()
    };
    let pulled = ids(&pulling);
    assert_eq!(pulled.len(), 19);
    for peer in &subscribing {
        assert_eq!(ids(peer), pulled);
    }
    let served = serve.ends().in_order();
    assert_eq!(served.count("sent"), 2 * served.plans());
}

#[test]
fn without_a_plans_address_plans_are_made_and_told() {
    let here = folder(3);
    let args = "--knobs knobs.json --bind --address tcp://127.0.0.1:*";
    let serve = Serve::zmq(&here, args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0", "k1", "k2"], 1)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.plans(), served.told_plans().len()), (3, 3));
    assert_eq!((served.count("sent"), served.count("undelivered")), (0, 0));
}

/// Plans without what differs between two runs.
fn comparable<'e>(events: impl IntoIterator<Item = &'e Event>) -> Vec<Event> {
    let events = events.into_iter().filter(|e| is_plan(e)).cloned();
    let without = |mut event: Event| {
        for field in ["plan_id", "timestamp", "logger"] {
            event.as_object_mut().unwrap().remove(field).unwrap();
        }
        // A service says what a line is about.
        event.as_object_mut().unwrap().remove("target");
        // The reason of an undo names the plan.
        let reason = event["rationale"].as_str().unwrap_or_default();
        if let Some((undo, why)) = reason
            .split_once(": ")
            .filter(|_| reason.starts_with("undo of"))
        {
            let undo = undo.rsplit_once(' ').map_or(undo, |(words, _)| words);
            event["rationale"] = format!("{undo}: {why}").into();
        }
        event
    };
    events.map(without).collect()
}

#[test]
fn a_dry_run_sends_nothing_and_makes_the_plans_of_a_replay() {
    let here = Folder::new();
    for acks in ["immediate", "delay=3", "never"] {
        let args = format!("--bootstrap dlio --dry-run --acks {acks}");
        let serve = Serve::listening(&here, &args);
        let send = format!(
            "send zmq --connect --address {} --end --metadata {} {}",
            serve.address("findings"),
            example("findings/session_zmq_meta.jsonl.gz"),
            example("findings/session_zmq.jsonl.gz"),
        );
        here.run(&send).exits(0);
        let served = serve.ends().in_order();
        assert_eq!(
            (served.count("findings"), served.count("summaries")),
            (1669, 30)
        );
        assert_eq!((served.count("sent"), served.count("undelivered")), (0, 0));

        let session = example(SESSION);
        // `never` alone would imply the original's settings.
        let args = format!("{session} --acks {acks} --settings ours --format json");
        let replayed = here.replay(&args).succeeds();
        let replayed: Vec<_> = replayed.events().into_iter().map(Json::Object).collect();
        let replayed = comparable(&replayed);
        assert_eq!(comparable(&served.events), replayed, "{acks}");
        assert_eq!(served.plans(), replayed.len() as u64);
        assert!(replayed.len() > 40, "{acks}: {}", replayed.len());
        let old_values = replayed.iter().map(|e| &e["old_value"]);
        assert!(old_values.into_iter().all(Json::is_i64));
    }
}
