//! The checks by name, and how they are run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::checks;
use super::failure::{Failure, Failures, Fault, Report, Verdict};
use super::harness::Harness;
use super::stage::Stage;

/// Runs every check.
///
/// # Errors
/// Those that failed, all of them.
pub fn prove(harness: impl Harness + 'static) -> Result<Report, Failures> {
    Suite::new(harness).prove()
}

/// One promise that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Records of one sender arrive in order and byte for byte: any bytes, from nothing to 1 MiB. A
    /// record with an empty payload is a record, also where its metadata is empty, too.
    Order,
    /// A batch has at least one and at most so many records, and a limit of 0 is 1.
    Limit,
    /// Numbered records, from one and from several senders: each arrives exactly once.
    Loss,
    /// Receiving that is given up, at any point, loses nothing.
    ReceiveCancellation,
    /// Sending that is given up, at any point, sends the record once or not at all, and the sink
    /// can still be used.
    SendCancellation,
    /// A receiver under a flood gives other tasks of its thread, and timers, their turn.
    Flood,
    /// A sender without a reader waits or drops, within bounds; nothing that was taken is lost.
    Backpressure,
    /// A source closes in time while it is sent to, and the sender survives it.
    SourceClose,
    /// A sink closes in time with records left, and what it says of them is true.
    SinkClose,
    /// A source is closed, or dropped, and opened again: records sent afterwards arrive.
    SourceReopening,
    /// A sink is closed, or dropped, and opened again: records sent afterwards arrive.
    SinkReopening,
    /// The stream ends with its last sender, after the last record, and stays ended.
    End,
    /// A source waits while there is nothing: that is not the end.
    Idle,
    /// What was committed does not come again and what was not does; elsewhere it does no harm.
    Commit,
    /// Where records are kept, a source that comes late passes over as many as it should, and says so.
    Skip,
    /// Several receivers: each gets every record, or each record goes to one of them.
    Receivers,
}

impl Check {
    /// All of them, in the order in which they are run.
    pub const ALL: [Self; 16] = [
        Self::Order,
        Self::Limit,
        Self::Loss,
        Self::ReceiveCancellation,
        Self::SendCancellation,
        Self::Flood,
        Self::Backpressure,
        Self::SourceClose,
        Self::SinkClose,
        Self::SourceReopening,
        Self::SinkReopening,
        Self::End,
        Self::Idle,
        Self::Commit,
        Self::Skip,
        Self::Receivers,
    ];

    /// Its name: lower case, words joined by `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Limit => "limit",
            Self::Loss => "loss",
            Self::ReceiveCancellation => "receive-cancellation",
            Self::SendCancellation => "send-cancellation",
            Self::Flood => "flood",
            Self::Backpressure => "backpressure",
            Self::SourceClose => "source-close",
            Self::SinkClose => "sink-close",
            Self::SourceReopening => "source-reopening",
            Self::SinkReopening => "sink-reopening",
            Self::End => "end",
            Self::Idle => "idle",
            Self::Commit => "commit",
            Self::Skip => "skip",
            Self::Receivers => "receivers",
        }
    }

    async fn run(self, stage: &Stage) -> Result<Verdict, Fault> {
        match self {
            Self::Order => checks::order::order(stage).await,
            Self::Limit => checks::order::limit(stage).await,
            Self::Loss => checks::loss::loss(stage).await,
            Self::ReceiveCancellation => checks::cancellation::receiving(stage).await,
            Self::SendCancellation => checks::cancellation::sending(stage).await,
            Self::Flood => checks::flood::flood(stage).await,
            Self::Backpressure => checks::backpressure::backpressure(stage).await,
            Self::SourceClose => checks::closing::source(stage).await,
            Self::SinkClose => checks::closing::sink(stage).await,
            Self::SourceReopening => checks::reopening::source(stage).await,
            Self::SinkReopening => checks::reopening::sink(stage).await,
            Self::End => checks::end::end(stage).await,
            Self::Idle => checks::end::idle(stage).await,
            Self::Commit => checks::commit::commit(stage).await,
            Self::Skip => checks::skipping::skip(stage).await,
            Self::Receivers => checks::receivers::receivers(stage).await,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The checks for one transport, to be run one by one or all at once.
pub struct Suite {
    stage: Stage,
}

impl Suite {
    /// The checks for this transport.
    pub fn new(harness: impl Harness + 'static) -> Self {
        let stage = Stage {
            harness: Arc::new(harness),
            patience: Duration::from_secs(30),
        };
        Self { stage }
    }

    /// How long one thing that should happen is waited for; 30 seconds where nothing is said. Only a
    /// check that fails takes so long; a check as a whole may take four times as long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        let stage = Stage {
            patience,
            ..self.stage
        };
        Self { stage }
    }

    /// Runs one check.
    ///
    /// # Errors
    /// What was expected, and what came.
    pub fn check(&self, check: Check) -> Result<Verdict, Failure> {
        let stage = self.stage.clone();
        let patience = stage.patience;
        run_apart(check.name(), patience, async move || {
            check.run(&stage).await
        })
        .map_err(|fault| fault.of(check))
    }

    /// Runs every check.
    ///
    /// # Errors
    /// Those that failed, all of them.
    pub fn prove(&self) -> Result<Report, Failures> {
        Report::of(Check::ALL.map(|check| (check, self.check(check))))
    }
}

/// Runs a check on a thread of its own, so that a transport that keeps the thread can be told of.
pub(super) fn run_apart(
    name: &str,
    patience: Duration,
    check: impl AsyncFnOnce() -> Result<Verdict, Fault> + Send + 'static,
) -> Result<Verdict, Fault> {
    let (told, verdict) = mpsc::channel();
    let longest = patience.saturating_mul(4);
    let checking = move || {
        let run = AssertUnwindSafe(|| on_runtime(check));
        let result = catch_unwind(run).unwrap_or_else(|panic| {
            let text = text_of(&*panic).unwrap_or("something that is no text");
            Err(Fault::new("no panic", format!("a panic: {text}")))
        });
        // No one listens any more when it took too long.
        let _ = told.send(result);
    };
    let started = thread::Builder::new()
        .name(format!("conformance-{name}"))
        .spawn(checking);
    if let Err(error) = started {
        return Err(Fault::new("a thread for the check", error.to_string()));
    }
    verdict.recv_timeout(longest).unwrap_or_else(|_| {
        Err(Fault::new(
            format!("the check to be done within {longest:?}"),
            "that it was not: something keeps the thread of the runtime, or goes on for ever",
        ))
    })
}

/// Runs on a runtime of one thread. What is left behind on it is dropped, not waited for.
pub(super) fn on_runtime<T>(future: impl AsyncFnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new("a runtime", error.to_string()))?;
    let result = runtime.block_on(future());
    runtime.shutdown_background();
    result
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> Option<&str> {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied())
}
