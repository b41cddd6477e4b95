//! How a socket behaves: its bounds and its patience.

use std::time::Duration;

use crate::error;

/// How a socket behaves. Nothing in it is unbounded, and none of libzmq's own defaults is left that
/// waits for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long at most a closing sink keeps trying to deliver; less than 200 ms counts as 200 ms.
    /// libzmq's own default is for ever.
    pub linger: Duration,
    /// How many records may wait for each peer, in the sender and again in the receiver; of which 0
    /// counts as 1. The buffers of the kernel hold more on top.
    pub high_water_mark: u32,
    /// The largest frame, and the largest record. A peer that sends a larger frame is cut off. How
    /// many frames a message has, libzmq does not bound.
    pub max_message_bytes: u64,
    /// How long after a lost connection the next one is tried; doubled each time it fails.
    pub reconnect: Duration,
    /// How long at most between two tries.
    pub reconnect_max: Duration,
}

impl Settings {
    /// Applies them to a new socket: libzmq reads most of them only when it binds or connects.
    pub(crate) fn apply(&self, socket: &zmq::Socket) -> Result<(), zmq::Error> {
        let mark = at_most_i32(self.high_water_mark.max(1).into());
        let bytes = i64::try_from(self.max_message_bytes.max(1)).unwrap_or(i64::MAX);
        let reconnect = millis(self.reconnect).max(1);
        let reconnect_max = millis(self.reconnect_max).max(reconnect);
        error::retried(|| {
            socket.set_linger(millis(self.linger))?;
            socket.set_sndhwm(mark)?;
            socket.set_rcvhwm(mark)?;
            socket.set_maxmsgsize(bytes)?;
            socket.set_reconnect_ivl(reconnect)?;
            socket.set_reconnect_ivl_max(reconnect_max)?;
            keep_alive(socket)
        })
    }
}

/// Lets the kernel ask, on a connection that is silent for half a minute, whether the other side is
/// still there. A source sends nothing: it would wait for ever on a node that died without a word,
/// and would not find it again when it is back.
///
/// Not libzmq's own heartbeats: they hear no answer while a full queue waits to be read, cut off a
/// peer that lives, and then, where this side connected, libzmq aborts the process.
fn keep_alive(socket: &zmq::Socket) -> Result<(), zmq::Error> {
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(30)?;
    socket.set_tcp_keepalive_intvl(10)?;
    socket.set_tcp_keepalive_cnt(3)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(2),
            high_water_mark: 1000,
            max_message_bytes: 16 << 20,
            reconnect: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(2),
        }
    }
}

/// As libzmq takes it: whole milliseconds, never the −1 that means for ever.
pub(crate) fn millis(duration: Duration) -> i32 {
    at_most_i32(duration.as_millis())
}

fn at_most_i32(number: u128) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
