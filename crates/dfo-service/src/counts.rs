//! What is counted: every record that came, every decision, every plan that did not leave.

use std::collections::BTreeMap;

use dfo_planner::{Decision, Decisions, Gate};
use serde::{Serialize, Serializer};

/// Decisions, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Plans made.
    pub plans: u64,
    /// By the gate's place among all.
    #[serde(serialize_with = "by_gate")]
    holds: BTreeMap<usize, u64>,
    /// Notices, by name.
    pub notices: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts the decisions on one event.
    pub fn count(&mut self, decisions: &Decisions) {
        for decision in decisions {
            match decision {
                Decision::Plan(_) => self.plans += 1,
                Decision::Hold(hold) => *self.holds.entry(hold.gate.index()).or_default() += 1,
                Decision::Notice(notice) => *self.notices.entry(notice.name()).or_default() += 1,
            }
        }
    }

    /// All holds.
    pub fn all_holds(&self) -> u64 {
        self.holds.values().sum()
    }

    /// The gates that held something, in the order of asking.
    pub fn holds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.holds.iter();
        counted.filter_map(|(gate, count)| Some((*Gate::NAMES.get(*gate)?, *count)))
    }
}

fn by_gate<S: Serializer>(holds: &BTreeMap<usize, u64>, to: S) -> Result<S::Ok, S::Error> {
    let named = holds.iter();
    to.collect_map(named.filter_map(|(gate, count)| Some((*Gate::NAMES.get(*gate)?, *count))))
}

/// What a service has seen and done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Findings decided on.
    pub findings: u64,
    /// Findings of a whole run (`publish_mode` is `summary`): counted, not acted on.
    pub summaries: u64,
    /// Records on the channel of findings that are none.
    pub bad_findings: u64,
    /// Ends of stream that senders of findings sent.
    pub ends: u64,
    /// Records that were received, and that there was no time to look at when the service ended.
    pub undecided: u64,
    /// Registrations that said something new.
    pub registrations: u64,
    /// Of these, registrations of which not everything could be used; what could be, counts.
    pub registrations_in_part: u64,
    /// Registrations that said what was known.
    pub heartbeats: u64,
    /// Acknowledgements; what became of them is among the notices.
    pub acks: u64,
    /// Records on a control channel that are neither registration nor acknowledgement.
    pub bad_control: u64,
    /// Applications that live at the end, of those that say who they are.
    pub applications: u64,
    /// Applications that missed their heartbeats.
    pub silent: u64,
    /// Applications that said that they leave.
    pub left: u64,
    /// Farewells of applications that were not known: gone before, or never there.
    pub unknown_farewells: u64,
    /// Applications of which there was no room to remember: they are never missed.
    pub not_tracked: u64,
    /// Plans, holds and notices.
    pub decisions: Tally,
    /// Plans that a sink took, added up over the sinks.
    pub sent: u64,
    /// Plans that a newer one for the same knob and nodes overtook before a sink took them.
    pub superseded: u64,
    /// Plans that were dropped because so many others waited.
    pub crowded_out: u64,
    /// Plans that had expired, or whose line in the journal could not be written, before a sink took
    /// them.
    pub withdrawn: u64,
    /// Plans that are larger than a sink can carry.
    pub oversized: u64,
    /// Plans that had not left when the service ended.
    pub undelivered: u64,
    /// Records that are too large, as far as the transport tells.
    pub too_large: u64,
    /// Connections of senders that ended or were cut; what they were sending is lost.
    pub disconnections: u64,
    /// Tries again after something failed.
    pub retries: u64,
    /// Records kept as dead letters.
    pub dead_letters: u64,
    /// Bad records for which the file of dead letters had no room, or could not be written.
    pub dead_letters_dropped: u64,
}

impl Counts {
    /// Records that could not be used.
    pub fn bad_records(&self) -> u64 {
        self.bad_findings + self.bad_control
    }

    /// Records that came as findings, ends of stream left out.
    pub fn records_of_findings(&self) -> u64 {
        self.findings + self.summaries + self.bad_findings
    }

    /// The counts that no decision is in, in groups for people: a label, and names with numbers.
    pub fn groups(&self) -> [(&'static str, Vec<(&'static str, u64)>); 5] {
        [
            (
                "received",
                vec![
                    ("findings", self.findings),
                    ("summaries", self.summaries),
                    ("registrations", self.registrations),
                    ("heartbeats", self.heartbeats),
                    ("acknowledgements", self.acks),
                ],
            ),
            (
                "unusable",
                vec![
                    ("findings", self.bad_findings),
                    ("control", self.bad_control),
                    ("registrations in part", self.registrations_in_part),
                    ("not decided on in time", self.undecided),
                    ("too large", self.too_large),
                    ("kept as dead letters", self.dead_letters),
                    ("not kept", self.dead_letters_dropped),
                ],
            ),
            (
                "plans",
                vec![
                    ("sent", self.sent),
                    ("superseded", self.superseded),
                    ("crowded out", self.crowded_out),
                    ("withdrawn", self.withdrawn),
                    ("too large", self.oversized),
                    ("undelivered", self.undelivered),
                ],
            ),
            (
                "programs",
                vec![
                    ("alive", self.applications),
                    ("silent", self.silent),
                    ("left", self.left),
                    ("farewells of strangers", self.unknown_farewells),
                    ("not tracked", self.not_tracked),
                ],
            ),
            (
                "links",
                vec![
                    ("ends of stream", self.ends),
                    ("disconnections", self.disconnections),
                    ("retries", self.retries),
                ],
            ),
        ]
    }
}
