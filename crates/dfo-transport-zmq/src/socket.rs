//! One libzmq socket on tokio: opened with its bounds, waited for, and put away without blocking.

use std::future::poll_fn;
use std::io;
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
use crate::settings::Settings;

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
        let context = Ending(Some(zmq::Context::new()));
        let names: Vec<_> = endpoints.iter().map(Endpoint::address).collect();
        let failed = |e| error::of_tmq(Operation::Open, &names.join(", "), e);
        let watched = context.socket(kind, settings).map_err(failed)?;
        let attach = |endpoint: &Endpoint| {
            let attached = endpoint.attach(watched.stream.get_socket());
            attached.map_err(|e| error::transport(Operation::Open, endpoint.address(), e))
        };
        let endpoints = endpoints.iter().map(attach);
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            watched,
            context,
            name: endpoints.join(", "),
            endpoints,
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
        let linger = linger.max(Duration::from_millis(1));
        let _ = error::retried(|| {
            let socket = watched.stream.get_socket();
            socket.set_linger(crate::settings::millis(linger))
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

impl Drop for Watched {
    fn drop(&mut self) {
        Monitor::stop(self.stream.get_socket());
    }
}

/// A context that is ended on a thread of its own: that waits until its sockets have delivered, or
/// for as long as they linger.
struct Ending(Option<zmq::Context>);

impl Ending {
    fn socket(&self, kind: zmq::SocketType, settings: &Settings) -> Result<Watched, TmqError> {
        let gone = || io::Error::other("the context has ended");
        let context = self.0.as_ref().ok_or_else(gone)?;
        let socket = context.socket(kind)?;
        settings.apply(&socket)?;
        if matches!(kind, zmq::PULL | zmq::SUB) {
            settings.apply_to_source(&socket)?;
        }
        if kind == zmq::SUB {
            error::retried(|| socket.set_subscribe(b""))?;
        }
        let monitor = Monitor::of(context, &socket)?;
        let stream = tmq::pull::Pull::from_zmq_socket(socket)?;
        Ok(Watched { stream, monitor })
    }

    fn end(&mut self, linger: Duration) -> oneshot::Receiver<Ended> {
        let (done, ended) = oneshot::channel();
        let context = self.0.take();
        let begun = Instant::now();
        let end = move || {
            drop(context);
            let _ = done.send(match begun.elapsed() < linger {
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
