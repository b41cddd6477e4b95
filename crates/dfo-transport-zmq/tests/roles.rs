//! Each role's ends, against each other, as a program opens them.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::time::Duration;

use dfo_transport::{ErrorKind, Role, Sink as _, Source as _, Transport as _};
use dfo_transport_zmq::{Pattern, Zmq};

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::{ANY, LONG, bound, bound_pull, options, record, soon, take};

const SHORT: Duration = Duration::from_millis(20);

async fn the_loop_closes(addresses: [&str; 3], pattern: &str) {
    let [findings, plans, control] = addresses;
    let given = [
        ("address", findings),
        ("bind", "true"),
        ("plans-address", plans),
        ("plans", pattern),
        ("control-address", control),
    ];
    let ends = Zmq.optimizer(&options(Role::Optimizer, &given)).await;
    let mut ends = ends.unwrap();
    let mut findings = ends.findings.pop().unwrap();
    let mut plans = ends.plans.pop().unwrap();
    let mut control = ends.control.pop().unwrap();

    let given = [("address", &*findings.name), ("connect", "true")];
    let diagnoser = Zmq.diagnoser(&options(Role::Diagnoser, &given)).await;
    let mut diagnoser = diagnoser.unwrap();
    let given = [
        ("plans-address", &*plans.name),
        ("plans", pattern),
        ("control-address", &*control.name),
    ];
    let application = Zmq.application(&options(Role::Application, &given)).await;
    let application = application.unwrap();
    let (mut received, mut acks) = (application.plans, application.control.unwrap());

    soon(diagnoser.send(record(1))).await.unwrap();
    assert_eq!(take(&mut *findings.end, 1).await, [record(1)]);
    soon(acks.send(record(2))).await.unwrap();
    assert_eq!(take(&mut *control.end, 1).await, [record(2)]);
    let plan = soon(async {
        loop {
            // PUB sends to those who are there: again, until someone is.
            plans.end.send(record(3)).await.unwrap();
            if let Ok(batch) = tokio::time::timeout(SHORT, received.receive(1)).await {
                return batch.unwrap();
            }
        }
    });
    assert_eq!(plan.await, [record(3)]);

    for sink in [diagnoser, acks, plans.end] {
        assert_eq!(soon(sink.close(LONG)).await.unwrap().dropped, 0);
    }
    for source in [received, findings.end, control.end] {
        soon(source.close(LONG)).await.unwrap();
    }
}

async fn the_loop_closes_over_ipc(pattern: &str) {
    let directory = tempfile::tempdir().unwrap();
    let address = |name: &str| format!("ipc://{}/{name}", directory.path().display());
    let addresses = [&*address("f"), &*address("p"), &*address("c")];
    the_loop_closes(addresses, pattern).await;
}

#[tokio::test]
async fn f08_registrations_and_acknowledgements_have_a_way_over_tcp() {
    the_loop_closes([ANY; 3], "push").await;
}

#[tokio::test]
async fn f08_registrations_and_acknowledgements_have_a_way_over_ipc() {
    the_loop_closes_over_ipc("push").await;
}

#[tokio::test]
async fn plans_are_published_over_tcp() {
    the_loop_closes([ANY; 3], "pub").await;
}

#[tokio::test]
async fn plans_are_published_over_ipc() {
    the_loop_closes_over_ipc("pub").await;
}

#[tokio::test]
async fn without_addresses_there_are_no_plans_and_no_control() {
    let optimizer = options(Role::Optimizer, &[("address", "tcp://127.0.0.1:9")]);
    let ends = Zmq.optimizer(&optimizer).await.unwrap();
    assert_eq!(ends.findings[0].name, "tcp://127.0.0.1:9");
    assert!(ends.plans.is_empty() && ends.control.is_empty());

    let application = options(Role::Application, &[("plans-address", "tcp://127.0.0.1:9")]);
    let ends = Zmq.application(&application).await.unwrap();
    assert!(ends.control.is_none());
}

