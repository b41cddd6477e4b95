//! Setting a context up, and starting it.

use std::io;
use std::time::Duration;

use dfo_transport::{Options, Role, Transport, TransportError};

use crate::context::Context;
use crate::desk::{Fate, Limits};
use crate::domain::OutsideRange;
use crate::link::Timing;
use crate::link::thread::Running;
use crate::shared::Shared;
use crate::speaker::Speaker;

/// How a context is to be; [`start`](Builder::start) makes it.
#[must_use = "nothing happens before `start`"]
pub struct Builder {
    namespace: String,
    node: Option<String>,
    transport: Option<Chosen>,
    timing: Timing,
    limits: Limits,
}

/// A transport with the options given to it.
struct Chosen {
    transport: Box<dyn Transport>,
    options: Vec<(String, String)>,
}

/// A context that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An option of the transport is unknown, missing or makes no sense.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The name of this node is empty.
    #[error("the name of this node is empty; give the one that findings call it by")]
    EmptyNode,
    /// The system did not give a thread.
    #[error("the background thread cannot be started: {0}")]
    Thread(io::Error),
}

impl Builder {
    pub(crate) fn new(namespace: String) -> Self {
        Builder {
            namespace,
            node: None,
            transport: None,
            timing: Timing::default(),
            limits: Limits::default(),
        }
    }

    /// The name of this node, as findings and plans call it, short or in full. Without it, the name
    /// of the host.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// The way to the optimizer, with options as the transport declares them. Without one, the
    /// application runs as if there were no optimizer.
    pub fn transport<N: Into<String>, V: Into<String>>(
        self,
        transport: impl Transport + 'static,
        options: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let options = options.into_iter().map(|(n, v)| (n.into(), v.into()));
        self.boxed_transport(Box::new(transport), options.collect())
    }

    /// The same for a transport that is chosen at run time.
    pub fn boxed_transport(
        mut self,
        transport: Box<dyn Transport>,
        options: Vec<(String, String)>,
    ) -> Self {
        self.transport = Some(Chosen { transport, options });
        self
    }

    /// How often registrations are repeated, with the values then in force: 10 s. An optimizer
    /// that was started again knows the knobs after that time, and takes an application for silent
    /// when three are missing.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.timing.heartbeat = bounded(every);
        self
    }

    /// How long to wait before trying the transport again, at first and at most: 100 ms, then
    /// double, up to 5 s.
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        self.timing.first_wait = bounded(first);
        self.timing.longest_wait = bounded(longest);
        self
    }

    /// How long [`start`](Builder::start) waits for the transport to say that an option makes no
    /// sense: 1 s at most. One that needs longer is opened in the background.
    pub fn start_patience(mut self, patience: Duration) -> Self {
        self.timing.start_patience = bounded(patience);
        self
    }

    /// How long [`Context::stop`] has for sending what waits: 2 s. Where nobody is there to take it,
    /// and the transport waits for someone (as ZeroMQ does), a stop takes that long.
    pub fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.timing.stop_deadline = bounded(deadline);
        self
    }

    /// How many acknowledgements wait while the optimizer is away: 1024. Then the oldest are dropped,
    /// and counted.
    pub fn waiting_acks(mut self, most: usize) -> Self {
        self.limits.waiting_acks = most;
        self
    }

    /// How many plans that are done with are remembered, so that none is applied twice: 1024.
    pub fn remembered_plans(mut self, most: usize) -> Self {
        self.limits.remembered_plans = most;
        self
    }

    /// A plan whose number is outside the range of its knob is applied with the nearest value within, and
    /// answered so. Without this, it is rejected.
    pub fn hold_within_range(mut self) -> Self {
        self.limits.outside_range = OutsideRange::Held;
        self
    }

    /// Starts it. That no optimizer is there is no error: the application runs, and the transport is
    /// tried again.
    ///
    /// # Errors
    /// Something that time does not mend: options that make no sense, no name for this node, no
    /// thread to be had.
    pub fn start(self) -> Result<Context, StartError> {
        let speaker = Speaker::new(&self.namespace, &node_name(self.node)?);
        let Some(Chosen { transport, options }) = self.transport else {
            let shared = Shared::new(speaker, self.limits, Fate::Unheard);
            return Ok(Context::new(shared, None));
        };
        let variable = |name: &str| std::env::var(name).ok();
        let options = Options::check(transport.options(), Role::Application, options, &variable)?;
        let shared = Shared::new(speaker, self.limits, Fate::Waits);
        let running = Running::start(&shared, transport, options, self.timing)?;
        Ok(Context::new(shared, Some(running)))
    }
}

/// Clocks cannot count as far as a `Duration` can.
fn bounded(duration: Duration) -> Duration {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    duration.clamp(Duration::from_millis(1), YEAR)
}

fn node_name(given: Option<String>) -> Result<String, StartError> {
    let host = || gethostname::gethostname().to_string_lossy().into_owned();
    let name = given.unwrap_or_else(host);
    match name.trim() {
        "" => Err(StartError::EmptyNode),
        name => Ok(name.to_owned()),
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = self.transport.as_ref().map(|t| t.transport.name());
        f.debug_struct("Builder")
            .field("namespace", &self.namespace)
            .field("node", &self.node)
            .field("transport", &transport)
            .finish_non_exhaustive()
    }
}
