//! One scene for all tests: a service at work, with a diagnoser, applications, and someone who takes
//! down all that it tells.
//!
//! A test says who is there ([`Scene`]), starts it, and goes on with what happens ([`Live`]). What it
//! does not say is harmless: findings, control and plans go through the memory of this process; a
//! finding is severe and persistent and asks for tag `t`; a knob responds to `t` by one step up.

mod log;
mod messages;
mod sink;
mod source;

use std::time::Duration;

use dfo_model::{Ack, ActionPlan};
use dfo_planner::{PlanIds, Planner};
use dfo_service::{AckMode, Ended, Journal, Remote, Service, Settings, StartError};
use dfo_transport::memory::{self, MemorySink, MemorySource};
use dfo_transport::{Named, OptimizerEnds, Record, Sink, Source};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub use self::log::{Log, Outcome, Told};
pub use self::messages::{
    AckWords, App, Finding, Knob, ack_record, app, applied, deferred, farewell, finding,
    finding_record, knob, rejected, up,
};
pub use self::sink::{Scripted as ScriptedSink, sink};
pub use self::source::source;

/// Longer than anything here may take; with the clock paused it takes no time.
const PATIENCE: Duration = Duration::from_hours(1);

/// Who is there.
pub struct Scene {
    planner: Planner,
    settings: Settings,
    ends: OptimizerEnds,
    acks: Option<AckMode>,
    log: Log,
    journal: Option<Journal>,
}

impl Scene {
    /// A planner of ours that knows no knobs, and a log.
    pub fn new() -> Self {
        Self {
            planner: Planner::new(dfo_planner::Settings::default(), PlanIds::from_seed(1)),
            settings: Settings::default(),
            ends: OptimizerEnds::default(),
            acks: None,
            log: Log::default(),
            journal: None,
        }
    }

    pub fn planner(self, planner: Planner) -> Self {
        Self { planner, ..self }
    }

    /// A journal, with whose planner it was opened.
    pub fn journal(self, journal: Journal) -> Self {
        Self {
            journal: Some(journal),
            ..self
        }
    }

    /// Knobs that a pack names, taken down.
    pub fn knobs_in_journal(mut self, knobs: impl IntoIterator<Item = Knob>) -> Self {
        let registration = app("").knobs(knobs).registration();
        let event = dfo_planner::Event::Bootstrap(&registration);
        let journal = self.journal.as_mut().expect("a journal");
        journal.decide(&mut self.planner, event);
        self
    }

    /// Knobs that are there from the start, as if an application without an instance had them.
    pub fn knobs(mut self, knobs: impl IntoIterator<Item = Knob>) -> Self {
        let registration = app("").knobs(knobs).registration();
        let event = dfo_planner::Event::Registration(&registration);
        self.planner.handle(event);
        self
    }

    /// Knobs that a pack or a file names.
    pub fn bootstrap(mut self, knobs: impl IntoIterator<Item = Knob>) -> Self {
        let registration = app("").knobs(knobs).registration();
        let event = dfo_planner::Event::Bootstrap(&registration);
        self.planner.handle(event);
        self
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub fn idle_timeout(self, idle: Duration) -> Self {
        self.settings(|s| s.idle_timeout = Some(idle))
    }

    /// Findings from there, in place of the diagnoser of [`Live`]; may be called again.
    pub fn findings_from(mut self, name: &str, source: impl Source + 'static) -> Self {
        let end: Box<dyn Source> = Box::new(source);
        self.ends.findings.push(Named::new(name, end));
        self
    }

    /// Control from there, in place of the applications of [`Live`]; may be called again.
    pub fn control_from(mut self, name: &str, source: impl Source + 'static) -> Self {
        let end: Box<dyn Source> = Box::new(source);
        self.ends.control.push(Named::new(name, end));
        self
    }

    /// Plans go there, in place of the applications of [`Live`]; may be called again.
    pub fn plans_to(mut self, name: &str, sink: impl Sink + 'static) -> Self {
        let end: Box<dyn Sink> = Box::new(sink);
        self.ends.plans.push(Named::new(name, end));
        self
    }

    pub fn dry_run(mut self, acks: AckMode) -> Self {
        self.acks = Some(acks);
        self
    }

    /// What the service tells, for those who act in between.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The service at work.
    pub fn start(mut self) -> Live {
        let (diagnoser, findings) = memory::pair(4096);
        let (control, registrations) = memory::pair(4096);
        let (plans, application) = memory::pair(100_000);
        if self.ends.findings.is_empty() {
            self = self.findings_from("findings", findings);
        }
        if self.ends.control.is_empty() {
            self = self.control_from("control", registrations);
        }
        if self.ends.plans.is_empty() {
            self = self.plans_to("plans", plans);
        }
        let log = self.log();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            if stopped.await.is_err() {
                // Nobody can ask any more.
                std::future::pending::<()>().await;
            }
        };
        let service = self.service();
        Live {
            remote: service.remote(),
            running: tokio::spawn(service.run(stopped)),
            diagnoser,
            control,
            application,
            log,
            stop: Some(stop),
        }
    }

