//! Whether an applied plan did harm; and the way back.

use dfo_model::{ActionPlan, Value};

use super::finding::{Seen, unused_id};
use super::guard::Change;
use crate::account::Action;
use crate::clock::Stamp;
use crate::decision::{Decisions, Gate, Name};
use crate::ledger::{Origin, Plan, Reach, Scope};
use crate::notice::{Judgement, NotJudged, Notice};
use crate::planner::Planner;
use crate::registry::KnobId;
use crate::watch::{Comparison, Watch};

/// A change that is taken back.
pub(super) struct TakenBack {
    pub(super) knob: KnobId,
    pub(super) scope: Scope,
    /// The node as the plan names it; `None` is all.
    pub(super) node: Option<String>,
    pub(super) to: Value,
    pub(super) tag: Name,
    pub(super) finding_type: String,
    pub(super) severity: f64,
    pub(super) rationale: String,
    pub(super) window: Option<i64>,
    pub(super) at: Stamp,
    pub(super) retries: u32,
    /// The value in force.
    pub(super) old: Value,
}

impl Planner {
    /// So long, in windows, an applied plan is observed.
    pub(super) fn watch_for(&self) -> Option<i64> {
        // As long again as until it can be judged first: findings take their time.
        Some(self.settings.undo_after?.saturating_mul(2).max(1))
    }

    /// Judges the plans that were made on what this finding says again.
    pub(super) fn judge(&mut self, seen: &Seen<'_>, decisions: &mut Decisions) {
        let Some(undo_after) = self.settings.undo_after else {
            return;
        };
        if !self.ledger.is_watching() {
            return;
        }
        let Some(scope) = seen.scope() else {
            return;
        };
        let now = seen.moment.stamp;
        let mut ripe: Vec<KnobId> = Vec::new();
        for name in &seen.finding.opportunity_tags {
            let responders = self.registry.tag(name).map(|tag| &tag.responders);
            for responder in responders.into_iter().flatten() {
                let watch = self.ledger.watch(responder.knob, scope);
                let is_ripe = |watch: &Watch| {
                    watch.is_about(seen.finding, name, now)
                        && self.clock.windows_since(watch.applied_at(), now) >= undo_after
                };
                if watch.is_some_and(is_ripe) && !ripe.contains(&responder.knob) {
                    ripe.push(responder.knob);
                }
            }
        }
        for knob in ripe {
            self.judge_one(knob, scope, seen, decisions);
        }
    }

    fn judge_one(
        &mut self,
        knob: KnobId,
        scope: Scope,
        seen: &Seen<'_>,
        decisions: &mut Decisions,
    ) {
        let Some(watch) = self.ledger.watch(knob, scope).cloned() else {
            return;
        };
        let name = self.registry.entry(knob).name.clone();
        let node = seen.node_name();
        let (plan_id, finding) = (watch.plan_id.clone(), seen.finding);
        let not_judged = |why| Notice::NotJudged {
            plan_id: plan_id.clone(),
            knob: name.clone(),
            node: node.clone(),
            why,
        };
        if !self.ledger.value(knob, scope).same_as(&watch.value) {
            decisions.notice(not_judged(NotJudged::Changed));
            self.ledger.end_watch(knob, scope);
            return;
        }
        let Some(compared) = watch.grounds.compared(finding) else {
            decisions.notice(not_judged(NotJudged::MetricMissing));
            self.ledger.end_watch(knob, scope);
            return;
        };
        let Comparison { measure, then, now } = compared;
        let judgement = Judgement {
            plan_id,
            by: None,
            knob: name.clone(),
            node,
            measure,
            then,
            now,
        };
        if compared.worse_by() <= self.settings.undo_margin {
            decisions.notice(Notice::Stands(Box::new(judgement)));
            self.ledger.end_watch(knob, scope);
            return;
        }
        let undone = self.undo(knob, scope, &watch, compared, seen, decisions);
        match undone {
            Ok(by) => decisions.notice(Notice::Undone(Box::new(Judgement {
                by: Some(by),
                ..judgement
            }))),
            Err(gate) => {
                let has_no_way = matches!(gate, Gate::NoChange { .. });
                decisions.hold(seen.hold(gate, Some(&name), Some(&watch.action.tag)));
                if has_no_way {
                    self.ledger.end_watch(knob, scope);
                    return;
                }
                // It is still wanted.
                let until = self.watch_for().unwrap_or(1);
                let until = self.clock.now().saturating_add(until);
                self.ledger.extend_watch(knob, scope, until);
            }
        }
    }

