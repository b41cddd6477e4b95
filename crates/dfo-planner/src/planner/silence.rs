//! The last application that had a knob is gone.

use crate::decision::Decisions;
use crate::notice::{Notice, SilenceIgnored};
use crate::planner::{Planner, Silence};

impl Planner {
    pub(super) fn take_silence(&mut self, silence: &Silence<'_>, decisions: &mut Decisions) {
        let known = self.registry.get(silence.knob);
        let known = known.ok_or(SilenceIgnored::UnknownKnob);
        let taken = known.and_then(|knob| self.presence.silence(knob, silence.node));
        let (knob, node) = (silence.knob.into(), silence.node.map(Into::into));
        match taken {
            Ok(true) => decisions.notice(Notice::KnobSilent { knob, node }),
            // Services repeat themselves too.
            Ok(false) => {}
            Err(why) => decisions.notice(Notice::SilenceIgnored { knob, node, why }),
        }
    }
}
