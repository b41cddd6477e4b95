//! One application's connection to the optimizer.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dfo_model::ActionPlan;
use dfo_transport::Record;

use crate::action::Actions;
use crate::boundary::Boundary;
use crate::builder::Builder;
use crate::desk::{Audience, Desk, Fate, Limits};
use crate::function::Function;
use crate::knobs::{KnobsRefused, LiveKnob};
use crate::link::thread::Running;
use crate::shared::{Names, Shared};
use crate::speaker::{Speaker, WindowIndex};
use crate::status::{Link, Status};

/// One application's connection to the optimizer: registers its knobs, receives plans in the
/// background, hands them over at a boundary, and sends the answers.
///
/// All methods take `&self`, return at once unless they say otherwise, and may be called from any
/// thread. Dropping it stops it.
pub struct Context {
    shared: Arc<Shared>,
    /// None without a transport, and once it is stopped.
    running: Mutex<Option<Running>>,
}

impl Context {
    /// A context of an application. The namespace is the prefix of its knobs' ids; `app` if empty.
    pub fn builder(namespace: impl Into<String>) -> Builder {
        Builder::new(namespace.into())
    }

    /// A context without an optimizer: knobs keep their values, and no plans come but those of
    /// [`stage`](Context::stage).
    pub fn disabled() -> Self {
        let speaker = Speaker::new("", "localhost");
        Self::new(Shared::new(speaker, Limits::default(), Fate::Unheard), None)
    }

    pub(crate) fn new(shared: Arc<Shared>, running: Option<Running>) -> Self {
        Context {
            shared,
            running: Mutex::new(running),
        }
    }

    /// Registers knobs of a function, with the values that they have now. The optimizer is told at
    /// once, again after each reconnection, and again at each heartbeat with the values then in
    /// force.
    ///
    /// A function may be registered more than once: a knob that is there already is defined anew, and
    /// has the value given now; the others stay.
    ///
    /// # Errors
    /// A definition or a value makes no sense. None of the knobs is registered then; each that is
    /// wrong is named.
    pub fn register(
        &self,
        function: &str,
        knobs: impl IntoIterator<Item = LiveKnob>,
    ) -> Result<Function, KnobsRefused> {
        // Before the desk is held: what makes the knobs may use this very context.
        let knobs: Vec<_> = knobs.into_iter().collect();
        let namespace = &self.shared.names.namespace;
        let shared = self.shared_here();
        let registered = shared.at_desk_to_send(|desk| {
            let (index, outdated) = desk.functions.register(function, knobs, namespace)?;
            for (staged, why) in outdated {
                desk.refuse(&staged.plan, format!("new_value: {why}, as registered now"));
            }
            desk.claim(function);
            Ok((index, desk.functions.pending(index)))
        });
        match registered {
            Some(Ok((index, pending))) => Ok(Function::new(shared, index, function, pending)),
            Some(Err(refused)) => Err(refused),
            // It was made in this process: see above.
            None => Err(KnobsRefused {
                refused: Vec::new(),
            }),
        }
    }

    /// A function that takes whatever plan names it, whichever knob and value it is for: for an
    /// application whose knobs the optimizer has from elsewhere, as from a pack. Nothing is registered.
    /// Once knobs are [registered](Context::register) for it, it takes plans for those alone.
    ///
    /// Plans that came before this was called are there, if nobody else was told that they are for
    /// nothing known.
    pub fn listen(&self, function: &str) -> Function {
        let shared = self.shared_here();
        let listening = shared.at_desk_to_send(|desk| {
            let index = desk.functions.listen(function);
            desk.claim(function);
            (index, desk.functions.pending(index))
        });
        // There is a desk: it was made in this process.
        let (index, pending) = listening.unwrap_or_default();
        Function::new(shared, index, function, pending)
    }

    /// The state in which a function can be put in; in a forked child one of its own, so that values live
    /// on for this function alone.
    fn shared_here(&self) -> Arc<Shared> {
        match self.shared.is_forked() {
            false => Arc::clone(&self.shared),
            true => {
                let Names {
                    namespace, node, ..
                } = &self.shared.names;
                Shared::new(
                    Speaker::new(namespace, node),
                    Limits::default(),
                    Fate::Unheard,
                )
            }
        }
    }

