//! Who gets what where there are several receivers.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::time::Duration;

use dfo_transport::{Record, Sink as _, Source as _};
use dfo_transport_zmq::{Pattern, ZmqSink, ZmqSource};

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::{ANY, LONG, bind, bound, pull, record, records, settings, soon, subscribe, take};

/// Sends probes until each receiver has got one, and receives what is left of them.
async fn meet(sink: &mut ZmqSink, sources: &mut [ZmqSource]) {
    for source in &mut *sources {
        let heard = async {
            while !receives(source, 20).await {
                sink.send(Record::new("{}", "probe")).await.unwrap();
            }
        };
        soon(heard).await;
    }
    for source in sources {
        while receives(source, 100).await {}
    }
}

async fn receives(source: &mut ZmqSource, within_ms: u64) -> bool {
    let wait = Duration::from_millis(within_ms);
    tokio::time::timeout(wait, source.receive(1)).await.is_ok()
}

#[tokio::test]
async fn z05_pub_copies_every_record_to_every_receiver() {
    let (mut sink, address) = bound(Pattern::Publish, ANY).await;
    let mut sources = Vec::new();
    for _ in 0..8 {
        sources.push(subscribe(&address).await);
    }
    meet(&mut sink, &mut sources).await;
    for number in 0..500 {
        soon(sink.send(record(number))).await.unwrap();
    }
    for source in &mut sources {
        assert_eq!(take(source, 500).await, records(0..500));
    }
    assert!(sink.capabilities().fan_out && sources[0].capabilities().fan_out);
}

#[tokio::test]
async fn z05_push_deals_out_in_turn_and_says_so() {
    let (mut sink, address) = bound(Pattern::Push, ANY).await;
    let mut sources = [pull(&address).await, pull(&address).await];
    // In turn once both are there.
    meet(&mut sink, &mut sources).await;
    for number in 0..100 {
        soon(sink.send(record(number))).await.unwrap();
    }
    let mut shares = Vec::new();
    for source in &mut sources {
        shares.push(take(source, 50).await);
    }
    let (even, odd) = (records((0..100).step_by(2)), records((1..100).step_by(2)));
    assert!(shares == [even.clone(), odd.clone()] || shares == [odd, even]);
    assert!(!sink.capabilities().fan_out && !sources[0].capabilities().fan_out);
}

#[tokio::test]
async fn one_that_keeps_up_is_never_passed_over_however_low_the_mark() {
    for mark in [1, 2, 3, 5] {
        let low = settings(|s| s.high_water_mark = mark);
        let sink = ZmqSink::open(Pattern::Publish, &bind(ANY), &low).await;
        let mut sink = sink.unwrap();
        let mut sources = [subscribe(&sink.endpoints()[0]).await];
        meet(&mut sink, &mut sources).await;
        for number in 0..1000 {
            soon(sink.send(record(number))).await.unwrap();
            assert_eq!(take(&mut sources[0], 1).await, [record(number)]);
        }
    }
}

#[tokio::test]
async fn publishing_to_nobody_neither_waits_nor_keeps_anything() {
    let (mut sink, address) = bound(Pattern::Publish, ANY).await;
    for number in 0..10_000 {
        soon(sink.send(record(number))).await.unwrap();
    }
    soon(sink.flush(LONG)).await.unwrap();
    let mut sources = [subscribe(&address).await];
    meet(&mut sink, &mut sources).await;
    assert_eq!(soon(Box::new(sink).close(LONG)).await.unwrap().dropped, 0);
}
