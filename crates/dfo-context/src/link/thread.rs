//! The background thread: it starts, survives what a transport does, and ends in time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use dfo_transport::{Options, Transport};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::{Link, Stop, Timing};
use crate::builder::StartError;
use crate::shared::Shared;

/// A background thread that runs.
#[derive(Debug)]
pub(crate) struct Running {
    stop: watch::Sender<Stop>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
    deadline: Duration,
}

impl Running {
    /// Starts it, and waits a little for what the transport says to its options.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        transport: Box<dyn Transport>,
        options: Options,
        timing: Timing,
    ) -> Result<Running, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(Stop::NotYet);
        let (end, ended) = channel();
        let (first, opened) = sync_channel(1);
        let link = Link::new(Arc::clone(shared), transport, options, timing, first);
        let thread = std::thread::Builder::new()
            .name("dfo-context".to_owned())
            .spawn(move || run(runtime, link, stopped, &end))
            .map_err(StartError::Thread)?;
        let running = Running {
            stop,
            ended,
            thread,
            deadline: timing.stop_deadline,
        };
        match opened.recv_timeout(timing.start_patience) {
            Ok(Err(error)) => {
                running.stop(None);
                Err(error.into())
            }
            // Opened, or still at it: then it goes on in the background.
            Ok(Ok(())) | Err(_) => Ok(running),
        }
    }

    /// Ends it. A transport that does not let go in time keeps its thread, and nobody waits for it.
    pub(crate) fn stop(self, deadline: Option<Duration>) {
        let deadline = deadline.unwrap_or(self.deadline);
        self.stop.send_replace(Stop::Within(deadline));
        let moment = Duration::from_secs(2);
        if self.ended.recv_timeout(deadline + moment).is_ok() {
            // It has nothing left to do but return.
            let _ = self.thread.join();
        }
    }
}

fn run(runtime: Runtime, mut link: Link, mut stop: watch::Receiver<Stop>, end: &Sender<()>) {
    loop {
        let live = AssertUnwindSafe(|| runtime.block_on(link.live(&mut stop)));
        if catch_unwind(live).is_ok() {
            break;
        }
        link.recover();
    }
    drop(link);
    // Not waiting for what a transport may have left running.
    runtime.shutdown_background();
    let _ = end.send(());
}
