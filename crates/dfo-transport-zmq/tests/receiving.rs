//! Sources under a flood, idle, interrupted, and with senders that come and go.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: what fails here fails the test"
)]

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use dfo_transport::{Sink as _, Source as _};
use dfo_transport_zmq::ZmqSource;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

#[expect(dead_code, reason = "shared with other tests")]
mod support;
use support::{ANY, LONG, bound_pull, push, record, records, soon, take, until};

/// A sender on a thread of its own that sends as fast as libzmq takes it, until it is dropped.
struct Flood {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flood {
    fn to(address: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (address, until) = (address.to_owned(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let socket = zmq::Context::new().socket(zmq::PUSH).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_sndtimeo(100).unwrap();
            socket.connect(&address).unwrap();
            while !until.load(Ordering::Relaxed) {
                let _ = socket.send_multipart([&b"{}"[..], &[b'x'; 800]], 0);
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Receives without end, and counts.
async fn receive_all(mut source: ZmqSource, limit: usize, received: Arc<AtomicUsize>) {
    loop {
        let batch = source.receive(limit).await.unwrap();
        assert!((1..=limit).contains(&batch.len()));
        received.fetch_add(batch.len(), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_flood_leaves_timers_and_other_tasks_their_turn() {
    for limit in [1, 256, usize::MAX] {
        let (source, address) = bound_pull(ANY).await;
        let flood = Flood::to(&address);
        let received = Arc::new(AtomicUsize::new(0));
        let receiving = tokio::spawn(receive_all(source, limit, Arc::clone(&received)));
        // The runtime has one thread. More than a few turns' worth comes in meanwhile.
        let mut turns = 0;
        while turns < 20 || received.load(Ordering::Relaxed) < 20_000 {
            sleep(Duration::from_millis(1)).await;
            turns += 1;
        }
        receiving.abort();
        drop(flood);
    }
}

#[tokio::test]
async fn a_flood_does_not_delay_the_end_of_the_program() {
    let (source, address) = bound_pull(ANY).await;
    let flood = Flood::to(&address);
    let received = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = oneshot::channel();
    let seen = Arc::clone(&received);
    let stopping = thread::spawn(move || {
        while seen.load(Ordering::Relaxed) < 10_000 {
            thread::yield_now();
        }
        stop.send(()).unwrap();
    });
    let mut source = source;
    let receiving = async {
        loop {
            let batch = source.receive(64).await.unwrap();
            received.fetch_add(batch.len(), Ordering::Relaxed);
        }
    };
    let stopped = soon(async {
        tokio::select! {
            () = receiving => {}
            stopped = stopped => stopped.unwrap(),
        }
    });
    stopped.await;
    soon(Box::new(source).close(LONG)).await.unwrap();
    stopping.join().unwrap();
    drop(flood);
}

#[tokio::test]
async fn z10_an_idle_source_costs_nothing() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    soon(sink.send(record(1))).await.unwrap();
    take(&mut source, 1).await;

    let polls = AtomicUsize::new(0);
    let mut receiving = pin!(source.receive(1));
    let counted = std::future::poll_fn(|cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        match receiving.as_mut().poll(cx) {
            Poll::Ready(batch) => panic!("{batch:?}"),
            Poll::Pending => Poll::<()>::Pending,
        }
    });
    assert!(timeout(Duration::from_millis(300), counted).await.is_err());
    let polls = polls.into_inner();
    assert!(polls < 10, "polled {polls} times in 300 ms");
}

#[tokio::test]
async fn receiving_that_is_given_up_loses_nothing() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    let sending = async {
        for number in 0..2000 {
            sink.send(record(number)).await.unwrap();
            if number % 10 == 0 {
                sleep(Duration::from_micros(100)).await;
            }
        }
    };
    let receiving = async {
        let mut came = Vec::new();
        while came.len() < 2000 {
            let mut receiving = pin!(source.receive(7));
            // Polled once, and given up where that is not enough.
            let once = std::future::poll_fn(|cx| Poll::Ready(receiving.as_mut().poll(cx))).await;
            match once {
                Poll::Ready(batch) => came.extend(batch.unwrap()),
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
        came
    };
    let (came, ()) = soon(async { tokio::join!(receiving, sending) }).await;
    assert_eq!(came, records(0..2000));
}

#[tokio::test]
async fn a_source_without_senders_closes_at_once() {
    let (source, _) = bound_pull(ANY).await;
    soon(Box::new(source).close(LONG)).await.unwrap();
    let source = support::pull("tcp://127.0.0.1:9").await;
    soon(Box::new(source).close(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn who_was_connected_at_one_time_is_counted() {
    let (mut source, address) = bound_pull(ANY).await;
    assert_eq!(source.senders(), Some(0));
    for round in 1..=3 {
        let mut sinks = Vec::new();
        for _ in 0..3 {
            let mut sink = push(&address).await;
            soon(sink.send(record(1))).await.unwrap();
            sinks.push(sink);
        }
        take(&mut source, 3).await;
        assert_eq!(source.senders(), Some(3));
        for sink in sinks {
            soon(Box::new(sink).close(LONG)).await.unwrap();
        }
        let gone = || source.losses().disconnections == 3 * round;
        until("all are gone", gone).await;
    }
    assert_eq!(source.senders(), Some(3), "at one time");
}

#[tokio::test]
async fn a_source_can_be_received_from_on_any_thread() {
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    for number in 0..3 {
        soon(sink.send(record(number))).await.unwrap();
        let runtime = tokio::runtime::Handle::current();
        let received = thread::spawn(move || {
            let came = runtime.block_on(take(&mut source, 1));
            (source, came)
        });
        let received = tokio::task::spawn_blocking(move || received.join().unwrap());
        let came;
        (source, came) = received.await.unwrap();
        assert_eq!(came, [record(number)]);
    }
}

#[tokio::test]
async fn a_signal_in_between_is_no_error() {
    // libzmq gives up with EINTR where a signal with a handler comes in the middle.
    let mut caught = signal(SignalKind::user_defined1()).unwrap();
    let again = format!("while kill -USR1 {}; do :; done", std::process::id());
    let mut signalling = Command::new("sh").args(["-c", &again]).spawn().unwrap();
    let (mut source, address) = bound_pull(ANY).await;
    let mut sink = push(&address).await;
    let sending = async {
        for number in 0..20_000 {
            sink.send(record(number)).await.unwrap();
        }
    };
    let (came, ()) = soon(async { tokio::join!(take(&mut source, 20_000), sending) }).await;
    assert_eq!(came, records(0..20_000));
    soon(caught.recv()).await.unwrap();
    signalling.kill().unwrap();
    signalling.wait().unwrap();
}
