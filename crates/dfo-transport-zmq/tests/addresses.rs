//! Addresses that cannot be had, and what is said of them.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::os::unix::net::UnixListener;

use dfo_transport::{ErrorKind, Sink as _, Source as _, TransportError};
use dfo_transport_zmq::{Endpoint, Settings, ZmqSource};

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::{ANY, LONG, bound_pull, push, record, soon, take};

async fn error(endpoint: Endpoint) -> TransportError {
    let opened = ZmqSource::pull(&[endpoint], &Settings::default()).await;
    let opened = opened.map(|source| source.endpoints().to_vec());
    opened.expect_err("no such address")
}

async fn binding(address: &str) -> TransportError {
    error(Endpoint::Bind(address.to_owned())).await
}

async fn connecting(address: &str) -> TransportError {
    error(Endpoint::Connect(address.to_owned())).await
}

#[tokio::test]
async fn an_address_in_use_says_what_to_do() {
    let (_first, address) = bound_pull(ANY).await;
    let error = binding(&address).await;
    assert_eq!(error.kind(), ErrorKind::AddressInUse);
    assert_eq!(
        error.to_string(),
        format!(
            "{address}: cannot open: the address is in use (Address already in use); stop what \
             listens there, or name another address"
        )
    );
}

#[tokio::test]
async fn a_unix_socket_is_not_taken_from_one_who_listens() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("ipc://{}/socket", directory.path().display());
    let (mut first, _) = bound_pull(&address).await;
    let error = binding(&address).await;
    assert_eq!(error.kind(), ErrorKind::AddressInUse);
    let mut sink = push(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    assert_eq!(take(&mut first, 1).await, [record(1)]);
}

#[tokio::test]
async fn a_unix_socket_that_was_left_behind_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = format!("ipc://{}", path.display());
    let (mut source, _) = bound_pull(&address).await;
    let mut sink = push(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    assert_eq!(take(&mut source, 1).await, [record(1)]);
}

#[tokio::test]
async fn a_file_in_the_way_of_a_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results");
    std::fs::write(&path, "precious").unwrap();
    let error = binding(&format!("ipc://{}", path.display())).await;
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(
        error.to_string().ends_with(
            "results: cannot open: a file that is no socket is there; name another path"
        )
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn errors_of_a_file_system_that_zmq_has_no_name_for_are_errors_not_panics() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let at = |path: &str| format!("ipc://{}/{path}", directory.path().display());
    assert_eq!(
        binding(&at("none/socket")).await.kind(),
        ErrorKind::NotFound
    );
    assert_eq!(binding(&at("file/socket")).await.kind(), ErrorKind::Io);
    let long = binding(&at(&"x".repeat(200))).await;
    assert_eq!(long.kind(), ErrorKind::InvalidOption);
    assert!(
        long.to_string()
            .ends_with("the path is too long for a socket; name a shorter one")
    );
    let long = connecting(&at(&"x".repeat(200))).await;
    assert_eq!(long.kind(), ErrorKind::InvalidOption);
}

#[tokio::test]
async fn an_address_that_makes_no_sense_says_what_is_expected() {
    const FORM: &str = "expected tcp://HOST:PORT";
    for (address, what) in [
        ("", FORM),
        ("127.0.0.1:5555", FORM),
        (
            "udp://127.0.0.1:5555",
            "the protocol udp is not supported; ",
        ),
        ("inproc://here", "the protocol inproc is not supported; "),
        ("tcp://127.0.0.1", FORM),
        ("tcp://127.0.0.1:port", FORM),
        ("tcp://127.0.0.1:99999", FORM),
        ("tcp://:5555", FORM),
        ("ipc://", "the path is missing; give ipc://PATH"),
        ("tcp://127.0.0.1:5\0", "it contains a NUL character"),
    ] {
        for error in [binding(address).await, connecting(address).await] {
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidOption,
                "{address:?}: {error}"
            );
            assert!(error.to_string().contains(what), "{address:?}: {error}");
        }
    }
}

#[tokio::test]
async fn only_addresses_of_this_machine_can_be_bound() {
    for address in ["tcp://192.0.2.1:0", "tcp://no-such-interface:0"] {
        let error = binding(address).await;
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        let what =
            "no interface of this machine has this address; bind one that it has, or * for all";
        assert!(error.to_string().ends_with(what), "{error}");
    }
}

#[tokio::test]
async fn a_wildcard_cannot_be_connected_to() {
    for address in ["tcp://*:5555", "tcp://127.0.0.1:*"] {
        assert_eq!(connecting(address).await.kind(), ErrorKind::InvalidOption);
    }
}

#[tokio::test]
async fn ipv6_addresses_are_understood() {
    let opened = ZmqSource::pull(&support::connect("tcp://[::1]:5555"), &Settings::default()).await;
    assert!(opened.is_ok());
}

#[tokio::test]
async fn a_socket_that_listens_at_several_addresses_receives_from_each() {
    let directory = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}/socket", directory.path().display());
    let endpoints = [ANY, &ipc].map(|address| Endpoint::Bind(address.to_owned()));
    let mut source = ZmqSource::pull(&endpoints, &Settings::default())
        .await
        .unwrap();
    for address in source.endpoints().to_vec() {
        let mut sink = push(&address).await;
        soon(sink.send(record(1))).await.unwrap();
        assert_eq!(take(&mut source, 1).await, [record(1)]);
    }
}

#[tokio::test]
async fn where_one_of_several_addresses_cannot_be_had_none_is_kept() {
    let (_taken, in_use) = bound_pull(ANY).await;
    let (free, address) = bound_pull(ANY).await;
    soon(Box::new(free).close(LONG)).await.unwrap();
    let endpoints = [&*address, &*in_use].map(|address| Endpoint::Bind(address.to_owned()));
    let opened = ZmqSource::pull(&endpoints, &Settings::default()).await;
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::AddressInUse);
    bound_pull(&address).await;
}
