//! For programs: one JSON object a line.
//!
//! Names and fields of the events are the original's (`optimizer.plan`, `optimizer.file.done`); ours
//! stand beside them: more fields, and the events `optimizer.hold` and `optimizer.notice`. What a
//! format version has is not taken away or changed; fields and events may be added.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use dfo_model::{ActionPlan, Value};
use dfo_planner::{Hold, Notice};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::{CompactFormatter, Compound};

use super::{Done, Level, Remark, Report, SERVICE, Target};
use crate::exit::Failure;

const FORMAT_VERSION: u32 = 1;
/// 9999-12-31T23:59:59Z: no format holds more.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes JSON lines.
pub(crate) struct Json {
    logger: &'static str,
    /// The one time to write, where the environment asks for output that can be reproduced.
    fixed_time: Option<SystemTime>,
    /// Whether each line says what it is about.
    tells_targets: bool,
}

/// A JSON object that keeps its order.
struct InOrder<'a, T>(Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for InOrder<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// An event being written: an object whose first fields stand.
type Line<'a, 'b> = Compound<'a, &'b mut Vec<u8>, CompactFormatter>;

impl Json {
    /// With the time that the environment asks for, if it does.
    pub(crate) fn new(logger: &'static str) -> Result<Self, Failure> {
        const NAME: &str = "SOURCE_DATE_EPOCH";
        let fixed_time = match std::env::var_os(NAME) {
            None => None,
            Some(text) => {
                let text = text.to_string_lossy();
                let seconds = text.trim().parse().ok().filter(|s| *s <= LAST_SECOND);
                let seconds = seconds.ok_or_else(|| {
                    let expected = "the seconds since 1970";
                    Failure::Usage(format!("{NAME}: expected {expected}, found {text:?}"))
                })?;
                Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            }
        };
        Ok(Json {
            logger,
            fixed_time,
            tells_targets: logger == SERVICE,
        })
    }

    /// Writes an event: what every event has, then its own fields.
    fn event(
        &self,
        name: &str,
        (target, level): (Target, Level),
        out: &mut dyn Write,
        fields: impl FnOnce(&mut Line<'_, '_>) -> serde_json::Result<()>,
    ) -> io::Result<()> {
        let time = self.fixed_time.unwrap_or_else(SystemTime::now);
        let timestamp = humantime::format_rfc3339_micros(time).to_string();
        let mut text = Vec::with_capacity(512);
        let mut serializer = serde_json::Serializer::new(&mut text);
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("event", name)?;
        line.serialize_entry("level", level.name())?;
        line.serialize_entry("timestamp", &timestamp)?;
        line.serialize_entry("logger", self.logger)?;
        line.serialize_entry("format_version", &FORMAT_VERSION)?;
        if self.tells_targets {
            line.serialize_entry("target", target.name())?;
        }
        fields(&mut line)?;
        SerializeMap::end(line)?;
        text.push(b'\n');
        out.write_all(&text)
    }
}

impl Report for Json {
    fn plan(&mut self, plan: &ActionPlan, out: &mut dyn Write) -> io::Result<()> {
        self.event(
            "optimizer.plan",
            (Target::Plans, Level::Info),
            out,
            |line| {
                line.serialize_entry("plan_id", &plan.plan_id)?;
                line.serialize_entry("knob_id", &plan.knob_id)?;
                line.serialize_entry("old_value", &plan.old_value)?;
                line.serialize_entry("new_value", &plan.new_value)?;
                line.serialize_entry("target_function", &plan.target_function)?;
                line.serialize_entry("rationale", &plan.rationale)?;
                line.serialize_entry("apply_when", &plan.apply_when)?;
                line.serialize_entry("finding_type", &plan.finding_type)?;
                line.serialize_entry("severity", &plan.severity)?;
                line.serialize_entry("opportunity_tag", &plan.opportunity_tag)?;
                line.serialize_entry("window_index", &plan.window_index)?;
                line.serialize_entry("target_nodes", &plan.target_nodes)
            },
        )
    }

    fn hold(&mut self, hold: &Hold, out: &mut dyn Write) -> io::Result<()> {
        self.event(
            "optimizer.hold",
            (Target::Decisions, Level::Debug),
            out,
            |line| {
                line.serialize_entry("gate", hold.gate.name())?;
                line.serialize_entry("value", &hold.gate.value())?;
                line.serialize_entry("threshold", &hold.gate.threshold())?;
                line.serialize_entry("knob_id", &hold.knob)?;
                line.serialize_entry("opportunity_tag", &hold.tag)?;
                line.serialize_entry("node", &hold.node)?;
                line.serialize_entry("window_index", &hold.window_index)?;
                line.serialize_entry("reason", &hold.gate.to_string())?;
                line.serialize_entry("details", &hold.gate)
            },
        )
    }

    fn notice(
        &mut self,
        notice: &Notice,
        window: i64,
        level: Level,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.event(
            "optimizer.notice",
            (Target::Decisions, level),
            out,
            |line| {
                line.serialize_entry("notice", notice.name())?;
                line.serialize_entry("window_index", &window)?;
                line.serialize_entry("reason", &notice.to_string())?;
                line.serialize_entry("details", notice)
            },
        )
    }

    fn remark(&mut self, remark: &Remark<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.event(remark.event, (remark.target, remark.level), out, |line| {
            line.serialize_entry("message", remark.text)?;
            let mut fields = remark.fields.iter();
            fields.try_for_each(|(name, value)| line.serialize_entry(name, value))
        })
    }

    fn done(&mut self, done: &Done<'_>, out: &mut dyn Write) -> io::Result<()> {
        let of_nodes = done.planner.node_values();
        let mut node_state: InOrder<'_, InOrder<'_, &Value>> = InOrder(Vec::new());
        for own in &of_nodes {
            let node = own.node.unwrap_or_default();
            match node_state.0.last_mut() {
                Some((knob, nodes)) if *knob == own.knob => nodes.0.push((node, own.value)),
                _ => node_state
                    .0
                    .push((own.knob, InOrder(vec![(node, own.value)]))),
            }
        }
        let job_values = done.planner.job_values();
        let knob_state = InOrder(job_values.map(|v| (v.knob, v.value)).collect());
        self.event(done.event, (Target::Service, Level::Info), out, |line| {
            // The original has another name for it where findings stream in.
            match done.counts {
                None => line.serialize_entry("findings", &done.findings)?,
                Some(counts) => {
                    line.serialize_entry("event_count", &counts.records_of_findings())?;
                }
            }
            line.serialize_entry("plan_count", &done.tally.plans)?;
            if done.counts.is_some() {
                line.serialize_entry("error_count", &done.bad_records)?;
            }
            line.serialize_entry("knob_state", &knob_state)?;
            line.serialize_entry("node_state", &node_state)?;
            line.serialize_entry("holds", &InOrder(done.tally.holds().collect()))?;
            line.serialize_entry("notices", &done.tally.notices)?;
            line.serialize_entry("open_plans", &done.unanswered())?;
            line.serialize_entry("bad_records", &done.bad_records)?;
            match done.counts {
                None => Ok(()),
                Some(counts) => line.serialize_entry("counts", counts),
            }
        })
    }
}
