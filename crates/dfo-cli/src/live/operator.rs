//! The thread in which operators are answered: over the control socket, and over HTTP.
//!
//! Its own thread and runtime, so that nobody who asks slowly, or often, disturbs the service. All it
//! knows of the service it asks through [`Remote`].

use std::path::Path;
use std::thread::JoinHandle;

use dfo_service::Remote;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::control::Control;
use super::log::DroppedLines;
use super::metrics::Metrics;
use crate::exit::Failure;

/// What operators reach: open, and not yet served.
pub(crate) struct Doors {
    runtime: Runtime,
    control: Option<Control>,
    metrics: Option<Metrics>,
}

/// The thread at work. When this is dropped it ends, and the doors close.
pub(crate) struct Attendant {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Doors {
    /// Opens what is asked for.
    pub(crate) fn open(control: Option<&Path>, metrics: Option<&str>) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::CannotRead(format!("cannot start: {error}")))?;
        let within = runtime.enter();
        let metrics = metrics.map(Metrics::open).transpose();
        let metrics = metrics.map_err(|what| Failure::CannotRead(format!("metrics: {what}")))?;
        let control = control.map(Control::open).transpose();
        let control = control.map_err(|what| Failure::CannotRead(format!("control: {what}")))?;
        drop(within);
        Ok(Doors {
            runtime,
            control,
            metrics,
        })
    }

    /// Where metrics are, if they are anywhere.
    pub(crate) fn metrics_address(&self) -> Option<std::net::SocketAddr> {
        self.metrics.as_ref().map(Metrics::address)
    }

    /// Answers whoever comes, from now on.
    pub(crate) fn attend(
        self,
        remote: Remote,
        dropped: DroppedLines,
    ) -> Result<Attendant, Failure> {
        let Doors {
            runtime,
            control,
            metrics,
        } = self;
        if control.is_none() && metrics.is_none() {
            return Ok(Attendant {
                stop: None,
                thread: None,
            });
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let answer = move || {
            runtime.block_on(async {
                let control = async {
                    match &control {
                        Some(control) => control.serve(remote.clone()).await,
                        None => std::future::pending().await,
                    }
                };
                let metrics = async {
                    match &metrics {
                        Some(metrics) => metrics.serve(remote.clone(), dropped).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    // Also where the other end is dropped.
                    _ = stopped => {}
                    () = control => {}
                    () = metrics => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("dfo-operator".to_owned());
        let thread = thread.spawn(answer);
        let thread =
            thread.map_err(|error| Failure::CannotRead(format!("cannot start: {error}")))?;
        Ok(Attendant {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was told already, and is no reason to fail here.
            let _ = thread.join();
        }
    }
}
