//! A source that does as it is told, step by step, and says what it saw.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::{Capabilities, ErrorKind, Losses, Operation, Record, Source, TransportError};
use tokio::time::{Instant, sleep_until};

use super::log::Log;

/// After its last step it waits for ever.
pub struct Scripted {
    steps: VecDeque<Step>,
    closing: Closing,
    capabilities: Capabilities,
    senders: Option<usize>,
    losses: Losses,
    commits: Commits,
    /// To know how much was decided when something is committed.
    log: Log,
    given: Given,
}

enum Step {
    Give(VecDeque<Record>),
    Wait(Duration, Option<Instant>),
    Fail(ErrorKind),
    FailForEver(ErrorKind),
    Flood(Record),
    Panic,
    End,
}

#[derive(Default)]
enum Closing {
    #[default]
    AtOnce,
    Never,
    Panic,
    Fail,
}

#[derive(Default)]
enum Commits {
    #[default]
    Taken,
    /// So many fail first, each in a way that is worth a retry.
    Failing(usize),
    Never,
}

/// What a source saw.
#[derive(Debug, Clone, Default)]
pub struct Given(Arc<Mutex<Saw>>);

#[derive(Debug, Default)]
struct Saw {
    records: u64,
    asked_at: Vec<Instant>,
    commits: Vec<Commit>,
    is_closed: bool,
}

/// A commit, and how many events were decided on when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub records: u64,
    pub decided: usize,
}

/// A source that has nothing to give.
pub fn source() -> Scripted {
    Scripted {
        steps: VecDeque::new(),
        closing: Closing::default(),
        capabilities: Capabilities::stream(),
        senders: None,
        losses: Losses::default(),
        commits: Commits::default(),
        log: Log::default(),
        given: Given::default(),
    }
}

impl Scripted {
    pub fn gives(self, records: impl IntoIterator<Item = Record>) -> Self {
        self.then(Step::Give(records.into_iter().collect()))
    }

    pub fn waits(self, time: Duration) -> Self {
        self.then(Step::Wait(time, None))
    }

    /// Fails so many times in turn.
    pub fn fails(mut self, kind: ErrorKind, times: usize) -> Self {
        self.steps.extend((0..times).map(|_| Step::Fail(kind)));
        self
    }

    pub fn fails_for_ever(self, kind: ErrorKind) -> Self {
        self.then(Step::FailForEver(kind))
    }

    /// Has always another one.
    pub fn floods(self, record: Record) -> Self {
        self.then(Step::Flood(record))
    }

    pub fn panics(self) -> Self {
        self.then(Step::Panic)
    }

    pub fn ends(self) -> Self {
        self.then(Step::End)
    }

    pub fn never_closes(self) -> Self {
        let closing = Closing::Never;
        Self { closing, ..self }
    }

    pub fn panics_at_close(self) -> Self {
        let closing = Closing::Panic;
        Self { closing, ..self }
    }

    pub fn fails_at_close(self) -> Self {
        let closing = Closing::Fail;
        Self { closing, ..self }
    }

    /// Had so many senders at one time.
    pub fn with_senders(self, senders: usize) -> Self {
        let senders = Some(senders);
        Self { senders, ..self }
    }

    pub fn losing(self, too_large: u64, disconnections: u64) -> Self {
        let mut losses = Losses::default();
        losses.too_large = too_large;
        losses.disconnections = disconnections;
        Self { losses, ..self }
    }

    /// Wants to know what is done with; `log` is that of the scene.
    pub fn acknowledging(self, log: Log) -> Self {
        let capabilities = Capabilities::stream().with_acknowledgement();
        Self {
            capabilities,
            log,
            ..self
        }
    }

    pub fn whose_commits_fail(self, times: usize) -> Self {
        let commits = Commits::Failing(times);
        Self { commits, ..self }
    }

    pub fn whose_commits_never_return(self) -> Self {
        let commits = Commits::Never;
        Self { commits, ..self }
    }

    /// What it saw, to be asked later.
    pub fn given(&self) -> Given {
        self.given.clone()
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    fn give(&self, records: Vec<Record>) -> Vec<Record> {
        self.given.saw().records += records.len() as u64;
        records
    }
}

impl Given {
    fn saw(&self) -> std::sync::MutexGuard<'_, Saw> {
        self.0.lock().unwrap()
    }

    /// How many records it gave.
    pub fn records(&self) -> u64 {
        self.saw().records
    }

    /// How long after `since` it was asked, each time, in milliseconds.
    pub fn asked_after(&self, since: Instant) -> Vec<u128> {
        let saw = self.saw();
        let after = saw.asked_at.iter().map(|at| at.duration_since(since));
        after.map(|after| after.as_millis()).collect()
    }

    pub fn commits(&self) -> Vec<Commit> {
        self.saw().commits.clone()
    }

    pub fn is_closed(&self) -> bool {
        self.saw().is_closed
    }
}

fn error(kind: ErrorKind, operation: Operation) -> TransportError {
    TransportError::new(
        kind,
        operation,
        "scripted",
        format!("{kind:?}, as scripted"),
    )
}

#[async_trait]
impl Source for Scripted {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        self.given.saw().asked_at.push(Instant::now());
        loop {
            match self.steps.front_mut() {
                None => return pending().await,
                Some(Step::Give(records)) => {
                    let count = limit.max(1).min(records.len());
                    let batch: Vec<_> = records.drain(..count).collect();
                    if records.is_empty() {
                        self.steps.pop_front();
                    }
                    if !batch.is_empty() {
                        return Ok(self.give(batch));
                    }
                }
                Some(Step::Wait(time, until)) => {
                    let until = *until.get_or_insert_with(|| Instant::now() + *time);
                    sleep_until(until).await;
                    self.steps.pop_front();
                }
                Some(Step::Fail(kind)) => {
                    let kind = *kind;
                    self.steps.pop_front();
                    return Err(error(kind, Operation::Receive));
                }
                Some(Step::FailForEver(kind)) => return Err(error(*kind, Operation::Receive)),
                Some(Step::Flood(record)) => {
                    let batch = vec![record.clone(); limit];
                    // As the trait asks: others of its thread have their turn.
                    tokio::task::yield_now().await;
                    return Ok(self.give(batch));
                }
                Some(Step::Panic) => panic!("scripted"),
                Some(Step::End) => return Ok(Vec::new()),
            }
        }
    }

    async fn commit(&mut self, records: u64) -> Result<(), TransportError> {
        match &mut self.commits {
            Commits::Never => return pending().await,
            Commits::Failing(times) if *times > 0 => {
                *times -= 1;
                return Err(error(ErrorKind::Unreachable, Operation::Commit));
            }
            Commits::Taken | Commits::Failing(_) => {}
        }
        let decided = self.log.decided();
        self.given.saw().commits.push(Commit { records, decided });
        Ok(())
    }

    fn losses(&self) -> Losses {
        self.losses
    }

    fn senders(&self) -> Option<usize> {
        self.senders
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        match self.closing {
            Closing::AtOnce => {
                self.given.saw().is_closed = true;
                Ok(())
            }
            Closing::Never => pending().await,
            Closing::Panic => panic!("scripted, at close"),
            Closing::Fail => Err(error(ErrorKind::TimedOut, Operation::Close)),
        }
    }
}
