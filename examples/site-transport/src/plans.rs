//! The sending end that listens: every plan for every application that is connected. With none, it
//! waits for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dfo_transport::{Capabilities, Closed, ErrorKind, Operation, Record, Sink, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinSet, consume_budget};
use tokio::time::timeout;

use super::frame;
use super::listener::Listener;

/// How many plans wait for an application that does not read. It misses those that come then: one
/// application that stands still must not hold up the others.
const ROOM: u32 = 256;

/// Plans for everyone who connects.
pub(crate) struct Plans {
    name: String,
    applications: Arc<Applications>,
    /// The one task that lets applications in and writes to them; it ends when this is dropped.
    letting_in: JoinSet<()>,
    /// Plans that not everyone got.
    dropped: u64,
}

/// Those who are connected.
#[derive(Default)]
struct Applications {
    connected: Mutex<Vec<Application>>,
    /// Told when someone connects.
    joined: Notify,
}

impl Applications {
    /// Nothing is left half done when the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, Vec<Application>> {
        let connected = self.connected.lock();
        connected.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until someone is there.
    async fn some(&self) {
        while self.lock().is_empty() {
            self.joined.notified().await;
        }
    }
}

impl Plans {
    pub(crate) fn at(listener: Listener) -> Self {
        let applications = Arc::<Applications>::default();
        let name = listener.name();
        let mut tasks = JoinSet::new();
        tasks.spawn(let_in(listener, Arc::clone(&applications)));
        Self {
            name,
            applications,
            letting_in: tasks,
            dropped: 0,
        }
    }
}

/// Lets everyone in who connects, and writes to all of them at the same time.
async fn let_in(listener: Listener, applications: Arc<Applications>) {
    let mut writing = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                let (frames, queue) = mpsc::unbounded_channel();
                let room = Arc::new(Semaphore::new(ROOM as usize));
                applications.lock().push(Application { frames, room });
                applications.joined.notify_one();
                writing.spawn(write_all(stream, queue));
            }
            Some(_) = writing.join_next() => {
                applications.lock().retain(|application| !application.frames.is_closed());
            }
        }
    }
}

type Queued = (Bytes, OwnedSemaphorePermit);

async fn write_all(stream: UnixStream, mut queue: mpsc::UnboundedReceiver<Queued>) {
    let (mut reading, mut writing) = stream.into_split();
    loop {
        tokio::select! {
            Some((frame, room)) = queue.recv() => {
                if writing.write_all(&frame).await.is_err() {
                    return;
                }
                // Only now has it left.
                drop(room);
            }
            // It has nothing to say here: it went away.
            _ = reading.read_u8() => return,
        }
    }
}

/// Someone who is connected.
struct Application {
    frames: mpsc::UnboundedSender<Queued>,
    /// Bounds the queue; all of it is free when everything was written, or the connection is gone.
    room: Arc<Semaphore>,
}

impl Application {
    /// Whether there was room for it.
    fn offer(&self, frame: Bytes) -> bool {
        let room = Arc::clone(&self.room).try_acquire_owned();
        room.is_ok_and(|room| self.frames.send((frame, room)).is_ok())
    }
}

#[async_trait]
impl Sink for Plans {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream().with_fan_out()
    }

    /// Waits for the first application, but for none that is slow.
    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let frame = frame::encode(&record, &self.name)?;
        // Sending in a loop must not keep the writers from their turn.
        consume_budget().await;
        self.applications.some().await;
        let applications = self.applications.lock();
        let offers = applications.iter().map(|a| a.offer(frame.clone()));
        let missed = offers.filter(|taken| !taken).count();
        if missed > 0 {
            self.dropped += 1;
        }
        Ok(())
    }

    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        let rooms = self
            .applications
            .lock()
            .iter()
            .map(|a| Arc::clone(&a.room))
            .collect::<Vec<_>>();
        let written = async {
            for room in rooms {
                // An error would mean that no one writes any more.
                let _ = room.acquire_many(ROOM).await;
            }
        };
        timeout(deadline, written).await.map_err(|_| {
            let (kind, operation) = (ErrorKind::TimedOut, Operation::Flush);
            let problem = format!("an application did not read its plans within {deadline:?}");
            TransportError::new(kind, operation, self.name.as_str(), problem)
        })
    }

    async fn close(mut self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        // What is left then is counted here.
        let _ = self.flush(deadline).await;
        let left = |a: &Application| u64::from(ROOM) - a.room.available_permits() as u64;
        let most_left = self.applications.lock().iter().map(left).max();
        // Dropped tasks end soon; this waits until they have, so that the socket is free.
        self.letting_in.shutdown().await;
        Ok(Closed::dropping(self.dropped + most_left.unwrap_or(0)))
    }
}
