//! Peers that send what no diagnoser would send, or stop in the middle of it.

use std::time::Duration;

use dfo_transport::{ErrorKind, Record, Sink as _, Source as _};
use dfo_transport_zmq::{Pattern, ZmqSink, ZmqSource};

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::raw::RawPeer;
use support::{ANY, LONG, bind, bound, bound_pull, nothing_more, push_with, record, settings};
use support::{soon, take, until};

#[tokio::test]
async fn z07_one_frame_is_a_payload_without_metadata() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut peer = RawPeer::connect(&address, "PUSH");
    peer.send(&[b"{\"scope\":\"global\"}"]);
    peer.send(&[b""]);
    let expected = [Record::new("", "{\"scope\":\"global\"}"), Record::default()];
    assert_eq!(take(&mut source, 2).await, expected);
}

#[tokio::test]
async fn of_more_than_two_frames_nothing_is_lost() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut peer = RawPeer::connect(&address, "PUSH");
    peer.send(&[b"{}", b"{\"a\":1}", b"", b"{\"b\":2}"]);
    peer.send(&[b"{}", b"{}"]);
    let expected = [
        Record::new("{}", "{\"a\":1}\n\n{\"b\":2}"),
        Record::new("{}", "{}"),
    ];
    assert_eq!(take(&mut source, 2).await, expected);
}

#[tokio::test]
async fn frames_arrive_byte_for_byte_whatever_their_size() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut peer = RawPeer::connect(&address, "PUSH");
    for size in [0, 1, 33, 34, 64, 65, 255, 256, 8192, 1_000_000] {
        let metadata: Vec<u8> = (0..size).map(|i: u32| i.to_le_bytes()[0]).collect();
        let payload: Vec<u8> = (0..size).map(|i: u32| (i + 7).to_le_bytes()[0]).collect();
        peer.send(&[&metadata, &payload]);
        let came = take(&mut source, 1).await;
        assert_eq!(came, [Record::new(metadata, payload)], "{size} bytes");
    }
}

#[tokio::test]
async fn half_a_message_never_arrives() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut without_payload = RawPeer::connect(&address, "PUSH");
    without_payload.frame(1, b"{}");
    let mut cut_in_the_middle = RawPeer::connect(&address, "PUSH");
    cut_in_the_middle.frame(1, b"{}");
    cut_in_the_middle.head(0, 100);
    cut_in_the_middle.write(b"{\"severity");
    drop((without_payload, cut_in_the_middle));
    until("both are gone", || source.losses().disconnections == 2).await;

    let mut whole = RawPeer::connect(&address, "PUSH");
    whole.send(&[b"{}", b"{}"]);
    assert_eq!(take(&mut source, 1).await, [Record::new("{}", "{}")]);
    nothing_more(&mut source).await;
}

#[tokio::test]
async fn a_peer_that_announces_a_huge_frame_is_cut_off_and_no_other() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut good = RawPeer::connect(&address, "PUSH");
    let mut huge = RawPeer::connect(&address, "PUSH");
    huge.frame(1, b"{}");
    huge.head(0, 100 << 20);
    huge.until_cut_off();
    until("it is counted", || source.losses().disconnections == 1).await;
    good.send(&[b"{}", b"{}"]);
    assert_eq!(take(&mut source, 1).await, [Record::new("{}", "{}")]);
}

#[tokio::test]
async fn many_frames_that_are_too_large_together_are_counted_and_passed_over() {
    let small = settings(|s| s.max_message_bytes = 1000);
    let mut source = ZmqSource::pull(&bind(ANY), &small).await.unwrap();
    let mut peer = RawPeer::connect(&source.endpoints()[0], "PUSH");
    peer.send(&[b"{}", &[b'1'; 600], &[b'2'; 600]]);
    peer.send(&[b"{}", &[b'3'; 600]]);
    assert_eq!(
        take(&mut source, 1).await,
        [Record::new("{}", vec![b'3'; 600])]
    );
    assert_eq!(source.losses().too_large, 1);
    assert_eq!(source.losses().disconnections, 0);
}

#[tokio::test]
async fn what_is_larger_than_the_limit_is_not_sent() {
    let small = settings(|s| s.max_message_bytes = 100);
    let mut sink = push_with("tcp://127.0.0.1:9", &small).await;
    let error = sink
        .send(Record::new("{}", vec![b'x'; 99]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "tcp://127.0.0.1:9: cannot send: the record has 101 bytes, the limit is 100; raise \
         max-message-bytes on both sides"
    );
    soon(sink.send(Record::new("{}", vec![b'x'; 98])))
        .await
        .unwrap();
}

#[tokio::test]
async fn who_does_not_speak_zmtp_is_counted_but_is_no_sender() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut browser = RawPeer::silent(&address);
    browser.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    drop(browser);
    let wrong = RawPeer::connect(&address, "SUB");
    wrong.until_cut_off();
    until("both are counted", || source.losses().disconnections == 2).await;
    assert_eq!(source.senders(), Some(0));

    let mut good = RawPeer::connect(&address, "PUSH");
    good.send(&[b"{}", b"{}"]);
    take(&mut source, 1).await;
    assert_eq!(source.senders(), Some(1));
}

