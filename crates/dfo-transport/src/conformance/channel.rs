//! A channel of a whole transport, opened through its roles.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::harness::{Claim, Harness, OpenError, Place};
use crate::ends::{Capabilities, Closed, Losses, Sink, Source};
use crate::error::TransportError;
use crate::options::Options;
use crate::record::Record;
use crate::transport::{Named, Role, Transport};

/// A channel of a [`Transport`]: who sends, and who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// From a diagnoser to the optimizer's first source of findings.
    Findings,
    /// From the optimizer's first sink of plans to an application.
    Plans,
    /// Registrations and acknowledgements: from an application to the optimizer's first source of
    /// control.
    Control,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Findings, Self::Plans, Self::Control];
}

type Given = Vec<(&'static str, String)>;
type GivenTo = Arc<dyn Fn(Role) -> Given + Send + Sync>;

/// A [`Harness`] for one channel of a transport.
///
/// `place` is called for each fresh place. It returns a function that says which options each role
/// is given there; what that function owns (a temporary directory) lives as long as the place.
///
/// ```no_run
/// # fn check(transport: impl dfo_transport::Transport + 'static) -> Result<(), Box<dyn std::error::Error>> {
/// use dfo_transport::conformance::{self, Channel, Claim};
///
/// let claims = &[Claim::Lossless, Claim::KeepsForReceiver, Claim::SeveralSenders];
/// let findings = conformance::channel(transport, Channel::Findings, claims, || {
///     let directory = tempfile::tempdir().unwrap();
///     move |_role| vec![("directory", directory.path().display().to_string())]
/// });
/// conformance::prove(findings)?;
/// # Ok(()) }
/// ```
pub fn channel<P, F>(
    transport: impl Transport + 'static,
    channel: Channel,
    claims: &[Claim],
    place: P,
) -> ChannelHarness
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Fn(Role) -> Given + Send + Sync + 'static,
{
    ChannelHarness {
        transport: Arc::new(transport),
        channel,
        claims: claims.to_vec(),
        fresh: Box::new(move || Arc::new(place())),
    }
}

/// A channel of a transport under test: see [`channel`].
pub struct ChannelHarness {
    transport: Arc<dyn Transport>,
    channel: Channel,
    claims: Vec<Claim>,
    fresh: Box<dyn Fn() -> GivenTo + Send + Sync>,
}

impl Harness for ChannelHarness {
    fn claims(&self) -> &[Claim] {
        &self.claims
    }

    fn place(&self) -> Box<dyn Place> {
        Box::new(ChannelPlace {
            transport: Arc::clone(&self.transport),
            channel: self.channel,
            given: (self.fresh)(),
        })
    }
}

struct ChannelPlace {
    transport: Arc<dyn Transport>,
    channel: Channel,
    given: GivenTo,
}

impl ChannelPlace {
    fn options(&self, role: Role) -> Result<Options, TransportError> {
        Options::check(self.transport.options(), role, (self.given)(role), &|_| {
            None
        })
    }

    /// The optimizer's sources of findings, its sources of control, and its sinks.
    async fn optimizer(&self) -> Result<(Sources, Sources, Sinks), OpenError> {
        let options = self.options(Role::Optimizer)?;
        let ends = self.transport.optimizer(&options).await?;
        Ok((
            ends_of(ends.findings),
            ends_of(ends.control),
            ends_of(ends.plans),
        ))
    }

    async fn application(&self) -> Result<(Box<dyn Source>, Option<Box<dyn Sink>>), OpenError> {
        let options = self.options(Role::Application)?;
        let ends = self.transport.application(&options).await?;
        Ok((ends.plans, ends.control))
    }
}

#[async_trait]
impl Place for ChannelPlace {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let (end, rest) = match self.channel {
            Channel::Findings => {
                let (findings, control, sinks) = self.optimizer().await?;
                let (end, mut sources) = first(findings, "source of findings")?;
                sources.extend(control);
                (end, Rest { sources, sinks })
            }
            Channel::Control => {
                let (findings, control, sinks) = self.optimizer().await?;
                let (end, mut sources) = first(control, "source of control")?;
                sources.extend(findings);
                (end, Rest { sources, sinks })
            }
            Channel::Plans => {
                let (end, control) = self.application().await?;
                let sinks = control.into_iter().collect();
                let sources = Vec::new();
                (end, Rest { sources, sinks })
            }
        };
        Ok(Box::new(With { end, rest }))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        let (end, rest) = match self.channel {
            Channel::Findings => {
                let options = self.options(Role::Diagnoser)?;
                return Ok(self.transport.diagnoser(&options).await?);
            }
            Channel::Control => {
                let (plans, control) = self.application().await?;
                let end = control.ok_or("the application has no sink of control")?;
                let (sources, sinks) = (vec![plans], Vec::new());
                (end, Rest { sources, sinks })
            }
            Channel::Plans => {
                let (mut sources, control, sinks) = self.optimizer().await?;
                let (end, sinks) = first(sinks, "sink of plans")?;
                sources.extend(control);
                (end, Rest { sources, sinks })
            }
        };
        Ok(Box::new(With { end, rest }))
    }
}

type Sources = Vec<Box<dyn Source>>;
type Sinks = Vec<Box<dyn Sink>>;

fn ends_of<T>(named: Vec<Named<T>>) -> Vec<T> {
    named.into_iter().map(|named| named.end).collect()
}

fn first<T>(mut ends: Vec<T>, what: &str) -> Result<(T, Vec<T>), OpenError> {
    if ends.is_empty() {
        return Err(format!("the optimizer has no {what}").into());
    }
    let first = ends.remove(0);
    Ok((first, ends))
}

/// An end, and those that were opened with it: they live and are closed together.
struct With<T> {
    end: T,
    rest: Rest,
}

struct Rest {
    sources: Sources,
    sinks: Sinks,
}

impl Rest {
    async fn close(self, deadline: Duration) -> Result<(), TransportError> {
        for source in self.sources {
            source.close(deadline).await?;
        }
        for sink in self.sinks {
            sink.close(deadline).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for With<Box<dyn Source>> {
    fn capabilities(&self) -> Capabilities {
        self.end.capabilities()
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        self.end.receive(limit).await
    }

    async fn skip(&mut self, records: u64) -> Result<u64, TransportError> {
        self.end.skip(records).await
    }

    async fn commit(&mut self, records: u64) -> Result<(), TransportError> {
        self.end.commit(records).await
    }

    fn losses(&self) -> Losses {
        self.end.losses()
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<(), TransportError> {
        let closed = self.end.close(deadline).await;
        let rest = self.rest.close(deadline).await;
        closed.and(rest)
    }
}

#[async_trait]
impl Sink for With<Box<dyn Sink>> {
    fn capabilities(&self) -> Capabilities {
        self.end.capabilities()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        self.end.send(record).await
    }

    async fn flush(&mut self, deadline: Duration) -> Result<(), TransportError> {
        self.end.flush(deadline).await
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        let closed = self.end.close(deadline).await?;
        self.rest.close(deadline).await?;
        Ok(closed)
    }
}