    /// Makes the plan back, if nothing stands against it; its id.
    fn undo(
        &mut self,
        knob: KnobId,
        scope: Scope,
        watch: &Watch,
        compared: Comparison,
        seen: &Seen<'_>,
        decisions: &mut Decisions,
    ) -> Result<Name, Gate> {
        self.pending_in(knob, scope)?;
        let node = seen.node.as_ref().map(|node| node.name);
        self.presence.gate(knob, node)?;
        // What the application had may be a value that it would not take from a plan.
        let domain = &self.registry.entry(knob).domain;
        let to = domain.hold_wanted(&watch.value_before, &watch.value);
        let to = to.ok().filter(|to| !to.same_as(&watch.value));
        let to = to.ok_or_else(|| Gate::NoChange {
            value: watch.value.clone(),
        })?;
        let change = Change {
            knob,
            scope,
            is_job_wide: scope == Scope::Job,
            old: &watch.value,
            new: &to,
        };
        self.guard().undo(change, &self.ledger)?;
        let Comparison { measure, then, now } = compared;
        let rationale = format!(
            "undo of {}: {measure} {then:.3} then, {now:.3} now: worse by {:.1} %",
            watch.plan_id,
            compared.worse_by() * 100.0
        );
        let back = TakenBack {
            knob,
            scope,
            node: node.map(str::to_owned),
            to,
            tag: watch.action.tag.clone(),
            finding_type: seen.finding.finding_type.to_string(),
            severity: seen.finding.severity_score,
            rationale,
            window: Some(seen.finding.window_index),
            at: seen.moment.stamp,
            retries: watch.action.retries,
            old: watch.value.clone(),
        };
        self.ledger.end_watch(knob, scope);
        Ok(self.take_back(back, None, decisions))
    }

    /// One change per knob at a time, here too.
    fn pending_in(&self, knob: KnobId, scope: Scope) -> Result<(), Gate> {
        let held_by = |plan_id: &Name, plan_node: Option<&Name>| {
            Err(Gate::Pending {
                plan_id: plan_id.clone(),
                plan_node: plan_node.cloned(),
            })
        };
        if let Some(plan) = self.ledger.job_account(knob).pending() {
            return held_by(plan, None);
        }
        match scope {
            Scope::Job => match self.ledger.pending_for_a_node(knob) {
                Some((node, plan)) => held_by(plan, Some(self.ledger.nodes.name(node))),
                None => Ok(()),
            },
            Scope::Node(node) => {
                let account = self.ledger.node_account(knob, node);
                match account.and_then(|account| account.pending()) {
                    Some(plan) => held_by(plan, Some(self.ledger.nodes.name(node))),
                    None => Ok(()),
                }
            }
        }
    }

    /// Makes a plan back to an earlier value, in the place of those that wait in `instead_of`; its id.
    /// Once it is applied the knob and the tag wait as ineffective.
    pub(super) fn take_back(
        &mut self,
        back: TakenBack,
        instead_of: Option<&Reach>,
        decisions: &mut Decisions,
    ) -> Name {
        let entry = self.registry.entry(back.knob);
        let responses = &entry.definition.responds_to;
        let response = responses.get(back.tag.as_str());
        let response = response.or_else(|| responses.values().next());
        let id = unused_id(&mut self.plan_ids, &self.ledger);
        let plan = ActionPlan {
            plan_id: id.clone(),
            knob_id: entry.name.to_string(),
            target_function: entry.definition.target_function.clone(),
            old_value: Some(back.old),
            new_value: back.to.clone(),
            apply_when: response.map_or_else(
                || dfo_model::Response::default().apply_when,
                |response| response.apply_when.clone(),
            ),
            rationale: back.rationale,
            finding_type: back.finding_type,
            severity: back.severity,
            opportunity_tag: back.tag.to_string(),
            window_index: back.window.unwrap_or(-1),
            target_nodes: back.node.into_iter().collect(),
        };
        let made = Plan {
            id: id.as_str().into(),
            knob: back.knob,
            reach: match back.scope {
                Scope::Job => Reach::Job,
                Scope::Node(node) => Reach::Nodes(vec![node]),
            },
            origin: Origin::Ours,
            value: back.to,
            action: Action {
                tag: back.tag,
                at: back.at,
                severity: back.severity,
                retries: back.retries,
                taken_back: true,
            },
            window: back.window,
            grounds: None,
        };
        if let Some(reach) = instead_of {
            if *reach == Reach::Job {
                // The plan back reaches those nodes too, and after theirs.
                let kind = entry.domain.kind();
                self.ledger
                    .give_up_nodes(back.knob, kind, &made.id, decisions);
            }
            self.ledger.supersede(back.knob, reach, &made.id, decisions);
        }
        self.ledger.open(made, self.clock.now());
        self.plans_made.count(self.clock.now());
        decisions.plan(plan);
        id.into()
    }

    /// Says of which plans it will never be known.
    pub(super) fn give_up_judging(&mut self, decisions: &mut Decisions) {
        while let Some((scope, watch)) = self.ledger.take_unjudged(&self.clock) {
            let node = match scope {
                Scope::Node(node) => Some(self.ledger.nodes.name(node).clone()),
                Scope::Job => None,
            };
            decisions.notice(Notice::NotJudged {
                plan_id: watch.plan_id,
                knob: watch.grounds.knob_name,
                node,
                why: NotJudged::NoEvidence,
            });
        }
    }
}
