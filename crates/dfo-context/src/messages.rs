//! From records to plans, and from registrations and acknowledgements to records.

use dfo_model::{Ack, ActionPlan, Envelope, Metadata, Registration};
use dfo_transport::Record;
use serde_json::Value as Json;

use crate::domain::shortened;
use crate::speaker::Speaker;

/// What a record on the channel of plans is.
pub(crate) enum Incoming {
    Plan(ActionPlan),
    /// The optimizer leaves. It may come back.
    End,
    Unreadable(Unreadable),
}

/// A record that is no plan, and what can be told of it all the same.
pub(crate) struct Unreadable {
    pub(crate) plan_id: Option<String>,
    pub(crate) knob_id: String,
    pub(crate) target_nodes: Vec<String>,
    pub(crate) why: String,
}

/// Larger than any plan: a job of 10,000 nodes named one by one is a quarter of it.
const LARGEST_PLAN: usize = 1 << 20;
/// The names in a plan are remembered and sent back. This is as long as a name can be for the
/// optimizer.
pub(crate) const LONGEST_NAME: usize = 1024;

/// Reads a record.
pub(crate) fn read(record: &Record) -> Incoming {
    let size = record.size();
    if size > LARGEST_PLAN {
        return Incoming::Unreadable(Unreadable {
            plan_id: None,
            knob_id: String::new(),
            target_nodes: Vec::new(),
            why: format!("{size} bytes, a plan has at most {LARGEST_PLAN}"),
        });
    }
    // Metadata that says nothing, or nonsense, does not spoil the plan beside it.
    if Envelope::decode(&record.metadata).is_ok_and(|e| e.ends_stream) {
        return Incoming::End;
    }
    let plan = ActionPlan::decode(&record.payload).into_result();
    let plan = plan.map_err(|problem| problem.to_string());
    match plan.and_then(check_names) {
        Ok(plan) => Incoming::Plan(plan),
        Err(why) => Incoming::Unreadable(Unreadable::of(record, &why)),
    }
}

/// A plan that could not be acknowledged cannot be taken.
fn check_names(plan: ActionPlan) -> Result<ActionPlan, String> {
    if plan.plan_id.is_empty() {
        return Err("plan_id: missing: an acknowledgement has to name its plan".to_owned());
    }
    for (field, name) in [("plan_id", &plan.plan_id), ("knob_id", &plan.knob_id)] {
        if name.len() > LONGEST_NAME {
            return Err(format!("{field}: longer than {LONGEST_NAME} bytes"));
        }
    }
    Ok(plan)
}

impl Unreadable {
    /// The payload may be broken where the metadata beside it is not.
    fn of(record: &Record, why: &str) -> Self {
        let parts = [&record.payload, &record.metadata];
        let parts = parts.map(|part| serde_json::from_slice::<Json>(part).unwrap_or_default());
        let name = |field: &str| {
            let mut names = parts.iter().filter_map(|part| part.get(field)?.as_str());
            let name = names.find(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
            name.map(str::to_owned)
        };
        let mut lists = parts
            .iter()
            .filter_map(|part| part["target_nodes"].as_array());
        let nodes = lists.next().into_iter().flatten();
        let nodes = nodes.filter_map(|node| node.as_str().map(str::to_owned));
        Unreadable {
            plan_id: name("plan_id"),
            knob_id: name("knob_id").unwrap_or_default(),
            target_nodes: nodes.collect(),
            why: shortened_line(why),
        }
    }
}

/// What is wrong can quote a part of the record.
fn shortened_line(why: &str) -> String {
    const LONGEST: usize = 300;
    match why.char_indices().nth(LONGEST) {
        Some(_) => format!("{} {}", shortened(why), "(and more)"),
        None => why.to_owned(),
    }
}

pub(crate) fn ack_record(ack: &Ack) -> Record {
    record(&ack.metadata(), serde_json::to_vec(ack))
}

pub(crate) fn registration_record(registration: &Registration) -> Record {
    let payload = serde_json::to_vec(registration);
    record(&registration.metadata(), payload)
}

/// This instance leaves.
pub(crate) fn stop_record(speaker: &Speaker) -> Record {
    let metadata = Metadata::Stop {
        instance: &speaker.instance,
        node: &speaker.node,
    };
    record(&metadata, Ok(b"{}".to_vec()))
}

fn record(metadata: &Metadata<'_>, payload: serde_json::Result<Vec<u8>>) -> Record {
    // Texts, numbers and lists of them: writing them cannot fail.
    let metadata = serde_json::to_vec(metadata).unwrap_or_default();
    Record::new(metadata, payload.unwrap_or_default())
}
