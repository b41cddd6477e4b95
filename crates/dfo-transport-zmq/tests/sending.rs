//! Sinks without a receiver, with one that comes late, that goes, and that comes back.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dfo_transport::{ErrorKind, Record, Sink as _, Source as _};
use dfo_transport_zmq::{Pattern, ZmqSink, ZmqSource};
use tokio::time::timeout;

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::{ANY, LONG, bind, bound, bound_pull, nothing_more, pull, push, push_with, record};
use support::{records, settings, soon, subscribe, take, until};

const SHORT: Duration = Duration::from_millis(50);

/// Nobody listens there: the port is not one that is given out.
const NOBODY: &str = "tcp://127.0.0.1:9";

#[tokio::test]
async fn z01_without_a_receiver_only_the_sending_waits() {
    let (mut sink, address) = bound(Pattern::Push, ANY).await;
    // The runtime has one thread, and the timer of it goes on.
    assert!(timeout(SHORT, sink.send(record(1))).await.is_err());
    assert!(timeout(SHORT, sink.send(record(2))).await.is_err());

    let mut source = pull(&address).await;
    soon(sink.send(record(3))).await.unwrap();
    assert_eq!(take(&mut source, 1).await, [record(3)]);
    assert_eq!(soon(Box::new(sink).close(LONG)).await.unwrap().dropped, 0);
}

#[tokio::test]
async fn z01_a_sink_whose_receiver_never_comes_closes_in_time() {
    let (mut sink, _) = bound(Pattern::Push, ANY).await;
    assert!(timeout(SHORT, sink.send(record(1))).await.is_err());
    let closed = soon(Box::new(sink).close(LONG)).await.unwrap();
    assert_eq!(closed.dropped, 0, "none was taken");

    let impatient = settings(|s| s.linger = Duration::from_millis(100));
    let mut sink = push_with(NOBODY, &impatient).await;
    for number in 0..5 {
        soon(sink.send(record(number))).await.unwrap();
    }
    let closed = soon(Box::new(sink).close(LONG)).await.unwrap();
    assert_eq!(closed.dropped, 5, "all that were taken");

    let patient = settings(|s| s.linger = Duration::from_hours(24));
    let mut sink = push_with(NOBODY, &patient).await;
    soon(sink.send(record(1))).await.unwrap();
    let closed = soon(Box::new(sink).close(SHORT)).await.unwrap();
    assert_eq!(closed.dropped, 1, "the deadline is less than the setting");
}

