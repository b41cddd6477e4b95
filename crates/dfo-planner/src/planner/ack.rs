//! An application tells what became of a plan.

use dfo_model::{Ack, AckStatus};

use crate::decision::{Decisions, Name};
use crate::ledger::{Closed, Closing};
use crate::notice::{AckIgnored, NotJudged, Notice};
use crate::planner::Planner;
use crate::value::shown;

impl Planner {
    pub(super) fn acknowledge(&mut self, ack: &Ack, decisions: &mut Decisions) {
        let mut unjudged = None;
        decisions.notice(self.answer(ack, &mut unjudged));
        if let Some(notice) = unjudged {
            decisions.notice(notice);
        }
    }

    /// What becomes of a plan; and that the one before it will not be judged, if that is so.
    fn answer(&mut self, ack: &Ack, unjudged: &mut Option<Notice>) -> Notice {
        let Some(plan) = self.ledger.open_plan(&ack.plan_id) else {
            return self.acknowledge_closed(ack);
        };
        let entry = self.registry.entry(plan.knob);
        let (knob, kind) = (plan.knob, entry.domain.kind());
        let (name, plan_id) = (entry.name.clone(), plan.id.clone());
        let refuse = |field, why| Notice::AckRefused {
            plan_id: plan_id.clone(),
            field,
            why,
        };
        if !ack.knob_id.is_empty() && *ack.knob_id != *name {
            return refuse(
                "knob_id",
                format!("{:?}, the plan is for {name}", ack.knob_id),
            );
        }
        let at = self.time_of_ack(ack.window_index, plan);
        let reach = plan.reach.clone();
        let node = self.node_of(&reach);
        match ack.status {
            AckStatus::Applied => {
                let applied = ack.new_value.as_ref().unwrap_or(&plan.value);
                let Some(value) = kind.fit(applied) else {
                    return refuse(
                        "new_value",
                        format!("{} is not of type {kind}", shown(applied)),
                    );
                };
                self.clock.note_action(at);
                let watch_for = self.watch_for();
                let watch = self.ledger.apply(&plan_id, &value, at, watch_for);
                *unjudged = watch.map(|watch| Notice::NotJudged {
                    plan_id: watch.plan_id,
                    knob: name.clone(),
                    node: node.clone(),
                    why: NotJudged::Changed,
                });
                self.presence.confirm(knob);
                Notice::Applied {
                    plan_id,
                    knob: name,
                    node,
                    value,
                }
            }
            AckStatus::Rejected => {
                let closing = Closing::Acknowledged(ack.status);
                self.ledger.give_back(&plan_id, kind, closing);
                if self.settings.rejection_starts_cooldown {
                    self.clock.note_action(at);
                    self.ledger.rest_only(knob, &reach, at);
                }
                Notice::Rejected {
                    plan_id,
                    value: self.value_of(knob, &reach).clone(),
                    knob: name,
                    node,
                    reason: ack.reason.clone(),
                }
            }
            AckStatus::Deferred => {
                self.ledger.wait_anew(&plan_id, self.clock.now());
                Notice::Deferred {
                    plan_id,
                    knob: name,
                    node,
                }
            }
        }
    }

    /// A late, repeated or unknown acknowledgement changes nothing.
    fn acknowledge_closed(&self, ack: &Ack) -> Notice {
        let plan_id: Name = ack.plan_id.as_str().into();
        let why = match self.ledger.closed_plan(&ack.plan_id) {
            None => AckIgnored::Unknown,
            Some(closed) => match closed.closing {
                Closing::Expired => AckIgnored::Expired,
                Closing::Superseded => AckIgnored::Superseded,
                Closing::Acknowledged(first)
                    if closed.is_for_many && disagrees(ack, first, closed) =>
                {
                    return Notice::AcksDisagree {
                        plan_id,
                        node: speaker(ack),
                        first,
                        value: self.ledger.job_value(closed.knob).clone(),
                        status: ack.status,
                        acked_value: ack.new_value.clone(),
                    };
                }
                Closing::Acknowledged(_) => AckIgnored::Repeated,
            },
        };
        Notice::AckIgnored { plan_id, why }
    }
}

/// Whether an acknowledgement says something else than the one that closed the plan.
fn disagrees(ack: &Ack, first: AckStatus, closed: &Closed) -> bool {
    let applied = ack.new_value.as_ref().unwrap_or(&closed.wanted);
    let is_another = closed.applied.as_ref().is_some_and(|v| !v.same_as(applied));
    ack.status != first || is_another
}

/// Who sent an acknowledgement.
fn speaker(ack: &Ack) -> Name {
    let named = ack.target_nodes.first().filter(|_| ack.node.is_empty());
    named.unwrap_or(&ack.node).as_str().into()
}