    /// A function that is registered.
    pub fn function(&self, name: &str) -> Option<Function> {
        let desk = self.shared.desk()?;
        let index = desk.functions.index_of(name)?;
        let pending = desk.functions.pending(index);
        let shared = Arc::clone(&self.shared);
        Some(Function::new(shared, index, name, pending))
    }

    /// What to change in this function at this boundary, as [`Function::at`], by name. Costs as
    /// little while nothing waits for any function.
    pub fn at(&self, function: &str, boundary: Boundary) -> Actions {
        if self.shared.pending.is_empty(boundary) {
            return Actions::none();
        }
        let function = self.function(function);
        function.map_or_else(Actions::none, |function| function.at(boundary))
    }

    /// Takes a plan in as if the optimizer had sent it to this application alone. One for a function that
    /// is not registered yet is kept for it.
    pub fn stage(&self, plan: ActionPlan) {
        self.shared.receive(plan, Audience::Ourselves);
    }

    /// The same with a plan as it is on the wire: one JSON object. What is no plan is rejected where its id
    /// can be read, and counted, as if it had come from the optimizer.
    pub fn stage_encoded(&self, plan: &[u8]) {
        let record = Record::new(b"{}".to_vec(), plan.to_vec());
        self.shared.take_in(&record, Audience::Ourselves);
    }

    /// Tells the window that the application is in, counted as the findings count it. The answers
    /// carry it. A negative one: not known, as it is at first.
    pub fn set_window(&self, window: i64) {
        self.shared.names.window.set(window);
    }

    /// The window that it was told.
    pub fn window(&self) -> Option<i64> {
        self.shared.names.window.get()
    }

    pub(crate) fn window_index(&self) -> WindowIndex {
        self.shared.names.window.clone()
    }

    /// The prefix of the knobs' ids.
    pub fn namespace(&self) -> &str {
        &self.shared.names.namespace
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        &self.shared.names.node
    }

    /// The name of this very context: no other start of a process, and no other context, has it.
    pub fn instance(&self) -> &str {
        &self.shared.names.instance
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        match self.shared.desk() {
            Some(desk) => desk.status(),
            None => Status {
                link: Link::Forked,
                ..Status::default()
            },
        }
    }

    /// Another number than before where the [status](Context::status) has something that people should be
    /// told: the way to the optimizer opened or failed, a plan was rejected as it arrived or could not be
    /// read. Costs as little as a boundary with nothing to do.
    #[inline]
    pub fn news(&self) -> u64 {
        self.shared.news.load(Ordering::Relaxed)
    }

    /// Waits until the status is as wanted; false if it was not within this time. For programs that
    /// show how things are, and for tests.
    pub fn wait_for(&self, patience: Duration, is_so: impl Fn(&Status) -> bool) -> bool {
        self.shared.wait_for(patience, is_so)
    }

    /// Rejects what was not applied, sends what waits, tells the optimizer that this instance leaves,
    /// and ends the background thread. Waits for that, up to the deadline of
    /// [`Builder::stop_deadline`] and a little more. After it, all is quiet; a new context can be
    /// started.
    pub fn stop(&self) {
        self.stop_in(None);
    }

    /// The same, with another deadline: for the end of a program that must not be held up.
    pub fn stop_within(&self, deadline: Duration) {
        self.stop_in(Some(deadline));
    }

    fn stop_in(&self, deadline: Option<Duration>) {
        if self.shared.is_forked() {
            return;
        }
        let running = self.running.lock();
        let running = running.unwrap_or_else(PoisonError::into_inner).take();
        self.shared.at_desk(Desk::stop);
        if let Some(running) = running {
            running.stop(deadline);
        }
        self.shared.at_desk(Desk::give_up_sending);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        match self.shared.is_forked() {
            false => self.stop(),
            // The thread and its sockets are the parent's: leave them alone.
            true => {
                let running = self.running.get_mut();
                let running = running.unwrap_or_else(PoisonError::into_inner);
                std::mem::forget(running.take());
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("namespace", &self.namespace())
            .field("node", &self.node())
            .field("instance", &self.instance())
            .field("status", &self.status())
            .finish()
    }
}
