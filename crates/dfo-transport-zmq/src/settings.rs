//! How a socket behaves: its bounds and its patience.

use std::time::Duration;

use crate::error;

/// How a socket behaves. Nothing in it is unbounded, and none of libzmq's own defaults is left that
/// waits for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long at most a closing sink keeps trying to deliver. libzmq's own default is for ever.
    pub linger: Duration,
    /// How many records may wait for each peer, in the sender and again in the receiver; of which 0
    /// counts as 1. The buffers of the kernel hold more on top.
    pub high_water_mark: u32,
    /// The largest frame, and the largest record. A peer that sends a larger frame is cut off.
    pub max_message_bytes: u64,
    /// How long after a lost connection the next one is tried; doubled each time it fails.
    pub reconnect: Duration,
    /// How long at most between two tries.
    pub reconnect_max: Duration,
    /// How often a source asks its peers whether they are still there; zero is never. One that sends
    /// nothing for [`Settings::PATIENCE`] such intervals is cut off.
    ///
    /// Only sources ask. A source never sends, so without asking it would wait for ever on a node
    /// that died; a sink notices by itself, because what it sends is not confirmed.
    pub heartbeat: Duration,
}

impl Settings {
    /// How many intervals of [`Settings::heartbeat`] a peer may be silent. It is generous because a
    /// source that is not read for so long hears nothing either, and would cut off a peer that lives.
    pub const PATIENCE: u32 = 6;

    /// Applies them to a new socket: libzmq reads most of them only when it binds or connects.
    pub(crate) fn apply(&self, socket: &zmq::Socket) -> Result<(), zmq::Error> {
        error::retried(|| socket.set_linger(millis(self.linger)))?;
        let mark = at_most_i32(self.high_water_mark.max(1).into());
        error::retried(|| socket.set_sndhwm(mark))?;
        error::retried(|| socket.set_rcvhwm(mark))?;
        let bytes = i64::try_from(self.max_message_bytes.max(1)).unwrap_or(i64::MAX);
        error::retried(|| socket.set_maxmsgsize(bytes))?;
        let reconnect = millis(self.reconnect).max(1);
        error::retried(|| socket.set_reconnect_ivl(reconnect))?;
        let longest = millis(self.reconnect_max).max(reconnect);
        error::retried(|| socket.set_reconnect_ivl_max(longest))
    }

    /// Those that are for sources only.
    pub(crate) fn apply_to_source(&self, socket: &zmq::Socket) -> Result<(), zmq::Error> {
        let interval = millis(self.heartbeat);
        let patience = millis(self.heartbeat.saturating_mul(Self::PATIENCE));
        error::retried(|| socket.set_heartbeat_ivl(interval))?;
        error::retried(|| socket.set_heartbeat_timeout(patience))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(2),
            high_water_mark: 1000,
            max_message_bytes: 16 << 20,
            reconnect: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(2),
            heartbeat: Duration::from_secs(10),
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
