//! Plans that are published: each reaches every application, and each application acts on its own.

#![cfg(feature = "zmq")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod dfo;
mod live;

use std::collections::BTreeSet;
use std::time::Duration;

use dfo::Folder;
use live::application::{Application, Way};
use live::findings::{BESIDE, END, finding, knobs};
use live::peer::Peer;
use live::{Serve, until};

const NODES: usize = 8;
/// Knobs on which findings for the whole job act.
const FOR_ALL: usize = 100;
/// Knobs on which findings of single nodes act.
const FOR_ONE: usize = 50;
const ROUNDS: usize = 20;
const PLANS_OF_A_ROUND: usize = FOR_ALL + NODES * FOR_ONE;
const PLANS: usize = ROUNDS * PLANS_OF_A_ROUND;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

/// Waits for so many notices of a name from the `from`th line on; the number of the line after.
#[track_caller]
fn wait_for_notices(serve: &Serve, name: &str, mut from: usize, count: usize) -> usize {
    let pattern = format!(r#""notice":"{name}""#);
    for _ in 0..count {
        let is_it = |line: &str| line.contains(&pattern).then_some(());
        from = serve.log.find(&pattern, from, is_it).0 + 1;
    }
    from
}

#[test]
fn z05_each_of_eight_applications_receives_exactly_its_own_of_10_000_plans() {
    assert_eq!(PLANS, 10_000);
    let (for_all, for_one) = (names("a", FOR_ALL), names("n", FOR_ONE));
    let here = Folder::new();
    let args = "--bind --address tcp://127.0.0.1:* --control-address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans pub --high-water-mark 20000 \
                --heartbeat 60 --explain";
    let serve = Serve::zmq(&here, args);
    let (plans, control) = (serve.address("plans"), serve.address("control"));
    let first = ["probe", "ready"].map(str::to_owned);
    let registration = knobs([&first[..], &for_all, &for_one].concat());
    let applications: Vec<_> = names("node", NODES)
        .iter()
        .map(|node| {
            let way = Way {
                node,
                plans: &plans,
                pattern: "pub",
                control: &control,
                heartbeat: Duration::from_secs(60),
                high_water_mark: 20_000,
            };
            Application::start(&way, &registration)
        })
        .collect();
    let received = || {
        applications
            .iter()
            .map(|a| a.status().plans.received)
            .collect::<Vec<_>>()
    };

    // What is published before a subscription arrives is for nobody: plans for nodes that no one is
    // on, until each application has seen one.
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut probes = 0;
    until("the subscriptions arrive", || {
        probes += 1;
        let scope = format!("node:probe{probes}");
        diagnoser.send(&[BESIDE, &finding(&scope, vec!["probe"], 1)]);
        !received().contains(&0)
    });
    // Then one for all: who has applied it has received those before it.
    diagnoser.send(&[BESIDE, &finding("app", vec!["ready"], 1)]);
    until("each is ready", || {
        applications.iter().all(|a| a.count() == 1)
    });
    let before = received();

    let own = ROUNDS * (FOR_ALL + FOR_ONE);
    let mut told = 0;
    let mut is_applied = |count| told = wait_for_notices(&serve, "applied", told, count);
    is_applied(1);
    for round in 1..=ROUNDS {
        let window = i64::try_from(round).unwrap() + 1;
        diagnoser.put(&[BESIDE, &finding("app:window", for_all.clone(), window)]);
        for node in 0..NODES {
            let scope = format!("node:node{node}:app");
            diagnoser.put(&[BESIDE, &finding(&scope, for_one.clone(), window)]);
        }
        diagnoser.flush();
        // A knob is planned again when its plan is acknowledged.
        is_applied(PLANS_OF_A_ROUND);
    }
    // Eight answer to each plan for all; the first of them closes it.
    let others = (NODES - 1) * (1 + ROUNDS * FOR_ALL);
    wait_for_notices(&serve, "ack_ignored", 0, others);
    // All of it was on the wire to each.
    until("each has received all", || {
        let received = received();
        received
            .iter()
            .zip(&before)
            .all(|(n, before)| n - before >= PLANS as u64)
    });
    let statuses: Vec<_> = applications.iter().map(Application::status).collect();
    let applied: Vec<_> = applications.iter().map(Application::applied).collect();
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();

    let told = served.told_plans();
    let told: Vec<_> = told.iter().filter(|e| e["window_index"] != 1).collect();
    for (n, applied) in applied.iter().enumerate() {
        let node = format!("node{n}");
        let is_own =
            |nodes: &serde_json::Value| nodes.as_array().unwrap().is_empty() || nodes[0] == *node;
        let expected = told.iter().filter(|e| is_own(&e["target_nodes"]));
        let expected: BTreeSet<_> = expected.map(|e| e["plan_id"].as_str().unwrap()).collect();
        let applied = &applied[1..];
        let got: BTreeSet<_> = applied.iter().map(|p| p.plan_id.as_str()).collect();
        assert_eq!(got.len(), applied.len(), "{node}: one of them twice");
        assert!(
            got == expected,
            "{node}: {} of {}",
            got.len(),
            expected.len()
        );
        assert_eq!(got.len(), own);
        let (status, before) = (&statuses[n], before[n]);
        assert_eq!(
            status.plans.received - before,
            PLANS as u64,
            "{node}: {status:?}"
        );
        // All before it but one were for nodes that no one is on.
        let for_others = status.plans.not_for_this_node - (before - 1);
        assert_eq!(for_others, (PLANS - own) as u64, "{node}: {status:?}");
        assert_eq!(status.plans.applied, 1 + own as u64);
    }
    assert_eq!(served.count("sent"), served.plans());
    assert_eq!(served.notices("applied"), 1 + PLANS as u64);
    assert_eq!(served.count("acks"), (NODES * (1 + own)) as u64);
    assert_eq!(served.notices("acks_disagree"), 0);
}

#[test]
fn published_plans_that_no_one_receives_expire_and_hold_up_nothing() {
    let here = Folder::with("knobs.json", knobs(["a"]).to_string());
    let args = "--knobs knobs.json --bind --address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans pub";
    let serve = Serve::zmq(&here, args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in 1..=1000 {
        diagnoser.put(&[BESIDE, &finding("app", vec!["a"], window)]);
    }
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.plans(), served.notices("plan_expired")), (100, 99));
    let gone = ["sent", "superseded", "withdrawn"].map(|name| served.count(name));
    assert_eq!(gone.iter().sum::<u64>(), 100, "{gone:?}");
    assert_eq!(served.count("undelivered"), 0);
}