#[tokio::test]
async fn thousands_that_come_and_go_while_nobody_receives_stop_nothing() {
    // What libzmq tells of connections waits in a queue; where that has a bound, and nobody reads
    // it, libzmq's own thread waits for ever.
    let (mut source, address) = bound_pull(ANY).await;
    for _ in 0..3000 {
        drop(RawPeer::connect(&address, "PUSH"));
    }
    let mut good = RawPeer::connect(&address, "PUSH");
    good.send(&[b"{}", b"{}"]);
    assert_eq!(take(&mut source, 1).await, [Record::new("{}", "{}")]);
    until("all are counted", || source.losses().disconnections == 3000).await;
}

#[tokio::test]
async fn noise_ends_nothing_but_its_own_connection() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut state = 42_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    for round in 0..200 {
        // Some of it after a good beginning.
        let mut peer = match round % 2 {
            0 => RawPeer::silent(&address),
            _ => RawPeer::connect(&address, "PUSH"),
        };
        let bytes: Vec<u8> = (0..300).map(|_| noise()).collect();
        peer.write(&bytes);
    }
    let all = || source.losses().disconnections == 200;
    until("all have come and gone", all).await;
    let mut good = RawPeer::connect(&address, "PUSH");
    good.send(&[b"good", b"{}"]);
    let good = Record::new("good", "{}");
    // By chance some noise is a message.
    while take(&mut source, 1).await != [good.clone()] {}
}

/// The vendored libzmq knows the option only where it is built with these flags: see decision 0009.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_node_that_dies_without_a_word_is_noticed_by_the_kernel() {
    if option_env!("CXXFLAGS").is_none_or(|flags| !flags.contains("ZMQ_HAVE_SO_KEEPALIVE")) {
        return;
    }
    let (mut sink, address) = bound(Pattern::Push, ANY).await;
    let mut source = support::pull(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    take(&mut source, 1).await;
    let port = address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    // In the kernel's table: state 1 is a connection, timer 2 asks whether the other side is there.
    let asks = |column: usize| {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table
            .lines()
            .map(|row| row.split_whitespace().collect::<Vec<_>>());
        let mut rows = rows.filter(|row| row[column].ends_with(&format!(":{port:04X}")));
        rows.any(|row| row[3] == "01" && row[5].starts_with("02:"))
    };
    until("the sender's side asks", || asks(1)).await;
    until("the receiver's side asks", || asks(2)).await;
}

#[tokio::test]
async fn a_sink_closes_in_time_although_its_receiver_stopped_reading() {
    let (mut sink, address) = bound(Pattern::Push, ANY).await;
    let _stopped = RawPeer::connect(&address, "PULL");
    let big = || Record::new("{}", vec![b'x'; 1 << 20]);
    // The first one waits until the receiver is there.
    soon(sink.send(big())).await.unwrap();
    // More than the kernel takes.
    for _ in 0..100 {
        let sent = tokio::time::timeout(Duration::from_millis(500), sink.send(big()));
        if sent.await.is_err() {
            break;
        }
    }
    let closed = Box::new(sink).close(Duration::from_millis(300));
    assert_eq!(
        soon(closed).await.unwrap().dropped,
        1,
        "which means at least one"
    );
}

#[tokio::test]
async fn a_subscriber_that_stopped_reading_holds_up_nobody() {
    let few = settings(|s| s.high_water_mark = 10);
    let mut sink = ZmqSink::open(Pattern::Publish, &bind(ANY), &few)
        .await
        .unwrap();
    let address = sink.endpoints()[0].clone();
    let mut stopped = RawPeer::connect(&address, "SUB");
    stopped.frame(0, b"\x01");
    let mut reads = support::subscribe(&address).await;
    for number in 0..200 {
        // One at a time: the one that reads is never behind.
        soon(async {
            loop {
                let big = Record::new(number.to_string(), vec![b'x'; 1 << 18]);
                sink.send(big).await.unwrap();
                let wait = Duration::from_secs(1);
                let Ok(batch) = tokio::time::timeout(wait, reads.receive(1)).await else {
                    // It was not subscribed yet.
                    assert_eq!(number, 0);
                    continue;
                };
                assert_eq!(batch.unwrap()[0].metadata, number.to_string());
                break;
            }
        })
        .await;
    }
    let closed = Box::new(sink).close(Duration::from_millis(100));
    soon(closed).await.unwrap();
    soon(Box::new(reads).close(LONG)).await.unwrap();
}
