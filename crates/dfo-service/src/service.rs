//! The loop: from the start of the tasks to the end of the last one.

mod status;
mod stopping;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dfo_journal::Report;
use dfo_planner::Planner;
use dfo_transport::{Losses, Named, OptimizerEnds, Sink, Source};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::counts::Counts;
use crate::dead_letters::DeadLetters;
use crate::delivery::{Delivered, Delivery};
use crate::engine::{Engine, From, Took};
use crate::happening::{Channel, Happening, Observer, Reason, Unsent};
use crate::intake::{Arrival, Intake, What};
use crate::journal::{Journal, now_ms};
use crate::latency::Latency;
use crate::outbox::Outbox;
use crate::remote::{Remote, Requests};
use crate::roster::Roster;
use crate::stand_in::{AckMode, StandIn};

use self::status::IsStopping;

/// The choices of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Stop after so long without findings; `None` and zero are never.
    pub idle_timeout: Option<Duration>,
    /// How many ends of stream end a source of findings; `None`: as many as it had senders at one
    /// time, where the transport can tell, else one.
    pub senders: Option<usize>,
    /// How often an application repeats its registration.
    pub heartbeat: Duration,
    /// After so many missed heartbeats an application is silent.
    pub missed_heartbeats: u32,
    /// At most so many applications are remembered.
    pub applications: usize,
    /// At most so many plans wait before each sink.
    pub plan_queue: usize,
    /// At most so many records are received at once.
    pub batch: usize,
    /// Everything is closed so long after the stop, at the latest.
    pub stop_within: Duration,
    /// A file that keeps the records that could not be used.
    pub dead_letters: Option<PathBuf>,
    /// That file does not grow beyond so many bytes.
    pub dead_letter_limit: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_timeout: None,
            senders: None,
            heartbeat: Duration::from_secs(10),
            missed_heartbeats: 3,
            applications: 131_072,
            plan_queue: 10_000,
            batch: 256,
            stop_within: Duration::from_millis(1500),
            dead_letters: None,
            dead_letter_limit: 100 * 1024 * 1024,
        }
    }
}

/// The optimizer's loop over open ends.
pub struct Service {
    planner: Planner,
    ends: OptimizerEnds,
    settings: Settings,
    stand_in: Option<StandIn>,
    observer: Box<dyn Observer>,
    requests: Requests,
    journal: Option<Journal>,
}

/// How a service ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// What it saw and did.
    pub counts: Counts,
    /// The planner, with the values in force.
    pub planner: Planner,
}

/// A service could not start.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot open for dead letters: {source}; name a file that can be written", .path.display())]
pub struct StartError {
    path: PathBuf,
    source: std::io::Error,
}

/// How many batches may wait for the planner's task.
const BATCHES_WAITING: usize = 16;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);

/// As good as never, and still a time that the clock can tell.
const AGES: Duration = Duration::from_hours(30 * 365 * 24);

/// An observer that looks away.
struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _: &Happening<'_>) {}
}

impl Service {
    /// A service with our settings, which tells nobody.
    pub fn new(planner: Planner, ends: OptimizerEnds) -> Self {
        Self {
            planner,
            ends,
            settings: Settings::default(),
            stand_in: None,
            observer: Box::new(Nobody),
            requests: Requests::new(),
            journal: None,
        }
    }

    /// A hand on the service, for other tasks and threads: to ask how it is, and to tell it what an
    /// operator wants.
    pub fn remote(&self) -> Remote {
        self.requests.remote()
    }

    /// Keeps a journal. The planner has to be the one that was opened with it.
    #[must_use]
    pub fn journal(self, journal: Journal) -> Self {
        Self {
            journal: Some(journal),
            ..self
        }
    }

    /// With other settings.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Tells an observer what happens.
    #[must_use]
    pub fn observer(self, observer: impl Observer + 'static) -> Self {
        Self {
            observer: Box::new(observer),
            ..self
        }
    }

    /// Sends no plans; a stand-in acknowledges them in the applications' place.
    #[must_use]
    pub fn dry_run(self, acks: AckMode) -> Self {
        Self {
            stand_in: Some(StandIn::new(acks)),
            ..self
        }
    }