#[tokio::test]
async fn findings_of_several_diagnosers_come_in_by_one_source() {
    let (mut one, first) = bound(Pattern::Push, ANY).await;
    let (mut two, second) = bound(Pattern::Push, ANY).await;
    let given = [("address", &*first), ("address", &*second)];
    let mut ends = Zmq
        .optimizer(&options(Role::Optimizer, &given))
        .await
        .unwrap();
    let mut findings = ends.findings.pop().unwrap();
    assert!(ends.findings.is_empty());
    assert_eq!(findings.name, format!("{first}, {second}"));

    soon(one.send(record(1))).await.unwrap();
    soon(two.send(record(2))).await.unwrap();
    let mut came = take(&mut *findings.end, 2).await;
    came.sort_by(|a, b| a.payload.cmp(&b.payload));
    assert_eq!(came, [record(1), record(2)]);
    assert_eq!(findings.end.senders(), Some(2));
}

#[tokio::test]
async fn each_plans_address_has_its_pattern_and_push_where_none_is_given() {
    let given = [
        ("address", "tcp://127.0.0.1:9"),
        ("plans-address", ANY),
        ("plans-address", ANY),
        ("plans", "pub"),
    ];
    let ends = Zmq
        .optimizer(&options(Role::Optimizer, &given))
        .await
        .unwrap();
    let fan_out: Vec<_> = ends
        .plans
        .iter()
        .map(|p| p.end.capabilities().fan_out)
        .collect();
    assert_eq!(fan_out, [true, false]);
    assert_ne!(ends.plans[0].name, ends.plans[1].name);
}

#[tokio::test]
async fn an_application_may_listen_and_the_name_of_an_end_has_the_real_port() {
    let (control, address) = bound_pull("tcp://*:0").await;
    let port = address.strip_prefix("tcp://0.0.0.0:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
    drop(control);

    let given = [("plans-address", ANY), ("plans-bind", "true")];
    assert!(
        Zmq.application(&options(Role::Application, &given))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn z11_a_missing_address_names_the_option_and_the_variable() {
    let error = Zmq
        .optimizer(&options(Role::Optimizer, &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert_eq!(
        error.to_string(),
        "option `address`: cannot open: missing; give --address or set DFOPTIMIZER_ZMQ_FINDINGS"
    );
    let error = Zmq
        .application(&options(Role::Application, &[]))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "option `plans-address`: cannot open: missing; give --plans-address or set \
         DFOPTIMIZER_ZMQ_PLANS"
    );
}

#[tokio::test]
async fn h10_ends_open_in_any_thread_and_none_is_left_open_when_one_fails() {
    let (taken, in_use) = bound_pull(ANY).await;
    let free = bound_pull(ANY).await;
    let address = free.1;
    soon(Box::new(free.0).close(LONG)).await.unwrap();

    let opening = async move {
        let given = [
            ("address", &*address),
            ("bind", "true"),
            ("control-address", &*in_use),
        ];
        let error = Zmq
            .optimizer(&options(Role::Optimizer, &given))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse);
        // The address that could be had is free again at once.
        let (again, _) = bound_pull(&address).await;
        soon(Box::new(again).close(LONG)).await.unwrap();
    };
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    let elsewhere = std::thread::spawn(move || runtime().unwrap().block_on(opening));
    tokio::task::spawn_blocking(move || elsewhere.join().unwrap())
        .await
        .unwrap();
    drop(taken);
}

#[tokio::test]
async fn an_option_that_makes_no_sense_is_named() {
    for (given, message) in [
        (
            [("plans", "dealer"), ("plans-address", ANY)],
            "option `plans`: cannot open: expected push or pub, found \"dealer\"",
        ),
        (
            [("plans", "push"), ("plans", "pub")],
            "option `plans`: cannot open: given 2 times, but plans-address 0 times; give at most \
             one for each",
        ),
        (
            [("high-water-mark", "0"), ("plans-address", ANY)],
            "option `high-water-mark`: cannot open: expected a whole number from 1 to 2147483647, \
             found 0",
        ),
        (
            [("linger-ms", "-1"), ("plans-address", ANY)],
            "option `linger-ms`: cannot open: expected a whole number from 0 to 2147483647, found \
             \"-1\"",
        ),
    ] {
        let given = [given[0], given[1], ("address", "tcp://127.0.0.1:9")];
        let error = Zmq
            .optimizer(&options(Role::Optimizer, &given))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert_eq!(error.to_string(), message);
    }
}
