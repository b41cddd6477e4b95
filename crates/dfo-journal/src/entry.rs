//! What stands in the lines after the head: events with their decisions, and marks of the service.

use std::borrow::Cow;

use dfo_model::{Ack, ActionPlan, Decoded, FindingView, Registration};
use dfo_planner::{Command, Decision, Decisions, Event, Silence};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::finding::{self, FindingIn, Text};
use crate::json::Json;
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
    let start = buffer.len();
    if let Err(error) = try_write_event(buffer, seq, entry) {
        buffer.truncate(start);
        let why = error.to_string();
        write_mark(buffer, seq, entry.at_ms, &Mark::Unwritable { why });
    }
}

fn try_write_event(buffer: &mut Vec<u8>, seq: u64, entry: &NewEntry<'_>) -> serde_json::Result<()> {
    let start = buffer.len();
    let mut json = Json(buffer);
    json.raw("{\"seq\":").value(&seq);
    json.raw(",\"at_ms\":").value(&entry.at_ms);
    if let Some((end, n)) = entry.from {
        json.raw(",\"from\":").text(end);
        json.raw(",\"n\":").value(&n);
    }
    json.raw(",\"event\":");
    match entry.event {
        Event::Finding(finding) => {
            json.raw("{\"finding\":");
            finding::write(&mut json, finding);
            json.raw("}");
        }
        event => serde_json::to_writer(&mut *json.0, &EventOut::of(event))?,
    }
    json.raw(",\"decisions\":");
    write_list(&mut json, entry.decisions)?;
    line::end(buffer, start);
    Ok(())
}

/// The decisions as `serde` has them; holds, which are by far the most, in a faster way.
fn write_list(json: &mut Json<'_>, decisions: &Decisions) -> serde_json::Result<()> {
    let mut before = "[";
    for decision in decisions {
        json.raw(before);
        before = ",";
        match decision {
            Decision::Hold(hold) => {
                json.raw("{\"hold\":{\"gate\":");
                serde_json::to_writer(&mut *json.0, &hold.gate)?;
                json.raw(",\"knob\":").optional_text(hold.knob.as_deref());
                json.raw(",\"tag\":").optional_text(hold.tag.as_deref());
                json.raw(",\"node\":").optional_text(hold.node.as_deref());
                json.raw(",\"window_index\":").int(hold.window_index);
                json.raw("}}");
            }
            other => serde_json::to_writer(&mut *json.0, other)?,
        }
    }
    if decisions.is_empty() {
        json.raw(before);
    }
    json.raw("]");
    Ok(())
}

/// Appends a mark as a line.
pub(crate) fn write_mark(buffer: &mut Vec<u8>, seq: u64, at_ms: u64, mark: &Mark) {
    // Numbers and texts: this cannot fail.
    let _ = line::write(buffer, &MarkLine { seq, at_ms, mark });
}

/// The decisions as they stand in a line, into `buffer`.
pub(crate) fn write_decisions(buffer: &mut Vec<u8>, decisions: &Decisions) -> Result<(), String> {
    buffer.clear();
    write_list(&mut Json(buffer), decisions).map_err(|e| e.to_string())
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
struct MarkLine<'a> {
    seq: u64,
    at_ms: u64,
    mark: &'a Mark,
}

/// An event other than a finding, on its way into a line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum EventOut<'a> {
    Registration(&'a Registration),
    Bootstrap(&'a Registration),
    Ack(&'a Ack),
    GlobalPlan(&'a ActionPlan),
    Silence {
        knob: &'a str,
        node: Option<&'a str>,
    },
    Command(&'a Command),
}

impl<'a> EventOut<'a> {
    /// `None` for a finding, which has its own way.
    fn of(event: Event<'a>) -> Option<Self> {
        Some(match event {
            Event::Finding(_) => return None,
            Event::Registration(registration) => EventOut::Registration(registration),
            Event::Bootstrap(registration) => EventOut::Bootstrap(registration),
            Event::Ack(ack) => EventOut::Ack(ack),
            Event::GlobalPlan(plan) => EventOut::GlobalPlan(plan),
            Event::Silence(Silence { knob, node }) => EventOut::Silence { knob, node },
            Event::Command(command) => EventOut::Command(command),
        })
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
