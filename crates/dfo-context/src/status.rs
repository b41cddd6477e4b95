//! How a context fares: what people and tests look at, when nothing seems to happen.

/// How a context fares, at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Whether it has a way to the optimizer.
    pub link: Link,
    /// What became of the plans.
    pub plans: PlanCounts,
    /// What went to the optimizer.
    pub sent: SentCounts,
    /// Plans that wait for their boundary now.
    pub plans_waiting: usize,
    /// Plans for functions that were not registered so far. They are kept only where nobody can be told
    /// that they are for nothing known: see the crate's front page.
    pub plans_unclaimed: usize,
    /// Acknowledgements that wait to be sent now.
    pub acks_waiting: usize,
    /// How often the ends of the transport were opened.
    pub openings: u64,
    /// Connections that ended or were cut while the ends were open, as far as the transport tells.
    pub disconnections: u64,
    /// What went wrong last between here and the optimizer, in one line. It stays after all is well
    /// again.
    pub last_error: Option<String>,
    /// What was wrong with the last record that could not be read.
    pub last_undecodable: Option<String>,
    /// Why the last plan was rejected that was rejected as it arrived.
    pub last_refusal: Option<String>,
}

/// Whether a context has a way to the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Link {
    /// It was made without a transport.
    #[default]
    Disabled,
    /// The transport is being opened, for the first time or again.
    Opening,
    /// The ends of the transport are open. A transport that waits for the other side (as ZeroMQ
    /// does) is open before anyone is there.
    Open,
    /// It was stopped.
    Stopped,
    /// This process is a forked child of the one that started it.
    Forked,
}

/// What became of the plans that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PlanCounts {
    /// Records that arrived and were no end of a stream; each is counted below once more at least.
    pub received: u64,
    /// Put aside for their boundary.
    pub staged: u64,
    /// Acknowledged as applied.
    pub applied: u64,
    /// Acknowledged as rejected, at once or by the application; superseded ones are not in here.
    pub rejected: u64,
    /// Put off by the application, each time counted.
    pub deferred: u64,
    /// Overwritten by a later plan for the same knob, and acknowledged as rejected.
    pub superseded: u64,
    /// Arrived once more: not applied again.
    pub repeated: u64,
    /// For other nodes.
    pub not_for_this_node: u64,
    /// For a function or a knob that is not registered here. Rejected too, unless everyone gets
    /// every plan: then another process may have it, and nothing is said.
    pub unknown_function: u64,
    /// No plan at all, or one with wrong fields. Rejected too where its id can be read.
    pub undecodable: u64,
    /// Passed over by the transport because they are too large.
    pub too_large: u64,
}

/// What went to the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SentCounts {
    /// Registrations, repeated ones too.
    pub registrations: u64,
    /// Acknowledgements.
    pub acks: u64,
    /// Acknowledgements that were given up: too many waited, the context was stopped, or the
    /// transport could not carry them.
    pub acks_dropped: u64,
    /// Acknowledgements that nobody wants: there is no transport, or it has no way back.
    pub acks_unheard: u64,
    /// Records that the transport took and says it could not deliver.
    pub undelivered: u64,
}
