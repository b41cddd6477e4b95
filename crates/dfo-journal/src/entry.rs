//! What stands in the lines after the head: events with their decisions, and marks of the service.

use std::borrow::Cow;

use dfo_model::{Ack, ActionPlan, Decoded, FindingView, Registration};
use dfo_planner::{Command, Decisions, Event, Silence};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::finding::{FindingIn, FindingOut, Text};
use crate::line;

/// An event on its way into the journal, with what the planner decided on it.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// When, in milliseconds since 1970. For people: the planner never sees it.
    pub at_ms: u64,
    /// The end whose record it was, if it was a record, and how many records of that end, this one
    /// included, have been taken.
    pub from: Option<(&'a str, u64)>,
    /// What happened.
    pub event: Event<'a>,
    /// What came of it.
    pub decisions: &'a Decisions,
}

/// Something that the service did or met, and that the planner has no part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mark {
    /// An application is gone.
    Gone {
        /// Its process.
        instance: String,
        /// Its node.
        node: String,
        /// Whether it said so itself.
        left: bool,
    },
    /// The service ended in order.
    Stopped {
        /// Why, in one line for people.
        reason: String,
    },
    /// A plan will not be sent.
    Unsent {
        /// The plan.
        plan_id: String,
        /// Why, in one line for people.
        why: String,
    },
    /// An event that has no form in the journal stood here; its number counts.
    Unwritable {
        /// Why.
        why: String,
    },
}

/// A line of a journal, read.
#[derive(Debug)]
pub struct Entry<'l> {
    /// Its number: without a gap over all segments.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The end whose record it was, if it was a record, and how many records of that end had been taken.
    pub from: Option<(Cow<'l, str>, u64)>,
    /// What it holds.
    pub what: Recorded<'l>,
}

/// What a line holds.
#[derive(Debug)]
pub enum Recorded<'l> {
    /// An event, and the decisions that were made on it.
    Event {
        /// What happened.
        event: RecordedEvent<'l>,
        /// The decisions as they stand in the line: a JSON list.
        decisions: &'l str,
    },
    /// A mark of the service.
    Mark(Mark),
}

/// An event, read back: [`Event`] with what it borrows.
#[derive(Debug)]
pub enum RecordedEvent<'l> {
    /// An application told which knobs it has.
    Registration(Box<Registration>),
    /// A pack or a file told which knobs there will be.
    Bootstrap(Box<Registration>),
    /// The diagnoser found something.
    Finding(Box<FindingView<'l>>),
    /// An application told what became of a plan.
    Ack(Box<Ack>),
    /// An optimizer above wanted a change.
    GlobalPlan(Box<ActionPlan>),
    /// The last application that had a knob was gone.
    Silence {
        /// The knob.
        knob: Cow<'l, str>,
        /// The node; `None` is everywhere.
        node: Option<Cow<'l, str>>,
    },
    /// An operator asked for something.
    Command(Command),
}

impl RecordedEvent<'_> {
    /// The event, for a planner.
    pub fn event(&self) -> Event<'_> {
        match self {
            RecordedEvent::Registration(registration) => Event::Registration(registration),
            RecordedEvent::Bootstrap(registration) => Event::Bootstrap(registration),
            RecordedEvent::Finding(finding) => Event::Finding(finding),
            RecordedEvent::Ack(ack) => Event::Ack(ack),
            RecordedEvent::GlobalPlan(plan) => Event::GlobalPlan(plan),
            RecordedEvent::Silence { knob, node } => Event::Silence(Silence {
                knob,
                node: node.as_deref(),
            }),
            RecordedEvent::Command(command) => Event::Command(command),
        }
    }
}

/// Appends an event as a line. What has no form there becomes [`Mark::Unwritable`].
pub(crate) fn write_event(buffer: &mut Vec<u8>, seq: u64, entry: &NewEntry<'_>) {
    let line = EventLine {
        seq,
        at_ms: entry.at_ms,
        from: entry.from.map(|(end, _)| end),
        n: entry.from.map(|(_, n)| n),
        event: EventOut::of(entry.event),
        decisions: DecisionsOut(entry.decisions),
    };
    if let Err(error) = line::write(buffer, &line) {
        let why = error.to_string();
        write_mark(buffer, seq, entry.at_ms, &Mark::Unwritable { why });
    }
}

/// Appends a mark as a line.
pub(crate) fn write_mark(buffer: &mut Vec<u8>, seq: u64, at_ms: u64, mark: &Mark) {
    // Numbers and texts: this cannot fail.
    let _ = line::write(buffer, &MarkLine { seq, at_ms, mark });
}