    /// The service, to be run by whom it may concern.
    pub fn service(self) -> Service {
        let service = Service::new(self.planner, self.ends)
            .settings(self.settings)
            .observer(self.log);
        let service = match self.journal {
            Some(journal) => service.journal(journal),
            None => service,
        };
        match self.acks {
            Some(acks) => service.dry_run(acks),
            None => service,
        }
    }

    /// Runs from the start to an end that comes of itself.
    pub async fn runs_to_its_end(self) -> (Ended, Log) {
        let live = self.start();
        let log = live.log.clone();
        (live.ended().await, log)
    }
}

/// A service at work, and the others' ends.
pub struct Live {
    /// Sends findings.
    pub diagnoser: MemorySink,
    /// Sends registrations and acknowledgements.
    pub control: MemorySink,
    /// Receives plans.
    pub application: MemorySource,
    pub log: Log,
    /// The operator's hand on it.
    pub remote: Remote,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<Ended, StartError>>,
}

impl Live {
    /// Waits until nobody has anything to do: what was sent has come to what it comes to.
    ///
    /// Only with the clock paused: it moves on, by this millisecond, when all tasks wait.
    pub async fn settle(&self) {
        sleep(Duration::from_millis(1)).await;
    }

    /// What is told from here on comes of what happens next; the start is told first.
    fn begin(&self) -> usize {
        self.log.len().max(1)
    }

    /// So much time passes.
    pub async fn wait(&self, seconds: f64) {
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// The diagnoser finds something. What came of it.
    pub async fn find(&mut self, finding: Finding) -> Outcome {
        self.on_findings(finding.record()).await
    }

    /// A record on the channel of findings. What came of it.
    pub async fn on_findings(&mut self, record: Record) -> Outcome {
        let before = self.begin();
        self.diagnoser.send(record).await.unwrap();
        self.settle().await;
        self.log.since(before)
    }

    /// A record on the channel of findings; what came of it is left for later.
    pub async fn diagnoser_sends(&mut self, record: Record) {
        self.diagnoser.send(record).await.unwrap();
    }

    /// An application registers, or repeats itself. What came of it.
    pub async fn register(&mut self, app: &App) -> Outcome {
        self.on_control(app.record()).await
    }

    /// An application acknowledges. What came of it.
    pub async fn ack(&mut self, ack: &Ack) -> Outcome {
        self.on_control(ack_record(ack)).await
    }

    /// A record on the control channel. What came of it.
    pub async fn on_control(&mut self, record: Record) -> Outcome {
        let before = self.begin();
        self.control.send(record).await.unwrap();
        self.settle().await;
        self.log.since(before)
    }

    /// The next plan that reaches the application.
    pub async fn plan(&mut self) -> ActionPlan {
        let next = timeout(PATIENCE, self.application.receive(1)).await;
        let records = next.expect("no plan comes").unwrap();
        let [record] = &records[..] else {
            panic!("no more plans will come");
        };
        plan_of(record)
    }

    /// A finding whose plan the application applies in the finding's window.
    pub async fn act(&mut self, finding: Finding) -> ActionPlan {
        self.find(finding).await.plan();
        let plan = self.plan().await;
        let ack = applied(&plan).at(plan.window_index);
        assert_eq!(self.ack(&ack).await.notices()[0], "applied");
        plan
    }

    /// A record on the control channel; what came of it is left for later.
    pub async fn control_sends(&mut self, record: Record) {
        self.control.send(record).await.unwrap();
    }

    /// The service ends at once, in whatever it is.
    pub fn abort(self) {
        self.running.abort();
    }

    /// Asks the service to stop, and waits for its end.
    pub async fn stop(mut self) -> Ended {
        self.ask_to_stop();
        self.ended().await
    }

    pub fn ask_to_stop(&mut self) {
        let stop = self.stop.take().expect("asked once");
        // Fails where it has ended by itself.
        let _ = stop.send(());
    }

    /// The end of the service, of itself or as asked.
    pub async fn ended(self) -> Ended {
        let Live { running, stop, .. } = self;
        let ended = timeout(PATIENCE, running).await;
        drop(stop);
        ended.expect("the service does not end").unwrap().unwrap()
    }

    /// How long it takes from now until the service has ended.
    pub async fn ends_after(self) -> (Duration, Ended) {
        let now = Instant::now();
        let ended = self.ended().await;
        (now.elapsed(), ended)
    }

    /// How long it takes from the call to stop until the service has ended.
    pub async fn stops_after(mut self) -> (Duration, Ended) {
        self.ask_to_stop();
        self.ends_after().await
    }

    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }
}

/// A plan as an application reads it.
pub fn plan_of(record: &Record) -> ActionPlan {
    ActionPlan::decode(&record.payload).into_result().unwrap()
}
