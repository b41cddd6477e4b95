//! A site's own transport: records over Unix stream sockets, on one machine.
//!
//! It is here to be copied. A transport is a value that implements [`Transport`]: it declares its
//! options, and opens the ends of each role. `main.rs` hands it to the command, and then `dfo serve`,
//! `dfo send` and `dfo tail` know it; `tests/conformance.rs` proves it.
//!
//! The optimizer listens at three sockets in a directory. Everyone else connects, and connects again
//! when the optimizer went away and came back:
//!
//! | socket | from | to |
//! |---|---|---|
//! | `findings.sock` | diagnosers (`sink.rs`) | the optimizer (`source.rs`) |
//! | `control.sock` | applications (`sink.rs`) | the optimizer (`source.rs`) |
//! | `plans.sock` | the optimizer (`plans.rs`) | every application (`source.rs`) |
//!
//! On findings and control nothing is lost between ends that live: who sends waits for who receives.
//! Plans wait for the first application, but for none that is slow: one that is far behind misses
//! some, which is counted, and the optimizer sees them expire. What an end had taken in when it died
//! is lost with it.
//!
//! # What this is not for
//!
//! Several machines, and records that must survive a crash.

mod frame;
mod listener;
mod plans;
mod sink;
mod source;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{
    ApplicationEnds, Named, Operation, OptimizerEnds, OptionSpec, Options, Sink, Transport,
    TransportError,
};

use listener::Listener;
use plans::Plans;
use sink::Connecting;
use source::Incoming;

/// The transport, for `Command::transport`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnixSockets;

/// How long to wait before trying again to reach who is not there.
const RETRY: Duration = Duration::from_millis(50);

const OPTIONS: &[OptionSpec] = &[OptionSpec::new(
    "directory",
    "DIR",
    "The directory of the sockets; the optimizer makes it if there is none.",
)
.or_variable("SITE_TRANSPORT_DIRECTORY")];

#[async_trait]
impl Transport for UnixSockets {
    fn name(&self) -> &'static str {
        "unix"
    }

    fn about(&self) -> &'static str {
        "Unix sockets, within one machine"
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    async fn optimizer(&self, options: &Options) -> Result<OptimizerEnds, TransportError> {
        let sockets = Sockets::of(options)?;
        sockets.make_directory()?;
        // All of them or none: those that are bound are given back when the next one fails.
        let findings = Listener::bind(&sockets.findings).await?;
        let control = Listener::bind(&sockets.control).await?;
        let plans = Listener::bind(&sockets.plans).await?;
        Ok(OptimizerEnds {
            findings: vec![Named::new(
                findings.name(),
                Box::new(Incoming::at(findings)),
            )],
            control: vec![Named::new(control.name(), Box::new(Incoming::at(control)))],
            plans: vec![Named::new(plans.name(), Box::new(Plans::at(plans)))],
        })
    }

    async fn application(&self, options: &Options) -> Result<ApplicationEnds, TransportError> {
        let sockets = Sockets::of(options)?;
        Ok(ApplicationEnds {
            plans: Box::new(Incoming::from(sockets.plans)),
            control: Some(Box::new(Connecting::to(sockets.control))),
        })
    }

    async fn diagnoser(&self, options: &Options) -> Result<Box<dyn Sink>, TransportError> {
        let sockets = Sockets::of(options)?;
        Ok(Box::new(Connecting::to(sockets.findings)))
    }
}

/// Where the sockets are.
struct Sockets {
    directory: PathBuf,
    findings: PathBuf,
    control: PathBuf,
    plans: PathBuf,
}

impl Sockets {
    fn of(options: &Options) -> Result<Self, TransportError> {
        let directory = PathBuf::from(options.required("directory")?);
        let socket = |name| {
            let path = directory.join(name);
            // The system has room for about a hundred bytes.
            SocketAddr::from_pathname(&path)
                .map_err(|error| TransportError::option("directory", error.to_string()))?;
            Ok(path)
        };
        Ok(Self {
            findings: socket("findings.sock")?,
            control: socket("control.sock")?,
            plans: socket("plans.sock")?,
            directory,
        })
    }

    /// For this user only: who may connect may steer.
    fn make_directory(&self) -> Result<(), TransportError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(|error| {
                let directory = self.directory.display().to_string();
                TransportError::from_io(Operation::Open, directory, error)
            })
    }
}