    /// Runs until `stop` is done, the findings end, or something fails for good; then stops in order:
    /// decides on what has arrived, sends what is planned, closes the ends.
    ///
    /// # Errors
    /// It could not start; nothing was received.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Ended, StartError> {
        let mut running = self.start()?;
        let reason = running.until_stopped(stop).await;
        Ok(running.wind_down(reason).await)
    }

    fn start(self) -> Result<Running, StartError> {
        let Service {
            planner,
            ends,
            settings,
            stand_in,
            observer,
            requests,
            journal,
        } = self;
        let opened = settings.dead_letters.as_ref().map(|path| {
            let opened = DeadLetters::open(path, settings.dead_letter_limit);
            opened.map_err(|source| StartError {
                path: path.clone(),
                source,
            })
        });
        let patience = settings
            .heartbeat
            .saturating_mul(settings.missed_heartbeats);
        let mut running = Running {
            engine: Engine {
                planner,
                roster: Roster::new(patience, settings.applications),
                stand_in,
                outboxes: Vec::new(),
                dead_letters: opened.transpose()?,
                journal,
                observer,
                counts: Counts::default(),
            },
            findings: Inlet::new(),
            control: Inlet::new(),
            news: mpsc::unbounded_channel(),
            intakes: JoinSet::new(),
            deliveries: JoinSet::new(),
            stop: watch::Sender::new(false),
            deadline: watch::Sender::new(None),
            settings,
            requests,
            started: Instant::now(),
            latency: Latency::default(),
            sink_troubles: Vec::new(),
        };
        running.tell_of_the_start(&ends);
        for Named { name, end } in ends.findings {
            running.receive(Channel::Findings, name, end);
        }
        for Named { name, end } in ends.control {
            running.receive(Channel::Control, name, end);
        }
        // In a dry run no plan leaves.
        if running.engine.stand_in.is_none() {
            for Named { name, end } in ends.plans {
                running.deliver(name, end);
            }
        }
        // What was frozen before stays frozen.
        running.engine.keep_what_is_frozen();
        running.engine.resume(Instant::now());
        running.engine.keep_journal(Instant::now());
        Ok(running)
    }
}

/// A service at work.
struct Running {
    engine: Engine,
    findings: Inlet,
    control: Inlet,
    /// What the sinks have to tell. Not bounded, so that none has to wait while it should stop:
    /// their back-off bounds it.
    news: (
        mpsc::UnboundedSender<Arrival>,
        mpsc::UnboundedReceiver<Arrival>,
    ),
    intakes: JoinSet<()>,
    deliveries: JoinSet<Delivered>,
    /// Tells the intakes to stop.
    stop: watch::Sender<bool>,
    /// Tells the deliveries until when they have time.
    deadline: watch::Sender<Option<Instant>>,
    settings: Settings,
    /// What others ask of this task.
    requests: Requests,
    started: Instant,
    /// From the receipt of a finding to the decision on it.
    latency: Latency,
    /// By sink: what failed last, and how many plans had been sent then.
    sink_troubles: Vec<Option<(String, u64)>>,
}

/// The sources of one channel, as the planner's task sees them.
struct Inlet {
    sender: mpsc::Sender<Arrival>,
    receiver: mpsc::Receiver<Arrival>,
    sources: Vec<Tap>,
}

/// One source, as the planner's task sees it.
struct Tap {
    name: String,
    /// How many of its records were taken before a restart.
    known: u64,
    /// How many of its records are done with.
    done: watch::Sender<u64>,
    losses: Losses,
    /// How many senders have ended their stream, and how many there are.
    ended: usize,
    senders: usize,
    is_over: bool,
    /// What failed last, unless something was received since.
    trouble: Option<String>,
}

impl Running {
    fn tell_of_the_start(&mut self, ends: &OptimizerEnds) {
        fn named<T>(
            channel: Channel,
            ends: &[Named<T>],
        ) -> impl Iterator<Item = (Channel, String)> {
            ends.iter().map(move |end| (channel, end.name.clone()))
        }
        let findings = named(Channel::Findings, &ends.findings);
        let control = named(Channel::Control, &ends.control);
        let plans = named(Channel::Plans, &ends.plans);
        let ends: Vec<_> = findings.chain(control).chain(plans).collect();
        let observer = &mut self.engine.observer;
        observer.observe(&Happening::Started { ends: &ends });
    }

