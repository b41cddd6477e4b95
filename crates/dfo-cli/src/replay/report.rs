//! What a replay has to tell, whatever the format.

use std::collections::BTreeMap;
use std::io::{self, Write};

use dfo_model::ActionPlan;
use dfo_planner::{Decision, Decisions, Gate, Hold, Notice, Planner};

/// One way of telling it.
pub(crate) trait Report {
    fn plan(&mut self, plan: &ActionPlan, out: &mut dyn Write) -> io::Result<()>;
    fn hold(&mut self, hold: &Hold, out: &mut dyn Write) -> io::Result<()>;
    fn notice(&mut self, notice: &Notice, window: i64, out: &mut dyn Write) -> io::Result<()>;
    fn done(&mut self, tally: &Tally, planner: &Planner, out: &mut dyn Write) -> io::Result<()>;
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Findings decided on.
    pub(crate) findings: u64,
    /// Records that were no usable findings.
    pub(crate) bad_records: u64,
    pub(crate) plans: u64,
    /// Plans that still await their acknowledgement in the end.
    pub(crate) unanswered: u64,
    /// By the gate's place among all.
    holds: BTreeMap<usize, u64>,
    pub(crate) notices: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, decisions: &Decisions) {
        for decision in decisions {
            match decision {
                Decision::Plan(_) => self.plans += 1,
                Decision::Hold(hold) => *self.holds.entry(hold.gate.index()).or_default() += 1,
                Decision::Notice(notice) => *self.notices.entry(notice.name()).or_default() += 1,
            }
        }
    }

    pub(crate) fn all_holds(&self) -> u64 {
        self.holds.values().sum()
    }

    /// The gates that held something, in the order of asking.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.holds.iter();
        counted.filter_map(|(gate, count)| Some((*Gate::NAMES.get(*gate)?, *count)))
    }
}
