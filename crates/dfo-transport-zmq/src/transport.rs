//! The transport: options to sockets.

use std::iter;
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{
    ApplicationEnds, Named, OptimizerEnds, OptionSpec, Options, Role, Sink, Source, Transport,
    TransportError,
};

use crate::endpoint::Endpoint;
use crate::settings::Settings;
use crate::sink::{Pattern, ZmqSink};
use crate::source::ZmqSource;

/// How long ends are waited for that are closed because another one could not be opened.
const BRIEFLY: Duration = Duration::from_secs(1);

/// ZeroMQ, by the name `zmq`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zmq;

const OPTIMIZER: &[Role] = &[Role::Optimizer];
const APPLICATION: &[Role] = &[Role::Application];
const DIAGNOSER: &[Role] = &[Role::Diagnoser];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "address",
        "ADDRESS",
        "Where findings come from: tcp://HOST:PORT or ipc://PATH of a diagnoser, which is connected \
         to. May be given several times, for several diagnosers.",
    )
    .or_variable("DFOPTIMIZER_ZMQ_FINDINGS")
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::switch(
        "bind",
        "Listen at the addresses of findings, for diagnosers that connect.",
    )
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "plans-address",
        "ADDRESS",
        "Where applications fetch plans: tcp://*:PORT or ipc://PATH to listen at. May be given \
         several times; plans go to every one. Without it no plans leave.",
    )
    .or_variable("DFOPTIMIZER_ZMQ_PLANS")
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "plans",
        "PATTERN",
        "push: each plan goes to one application, in turn; for applications of the original. pub: \
         each plan goes to every application. The first one belongs to the first plans-address, and \
         so on; where one is missing it is push.",
    )
    .often()
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "control-address",
        "ADDRESS",
        "Where applications send registrations and acknowledgements: tcp://*:PORT or ipc://PATH to \
         listen at. Without it none are received.",
    )
    .only_for(OPTIMIZER),
    OptionSpec::new(
        "plans-address",
        "ADDRESS",
        "Where the optimizer sends plans: tcp://HOST:PORT or ipc://PATH, which is connected to.",
    )
    .or_variable("DFOPTIMIZER_ZMQ_PLANS")
    .only_for(APPLICATION),
    OptionSpec::new(
        "plans",
        "PATTERN",
        "push or pub, as the optimizer sends them at this address.",
    )
    .or("push")
    .only_for(APPLICATION),
    OptionSpec::switch(
        "plans-bind",
        "Listen at the address of plans, for an optimizer that connects.",
    )
    .only_for(APPLICATION),
    OptionSpec::new(
        "control-address",
        "ADDRESS",
        "Where the optimizer takes registrations and acknowledgements: tcp://HOST:PORT or \
         ipc://PATH, which is connected to. Without it none are sent.",
    )
    .only_for(APPLICATION),
    OptionSpec::new(
        "address",
        "ADDRESS",
        "Where findings go: tcp://*:PORT or ipc://PATH to listen at.",
    )
    .or_variable("DFOPTIMIZER_ZMQ_FINDINGS")
    .often()
    .only_for(DIAGNOSER),
    OptionSpec::switch(
        "connect",
        "Connect to the address, for an optimizer that listens.",
    )
    .only_for(DIAGNOSER),
    OptionSpec::new(
        "linger-ms",
        "MILLISECONDS",
        "How long at most a closing end keeps trying to deliver.",
    )
    .or("2000"),
    OptionSpec::new(
        "high-water-mark",
        "RECORDS",
        "How many records may wait for each peer, in the sender and again in the receiver. The \
         kernel's buffers hold more on top.",
    )
    .or("1000"),
    OptionSpec::new(
        "max-message-bytes",
        "BYTES",
        "The largest message. A peer that sends a larger one is cut off.",
    )
    .or("16777216"),
    OptionSpec::new(
        "reconnect-ms",
        "MILLISECONDS",
        "How long after a lost connection the next one is tried; doubled each time it fails.",
    )
    .or("100"),
    OptionSpec::new(
        "reconnect-max-ms",
        "MILLISECONDS",
        "How long at most between two tries to connect.",
    )
    .or("2000"),
];

#[async_trait]
impl Transport for Zmq {
    fn name(&self) -> &'static str {
        "zmq"
    }

    fn about(&self) -> &'static str {
        "ZeroMQ: PUSH and PULL, PUB and SUB, over TCP and Unix sockets"
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    async fn optimizer(&self, options: &Options) -> Result<OptimizerEnds, TransportError> {
        let plan = Plan::of(options)?;
        let mut ends = OptimizerEnds::default();
        match plan.open(&mut ends).await {
            Ok(()) => Ok(ends),
            Err(e) => {
                close(ends).await;
                Err(e)
            }
        }
    }

    async fn application(&self, options: &Options) -> Result<ApplicationEnds, TransportError> {
        let address = options.required("plans-address")?.to_owned();
        let settings = settings(options)?;
        let endpoint = match options.is_on("plans-bind")? {
            true => Endpoint::Bind(address),
            false => Endpoint::Connect(address),
        };
        let plans = match pattern(options.get("plans").unwrap_or("push"))? {
            Pattern::Push => ZmqSource::pull(&[endpoint], &settings).await?,
            Pattern::Publish => ZmqSource::subscribe(&[endpoint], &settings).await?,
        };
        let plans: Box<dyn Source> = Box::new(plans);
        let Some(address) = options.get("control-address") else {
            return Ok(ApplicationEnds {
                plans,
                control: None,
            });
        };
        let endpoint = Endpoint::Connect(address.to_owned());
        match ZmqSink::open(Pattern::Push, &[endpoint], &settings).await {
            Ok(control) => Ok(ApplicationEnds {
                plans,
                control: Some(Box::new(control)),
            }),
            Err(e) => {
                let _ = plans.close(BRIEFLY).await;
                Err(e)
            }
        }
    }

    async fn diagnoser(&self, options: &Options) -> Result<Box<dyn Sink>, TransportError> {
        options.required("address")?;
        let settings = settings(options)?;
        let side = match options.is_on("connect")? {
            true => Endpoint::Connect,
            false => Endpoint::Bind,
        };
        let endpoints = endpoints(options, "address", side);
        let sink = ZmqSink::open(Pattern::Push, &endpoints, &settings).await?;
        Ok(Box::new(sink))
    }
}

