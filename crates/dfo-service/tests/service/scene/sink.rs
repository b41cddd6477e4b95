//! A sink that does as it is told, step by step, and keeps what it took.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dfo_model::ActionPlan;
use dfo_transport::{Capabilities, Closed, ErrorKind, Operation, Record, Sink, TransportError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::plan_of;

/// After its last step it takes everything.
pub struct Scripted {
    steps: VecDeque<Step>,
    /// Each record takes so long.
    slowness: Duration,
    closing: Closing,
    gate: watch::Receiver<bool>,
    opener: Arc<watch::Sender<bool>>,
    taken: Taken,
}

enum Step {
    Take,
    Fail(ErrorKind),
    Panic,
}

enum Closing {
    Dropping(u64),
    Never,
    Fail,
    Panic,
}

/// What a sink took; and the hand on its gate.
#[derive(Clone)]
pub struct Taken {
    saw: Arc<Mutex<Saw>>,
    opener: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct Saw {
    records: Vec<Record>,
    asked_at: Vec<Instant>,
    close_deadline: Option<Duration>,
}

/// A sink that takes everything at once.
pub fn sink() -> Scripted {
    let opener = Arc::new(watch::Sender::new(true));
    Scripted {
        steps: VecDeque::new(),
        slowness: Duration::ZERO,
        closing: Closing::Dropping(0),
        gate: opener.subscribe(),
        taken: Taken {
            saw: Arc::default(),
            opener: Arc::clone(&opener),
        },
        opener,
    }
}

impl Scripted {
    /// Takes so many before it does anything else.
    pub fn takes(mut self, times: usize) -> Self {
        self.steps.extend((0..times).map(|_| Step::Take));
        self
    }

    pub fn fails(mut self, kind: ErrorKind, times: usize) -> Self {
        self.steps.extend((0..times).map(|_| Step::Fail(kind)));
        self
    }

    pub fn panics(mut self) -> Self {
        self.steps.push_back(Step::Panic);
        self
    }

    /// Takes nothing until [`Taken::open`]: no one reads.
    pub fn blocked(self) -> Self {
        self.opener.send_replace(false);
        self
    }

    /// Needs so long for each.
    pub fn slow(self, slowness: Duration) -> Self {
        Self { slowness, ..self }
    }

    /// When it is closed it has to drop so many that it took.
    pub fn dropping_at_close(self, dropped: u64) -> Self {
        let closing = Closing::Dropping(dropped);
        Self { closing, ..self }
    }

    pub fn never_closes(self) -> Self {
        let closing = Closing::Never;
        Self { closing, ..self }
    }

    pub fn fails_at_close(self) -> Self {
        let closing = Closing::Fail;
        Self { closing, ..self }
    }

    pub fn panics_at_close(self) -> Self {
        let closing = Closing::Panic;
        Self { closing, ..self }
    }

    /// What it took, to be asked later.
    pub fn taken(&self) -> Taken {
        self.taken.clone()
    }
}

impl Taken {
    fn saw(&self) -> MutexGuard<'_, Saw> {
        self.saw.lock().unwrap()
    }

    /// Someone reads from now on.
    pub fn open(&self) {
        self.opener.send_replace(true);
    }

    pub fn records(&self) -> Vec<Record> {
        self.saw().records.clone()
    }

    pub fn plans(&self) -> Vec<ActionPlan> {
        self.records().iter().map(plan_of).collect()
    }

    /// The values that the plans of a knob set, in the order in which they were taken.
    pub fn values_of(&self, knob: &str) -> Vec<i64> {
        let plans = self.plans();
        let of_knob = plans.iter().filter(|plan| plan.knob_id == knob);
        let values = of_knob.map(|plan| match plan.new_value {
            dfo_model::Value::Int(value) => value,
            ref other => panic!("no int: {other}"),
        });
        values.collect()
    }

    /// How long after `since` something was sent to it, each time, in milliseconds.
    pub fn asked_after(&self, since: Instant) -> Vec<u128> {
        let saw = self.saw();
        let after = saw.asked_at.iter().map(|at| at.duration_since(since));
        after.map(|after| after.as_millis()).collect()
    }

    /// How much time it had for closing, once it was closed.
    pub fn close_deadline(&self) -> Option<Duration> {
        self.saw().close_deadline
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
impl Sink for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        self.taken.saw().asked_at.push(Instant::now());
        let open = self.gate.wait_for(|open| *open).await.is_ok();
        assert!(open, "we hold the other end");
        if !self.slowness.is_zero() {
            sleep(self.slowness).await;
        }
        match self.steps.pop_front() {
            Some(Step::Fail(kind)) => return Err(error(kind, Operation::Send)),
            Some(Step::Panic) => panic!("scripted"),
            Some(Step::Take) | None => {}
        }
        self.taken.saw().records.push(record);
        Ok(())
    }

    async fn flush(&mut self, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<Closed, TransportError> {
        self.taken.saw().close_deadline = Some(deadline);
        match self.closing {
            Closing::Dropping(dropped) => Ok(Closed::dropping(dropped)),
            Closing::Never => pending().await,
            Closing::Fail => Err(error(ErrorKind::Io, Operation::Close)),
            Closing::Panic => panic!("scripted, at close"),
        }
    }
}
