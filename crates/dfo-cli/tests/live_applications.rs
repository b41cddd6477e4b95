//! Applications that link `dfo-context`, one and eight: what each receives, and acts on.

#![cfg(feature = "zmq")]
mod dfo;
mod live;

use std::collections::BTreeSet;
use std::time::Duration;

use dfo::{Folder, json};
use live::application::{Application, Way};
use live::findings::{BESIDE, END, finding, knobs, plan};
use live::peer::{Message, Peer};
use live::{Event, Serve, until};
use serde_json::Value as Json;

const NODES: usize = 8;
/// Knobs on which findings for the whole job act.
const FOR_ALL: usize = 100;
/// Knobs on which findings of single nodes act.
const FOR_ONE: usize = 50;
const ROUNDS: usize = 20;
const PLANS: usize = ROUNDS * (FOR_ALL + NODES * FOR_ONE);
/// Those for one application.
const OWN: usize = ROUNDS * (FOR_ALL + FOR_ONE);

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[test]
fn f08_an_application_registers_and_acknowledges_over_zmq() {
    let serve = Serve::listening(&Folder::new(), "--explain");
    let way = Way {
        node: "n1",
        plans: &serve.address("plans"),
        pattern: "push",
        control: &serve.address("control"),
        heartbeat: Duration::from_secs(10),
        high_water_mark: 1000,
    };
    let application = Application::start(&way, &knobs(["a"]));
    let joined = serve.wait_for("the registration", |e| e["event"] == "optimizer.joined");
    assert_eq!(joined["node"], "n1");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut told = 0;
    for window in 1..=5 {
        diagnoser.send(&[BESIDE, &finding("node:n1:app", vec!["a"], window)]);
        told = wait_for_notices(&serve, "applied", told, 1);
    }
    let values = application.applied().into_iter().map(|plan| plan.new_value);
    let values: Vec<_> = values
        .map(|value| value.as_number().unwrap().truncated())
        .collect();
    assert_eq!(values, [1, 2, 3, 4, 5]);
    let served = serve.stop().in_order();
    assert_eq!(
        (served.count("registrations"), served.count("acks")),
        (1, 5)
    );
    assert_eq!(served.done()["node_state"]["app.a"], json!({"n1": 5}));
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

/// Eight applications, each on a node of its own.
fn eight(serve: &Serve, registration: &Json) -> Vec<Application> {
    let start = |node: &String| {
        let way = Way {
            node,
            plans: &serve.address("plans"),
            pattern: "pub",
            control: &serve.address("control"),
            heartbeat: Duration::from_mins(1),
            high_water_mark: 20_000,
        };
        Application::start(&way, registration)
    };
    names("node", NODES).iter().map(start).collect()
}

fn received(applications: &[Application]) -> Vec<u64> {
    let received = |a: &Application| a.status().plans.received;
    applications.iter().map(received).collect()
}

/// Waits until each application is subscribed, and has applied one plan. How many each has received
/// by then.
///
/// What is published before a subscription arrives is for nobody: so there are plans for nodes that
/// no one is on, until each application has seen one.
fn get_ready(serve: &Serve, diagnoser: &mut Peer, applications: &[Application]) -> Vec<u64> {
    let mut probes = 0;
    until("the subscriptions arrive", || {
        probes += 1;
        let scope = format!("node:probe{probes}");
        diagnoser.send(&[BESIDE, &finding(&scope, vec!["probe"], 1)]);
        !received(applications).contains(&0)
    });
    // Who has applied the one for all has received those before it.
    diagnoser.send(&[BESIDE, &finding("app", vec!["ready"], 1)]);
    until("each is ready", || {
        applications.iter().all(|a| a.count() == 1)
    });
    wait_for_notices(serve, "ack_ignored", 0, NODES - 1);
    received(applications)
}

/// Looks at what one application applied, and counted since it was ready.
fn has_exactly_its_own(node: &str, told: &[&Event], application: &Application, before: u64) {
    let is_own = |nodes: &Json| nodes == &json!([]) || nodes == &json!([node]);
    let own = told.iter().filter(|e| is_own(&e["target_nodes"]));
    let own: BTreeSet<_> = own
        .map(|e| e["plan_id"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(own.len(), OWN);
    let applied = &application.applied()[1..];
    let got: BTreeSet<_> = applied.iter().map(|p| p.plan_id.as_str()).collect();
    assert_eq!(got.len(), applied.len(), "{node}: one of them twice");
    assert!(got == own, "{node}: {} of {OWN}", got.len());
    let status = application.status();
    let all = status.plans.received - before;
    assert_eq!(all, PLANS as u64, "{node}: {status:?}");
    // All before but one were for nodes that no one is on.
    let for_others = status.plans.not_for_this_node - (before - 1);
    assert_eq!(for_others, (PLANS - OWN) as u64, "{node}: {status:?}");
    assert_eq!(status.plans.applied, 1 + OWN as u64, "{node}: {status:?}");
}

#[test]
fn z05_each_of_eight_applications_receives_exactly_its_own_of_10_000_plans() {
    assert_eq!(PLANS, 10_000);
    let args = "--bind --address tcp://127.0.0.1:* --control-address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans pub --high-water-mark 20000 \
                --heartbeat 60 --explain";
    let serve = Serve::zmq(&Folder::new(), args);
    let (for_all, for_one) = (names("a", FOR_ALL), names("n", FOR_ONE));
    let first = ["probe", "ready"].map(str::to_owned);
    let registration = knobs([&first[..], &for_all, &for_one].concat());
    let applications = eight(&serve, &registration);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let before = get_ready(&serve, &mut diagnoser, &applications);

    let mut told = wait_for_notices(&serve, "applied", 0, 1);
    for round in 0..ROUNDS {
        let window = 2 + i64::try_from(round).unwrap();
        diagnoser.put(&[BESIDE, &finding("app:window", for_all.clone(), window)]);
        for node in 0..NODES {
            let scope = format!("node:node{node}:app");
            diagnoser.put(&[BESIDE, &finding(&scope, for_one.clone(), window)]);
        }
        diagnoser.flush();
        // A knob is planned again when its plan is acknowledged.
        told = wait_for_notices(&serve, "applied", told, PLANS / ROUNDS);
    }
    // Eight answer to each plan for all; the first of them closes it.
    let others = (NODES - 1) * (1 + ROUNDS * FOR_ALL);
    wait_for_notices(&serve, "ack_ignored", 0, others);
    until("all of it was on the wire to each", || {
        let received = received(&applications);
        let mut both = received.iter().zip(&before);
        both.all(|(now, before)| now - before >= PLANS as u64)
    });
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();

    let told = served.told_plans().into_iter();
    let told: Vec<_> = told.filter(|e| e["window_index"] != 1).collect();
    for ((application, before), node) in applications.iter().zip(before).zip(names("node", NODES)) {
        has_exactly_its_own(&node, &told, application, before);
    }
    assert_eq!(served.count("sent"), served.plans());
    assert_eq!(served.notices("applied"), 1 + PLANS as u64);
    assert_eq!(served.count("acks"), (NODES * (1 + OWN)) as u64);
    assert_eq!(served.notices("acks_disagree"), 0);
}

/// libzmq hears what a subscriber has taken half a mark at a time: a burst of less than half the mark
/// has room, however busy the machine is.
#[test]
fn below_half_the_high_water_mark_no_published_plan_is_lost() {
    const KNOBS: usize = 450;
    let registration = knobs(names("k", KNOBS));
    let here = Folder::with("knobs.json", registration.to_string());
    let args = "--knobs knobs.json --bind --address tcp://127.0.0.1:* \
                --plans-address tcp://127.0.0.1:* --plans pub --high-water-mark 1000";
    let serve = Serve::zmq(&here, args);
    let mut subscriber = Peer::connect(&serve.address("plans"), "SUB");
    // To everything.
    subscriber.send(&[&[1]]);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut probes = 0;
    until("the subscription arrives", || {
        probes += 1;
        let scope = format!("node:probe{probes}");
        diagnoser.send(&[BESIDE, &finding(&scope, vec!["k0"], 1)]);
        !subscriber.received().is_empty()
    });
    for round in 0..10 {
        let scope = format!("node:n{round}");
        diagnoser.send(&[BESIDE, &finding(&scope, names("k", KNOBS), 1)]);
        let of_this_round =
            |message: &Message| plan(message)["target_nodes"] == json!([format!("n{round}")]);
        let mut arrived = 0;
        while arrived < KNOBS {
            arrived += usize::from(of_this_round(&subscriber.receive()));
        }
    }
    serve.stop().in_order();
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
