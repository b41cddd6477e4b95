//! What the tests of this crate share.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::future::Future;
use std::time::Duration;

use dfo_transport::{Options, Record, Role, Source, Transport as _};
use dfo_transport_zmq::{Endpoint, Pattern, Settings, Zmq, ZmqSink, ZmqSource};

pub mod raw;

/// Far longer than anything here takes.
pub const LONG: Duration = Duration::from_mins(1);

/// An address with a port that the system chooses.
pub const ANY: &str = "tcp://127.0.0.1:0";

/// Waits for it, but not for ever.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG, future).await;
    done.expect("done within a minute")
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let done = tokio::time::timeout(LONG, waiting).await;
    assert!(done.is_ok(), "not within a minute: {what}");
}

pub fn record(number: usize) -> Record {
    Record::new("{}", format!("{{\"n\":{number}}}"))
}

pub fn records(numbers: impl IntoIterator<Item = usize>) -> Vec<Record> {
    numbers.into_iter().map(record).collect()
}

/// The default settings, some of them changed.
pub fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

pub fn bind(address: &str) -> [Endpoint; 1] {
    [Endpoint::Bind(address.to_owned())]
}

pub fn connect(address: &str) -> [Endpoint; 1] {
    [Endpoint::Connect(address.to_owned())]
}

/// A bound PULL, and where it is.
pub async fn bound_pull(address: &str) -> (ZmqSource, String) {
    let opened = ZmqSource::pull(&bind(address), &Settings::default()).await;
    let source = opened.unwrap();
    let address = source.endpoints()[0].clone();
    (source, address)
}

/// A bound PUSH or PUB, and where it is.
pub async fn bound(pattern: Pattern, address: &str) -> (ZmqSink, String) {
    let opened = ZmqSink::open(pattern, &bind(address), &Settings::default()).await;
    let sink = opened.unwrap();
    let address = sink.endpoints()[0].clone();
    (sink, address)
}

pub async fn pull(address: &str) -> ZmqSource {
    let opened = ZmqSource::pull(&connect(address), &Settings::default()).await;
    opened.unwrap()
}

pub async fn subscribe(address: &str) -> ZmqSource {
    let opened = ZmqSource::subscribe(&connect(address), &Settings::default()).await;
    opened.unwrap()
}

pub async fn push(address: &str) -> ZmqSink {
    push_with(address, &Settings::default()).await
}

pub async fn push_with(address: &str, settings: &Settings) -> ZmqSink {
    let opened = ZmqSink::open(Pattern::Push, &connect(address), settings).await;
    opened.unwrap()
}

/// Exactly `count` records, however many batches they come in.
pub async fn take(source: &mut (impl Source + ?Sized), count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = soon(source.receive(count - records.len())).await.unwrap();
        assert!(
            !batch.is_empty(),
            "ended after {} of {count}",
            records.len()
        );
        records.extend(batch);
    }
    records
}

/// That nothing comes any more.
pub async fn nothing_more(source: &mut (impl Source + ?Sized)) {
    let batch = tokio::time::timeout(Duration::from_millis(100), source.receive(1)).await;
    assert!(batch.is_err(), "{batch:?}");
}

pub fn options(role: Role, given: &[(&'static str, &str)]) -> Options {
    let given = given
        .iter()
        .map(|(name, value)| (name, (*value).to_owned()));
    Options::check(Zmq.options(), role, given, &|_| None).unwrap()
}