fn named(source: ZmqSource) -> Named<Box<dyn Source>> {
    Named::new(source.endpoints().join(", "), Box::new(source))
}

fn endpoints(options: &Options, name: &str, side: fn(String) -> Endpoint) -> Vec<Endpoint> {
    options.all(name).map(|a| side(a.to_owned())).collect()
}

/// What an optimizer opens.
struct Plan {
    settings: Settings,
    findings: Vec<Endpoint>,
    control: Option<Endpoint>,
    plans: Vec<(Endpoint, Pattern)>,
}

impl Plan {
    fn of(options: &Options) -> Result<Self, TransportError> {
        options.required("address")?;
        let side = match options.is_on("bind")? {
            true => Endpoint::Bind,
            false => Endpoint::Connect,
        };
        let control = options.get("control-address");
        Ok(Self {
            settings: settings(options)?,
            findings: endpoints(options, "address", side),
            control: control.map(|address| Endpoint::Bind(address.to_owned())),
            plans: plans(options)?,
        })
    }

    async fn open(self, ends: &mut OptimizerEnds) -> Result<(), TransportError> {
        let findings = ZmqSource::pull(&self.findings, &self.settings).await?;
        ends.findings.push(named(findings));
        if let Some(endpoint) = self.control {
            let control = ZmqSource::pull(&[endpoint], &self.settings).await?;
            ends.control.push(named(control));
        }
        for (endpoint, pattern) in self.plans {
            let sink = ZmqSink::open(pattern, &[endpoint], &self.settings).await?;
            let name = sink.endpoints().join(", ");
            ends.plans.push(Named::new(name, Box::new(sink)));
        }
        Ok(())
    }
}

/// Closes what was opened before something failed, so that its addresses are free again.
async fn close(ends: OptimizerEnds) {
    for source in ends.findings.into_iter().chain(ends.control) {
        let _ = source.end.close(BRIEFLY).await;
    }
    for sink in ends.plans {
        let _ = sink.end.close(BRIEFLY).await;
    }
}

/// Where plans go, and how.
fn plans(options: &Options) -> Result<Vec<(Endpoint, Pattern)>, TransportError> {
    let addresses = endpoints(options, "plans-address", Endpoint::Bind);
    let patterns = options.all("plans").map(pattern);
    let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
    if patterns.len() > addresses.len() {
        let problem = format!(
            "given {} times, but plans-address {} times; give at most one for each",
            patterns.len(),
            addresses.len()
        );
        return Err(TransportError::option("plans", problem));
    }
    let or_push = patterns.into_iter().chain(iter::repeat(Pattern::Push));
    Ok(addresses.into_iter().zip(or_push).collect())
}

fn pattern(name: &str) -> Result<Pattern, TransportError> {
    match name {
        "push" => Ok(Pattern::Push),
        "pub" => Ok(Pattern::Publish),
        other => Err(TransportError::option(
            "plans",
            format!("expected push or pub, found {other:?}"),
        )),
    }
}

fn settings(options: &Options) -> Result<Settings, TransportError> {
    let mut settings = Settings::default();
    set_millis(options, "linger-ms", 0, &mut settings.linger)?;
    set_millis(options, "reconnect-ms", 1, &mut settings.reconnect)?;
    set_millis(options, "reconnect-max-ms", 1, &mut settings.reconnect_max)?;
    if let Some(mark) = number(options, "high-water-mark", 1)? {
        settings.high_water_mark = mark;
    }
    if let Some(bytes) = number(options, "max-message-bytes", 1)? {
        settings.max_message_bytes = bytes.into();
    }
    Ok(settings)
}

fn set_millis(
    options: &Options,
    name: &str,
    least: u32,
    setting: &mut Duration,
) -> Result<(), TransportError> {
    if let Some(millis) = number(options, name, least)? {
        *setting = Duration::from_millis(millis.into());
    }
    Ok(())
}

/// A number of at least `least`: to libzmq, 0 often means without bound.
fn number(options: &Options, name: &str, least: u32) -> Result<Option<u32>, TransportError> {
    let expected = format!("a whole number from {least} to {}", i32::MAX);
    let number = options.parsed::<u32>(name, &expected)?;
    match number {
        Some(n) if n < least || i32::try_from(n).is_err() => Err(TransportError::option(
            name,
            format!("expected {expected}, found {n}"),
        )),
        number => Ok(number),
    }
}
