//! An application that applies whatever it is asked, and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dfo_model::{Ack, AckStatus, ActionPlan, Metadata};
use serde_json::{Value as Json, json};

use crate::peers::findings;
use crate::peers::served::Served;
use crate::peers::{Frames, PATIENCE, Peer};

const INSTANCE: &str = "soak-1";
const NODE: &str = "login1";

/// How often it registers again: twice as often as the service expects it.
const HEARTBEAT: Duration = Duration::from_secs(5);

pub struct Application<'a> {
    plans: Peer,
    control: Peer,
    registration: Json,
    progress: &'a Progress,
}

/// How many plans are answered, for those who wait for it.
#[derive(Default)]
pub struct Progress {
    answered: Mutex<u64>,
    changed: Condvar,
    leave: AtomicBool,
}

impl Progress {
    /// Waits until so many plans are answered.
    pub fn wait_until(&self, count: u64) -> Result<()> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(answered, PATIENCE, |answered| *answered < count);
        let (answered, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(
            *answered >= count,
            "{answered} plans came, {count} were expected, and none for {PATIENCE:?}"
        );
        Ok(())
    }

    /// Tells the application to leave as soon as nothing comes.
    pub fn leave(&self) {
        self.leave.store(true, Ordering::Relaxed);
    }

    fn answer(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_one();
    }
}

impl<'a> Application<'a> {
    /// Connects, and registers its knobs.
    pub fn join(service: &Served, progress: &'a Progress, knobs: usize) -> Result<Self> {
        let mut registration = findings::knobs(knobs);
        registration["instance"] = json!(INSTANCE);
        registration["node"] = json!(NODE);
        let application = Application {
            plans: Peer::application(&service.plans)?,
            control: Peer::speaker(&service.control)?,
            registration,
            progress,
        };
        application.register()?;
        Ok(application)
    }

    /// Answers every plan until it is told to leave; then says that it does.
    pub fn answer(self) -> Result<()> {
        let mut registered = Instant::now();
        let mut frames = Frames::default();
        while !self.progress.leave.load(Ordering::Relaxed) {
            if registered.elapsed() >= HEARTBEAT {
                self.register()?;
                registered = Instant::now();
            }
            if self.plans.receive_within(&mut frames, HEARTBEAT / 10)? {
                self.acknowledge(&frames.payload)?;
                self.progress.answer();
            }
        }
        let farewell = Metadata::Stop {
            instance: INSTANCE,
            node: NODE,
        };
        self.say(&farewell, Vec::new())
    }

    fn register(&self) -> Result<()> {
        let metadata = Metadata::KnobRegistration {
            namespace: "bench",
            function: "read_files",
        };
        self.say(&metadata, serde_json::to_vec(&self.registration)?)
    }

    fn acknowledge(&self, plan: &[u8]) -> Result<()> {
        let plan = ActionPlan::decode(plan).into_result().context("a plan")?;
        let ack = Ack {
            knob_id: plan.knob_id,
            old_value: plan.old_value,
            new_value: Some(plan.new_value),
            window_index: Some(plan.window_index),
            target_nodes: plan.target_nodes,
            instance: INSTANCE.to_owned(),
            node: NODE.to_owned(),
            ..Ack::new(plan.plan_id, AckStatus::Applied)
        };
        self.say(&ack.metadata(), serde_json::to_vec(&ack)?)
    }

    fn say(&self, metadata: &Metadata<'_>, payload: Vec<u8>) -> Result<()> {
        let metadata = serde_json::to_vec(metadata)?;
        self.control.send(&Frames { metadata, payload })
    }
}
