//! One libzmq socket on tokio: opened with its bounds, waited for, and put away without blocking.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use dfo_transport::{Operation, TransportError};
use futures_core::Stream as _;
use tmq::{AsZmqSocket as _, FromZmqSocket as _, Multipart, TmqError};
use tokio::sync::oneshot;

use crate::endpoint::Endpoint;
use crate::error;
use crate::monitor::{Monitor, Tally};
use crate::settings::{self, Settings};

/// How much longer than its deadline an end is waited for that closes: libzmq counts from when its
/// own thread gets to it.
pub(crate) const GRACE: Duration = Duration::from_millis(200);

/// So long at least a closing end may linger: with less, one that has nothing left could not be told
/// from one that ran out of time.
const LEAST: Duration = Duration::from_millis(200);

/// libzmq counts whole milliseconds, and is through a little before its time is up.
const SLACK: Duration = Duration::from_millis(10);

/// A socket with a context of its own: ending the context tells when all has left.
pub(crate) struct Socket {
    // Dropped in this order: the context ends when its sockets are closed.
    watched: Watched,
    context: Ending,
    /// What it is bound or connected to, in truth.
    pub(crate) endpoints: Vec<String>,
    /// The same, to name it by.
    pub(crate) name: String,
}

impl Socket {
    pub(crate) async fn open(
        kind: zmq::SocketType,
        endpoints: &[Endpoint],
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        for endpoint in endpoints {
            endpoint.check().await?;
        }
        let names: Vec<_> = endpoints.iter().map(Endpoint::address).collect();
        let mut socket = Self::new(kind, settings)
            .map_err(|e| error::of_tmq(Operation::Open, &names.join(", "), e))?;
        for endpoint in endpoints {
            match endpoint.attach(socket.raw()) {
                Ok(real) => socket.endpoints.push(real),
                Err(e) => {
                    // An address that was had already is free again when this returns.
                    let _ = socket.end(Duration::ZERO).await;
                    return Err(error::transport(Operation::Open, endpoint.address(), e));
                }
            }
        }
        socket.name = socket.endpoints.join(", ");
        Ok(socket)
    }

    /// A socket that is neither bound nor connected.
    fn new(kind: zmq::SocketType, settings: &Settings) -> Result<Self, TmqError> {
        let context = zmq::Context::new();
        let socket = context.socket(kind)?;
        settings.apply(&socket)?;
        if kind == zmq::SUB {
            error::retried(|| socket.set_subscribe(b""))?;
        }
        let monitor = Monitor::of(&context, &socket)?;
        let stream = tmq::pull::Pull::from_zmq_socket(socket)?;
        Ok(Self {
            watched: Watched { stream, monitor },
            context: Ending(Some(context)),
            endpoints: Vec::new(),
            name: String::new(),
        })
    }

    /// The socket itself.
    pub(crate) fn raw(&self) -> &zmq::Socket {
        self.watched.stream.get_socket()
    }

    /// Who is connected, and how often a connection ended.
    pub(crate) fn tally(&self) -> Tally {
        self.watched.monitor.tally()
    }

    /// Waits for the next message. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Multipart, TmqError> {
        let watched = &mut self.watched;
        poll_fn(|cx| {
            watched.monitor.poll_tally(cx);
            watched.poll_next(cx)
        })
        .await
    }

    /// Waits until there is room for a message. Cancel-safe.
    pub(crate) async fn writable(&mut self) -> Result<(), TmqError> {
        let watched = &mut self.watched;
        poll_fn(|cx| {
            watched.monitor.poll_tally(cx);
            // A sink has nothing to receive: this only asks to be woken when anything changes. It
            // comes first, so that what changes in between is not missed.
            if let Poll::Ready(Err(e)) = watched.poll_next(cx) {
                return Poll::Ready(Err(e));
            }
            let events = error::retried(|| watched.stream.get_socket().get_events())?;
            match events.contains(zmq::POLLOUT) {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until someone is connected. Cancel-safe.
    pub(crate) async fn connected(&mut self) {
        let monitor = &mut self.watched.monitor;
        poll_fn(|cx| match monitor.poll_tally(cx).connected {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Closes it on a thread of its own, which tries for `linger` at most to deliver what is left.
    /// Gives what came of it, when it is done.
    pub(crate) fn end(self, linger: Duration) -> oneshot::Receiver<Ended> {
        let Self {
            watched,
            mut context,
            ..
        } = self;
        let linger = linger.max(LEAST);
        let _ = error::retried(|| {
            let socket = watched.stream.get_socket();
            socket.set_linger(settings::millis(linger))
        });
        drop(watched);
        context.end(linger)
    }
}

/// What came of closing a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything left.
    InOrder,
    /// The time to linger ran out first.
    OutOfTime,
}

/// A socket and who watches it.
struct Watched {
    /// Whatever the kind of socket: all that is used of it is that it receives and wakes.
    stream: tmq::pull::Pull,
    monitor: Monitor,
}

impl Watched {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Multipart, TmqError>> {
        loop {
            match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Ready(Some(Err(TmqError::Zmq(zmq::Error::EINTR)))) => {}
                Poll::Ready(Some(result)) => return Poll::Ready(result),
                // A stream of tmq does not end.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A context that is ended on a thread of its own: that waits until its sockets have delivered, or
/// for as long as they linger.
struct Ending(Option<zmq::Context>);

impl Ending {
    fn end(&mut self, linger: Duration) -> oneshot::Receiver<Ended> {
        let (done, ended) = oneshot::channel();
        let context = self.0.take();
        let begun = Instant::now();
        let end = move || {
            drop(context);
            let _ = done.send(match begun.elapsed() < linger.saturating_sub(SLACK) {
                true => Ended::InOrder,
                false => Ended::OutOfTime,
            });
        };
        // Without a thread to be had, the context ends here and now.
        let _ = thread::Builder::new().name("zmq-close".into()).spawn(end);
        ended
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.end(Duration::MAX);
        }
    }
}