    fn receive(&mut self, channel: Channel, name: String, source: Box<dyn Source>) {
        let inlet = match channel {
            Channel::Findings => &mut self.findings,
            Channel::Control | Channel::Plans => &mut self.control,
        };
        let positions = self.engine.journal.as_ref().map(Journal::positions);
        let known = positions.and_then(|all| all.get(&name)).copied();
        let known = known.unwrap_or(0);
        let (done, is_done) = watch::channel(0);
        let intake = Intake {
            from: inlet.sources.len(),
            name: name.clone(),
            source,
            skip: known,
            batch: self.settings.batch,
            arrivals: inlet.sender.clone(),
            done: is_done,
            stop: self.stop.subscribe(),
            handed: 0,
            committed: 0,
            commit_within: self.settings.stop_within / 2,
            close_within: self.settings.stop_within / 4,
        };
        inlet.sources.push(Tap {
            name,
            known,
            done,
            losses: Losses::default(),
            ended: 0,
            senders: self.settings.senders.unwrap_or(1),
            is_over: false,
            trouble: None,
        });
        self.intakes.spawn(intake.run());
    }

    fn deliver(&mut self, name: String, sink: Box<dyn Sink>) {
        let outbox = Arc::new(Outbox::new(self.settings.plan_queue));
        let delivery = Delivery {
            to: self.engine.outboxes.len(),
            sink,
            outbox: Arc::clone(&outbox),
            news: self.news.0.clone(),
            deadline: self.deadline.subscribe(),
        };
        self.engine.outboxes.push((name, outbox));
        self.sink_troubles.push(None);
        self.deliveries.spawn(delivery.run());
    }

    /// The loop.
    async fn until_stopped(&mut self, stop: impl Future<Output = ()>) -> Reason {
        let mut stop = std::pin::pin!(stop);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_finding = Instant::now();
        loop {
            let idle_at = self.settings.idle_timeout.filter(|idle| !idle.is_zero());
            let idle_at = idle_at.map(|idle| after(last_finding, idle));
            // Taken in turn, so that neither a flood of findings nor one of control starves the rest.
            let end = tokio::select! {
                () = &mut stop => Some(Reason::Asked),
                Some(arrival) = self.findings.receiver.recv(), if !self.engine.is_behind() => {
                    if matches!(arrival.what, What::Records { .. }) {
                        last_finding = Instant::now();
                    }
                    self.take(Channel::Findings, arrival)
                }
                Some(arrival) = self.control.receiver.recv() => self.take(Channel::Control, arrival),
                Some(arrival) = self.news.1.recv() => self.take(Channel::Plans, arrival),
                request = self.requests.next() => {
                    self.serve(request, IsStopping::No);
                    None
                }
                report = report(&mut self.engine.journal) => {
                    self.engine.take_report(report, Instant::now());
                    None
                }
                now = tick.tick() => {
                    self.engine.look_around(now);
                    None
                }
                // This task may have been late: a finding that waits came before. While those wait for
                // the disk, time is not looked at: it would be over again and again.
                () = until(idle_at), if !self.engine.is_behind() || self.findings.receiver.is_empty() => {
                    self.findings.receiver.is_empty().then_some(Reason::Idle)
                }
                Some(ended) = self.intakes.join_next() => broken(ended.err()),
                Some(ended) = self.deliveries.join_next() => self.take_delivered(ended),
            };
            self.engine.keep_journal(Instant::now());
            if let Some(reason) = end {
                return reason;
            }
        }
    }

