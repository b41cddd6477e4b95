//! What a service tells: values, for a log, a journal or a metric to render.

use std::fmt;

use dfo_planner::Decisions;
use dfo_transport::{Record, TransportError};
use serde::Serialize;

use crate::counts::Counts;
use crate::journal::JournalNews;

/// Someone who is told what happens. It runs in the planner's task: it must not block for long.
pub trait Observer: Send {
    /// Takes notice of it.
    fn observe(&mut self, happening: &Happening<'_>);
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// The ends are open, and the loop begins.
    Started {
        /// The names of all ends, with what they are for.
        ends: &'a [(Channel, String)],
    },
    /// The planner decided on an event. Not told where it had nothing to say.
    Decided {
        /// The window of the event; −1 if it has none.
        window: i64,
        /// The decisions.
        decisions: &'a Decisions,
    },
    /// A record could not be used, or not in full.
    BadRecord {
        /// Where it came in.
        channel: Channel,
        /// The end's name.
        from: &'a str,
        /// What is wrong with it.
        problem: &'a str,
        /// The record.
        record: &'a Record,
    },
    /// An application is here, or says something new.
    Joined {
        /// The process; empty where it does not say.
        instance: &'a str,
        /// Its node; empty where it does not say.
        node: &'a str,
        /// The function that owns the knobs.
        function: &'a str,
        /// How many knobs it has.
        knobs: usize,
    },
    /// An application missed its heartbeats.
    Silent {
        /// The process.
        instance: &'a str,
        /// Its node.
        node: &'a str,
    },
    /// An application said that it leaves.
    Left {
        /// The process.
        instance: &'a str,
        /// Its node.
        node: &'a str,
    },
    /// A plan will not be sent.
    Unsent {
        /// The plan.
        plan_id: &'a str,
        /// The sink's name.
        to: &'a str,
        /// Why.
        why: Unsent,
    },
    /// A sender of findings ended its stream.
    Ended {
        /// The end's name.
        from: &'a str,
        /// How many senders have ended.
        ended: usize,
        /// How many there are.
        of: usize,
    },
    /// The stream of a source has ended: nothing more comes from it.
    SourceOver {
        /// What it was for.
        channel: Channel,
        /// The end's name.
        from: &'a str,
    },
    /// Something failed, and is tried again.
    Retrying {
        /// The end's name.
        end: &'a str,
        /// What failed.
        error: &'a TransportError,
        /// How often it has failed in turn.
        times: u32,
    },
    /// The journal has something to tell.
    Journal(&'a JournalNews),
    /// A file of dead letters cannot be written.
    DeadLetterFailed {
        /// Why.
        error: &'a std::io::Error,
    },
    /// The service stops.
    Stopping {
        /// Why.
        reason: &'a Reason,
    },
    /// The service has stopped.
    Stopped {
        /// All it counted.
        counts: &'a Counts,
    },
}

/// What an end is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Findings come in.
    Findings,
    /// Registrations and acknowledgements come in.
    Control,
    /// Plans go out.
    Plans,
}

impl Channel {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Findings => "findings",
            Channel::Control => "control",
            Channel::Plans => "plans",
        }
    }
}

/// Why a plan will not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// A newer plan for the same knob and nodes took its place.
    Superseded,
    /// Too many plans wait.
    CrowdedOut,
    /// It expired first.
    Withdrawn,
    /// Its line in the journal could not be written.
    Unrecorded,
    /// It is larger than the transport carries.
    TooLarge,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsent::Superseded => "a newer plan for the same knob and nodes took its place",
            Unsent::CrowdedOut => "too many plans wait for someone to take them",
            Unsent::Withdrawn => "it expired before anyone took it",
            Unsent::Unrecorded => "its line in the journal could not be written",
            Unsent::TooLarge => "it is larger than the transport carries",
        })
    }
}

/// Why a service stopped.
#[derive(Debug)]
pub enum Reason {
    /// It was asked to.
    Asked,
    /// All senders of findings ended their streams.
    EndOfFindings,
    /// No findings for as long as was set.
    Idle,
    /// An end failed for good.
    Failed {
        /// The end's name.
        end: String,
        /// What failed.
        error: TransportError,
    },
    /// A part of the service ended that should not have: a mistake in this program, or in a
    /// transport.
    Broken {
        /// The part, and what is known of it.
        what: String,
    },
}

impl Reason {
    /// Whether the service ended as it should.
    pub fn is_orderly(&self) -> bool {
        match self {
            Reason::Asked | Reason::EndOfFindings | Reason::Idle => true,
            Reason::Failed { .. } | Reason::Broken { .. } => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Asked => f.write_str("asked to stop"),
            Reason::EndOfFindings => f.write_str("the findings have ended"),
            Reason::Idle => f.write_str("no findings for as long as the idle timeout"),
            Reason::Failed { end, error } => write!(f, "{end} failed: {error}"),
            Reason::Broken { what } => write!(f, "{what}"),
        }
    }
}
