//! An application that links `dfo-context`: it takes each plan at a boundary, and applies it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dfo_context::model::{ActionPlan, Registration};
use dfo_context::{Context, LiveKnob, Status};
use dfo_transport_zmq::Zmq;
use serde_json::Value as Json;

/// A running application.
pub struct Application {
    context: Arc<Context>,
    applied: Arc<Mutex<Vec<ActionPlan>>>,
    stop: Arc<AtomicBool>,
    work: Option<JoinHandle<()>>,
}

/// Where and how an application finds the optimizer.
pub struct Way<'a> {
    pub node: &'a str,
    pub plans: &'a str,
    /// `push` or `pub`.
    pub pattern: &'a str,
    pub control: &'a str,
    pub heartbeat: Duration,
    pub high_water_mark: u32,
}

impl Application {
    /// Starts one that has the knobs of a registration.
    pub fn start(way: &Way<'_>, registration: &Json) -> Self {
        let text = registration.to_string();
        let registration = Registration::decode(text.as_bytes()).message.unwrap();
        let options = [
            ("plans-address", way.plans.to_owned()),
            ("plans", way.pattern.to_owned()),
            ("control-address", way.control.to_owned()),
            ("high-water-mark", way.high_water_mark.to_string()),
        ];
        let context = Context::builder(&registration.namespace)
            .node(way.node)
            .heartbeat(way.heartbeat)
            .transport(Zmq, options)
            .start()
            .unwrap();
        let knobs = registration.knobs.into_iter();
        let knobs = knobs.map(|(parameter, knob)| LiveKnob::new(parameter, knob));
        let function = context
            .register(&registration.function_name, knobs)
            .unwrap();

        let stop = Arc::new(AtomicBool::new(false));
        let applied = Arc::new(Mutex::new(Vec::new()));
        let (stopped, done) = (Arc::clone(&stop), Arc::clone(&applied));
        let work = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for action in function.window_boundary() {
                    done.lock().unwrap().push(action.plan().clone());
                    action.applied();
                }
                // Sleeps: the loop stands in for an application's work between two boundaries.
                thread::sleep(Duration::from_millis(2));
            }
        });
        Application {
            context: Arc::new(context),
            applied,
            stop,
            work: Some(work),
        }
    }

    /// The plans that it has applied, in order.
    pub fn applied(&self) -> Vec<ActionPlan> {
        self.applied.lock().unwrap().clone()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.applied.lock().unwrap().len()
    }

    pub fn status(&self) -> Status {
        self.context.status()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(work) = self.work.take() {
            let _ = work.join();
        }
        self.context.stop();
    }
}
