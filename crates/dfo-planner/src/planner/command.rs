//! An operator wants plans to stop, to go on, or to be taken back.

use crate::command::Command;
use crate::decision::{Decisions, Name};
use crate::notice::Notice;
use crate::planner::Planner;
use crate::registry::KnobId;

impl Planner {
    pub(super) fn obey(&mut self, command: &Command, decisions: &mut Decisions) {
        let done = match command {
            Command::Freeze { knob } => self.freeze(knob.as_deref(), decisions),
            Command::Thaw { knob } => self.thaw(knob.as_deref(), decisions),
            Command::Revert { .. } | Command::RevertAll => Err("not yet".to_owned()),
        };
        if let Err(why) = done {
            let command = command.name();
            decisions.notice(Notice::CommandRefused { command, why });
        }
    }

    fn freeze(&mut self, name: Option<&str>, decisions: &mut Decisions) -> Result<(), String> {
        let knob = self.named_knob(name)?;
        self.freeze.freeze(knob);
        decisions.notice(Notice::Frozen {
            knob: name.map(Name::from),
        });
        Ok(())
    }

    fn thaw(&mut self, name: Option<&str>, decisions: &mut Decisions) -> Result<(), String> {
        let knob = self.named_knob(name)?;
        if !self.freeze.thaw(knob) {
            let what = name.unwrap_or("nothing");
            return Err(format!("{what} is not frozen by name"));
        }
        decisions.notice(Notice::Thawed {
            knob: name.map(Name::from),
        });
        Ok(())
    }

    fn named_knob(&self, name: Option<&str>) -> Result<Option<KnobId>, String> {
        let Some(name) = name else {
            return Ok(None);
        };
        match self.registry.get(name) {
            Some(knob) => Ok(Some(knob)),
            None => Err(format!("no knob {name:?} is registered")),
        }
    }
}