/// The decisions as they stand in a line, into `buffer`.
pub(crate) fn write_decisions(buffer: &mut Vec<u8>, decisions: &Decisions) -> Result<(), String> {
    buffer.clear();
    serde_json::to_writer(buffer, &DecisionsOut(decisions)).map_err(|e| e.to_string())
}

/// Reads a line whose checksum is right.
pub(crate) fn read(line: &[u8]) -> Result<Entry<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let line: LineIn<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let what = match (line.event, line.decisions, line.mark) {
        (Some(event), Some(decisions), None) => Recorded::Event {
            event: event.decoded()?,
            decisions: decisions.get(),
        },
        (None, None, Some(mark)) => Recorded::Mark(mark),
        _ => return Err("neither an event with its decisions nor a mark".to_owned()),
    };
    Ok(Entry {
        seq: line.seq,
        at_ms: line.at_ms,
        from: line.from.map(|end| end.0).zip(line.n),
        what,
    })
}

#[derive(Serialize)]
struct EventLine<'a> {
    seq: u64,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    event: EventOut<'a>,
    decisions: DecisionsOut<'a>,
}

#[derive(Serialize)]
struct MarkLine<'a> {
    seq: u64,
    at_ms: u64,
    mark: &'a Mark,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum EventOut<'a> {
    Registration(&'a Registration),
    Bootstrap(&'a Registration),
    Finding(FindingOut<'a>),
    Ack(&'a Ack),
    GlobalPlan(&'a ActionPlan),
    Silence {
        knob: &'a str,
        node: Option<&'a str>,
    },
    Command(&'a Command),
}

impl<'a> EventOut<'a> {
    fn of(event: Event<'a>) -> Self {
        match event {
            Event::Registration(registration) => EventOut::Registration(registration),
            Event::Bootstrap(registration) => EventOut::Bootstrap(registration),
            Event::Finding(finding) => EventOut::Finding(FindingOut(finding)),
            Event::Ack(ack) => EventOut::Ack(ack),
            Event::GlobalPlan(plan) => EventOut::GlobalPlan(plan),
            Event::Silence(Silence { knob, node }) => EventOut::Silence { knob, node },
            Event::Command(command) => EventOut::Command(command),
        }
    }
}

struct DecisionsOut<'a>(&'a Decisions);

impl Serialize for DecisionsOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0)
    }
}

#[derive(Deserialize)]
struct LineIn<'l> {
    seq: u64,
    at_ms: u64,
    #[serde(borrow, default)]
    from: Option<Text<'l>>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(borrow, default)]
    event: Option<EventIn<'l>>,
    #[serde(borrow, default)]
    decisions: Option<&'l RawValue>,
    #[serde(default)]
    mark: Option<Mark>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the usual one is the large one, and none is kept"
)]
enum EventIn<'l> {
    #[serde(borrow)]
    Registration(&'l RawValue),
    #[serde(borrow)]
    Bootstrap(&'l RawValue),
    #[serde(borrow)]
    Finding(FindingIn<'l>),
    #[serde(borrow)]
    Ack(&'l RawValue),
    #[serde(borrow)]
    GlobalPlan(&'l RawValue),
    Silence {
        #[serde(borrow)]
        knob: Cow<'l, str>,
        #[serde(borrow)]
        node: Option<Text<'l>>,
    },
    Command(Command),
}

impl<'l> EventIn<'l> {
    fn decoded(self) -> Result<RecordedEvent<'l>, String> {
        Ok(match self {
            EventIn::Registration(raw) => {
                RecordedEvent::Registration(decoded(raw, Registration::decode)?)
            }
            EventIn::Bootstrap(raw) => {
                RecordedEvent::Bootstrap(decoded(raw, Registration::decode)?)
            }
            EventIn::Finding(finding) => RecordedEvent::Finding(Box::new(finding.view())),
            EventIn::Ack(raw) => RecordedEvent::Ack(decoded(raw, Ack::decode)?),
            EventIn::GlobalPlan(raw) => {
                RecordedEvent::GlobalPlan(decoded(raw, ActionPlan::decode)?)
            }
            EventIn::Silence { knob, node } => RecordedEvent::Silence {
                knob,
                node: node.map(|node| node.0),
            },
            EventIn::Command(command) => RecordedEvent::Command(command),
        })
    }
}

fn decoded<T>(raw: &RawValue, decode: fn(&[u8]) -> Decoded<T>) -> Result<Box<T>, String> {
    let message = decode(raw.get().as_bytes()).into_result();
    message.map(Box::new).map_err(|e| e.to_string())
}
