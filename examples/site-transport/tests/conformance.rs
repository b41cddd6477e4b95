//! The transport keeps what it promises, on every channel.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use dfo_transport::Role;
use dfo_transport::conformance::{self, Channel, Claim, Report};
use site_transport::UnixSockets;

/// What is claimed of findings and of control: who sends waits for who receives.
const WAITING: &[Claim] = &[
    Claim::Lossless,
    Claim::KeepsForReceiver,
    Claim::OpaqueMetadata,
    Claim::SeveralSenders,
    Claim::SourceReopens,
    Claim::SinkReopens,
];

/// What is claimed of plans: everyone gets them, and they wait for no one who is slow.
const COPIED_TO_ALL: &[Claim] = &[
    Claim::KeepsForReceiver,
    Claim::OpaqueMetadata,
    Claim::SeveralReceivers,
    Claim::SourceReopens,
    Claim::SinkReopens,
];

fn prove(channel: Channel, claims: &[Claim]) -> Report {
    let place = || {
        let directory = tempfile::tempdir().unwrap();
        move |_: Role| vec![("directory", directory.path().display().to_string())]
    };
    conformance::prove(conformance::channel(UnixSockets, channel, claims, place)).unwrap()
}

#[test]
fn findings_conform() {
    println!("{}", prove(Channel::Findings, WAITING));
}

#[test]
fn control_conforms() {
    println!("{}", prove(Channel::Control, WAITING));
}

#[test]
fn plans_conform() {
    println!("{}", prove(Channel::Plans, COPIED_TO_ALL));
}