    /// Takes what the task of an end has to tell. Why the service has to stop, if it has to.
    fn take(&mut self, channel: Channel, arrival: Arrival) -> Option<Reason> {
        let Arrival { from, what } = arrival;
        match what {
            What::Records {
                records,
                received,
                losses,
                senders,
            } => {
                let tap = self.tap(channel, from)?;
                tap.losses = losses;
                tap.trouble = None;
                let known = self.settings.senders;
                if let (None, Some(senders)) = (known, senders) {
                    self.tap(channel, from)?.senders = senders.max(1);
                }
                self.take_records(channel, from, &records, received)
            }
            What::Ended => {
                self.tap(channel, from)?.is_over = true;
                let from = self.name(channel, from);
                let happening = Happening::SourceOver {
                    channel,
                    from: &from,
                };
                self.engine.observer.observe(&happening);
                let is_finding = channel == Channel::Findings;
                (is_finding && self.findings_are_over()).then_some(Reason::EndOfFindings)
            }
            What::Retrying { error, times } => {
                self.engine.counts.retries += 1;
                let end = self.name(channel, from);
                let happening = Happening::Retrying {
                    end: &end,
                    error: &error,
                    times,
                };
                self.engine.observer.observe(&happening);
                self.note_trouble(channel, from, error.to_string());
                None
            }
            What::TooLarge { plan_id } => {
                self.engine.leave_unsent(from, &plan_id, Unsent::TooLarge);
                None
            }
            What::Failed(error) => Some(Reason::Failed {
                end: self.name(channel, from),
                error,
            }),
            What::Closed { losses } => {
                self.tap(channel, from)?.losses = losses;
                None
            }
        }
    }

    fn take_records(
        &mut self,
        channel: Channel,
        from: usize,
        records: &[dfo_transport::Record],
        received: Instant,
    ) -> Option<Reason> {
        let now = Instant::now();
        let inlet = match channel {
            Channel::Findings => &mut self.findings,
            Channel::Control | Channel::Plans => &mut self.control,
        };
        let tap = inlet.sources.get_mut(from)?;
        let at_ms = now_ms();
        let taken = tap.known + *tap.done.borrow();
        for (n, record) in (taken + 1..).zip(records) {
            let from = From {
                end: &tap.name,
                n,
                at_ms,
            };
            match channel {
                Channel::Findings => match self.engine.take_finding(from, record) {
                    Took::Finding => self.latency.observe(received.elapsed()),
                    Took::Record => {}
                    Took::EndOfStream => {
                        tap.ended += 1;
                        tap.is_over |= tap.ended >= tap.senders;
                        self.engine.observer.observe(&Happening::Ended {
                            from: &tap.name,
                            ended: tap.ended,
                            of: tap.senders,
                        });
                    }
                },
                Channel::Control | Channel::Plans => {
                    self.engine.take_control(from, record, now);
                }
            }
        }
        tap.done.send_modify(|done| *done += records.len() as u64);
        let is_finding = channel == Channel::Findings;
        (is_finding && self.findings_are_over()).then_some(Reason::EndOfFindings)
    }

    fn findings_are_over(&self) -> bool {
        self.findings.sources.iter().all(|tap| tap.is_over)
    }

    fn tap(&mut self, channel: Channel, from: usize) -> Option<&mut Tap> {
        match channel {
            Channel::Findings => self.findings.sources.get_mut(from),
            Channel::Control => self.control.sources.get_mut(from),
            Channel::Plans => None,
        }
    }

    fn name(&mut self, channel: Channel, from: usize) -> String {
        let name = match channel {
            Channel::Plans => self.engine.outboxes.get(from).map(|(name, _)| name.clone()),
            Channel::Findings | Channel::Control => {
                self.tap(channel, from).map(|tap| tap.name.clone())
            }
        };
        name.unwrap_or_default()
    }

    /// A sink ended; before the stop it should not.
    fn take_delivered(&mut self, ended: Result<Delivered, JoinError>) -> Option<Reason> {
        match ended {
            Ok(delivered) => {
                self.engine.counts.undelivered += delivered.dropped;
                let error = delivered.failed?;
                let end = self.name(Channel::Plans, delivered.to);
                Some(Reason::Failed { end, error })
            }
            Err(error) => broken(Some(error)),
        }
    }
}

impl Inlet {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
        Self {
            sender,
            receiver,
            sources: Vec::new(),
        }
    }
}

/// What the journal's thread tells next; for ever nothing, where there is no journal.
async fn report(journal: &mut Option<Journal>) -> Report {
    match journal {
        Some(journal) => journal.report().await,
        None => std::future::pending().await,
    }
}

/// A task ended with a panic, or was cut off.
fn broken(error: Option<JoinError>) -> Option<Reason> {
    let what = format!("a part of the service broke: {}", error?);
    Some(Reason::Broken { what })
}

/// So long after that.
fn after(instant: Instant, time: Duration) -> Instant {
    let then = instant.checked_add(time);
    then.unwrap_or_else(|| instant + AGES)
}

/// Waits until then; for ever without a time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