#[test]
fn z01_dropping_ends_never_blocks_neither_the_task_nor_the_runtime() {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let left = runtime.block_on(async {
        let patient = settings(|s| s.linger = Duration::from_hours(24));
        let mut sink = push_with(NOBODY, &patient).await;
        soon(sink.send(record(1))).await.unwrap();
        drop(sink);
        let mut sink = push_with(NOBODY, &patient).await;
        soon(sink.send(record(1))).await.unwrap();
        sink
    });
    drop(runtime);
    drop(left);
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn z06_a_closing_sink_delivers_what_it_has() {
    let patient = settings(|s| s.linger = LONG);
    let (source, address) = bound_pull(ANY).await;
    soon(Box::new(source).close(LONG)).await.unwrap();
    let mut sink = push_with(&address, &patient).await;
    for number in 0..900 {
        soon(sink.send(record(number))).await.unwrap();
    }
    let closing = tokio::spawn(Box::new(sink).close(LONG));
    // The receiver comes late, and is slow.
    let (mut source, _) = bound_pull(&address).await;
    let mut came = Vec::new();
    while came.len() < 900 {
        came.extend(soon(source.receive(10)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(came, records(0..900));
    assert_eq!(soon(closing).await.unwrap().unwrap().dropped, 0);
}

#[tokio::test]
async fn z06_a_dropped_sink_delivers_what_it_has_while_the_process_lives() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    for number in 0..500 {
        soon(sink.send(record(number))).await.unwrap();
    }
    drop(sink);
    assert_eq!(take(&mut source, 500).await, records(0..500));
}

#[tokio::test]
async fn flushing_waits_for_a_receiver_and_drops_nothing() {
    let (source, address) = bound_pull(ANY).await;
    soon(Box::new(source).close(LONG)).await.unwrap();
    let mut sink = push(&address).await;
    soon(sink.flush(Duration::ZERO)).await.unwrap();
    soon(sink.send(record(1))).await.unwrap();

    let error = soon(sink.flush(SHORT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!("{address}: cannot flush: nobody was connected within 50ms")
    );

    let (mut source, _) = bound_pull(&address).await;
    soon(sink.flush(LONG)).await.unwrap();
    assert_eq!(take(&mut source, 1).await, [record(1)]);
}

#[tokio::test]
async fn a_sending_that_is_given_up_leaves_no_half_of_a_record() {
    let low = settings(|s| s.high_water_mark = 1);
    let mut sink = ZmqSink::open(Pattern::Push, &bind(ANY), &low)
        .await
        .unwrap();
    let address = sink.endpoints()[0].clone();
    let mut source = ZmqSource::pull(&support::connect(&address), &low)
        .await
        .unwrap();
    let big = |number: usize| Record::new(number.to_string(), vec![b'x'; 1 << 20]);
    let mut given_up = 0;
    let mut number = 0;
    while given_up < 20 {
        // Nobody receives, so that it must wait before long.
        let wait = Duration::from_millis(5);
        given_up += usize::from(timeout(wait, sink.send(big(number))).await.is_err());
        number += 1;
    }
    let sending = async {
        soon(sink.send(Record::new("last", ""))).await.unwrap();
    };
    let receiving = async {
        let mut before = None;
        loop {
            let record = take(&mut source, 1).await.remove(0);
            if record.metadata == "last" {
                break;
            }
            assert_eq!(record.payload.len(), 1 << 20);
            let number = str::from_utf8(&record.metadata).unwrap().parse::<usize>();
            let number = number.unwrap();
            assert!(before < Some(number), "in order, and each once");
            before = Some(number);
        }
    };
    tokio::join!(sending, receiving);
    nothing_more(&mut source).await;
}

#[tokio::test]
async fn records_stay_whole_while_a_receiver_comes_and_goes() {
    // Where it goes between the two frames of a record, libzmq takes the first one back.
    let (mut sink, address) = bound(Pattern::Push, ANY).await;
    let over = Arc::new(AtomicBool::new(false));
    let until_over = Arc::clone(&over);
    let receiver = thread::spawn(move || come_and_go(&address, &until_over));
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < Duration::from_secs(1) {
        soon(sink.send(record(number))).await.unwrap();
        number += 1;
    }
    over.store(true, Ordering::Relaxed);
    let visits = tokio::task::spawn_blocking(move || receiver.join().unwrap());
    assert!(visits.await.unwrap() > 1);
}

/// Receives a little, goes, and comes back: not at once, for where three connections are there at
/// one time libzmq itself may tear a record. Gives how often it came.
fn come_and_go(address: &str, over: &AtomicBool) -> usize {
    let context = zmq::Context::new();
    let mut visits = 0;
    while !over.load(Ordering::Relaxed) {
        let socket = context.socket(zmq::PULL).unwrap();
        socket.set_rcvtimeo(100).unwrap();
        socket.connect(address).unwrap();
        for _ in 0..20 {
            let Ok(frames) = socket.recv_multipart(0) else {
                break;
            };
            assert_eq!(frames.len(), 2, "{frames:?}");
            assert_eq!(frames[0], b"{}");
        }
        visits += 1;
        drop(socket);
        // Sleeps: a peer that comes and goes; the length does not matter.
        thread::sleep(Duration::from_millis(5));
    }
    visits
}

#[tokio::test]
async fn a_receiver_that_listens_may_go_and_come_back() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    assert_eq!(take(&mut source, 1).await, [record(1)]);
    soon(Box::new(source).close(LONG)).await.unwrap();

    // What is sent after the loss of the connection was noticed waits.
    while soon(sink.flush(Duration::ZERO)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    soon(sink.send(record(2))).await.unwrap();
    let (mut source, _) = bound_pull(&address).await;
    assert_eq!(take(&mut source, 1).await, [record(2)]);
}

#[tokio::test]
async fn a_sender_that_listens_may_go_and_come_back() {
    for pattern in [Pattern::Push, Pattern::Publish] {
        let (mut sink, address) = bound(pattern, ANY).await;
        let mut source = match pattern {
            Pattern::Push => pull(&address).await,
            Pattern::Publish => subscribe(&address).await,
        };
        for visit in 0..3 {
            let heard = async {
                loop {
                    let _ = timeout(SHORT, sink.send(record(visit))).await;
                    if let Ok(batch) = timeout(SHORT, source.receive(1)).await
                        && batch.unwrap() == [record(visit)]
                    {
                        break;
                    }
                }
            };
            soon(heard).await;
            soon(Box::new(sink).close(LONG)).await.unwrap();
            sink = bound(pattern, &address).await.0;
        }
        until("the losses are counted", || {
            source.losses().disconnections >= 3
        })
        .await;
        assert_eq!(source.senders(), Some(1), "one at a time");
    }
}

#[tokio::test]
async fn publishing_without_end_leaves_others_their_turn() {
    let (mut sink, _) = bound(Pattern::Publish, ANY).await;
    let flood = tokio::spawn(async move {
        for number in 0.. {
            sink.send(record(number)).await.unwrap();
        }
    });
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    flood.abort();
}

#[tokio::test]
async fn a_sink_whose_records_have_left_says_so_however_short_the_deadline() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    take(&mut source, 1).await;
    let closed = soon(Box::new(sink).close(Duration::ZERO)).await.unwrap();
    assert_eq!(closed.dropped, 0);
}
