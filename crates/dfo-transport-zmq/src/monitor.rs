//! Who is connected, and how often a connection ended: told by libzmq's monitor of a socket.

use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream as _;
use tmq::{AsZmqSocket as _, FromZmqSocket as _};
use zmq::SocketEvent;

use crate::error;

/// What happened to the connections of a socket, since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// How many peers are connected now.
    pub connected: usize,
    /// The most that were connected at one time.
    pub most: usize,
    /// How many connections ended, those included that never got through the handshake.
    pub disconnections: u64,
    /// A handshake has failed; libzmq will say of the same connection that it ended.
    failed: bool,
}

impl Tally {
    /// Counts one frame of an event. The first frame says what happened, the other one where.
    fn add(&mut self, frame: &zmq::Message) {
        let (true, [low, high, ..]) = (frame.get_more(), &**frame) else {
            return;
        };
        let event = u16::from_ne_bytes([*low, *high]);
        if event == SocketEvent::HANDSHAKE_SUCCEEDED.to_raw() {
            self.connected += 1;
            self.most = self.most.max(self.connected);
        } else if event != SocketEvent::DISCONNECTED.to_raw() {
            self.failed = true;
        } else {
            self.disconnections += 1;
            if !mem::take(&mut self.failed) {
                self.connected = self.connected.saturating_sub(1);
            }
        }
    }
}

/// The receiving end of a socket's monitor.
pub(crate) struct Monitor {
    events: tmq::pull::Pull,
    tally: Cell<Tally>,
}

/// Each socket has a context to itself, and so a place of its own for names.
const NAME: &str = "inproc://monitor";

impl Monitor {
    /// Watches a socket that is neither bound nor connected yet.
    pub(crate) fn of(context: &zmq::Context, watched: &zmq::Socket) -> tmq::Result<Self> {
        let events = [
            SocketEvent::HANDSHAKE_SUCCEEDED,
            SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
            SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
            SocketEvent::HANDSHAKE_FAILED_AUTH,
            SocketEvent::DISCONNECTED,
        ];
        let events = events
            .iter()
            .fold(0, |all, event| all | i32::from(event.to_raw()));
        error::retried(|| watched.monitor(NAME, events))?;
        let socket = context.socket(zmq::PAIR)?;
        // libzmq's own thread waits where this end is full, and then nothing moves any more.
        error::retried(|| socket.set_rcvhwm(0))?;
        error::retried(|| socket.set_linger(0))?;
        error::retried(|| socket.connect(NAME))?;
        Ok(Self {
            events: tmq::pull::Pull::from_zmq_socket(socket)?,
            tally: Cell::default(),
        })
    }

    /// What has happened until now.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.tally.get();
        let socket = self.events.get_socket();
        while let Ok(frame) = error::retried(|| socket.recv_msg(zmq::DONTWAIT)) {
            tally.add(&frame);
        }
        self.tally.set(tally);
        tally
    }

    /// The same, and the task is woken at the next event.
    pub(crate) fn poll_tally(&mut self, cx: &mut Context<'_>) -> Tally {
        let mut tally = self.tally.get();
        while let Poll::Ready(Some(Ok(frames))) = Pin::new(&mut self.events).poll_next(cx) {
            frames.iter().for_each(|frame| tally.add(frame));
        }
        self.tally.set(tally);
        tally
    }
}
