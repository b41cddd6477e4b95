//! Both directions while the ends are open: plans come in, answers and registrations go out.

use std::time::Duration;

use dfo_transport::{ErrorKind, Losses, Record, Sink, Source, TransportError};
use tokio::time::{Instant, timeout, timeout_at};

use super::Timing;
use super::waits::Waits;
use crate::desk::{Audience, Desk, Outgoing};
use crate::messages::{ack_record, registration_record};
use crate::shared::Shared;

/// How many records are taken at once.
const BATCH: usize = 64;
/// How often the same ends are tried after an error that may pass, before they are opened anew.
const TRIES: u32 = 3;

/// Receives plans until the source fails; gives why.
pub(super) async fn receive(
    shared: &Shared,
    plans: &mut dyn Source,
    audience: Audience,
    timing: Timing,
) -> String {
    let mut waits = Waits::new(timing);
    let mut received = 0;
    let mut known = Losses::default();
    loop {
        // Waiting is cut now and then, to see what the transport could not hand over.
        let batch = timeout(timing.heartbeat, plans.receive(BATCH)).await;
        note_losses(shared, &mut known, plans.losses());
        match batch {
            Err(_nothing_came) => {}
            Ok(Ok(batch)) if batch.is_empty() => return "the plans have ended".to_owned(),
            Ok(Ok(batch)) => {
                waits.reset();
                received += batch.len() as u64;
                for record in &batch {
                    shared.take_in(record, audience);
                }
                if let Err(error) = plans.commit(received).await {
                    note(shared, &error);
                }
                // The other half of this thread has its turn, however fast records come.
                tokio::task::yield_now().await;
            }
            Ok(Err(error)) if error.is_retryable() && waits.count < TRIES => {
                note(shared, &error);
                waits.wait().await;
            }
            Ok(Err(error)) => return error.to_string(),
        }
    }
}

/// Sends what waits, and at each heartbeat the registrations, until the sink fails; gives why.
pub(super) async fn send(
    shared: &Shared,
    control: &mut dyn Sink,
    sending: &mut Option<Outgoing>,
    timing: Timing,
) -> String {
    let heartbeat = timing.heartbeat.max(Duration::from_millis(1));
    let mut waits = Waits::new(timing);
    let mut next_beat = Instant::now() + heartbeat;
    loop {
        if Instant::now() >= next_beat {
            shared.at_desk(|desk| desk.functions.all_due());
            next_beat = Instant::now() + heartbeat;
        }
        let Some(outgoing) = sending.take().or_else(|| next(shared)) else {
            let _ = timeout_at(next_beat, shared.woken()).await;
            continue;
        };
        let record = sending.insert(outgoing).record();
        match control.send(record).await {
            Ok(()) => {
                waits.reset();
                count_sent(shared, sending.take().as_ref());
            }
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                note(shared, &error);
                if let Some(Outgoing::Ack(_)) = sending.take() {
                    shared.at_desk(|desk| desk.sent.acks_dropped += 1);
                }
            }
            Err(error) if error.is_retryable() && waits.count < TRIES => {
                note(shared, &error);
                waits.wait().await;
            }
            Err(error) => return error.to_string(),
        }
    }
}

pub(super) fn next(shared: &Shared) -> Option<Outgoing> {
    shared.at_desk(Desk::next_outgoing)?
}

pub(super) fn count_sent(shared: &Shared, sent: Option<&Outgoing>) {
    shared.at_desk(|desk| match sent {
        Some(Outgoing::Ack(_)) => desk.sent.acks += 1,
        Some(Outgoing::Registration(..)) => desk.sent.registrations += 1,
        None => {}
    });
}

pub(super) fn note(shared: &Shared, error: &TransportError) {
    shared.at_desk(|desk| desk.fail(error.to_string()));
}

fn note_losses(shared: &Shared, known: &mut Losses, now: Losses) {
    if now != *known {
        let too_large = now.too_large.saturating_sub(known.too_large);
        let cut = now.disconnections.saturating_sub(known.disconnections);
        shared.at_desk(|desk| desk.note_losses(too_large, cut));
        *known = now;
    }
}

impl Outgoing {
    pub(super) fn record(&self) -> Record {
        match self {
            Outgoing::Ack(ack) => ack_record(ack),
            Outgoing::Registration(registration) => registration_record(registration),
        }
    }
}
