//! Records over ZeroMQ: PUSH to PULL and PUB to SUB, over TCP and Unix sockets.
//!
//! [`Zmq`] is the transport: what a program hands to [`Transports`](dfo_transport::Transports).
//! [`ZmqSource`] and [`ZmqSink`] are its ends, which can be opened alone.
//!
//! It carries bytes; what they mean is decided above. It keeps nothing: who was not there does not
//! get what was sent, and what must not be lost is acknowledged by those above.
//!
//! ```
//! use dfo_transport::{Record, Sink, Source};
//! use dfo_transport_zmq::{Endpoint, Pattern, Settings, ZmqSink, ZmqSource};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let settings = Settings::default();
//! let any_port = Endpoint::Bind("tcp://127.0.0.1:0".to_owned());
//! let mut source = ZmqSource::pull(&[any_port], &settings).await?;
//!
//! let there = Endpoint::Connect(source.endpoints()[0].clone());
//! let mut sink = ZmqSink::open(Pattern::Push, &[there], &settings).await?;
//! sink.send(Record::new("{}", "{\"tag\": \"small_io\"}")).await?;
//!
//! let records = source.receive(16).await?;
//! assert_eq!(records[0].payload, "{\"tag\": \"small_io\"}");
//! # Ok::<(), dfo_transport::TransportError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The runtime needs I/O and time (`enable_all`).
//!
//! # Who binds, who connects
//!
//! | channel | optimizer | the other side |
//! |---|---|---|
//! | findings | PULL, connects (`bind`: binds) | diagnoser: PUSH, binds (`connect`: connects) |
//! | plans | PUSH or PUB, binds | application: PULL or SUB, connects (`plans-bind`: binds) |
//! | registrations, acknowledgements | PULL, binds | application: PUSH, connects |
//!
//! Who connects may come first: it waits. An address is `tcp://HOST:PORT` or `ipc://PATH`.
//!
//! # Frames
//!
//! A record is sent as two frames, metadata and payload. Received are
//!
//! - two frames: metadata and payload;
//! - one frame: a payload without metadata;
//! - more: the first is the metadata, and the payload is all others joined by newlines, so that it
//!   does not decode and is kept whole with what does not. Where they are larger together than
//!   [`Settings::max_message_bytes`], they are passed over and counted
//!   ([`Losses::too_large`](dfo_transport::Losses::too_large)).
//!
//! A message of which only a part came before the connection ended does not arrive at all.
//!
//! # What is lost, and who knows
//!
//! - When a connection ends, what was in it and in the kernel's buffers is lost. Where this side
//!   connected, what waits in libzmq's queue stays for the next connection; where it bound, that is
//!   lost, too. A source counts the ends ([`Losses`](dfo_transport::Losses)), not what was in them.
//! - A frame larger than [`Settings::max_message_bytes`] ends the connection of its sender.
//! - PUB drops what is sent to nobody, and what a receiver that is behind has no room for. Nobody is
//!   told.
//! - The high-water mark bounds little: it counts records, not bytes, for each peer, once in the
//!   sender and once in the receiver, and the kernel's buffers hold thousands more.
//! - Over `ipc://`, a sender that closes while its receiver is behind the high-water mark takes with
//!   it what waits in the kernel's buffer: libzmq gives up a closed connection that it was not
//!   reading. Over `tcp://` it reads the rest. Where the last records of a sender matter, use
//!   `tcp://127.0.0.1:PORT`, or a mark above what may be on its way.
//! - Where three receivers or more take turns at a PUSH, and one of them goes at the moment between
//!   two frames, libzmq may lose its place and give the payload to another receiver than the
//!   metadata. PUB has no such moment.
//! - A node that dies without a word is noticed after a minute, where libzmq was built to let the
//!   kernel ask (the system's is; see below for the vendored one); else a source that is connected
//!   to it waits for ever.
//!
//! # What flushing and closing can tell
//!
//! libzmq says neither when a record leaves nor how many are left. So
//!
//! - *flush* is done when all records are handed to libzmq and a receiver is connected (PUB needs
//!   none);
//! - *close* gives libzmq the deadline, or [`Settings::linger`] if that is less, to hand everything
//!   to the kernel, and says no record was dropped when that was enough. When it was not, it says 1 for
//!   "at least one"; all of them, if there never was a receiver. That a receiver has them nobody
//!   says.
//! - *Dropping* an end returns at once. What it had is tried for [`Settings::linger`], on a thread of
//!   its own, while the process lives.
//!
//! # Which libzmq
//!
//! libzmq 4.3.4 is compiled in: that takes a C++ compiler, and nothing else. To link the system's
//! instead (Debian: `libzmq3-dev`), say so in a cargo configuration file, such as
//! `.cargo/config.toml` above the workspace or `~/.cargo/config.toml`, for your target:
//!
//! ```toml
//! [target.x86_64-unknown-linux-gnu.zmq]
//! rustc-link-lib = ["zmq"]
//! # Only where the linker does not find it by itself:
//! # rustc-link-search = ["/opt/zeromq/lib"]
//! ```
//!
//! Then no C++ compiler is needed. The compiled-in libzmq knows the kernel's keepalive only where it is built
//! with these flags; the same file can say so:
//!
//! ```toml
//! [env]
//! CXXFLAGS = "-DZMQ_HAVE_SO_KEEPALIVE -DZMQ_HAVE_TCP_KEEPCNT -DZMQ_HAVE_TCP_KEEPIDLE -DZMQ_HAVE_TCP_KEEPINTVL"
//! ```

mod endpoint;
mod error;
mod frames;
mod monitor;
mod settings;
mod sink;
mod socket;
mod source;
mod transport;

pub use endpoint::Endpoint;
pub use settings::Settings;
pub use sink::{Pattern, ZmqSink};
pub use source::ZmqSource;
pub use transport::Zmq;
