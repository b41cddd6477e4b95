//! The promises of sources and sinks, checked for each pattern and for each side that may bind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use dfo_transport::Role;
use dfo_transport::conformance::{self, Channel, Claim};
use dfo_transport_zmq::Zmq;

#[derive(Clone, Copy)]
enum Scheme {
    Tcp,
    Ipc,
}

type Extra = &'static [(Role, &'static str, &'static str)];

const OPTIMIZER_BINDS: Extra = &[
    (Role::Optimizer, "bind", "true"),
    (Role::Diagnoser, "connect", "true"),
];
const DIAGNOSER_BINDS: Extra = &[];
const PUSH: Extra = &[];
const PUB: Extra = &[
    (Role::Optimizer, "plans", "pub"),
    (Role::Application, "plans", "pub"),
];

const CONNECTING_PUSH: &[Claim] = &[
    Claim::Lossless,
    Claim::KeepsForReceiver,
    Claim::OpaqueMetadata,
    Claim::SeveralSenders,
    Claim::SourceReopens,
    Claim::SinkReopens,
];
const BOUND_PUSH: &[Claim] = &[
    Claim::Lossless,
    Claim::KeepsForReceiver,
    Claim::OpaqueMetadata,
    Claim::SeveralReceivers,
    Claim::SourceReopens,
    Claim::SinkReopens,
];
const BOUND_PUB: &[Claim] = &[
    Claim::OpaqueMetadata,
    Claim::SeveralReceivers,
    Claim::SourceReopens,
    Claim::SinkReopens,
];

fn prove(scheme: Scheme, channel: Channel, claims: &'static [Claim], extra: Extra) {
    let high_water_mark = match scheme {
        Scheme::Tcp => "100",
        // More than any check has on its way when it closes the sender: see "What is lost" in the
        // documentation of the crate.
        Scheme::Ipc => "3000",
    };
    let harness = conformance::channel(Zmq, channel, claims, move || {
        let directory = tempfile::tempdir().unwrap();
        let address = match scheme {
            Scheme::Tcp => format!("tcp://127.0.0.1:{}", free_port()),
            Scheme::Ipc => format!("ipc://{}/socket", directory.path().display()),
        };
        // An optimizer always wants findings, an application plans: there are none here.
        let nowhere = format!("ipc://{}/nowhere", directory.path().display());
        move |role| {
            let _kept = &directory;
            let mark = ("high-water-mark", high_water_mark);
            let ends: &[(&str, &str)] = match (channel, role) {
                (Channel::Findings, _) | (_, Role::Diagnoser) => &[("address", &address)],
                (Channel::Plans, Role::Optimizer) => {
                    &[("address", &nowhere), ("plans-address", &address)]
                }
                (Channel::Plans, Role::Application) => &[("plans-address", &address)],
                (Channel::Control, Role::Optimizer) => {
                    &[("address", &nowhere), ("control-address", &address)]
                }
                (Channel::Control, Role::Application) => {
                    &[("plans-address", &nowhere), ("control-address", &address)]
                }
            };
            let extra = extra.iter().filter(|(of, ..)| *of == role);
            let extra = extra.map(|&(_, name, value)| (name, value));
            let given = ends.iter().copied().chain([mark]).chain(extra);
            given
                .map(|(name, value)| (name, value.to_owned()))
                .collect()
        }
    });
    match conformance::prove(harness) {
        Ok(report) => println!("{report}"),
        Err(failures) => panic!("{failures}"),
    }
}

/// A port below those that the system gives to outgoing connections, so that it stays free.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn findings_over_tcp_where_the_optimizer_binds() {
    prove(
        Scheme::Tcp,
        Channel::Findings,
        CONNECTING_PUSH,
        OPTIMIZER_BINDS,
    );
}

#[test]
fn findings_over_tcp_where_the_diagnoser_binds() {
    prove(Scheme::Tcp, Channel::Findings, BOUND_PUSH, DIAGNOSER_BINDS);
}

#[test]
fn plans_by_push_over_tcp() {
    prove(Scheme::Tcp, Channel::Plans, BOUND_PUSH, PUSH);
}

#[test]
fn plans_by_pub_over_tcp() {
    prove(Scheme::Tcp, Channel::Plans, BOUND_PUB, PUB);
}

#[test]
fn plans_by_push_over_ipc() {
    prove(Scheme::Ipc, Channel::Plans, BOUND_PUSH, PUSH);
}

#[test]
fn plans_by_pub_over_ipc() {
    prove(Scheme::Ipc, Channel::Plans, BOUND_PUB, PUB);
}

#[test]
fn control_over_ipc() {
    prove(Scheme::Ipc, Channel::Control, CONNECTING_PUSH, PUSH);
}
