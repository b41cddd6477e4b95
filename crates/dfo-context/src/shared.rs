//! What the application's threads and the background thread share.
//!
//! One mutex, held for some moves of values and never while waiting for anything. In a forked child
//! it may be held for ever by a thread that is not there, so the only way to it, [`Shared::desk`],
//! first looks whether this is still the process that made it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dfo_model::ActionPlan;
use dfo_transport::Record;
use tokio::sync::Notify;

use crate::action::{Action, Actions};
use crate::boundary::Boundary;
use crate::desk::{Audience, Desk, Fate, Limits, Pending};
use crate::messages::{Incoming, read};
use crate::speaker::{Speaker, WindowIndex};
use crate::status::Status;

#[derive(Debug)]
pub(crate) struct Shared {
    process: u32,
    desk: Mutex<Desk>,
    /// Something at the desk is another than before.
    changed: Condvar,
    /// Wakes the background thread: there is something to send.
    wake: Notify,
    pub(crate) names: Names,
    /// How often there was something that people should be told.
    pub(crate) news: AtomicU64,
    /// How many plans wait, for all functions together.
    pub(crate) pending: Arc<Pending>,
}

/// What does not change, and can be looked at without the desk.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) namespace: String,
    pub(crate) node: String,
    pub(crate) instance: String,
    pub(crate) window: WindowIndex,
}

impl Shared {
    pub(crate) fn new(speaker: Speaker, limits: Limits, fate: Fate) -> Arc<Self> {
        let names = Names {
            namespace: speaker.namespace.clone(),
            node: speaker.node.clone(),
            instance: speaker.instance.clone(),
            window: speaker.window.clone(),
        };
        let desk = Desk::new(speaker, limits, fate);
        Arc::new(Shared {
            process: std::process::id(),
            pending: desk.functions.all_pending(),
            desk: Mutex::new(desk),
            changed: Condvar::new(),
            wake: Notify::new(),
            news: AtomicU64::new(0),
            names,
        })
    }

    /// The desk; none in a forked child, where all is quiet.
    pub(crate) fn desk(&self) -> Option<MutexGuard<'_, Desk>> {
        // Nothing panics while it holds the desk; were it so, the desk would be whole all the same.
        let lock = || self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_forked()).then(lock)
    }

    pub(crate) fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Does something at the desk; whoever waits for a change of the status sees it.
    pub(crate) fn at_desk<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        let mut desk = self.desk()?;
        let done = act(&mut desk);
        desk.changes += 1;
        self.news.store(desk.news, Ordering::Relaxed);
        drop(desk);
        self.changed.notify_all();
        Some(done)
    }

    /// The same, and the background thread is woken to send what came of it.
    pub(crate) fn at_desk_to_send<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        let done = self.at_desk(act)?;
        self.wake.notify_one();
        Some(done)
    }

    /// Waits until the status is as wanted; false if it was not within this time. The desk is free
    /// while `is_so` looks, which may use the context itself.
    pub(crate) fn wait_for(&self, patience: Duration, is_so: impl Fn(&Status) -> bool) -> bool {
        let begun = Instant::now();
        loop {
            let Some((seen, status)) = self.desk().map(|d| (d.changes, d.status())) else {
                return false;
            };
            if is_so(&status) {
                return true;
            }
            let left = patience.saturating_sub(begun.elapsed());
            let Some(desk) = self.desk().filter(|_| !left.is_zero()) else {
                return false;
            };
            let same = |desk: &mut Desk| desk.changes == seen;
            // Whether it changed or time is up, a last look follows.
            drop(self.changed.wait_timeout_while(desk, left, same));
        }
    }

    /// Waits until there may be something to send.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes in a record from the channel of plans.
    pub(crate) fn take_in(&self, record: &Record, audience: Audience) {
        match read(record) {
            Incoming::Plan(plan) => self.receive(plan, audience),
            Incoming::Unreadable(record) => {
                self.at_desk_to_send(|desk| desk.receive_unreadable(record, audience));
            }
            // Whoever follows sends on the same channel.
            Incoming::End => {}
        }
    }

    pub(crate) fn receive(&self, plan: ActionPlan, audience: Audience) {
        self.at_desk_to_send(|desk| desk.receive(plan, audience));
    }
}

/// What a function can take at a boundary.
#[cold]
#[inline(never)]
pub(crate) fn take(
    shared: &Arc<Shared>,
    function: usize,
    at: Boundary,
    is_wanted: impl Fn(&str) -> bool,
) -> Actions {
    let taken = shared.at_desk(|desk| desk.take(function, at, is_wanted));
    let taken = taken.into_iter().flatten();
    let action = |taken| Action::new(Arc::clone(shared), taken);
    let actions: Vec<_> = taken.map(action).collect();
    actions.into()
}
