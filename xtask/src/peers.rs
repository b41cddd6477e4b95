//! What stands around a service that is measured: a diagnoser, an application, and a bare forwarder
//! in the service's place.
//!
//! The peers use libzmq directly, so that what they do is theirs. Every wait has an end: where
//! nothing comes for [`PATIENCE`], that is an error.

pub mod findings;
pub mod forwarder;
pub mod served;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dfo_transport_zmq::Settings;

/// How long at most to wait for the other side.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Any free port of this machine.
const ANYWHERE: &str = "tcp://127.0.0.1:*";

/// A message of two frames: metadata and payload.
#[derive(Debug, Default)]
pub struct Frames {
    pub metadata: Vec<u8>,
    pub payload: Vec<u8>,
}

/// A socket of ours, with a context of its own as in a program of its own.
pub struct Peer {
    socket: zmq::Socket,
    // Ends after its socket.
    _context: zmq::Context,
}

impl Peer {
    /// A PUSH that listens, as the diagnoser's does; and where.
    pub fn diagnoser() -> Result<(Self, String)> {
        let peer = Self::new(zmq::PUSH)?;
        let address = bind(&peer.socket)?;
        Ok((peer, address))
    }

    /// A PULL that fetches plans.
    pub fn application(plans: &str) -> Result<Self> {
        let peer = Self::new(zmq::PULL)?;
        peer.socket.connect(plans).context("plans")?;
        Ok(peer)
    }

    /// A PUSH for registrations and acknowledgements.
    pub fn speaker(control: &str) -> Result<Self> {
        let peer = Self::new(zmq::PUSH)?;
        peer.socket.connect(control).context("control")?;
        Ok(peer)
    }

    fn new(kind: zmq::SocketType) -> Result<Self> {
        let context = zmq::Context::new();
        let socket = context.socket(kind)?;
        apply(&Settings::default(), &socket)?;
        // What is still waiting when a measurement ends, no one wants.
        socket.set_linger(0)?;
        let patience = i32::try_from(PATIENCE.as_millis())?;
        socket.set_sndtimeo(patience)?;
        socket.set_rcvtimeo(patience)?;
        Ok(Peer {
            socket,
            _context: context,
        })
    }

    /// Sends; waits while the other side has no room.
    pub fn send(&self, frames: &Frames) -> Result<()> {
        let Frames { metadata, payload } = frames;
        let sent = self.socket.send(&metadata[..], zmq::SNDMORE);
        let sent = sent.and_then(|()| self.socket.send(&payload[..], 0));
        sent.with_context(|| format!("nothing was taken for {PATIENCE:?}"))
    }

    /// Receives into `frames`, if anything comes in that time.
    pub fn receive_within(&self, frames: &mut Frames, time: Duration) -> Result<bool> {
        let ready = self
            .socket
            .poll(zmq::POLLIN, i64::try_from(time.as_millis())?)?;
        if ready > 0 {
            self.receive(frames)?;
        }
        Ok(ready > 0)
    }

    /// Receives into `frames`.
    pub fn receive(&self, frames: &mut Frames) -> Result<()> {
        let nothing = || format!("nothing came for {PATIENCE:?}");
        let metadata = self.socket.recv_msg(0).with_context(nothing)?;
        ensure!(metadata.get_more(), "a message of one frame");
        let payload = self.socket.recv_msg(0).with_context(nothing)?;
        if payload.get_more() {
            bail!("a message of more than two frames");
        }
        frames.metadata.clear();
        frames.metadata.extend_from_slice(&metadata);
        frames.payload.clear();
        frames.payload.extend_from_slice(&payload);
        Ok(())
    }
}

/// Makes a socket listen; says where.
fn bind(socket: &zmq::Socket) -> Result<String> {
    socket.bind(ANYWHERE).context(ANYWHERE)?;
    match socket.get_last_endpoint()? {
        Ok(address) => Ok(address),
        Err(bytes) => bail!("an address that is no text: {bytes:?}"),
    }
}

/// The bounds that the service's own sockets have.
fn apply(settings: &Settings, socket: &zmq::Socket) -> Result<()> {
    let mark = i32::try_from(settings.high_water_mark)?;
    socket.set_sndhwm(mark)?;
    socket.set_rcvhwm(mark)?;
    socket.set_maxmsgsize(i64::try_from(settings.max_message_bytes)?)?;
    socket.set_reconnect_ivl(i32::try_from(settings.reconnect.as_millis())?)?;
    socket.set_reconnect_ivl_max(i32::try_from(settings.reconnect_max.as_millis())?)?;
    Ok(())
}
