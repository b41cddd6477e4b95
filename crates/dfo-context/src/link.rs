//! The way to the optimizer: opened, kept, opened again, and closed in order.
//!
//! Runs on the background thread ([`thread`]). Nothing that a transport does ends it.

mod session;
pub(crate) mod thread;
mod waits;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use dfo_transport::{ApplicationEnds, ErrorKind, Options, Sink, Transport, TransportError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use self::session::{count_sent, next, note, receive, send};
use self::waits::Waits;
use crate::desk::{Audience, Fate, Outgoing};
use crate::messages::stop_record;
use crate::shared::Shared;
use crate::status::Link as State;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) heartbeat: Duration,
    pub(crate) first_wait: Duration,
    pub(crate) longest_wait: Duration,
    pub(crate) start_patience: Duration,
    pub(crate) stop_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_secs(10),
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
            start_patience: Duration::from_secs(1),
            stop_deadline: Duration::from_secs(2),
        }
    }
}

/// Whether the background thread is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    NotYet,
    Within(Duration),
}

/// Tells `start` how the first opening went.
pub(crate) type FirstOpening = SyncSender<Result<(), TransportError>>;

/// The way to the optimizer.
pub(crate) struct Link {
    shared: Arc<Shared>,
    transport: Box<dyn Transport>,
    options: Options,
    timing: Timing,
    waits: Waits,
    ends: Option<ApplicationEnds>,
    /// Being sent: it is sent again where that was cut short.
    sending: Option<Outgoing>,
    first: Option<FirstOpening>,
    /// Something went wrong before: wait before the transport is opened.
    waits_first: bool,
}

impl Link {
    pub(crate) fn new(
        shared: Arc<Shared>,
        transport: Box<dyn Transport>,
        options: Options,
        timing: Timing,
        first: FirstOpening,
    ) -> Self {
        Link {
            shared,
            transport,
            options,
            waits: Waits::new(timing),
            timing,
            ends: None,
            sending: None,
            first: Some(first),
            waits_first: false,
        }
    }

    /// After a panic in the transport: its ends are let go, and opened anew after a wait.
    fn recover(&mut self) {
        let ends = AssertUnwindSafe(self.ends.take());
        let _ = catch_unwind(move || drop(ends));
        self.tell_first(Ok(()));
        self.waits_first = true;
        self.shared.at_desk(|desk| {
            desk.set_link(State::Opening);
            desk.fail("the transport panicked".to_owned());
        });
    }

    /// Lives until it is told to stop.
    pub(crate) async fn live(&mut self, stop: &mut watch::Receiver<Stop>) {
        let deadline = tokio::select! {
            biased;
            stopped = stop.wait_for(|stop| *stop != Stop::NotYet) => match stopped.as_deref() {
                Ok(Stop::Within(deadline)) => *deadline,
                // An error means that nobody can tell any more.
                Ok(Stop::NotYet) | Err(_) => self.timing.stop_deadline,
            },
            never = self.run() => match never {},
        };
        self.leave(deadline).await;
        if let Some(Outgoing::Ack(_)) = self.sending.take() {
            self.shared.at_desk(|desk| desk.sent.acks_dropped += 1);
        }
    }

    /// Opens the ends, again and again.
    async fn run(&mut self) -> Infallible {
        if std::mem::take(&mut self.waits_first) {
            self.waits.wait().await;
        }
        loop {
            let why = match self.transport.application(&self.options).await {
                Ok(ends) => {
                    self.tell_first(Ok(()));
                    let why = self.session(ends).await;
                    self.close_ends().await;
                    why
                }
                Err(error) => {
                    let why = error.to_string();
                    let is_fatal = error.kind() == ErrorKind::InvalidOption;
                    self.tell_first(if is_fatal { Err(error) } else { Ok(()) });
                    why
                }
            };
            self.shared.at_desk(|desk| {
                desk.set_link(State::Opening);
                desk.fail(why);
            });
            self.waits.wait().await;
        }
    }

    fn tell_first(&mut self, result: Result<(), TransportError>) {
        if let Some(first) = self.first.take() {
            // `start` may have stopped waiting: then options that make no sense are an error like
            // any other, to be seen in the status.
            let _ = first.try_send(result);
        }
    }

    /// As long as the ends last; gives why they did not.
    async fn session(&mut self, ends: ApplicationEnds) -> String {
        let fan_out = ends.plans.capabilities().fan_out;
        let audience = if fan_out {
            Audience::Everyone
        } else {
            Audience::OnlyUs
        };
        let fate = if ends.control.is_some() {
            Fate::Waits
        } else {
            Fate::Unheard
        };
        self.shared.at_desk(|desk| {
            desk.set_link(State::Open);
            desk.openings += 1;
            desk.set_heard(fate);
            desk.functions.all_due();
        });
        let ends = self.ends.insert(ends);
        let receiving = receive(&self.shared, &mut *ends.plans, audience, self.timing);
        let sending = async {
            match &mut ends.control {
                Some(control) => {
                    send(&self.shared, &mut **control, &mut self.sending, self.timing).await
                }
                None => std::future::pending().await,
            }
        };
        let began = Instant::now();
        let why = tokio::select! {
            why = receiving => why,
            why = sending => why,
        };
        if began.elapsed() > self.timing.longest_wait {
            self.waits.reset();
        }
        why
    }

    /// The ends do not work any more: what they hold is let go.
    async fn close_ends(&mut self) {
        let Some(ends) = self.ends.take() else {
            return;
        };
        let at_once = Duration::from_millis(500);
        let close = async {
            let _ = ends.plans.close(Duration::ZERO).await;
            if let Some(control) = ends.control {
                self.close_control(control, Duration::ZERO).await;
            }
        };
        let _ = timeout(at_once, close).await;
    }

    async fn close_control(&self, control: Box<dyn Sink>, deadline: Duration) {
        match control.close(deadline).await {
            Ok(closed) => {
                self.shared
                    .at_desk(|desk| desk.sent.undelivered += closed.dropped);
            }
            Err(error) => self.note(&error),
        }
    }

    /// Sends what waits, says that this instance leaves, and closes, all before the deadline.
    async fn leave(&mut self, deadline: Duration) {
        let Some(mut ends) = self.ends.take() else {
            return;
        };
        let end = Instant::now() + deadline;
        let left = || end.saturating_duration_since(Instant::now());
        if let Some(mut control) = ends.control.take() {
            let said = timeout_at(end, self.say_goodbye(&mut *control)).await;
            if let Ok(Err(error)) = said {
                self.note(&error);
            }
            let flushed = timeout_at(end, control.flush(left())).await;
            if let Ok(Err(error)) = flushed {
                self.note(&error);
            }
            // It has its own deadline, and gets a moment to keep it.
            let moment = left() + Duration::from_millis(500);
            let _ = timeout(moment, self.close_control(control, left())).await;
        }
        let moment = left() + Duration::from_millis(500);
        let _ = timeout(moment, ends.plans.close(left())).await;
    }

    async fn say_goodbye(&mut self, control: &mut dyn Sink) -> Result<(), TransportError> {
        while let Some(outgoing) = self.sending.take().or_else(|| next(&self.shared)) {
            let record = self.sending.insert(outgoing).record();
            control.send(record).await?;
            count_sent(&self.shared, self.sending.take().as_ref());
        }
        let speaker = self.shared.desk().map(|desk| desk.speaker.clone());
        match speaker {
            Some(speaker) => control.send(stop_record(&speaker)).await,
            None => Ok(()),
        }
    }

    fn note(&self, error: &TransportError) {
        note(&self.shared, error);
    }
}
