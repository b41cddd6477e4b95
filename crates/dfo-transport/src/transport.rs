//! A transport: what opens the ends, and the list of those that a program knows.

use std::fmt;

use async_trait::async_trait;

use crate::ends::{Sink, Source};
use crate::error::TransportError;
use crate::options::{OptionSpec, Options};

/// Who opens a transport: which end of each channel is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Receives findings, registrations and acknowledgements; sends plans.
    Optimizer,
    /// Receives plans; sends registrations and acknowledgements.
    Application,
    /// Sends findings.
    Diagnoser,
}

/// A way to move records between a diagnoser, an optimizer and applications.
///
/// A site adds its own by implementing this in a crate of its own and handing the value to the
/// program that uses it ([`Transports::with`]).
#[async_trait]
pub trait Transport: Send + Sync {
    /// Its name, as in `dfo serve NAME`.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn about(&self) -> &'static str;

    /// The options that it takes.
    fn options(&self) -> &'static [OptionSpec];

    /// Opens the optimizer's ends. Needs a tokio runtime.
    ///
    /// # Errors
    /// An option makes no sense, or an address cannot be had. Nothing stays open then.
    async fn optimizer(&self, options: &Options) -> Result<OptimizerEnds, TransportError>;

    /// Opens an application's ends. Needs a tokio runtime.
    ///
    /// # Errors
    /// As for [`Transport::optimizer`]. That no optimizer is there is no error: where the transport
    /// can wait for one, it does.
    async fn application(&self, options: &Options) -> Result<ApplicationEnds, TransportError>;

    /// Opens a diagnoser's end: a sink for findings. Needs a tokio runtime.
    ///
    /// # Errors
    /// As for [`Transport::optimizer`].
    async fn diagnoser(&self, options: &Options) -> Result<Box<dyn Sink>, TransportError>;
}

/// The optimizer's ends of all channels.
///
/// A list may be empty: without a source of control there are no registrations and no
/// acknowledgements, without a sink no plans leave.
#[derive(Default)]
pub struct OptimizerEnds {
    /// Findings.
    pub findings: Vec<Named<Box<dyn Source>>>,
    /// Registrations and acknowledgements, told apart by their metadata: of both kinds from one
    /// source, or from a source each.
    pub control: Vec<Named<Box<dyn Source>>>,
    /// Plans: every sink gets every plan.
    pub plans: Vec<Named<Box<dyn Sink>>>,
}

/// An application's ends.
pub struct ApplicationEnds {
    /// Plans.
    pub plans: Box<dyn Source>,
    /// Registrations and acknowledgements, if the other side wants to hear of them.
    pub control: Option<Box<dyn Sink>>,
}

/// An end with the name by which people know it: an address, a topic.
pub struct Named<T> {
    /// The name, for messages.
    pub name: String,
    /// The end.
    pub end: T,
}

impl<T> Named<T> {
    /// An end and its name.
    pub fn new(name: impl Into<String>, end: T) -> Self {
        Self {
            name: name.into(),
            end,
        }
    }
}

impl fmt::Debug for OptimizerEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptimizerEnds")
            .field("findings", &names(&self.findings))
            .field("control", &names(&self.control))
            .field("plans", &names(&self.plans))
            .finish()
    }
}

impl fmt::Debug for ApplicationEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplicationEnds")
            .field("has_control", &self.control.is_some())
            .finish_non_exhaustive()
    }
}

fn names<T>(ends: &[Named<T>]) -> Vec<&str> {
    ends.iter().map(|end| end.name.as_str()).collect()
}

/// The transports that a program knows: a value, not a global.
///
/// ```
/// use dfo_transport::Transports;
/// let transports = Transports::default();
/// assert!(transports.get("carrier-pigeon").is_none());
/// ```
#[derive(Default)]
pub struct Transports {
    known: Vec<Box<dyn Transport>>,
}

impl Transports {
    /// Adds one; one of the same name that was there before is replaced.
    #[must_use]
    pub fn with(mut self, transport: impl Transport + 'static) -> Self {
        self.known.retain(|t| t.name() != transport.name());
        self.known.push(Box::new(transport));
        self
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&dyn Transport> {
        self.iter().find(|t| t.name() == name)
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Transport> {
        self.known.iter().map(|t| &**t)
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(Transport::name))
            .finish()
    }
}
