//! A hand on a running service, for other tasks and threads.
//!
//! What is asked for waits its turn in the loop like everything that comes in, so that an answer also
//! proves that the loop turns. A request that nobody waits for any more is carried out all the same.

use std::time::Duration;

use dfo_model::Value;
use dfo_planner::{Command, Decisions};
use serde::{Serialize, Serializer};
use tokio::sync::{mpsc, oneshot};

use crate::counts::Counts;
use crate::happening::Channel;
use crate::latency::Latency;

/// How many requests may wait for the planner's task; who asks more waits.
const REQUESTS_WAITING: usize = 64;

/// A hand on a running service. Cheap to clone; what it asks for before the service runs is answered
/// once it does.
#[derive(Debug, Clone)]
pub struct Remote {
    requests: mpsc::Sender<Request>,
}

/// The service has ended, or ended before it answered. Whether a command was still carried out is not
/// known then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service has ended")]
pub struct Gone;

impl Remote {
    /// Has an operator's command carried out. What was decided on it: notices, and the plans that it
    /// made; a [`dfo_planner::Notice::CommandRefused`] where it cannot be carried out.
    ///
    /// # Errors
    /// The service has ended.
    pub async fn command(&self, command: Command) -> Result<Decisions, Gone> {
        self.ask(|answer| Request::Command(command, answer)).await
    }

    /// Asks how the service is.
    ///
    /// # Errors
    /// The service has ended.
    pub async fn status(&self) -> Result<Status, Gone> {
        let status = self.ask(Request::Status).await?;
        Ok(*status)
    }

    /// Returns once the planner's task has looked here: its loop turns. Costs it nothing.
    ///
    /// # Errors
    /// The service has ended.
    pub async fn ping(&self) -> Result<(), Gone> {
        self.ask(Request::Ping).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(request(answer)).await;
        sent.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

/// What is asked, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Request {
    Command(Command, oneshot::Sender<Decisions>),
    Status(oneshot::Sender<Box<Status>>),
    Ping(oneshot::Sender<()>),
}

/// The service's end of it.
pub(crate) struct Requests {
    /// Ours, so that the channel never ends.
    sender: mpsc::Sender<Request>,
    receiver: mpsc::Receiver<Request>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(REQUESTS_WAITING);
        Self { sender, receiver }
    }

    pub(crate) fn remote(&self) -> Remote {
        let requests = self.sender.clone();
        Remote { requests }
    }

    /// The next request, when there is one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Request {
        match self.receiver.recv().await {
            Some(request) => request,
            // We hold a sender.
            None => std::future::pending().await,
        }
    }
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How long it has been running.
    #[serde(rename = "uptime_s", serialize_with = "as_seconds")]
    pub uptime: Duration,
    /// Whether it is about to end.
    pub is_stopping: bool,
    /// Whether it sends no plans, and a stand-in acknowledges them.
    pub is_dry_run: bool,
    /// Whether an operator has frozen everything.
    pub is_frozen: bool,
    /// The knobs, in the order of registration.
    pub knobs: Vec<KnobStatus>,
    /// How many nodes something is remembered of.
    pub nodes_remembered: usize,
    /// Who has registered.
    pub applications: ApplicationsStatus,
    /// Where findings, registrations and acknowledgements come from.
    pub sources: Vec<SourceStatus>,
    /// Where plans go.
    pub sinks: Vec<SinkStatus>,
    /// Batches of findings that wait for the planner's task.
    pub batches_of_findings: usize,
    /// Batches of registrations and acknowledgements that wait for the planner's task.
    pub batches_of_control: usize,
    /// From the receipt of a finding to the decision on it.
    pub decision_latency: Latency,
    /// The journal, if there is one.
    pub journal: Option<JournalStatus>,
    /// What it has seen and done so far.
    pub counts: Counts,
}

/// A knob, as the planner knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KnobStatus {
    /// The knob.
    pub knob: String,
    /// The job-wide value in force.
    pub value: Value,
    /// How many nodes have a value of their own.
    pub nodes_with_own_value: usize,
    /// Plans for it that await their acknowledgement.
    pub pending: usize,
    /// Whether an operator has frozen it, by name or with everything.
    pub is_frozen: bool,
}

/// The applications, of those that say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApplicationsStatus {
    /// How many live.
    pub alive: usize,
    /// How often one has missed its heartbeats.
    pub silent: u64,
}

/// A source of findings or of control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// The end's name.
    pub name: String,
    /// What comes from there.
    pub channel: Channel,
    /// Whether its stream has ended.
    pub is_over: bool,
    /// Records of it that were looked at.
    pub records: u64,
    /// What failed last, if nothing was received since.
    pub trouble: Option<String>,
}

/// A sink of plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SinkStatus {
    /// The end's name.
    pub name: String,
    /// Plans that wait for it, frozen ones too.
    pub waiting: usize,
    /// Plans that it took.
    pub sent: u64,
    /// What failed last, if nothing was sent since.
    pub trouble: Option<String>,
}

/// How a journal is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct JournalStatus {
    /// The number of the newest line that was handed to it.
    pub appended_seq: u64,
    /// The number of the newest line that the system has.
    pub written_seq: u64,
    /// The number of the newest line that the disk has.
    pub synced_seq: u64,
    /// Bytes that wait to be written.
    pub backlog_bytes: u64,
    /// How long the oldest line has waited that the disk does not have, in seconds; 0 if there is none.
    pub oldest_unsynced_s: f64,
    /// Why it cannot be written, if it cannot.
    pub failed: Option<String>,
    /// Whether plans wait until it can be written again.
    pub is_required: bool,
    /// Writes and syncs that failed.
    pub failures: u64,
    /// Lines that could not be written, and will not be.
    pub lost_lines: u64,
    /// Segments that were removed to keep its size.
    pub segments_cut: u64,
}

impl JournalStatus {
    /// How many lines the disk does not have yet.
    pub fn lag_lines(&self) -> u64 {
        self.appended_seq.saturating_sub(self.synced_seq)
    }

    /// Whether no plan may leave, since it cannot be written.
    pub fn holds_plans(&self) -> bool {
        self.is_required && self.failed.is_some()
    }
}

fn as_seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}
