//! The diagnoser found something: the gates, the new value, the plan.

use std::fmt::Write;

use dfo_model::{ActionPlan, FindingView, Trend};

use super::guard::{Change, Guard};
use crate::account::{Account, Action};
use crate::clock::{Clock, Moment, Stamp};
use crate::decision::{Decisions, Gate, Hold, Name};
use crate::gates::{self, Standing};
use crate::ledger::{Closing, Ledger, Origin, Plan, Reach, Scope};
use crate::nodes::NodeId;
use crate::notice::Notice;
use crate::plan_ids::PlanIds;
use crate::planner::{LONGEST_NAME, Planner};
use crate::presence::Presence;
use crate::registry::{Registry, Responder, Tag};
use crate::scope::FindingScope;
use crate::settings::Settings;
use crate::value::Facts;
use crate::watch::Grounds;

/// What a finding says, as far as every tag and knob asks it.
pub(super) struct Seen<'f> {
    pub(super) finding: &'f FindingView<'f>,
    facts: Facts,
    pub(super) moment: Moment,
    pub(super) node: Option<SeenNode<'f>>,
}

/// The node that a finding speaks of.
pub(super) struct SeenNode<'f> {
    pub(super) name: &'f str,
    /// As holds name it.
    shared: Name,
    /// Its number, if something is remembered of it.
    id: Option<NodeId>,
}

impl Seen<'_> {
    /// Whose values it speaks of; `None` is a node of which nothing is remembered.
    pub(super) fn scope(&self) -> Option<Scope> {
        match &self.node {
            None => Some(Scope::Job),
            Some(node) => node.id.map(Scope::Node),
        }
    }

    pub(super) fn node_name(&self) -> Option<Name> {
        self.node.as_ref().map(|node| node.shared.clone())
    }

    pub(super) fn hold(&self, gate: Gate, knob: Option<&Name>, tag: Option<&Name>) -> Hold {
        Hold {
            gate,
            knob: knob.cloned(),
            tag: tag.cloned(),
            node: self.node.as_ref().map(|node| node.shared.clone()),
            window_index: self.finding.window_index,
        }
    }
}

impl Planner {
    pub(super) fn find(&mut self, finding: &FindingView<'_>, decisions: &mut Decisions) {
        let scope = match check(finding) {
            Ok(scope) => scope,
            Err(notice) => return decisions.notice(notice),
        };
        let moment = self.pass_time(finding, decisions);
        if scope == FindingScope::Global {
            self.keep_suppressions(finding, &moment, decisions);
        }

        let node = match scope {
            FindingScope::Node(name) => Some(self.see_node(name)),
            FindingScope::Global | FindingScope::Job => None,
        };
        let mut seen = Seen {
            finding,
            facts: Facts {
                severity: finding.severity_score,
                trend: finding.trend(),
                evidence: finding.evidence,
            },
            moment,
            node,
        };
        if self.registry.is_empty() {
            return decisions.hold(seen.hold(Gate::NoKnobs, None, None));
        }
        self.judge(&seen, decisions);
        self.give_up_judging(decisions);
        if seen.facts.trend == Trend::Improving {
            return decisions.hold(seen.hold(Gate::Trend, None, None));
        }
        if finding.opportunity_tags.is_empty() && finding.suppresses_tags.is_empty() {
            return decisions.hold(seen.hold(Gate::NoTags, None, None));
        }
        for tag in &finding.opportunity_tags {
            self.respond(tag, &mut seen, decisions);
        }
    }

    /// Moves time on, and ends what has waited too long.
    fn pass_time(&mut self, finding: &FindingView<'_>, decisions: &mut Decisions) -> Moment {
        let view = finding.view_type.as_deref().unwrap_or_default();
        let moment = self.clock.observe(view, finding.window_index);
        if let Some(newest) = moment.new_run_after {
            let window_index = finding.window_index;
            decisions.notice(Notice::NewRun {
                window_index,
                newest,
            });
        }
        let patience = self.settings.pending_patience;
        while let Some((id, waited)) = self.ledger.take_overdue(&self.clock, patience) {
            if let Some(notice) = self.expire(&id, waited) {
                decisions.notice(notice);
            }
        }
        self.suppressions.expire(&self.clock, decisions);
        moment
    }

    fn expire(&mut self, id: &str, windows_waited: i64) -> Option<Notice> {
        let knob = self.ledger.open_plan(id)?.knob;
        let entry = self.registry.entry(knob);
        let plan = self
            .ledger
            .give_back(id, entry.domain.kind(), Closing::Expired)?;
        Some(Notice::PlanExpired {
            node: self.node_of(&plan.reach),
            value: self.value_of(knob, &plan.reach).clone(),
            knob: entry.name.clone(),
            plan_id: plan.id,
            windows_waited,
        })
    }

    fn keep_suppressions(
        &mut self,
        finding: &FindingView<'_>,
        moment: &Moment,
        decisions: &mut Decisions,
    ) {
        let min_severity = self.settings.suppress_min_severity;
        let min_persistence = self.settings.suppress_min_persistence;
        let severity = finding.severity_score;
        let persistence = finding.persistence;
        if finding.suppresses_tags.is_empty() {
            self.suppressions.clear(&finding.finding_type, decisions);
        } else if finding.trend() == Trend::Improving {
            // It neither begins nor ends: the last action is working.
        } else if severity < min_severity || persistence < min_persistence {
            let gate = Gate::WeakSuppression {
                severity,
                min_severity,
                persistence,
                min_persistence,
            };
            decisions.hold(Hold {
                gate,
                knob: None,
                tag: None,
                node: None,
                window_index: finding.window_index,
            });
        } else {
            let tags = finding.suppresses_tags.iter().map(|tag| &**tag);
            let time = moment.stamp.time;
            self.suppressions
                .set(&finding.finding_type, tags, severity, time, decisions);
        }
    }

    fn see_node<'f>(&mut self, name: &'f str) -> SeenNode<'f> {
        let id = self.ledger.nodes.get(name);
        let shared = match id {
            Some(id) => {
                self.ledger.nodes.touch(id);
                self.ledger.nodes.name(id).clone()
            }
            None => name.into(),
        };
        SeenNode { name, shared, id }
    }

    fn respond(&mut self, name: &str, seen: &mut Seen<'_>, decisions: &mut Decisions) {
        let tag = self.registry.tag(name);
        let shared = || tag.map_or_else(|| name.into(), |tag| tag.name.clone());
        if let Some(gate) = self.suppressed(name, seen) {
            return decisions.hold(seen.hold(gate, None, Some(&shared())));
        }
        let Some(tag) = tag else {
            return decisions.hold(seen.hold(Gate::NoResponse, None, Some(&shared())));
        };
        for responder in &tag.responders {
            let made = decide(
                &Deciding {
                    settings: &self.settings,
                    clock: &self.clock,
                    registry: &self.registry,
                    presence: &self.presence,
                    guard: Guard {
                        freeze: &self.freeze,
                        limits: &self.settings.limits,
                        made: &self.plans_made,
                        registry: &self.registry,
                        now: self.clock.now(),
                    },
                    seen,
                    tag,
                    responder,
                },
                &mut self.ledger,
                &mut self.plan_ids,
                decisions,
            );
            match made {
                Ok(plan) => {
                    self.plans_made.count(self.clock.now());
                    decisions.plan(plan);
                    // From now on something is remembered of the node.
                    if let Some(node) = &mut seen.node {
                        node.id = self.ledger.nodes.get(node.name);
                    }
                }
                Err(gate) => {
                    let knob = Some(&responder.knob_name);
                    decisions.hold(seen.hold(gate, knob, Some(&tag.name)));
                }
            }
        }
    }

    /// A suppressed tag lets only a node pass that is worse off than the whole.
    fn suppressed(&self, tag: &str, seen: &Seen<'_>) -> Option<Gate> {
        let suppression = self.suppressions.of(tag)?;
        let value = seen.facts.severity;
        if seen.node.is_some() && value > suppression.severity {
            return None;
        }
        Some(Gate::Suppressed {
            by: suppression.by.clone(),
            value,
            threshold: suppression.severity,
        })
    }
}

/// A finding names a handful; each may come to several decisions.
const MOST_TAGS: usize = 1024;

/// What a finding must be to be used at all.
pub(super) fn check<'f>(finding: &'f FindingView<'_>) -> Result<FindingScope<'f>, Notice> {
    if !finding.severity_score.is_finite() {
        return Err(Notice::InvalidFinding {
            field: "severity_score",
            why: format!("{} is not finite", finding.severity_score),
        });
    }
    for (field, tags) in [
        ("opportunity_tags", &finding.opportunity_tags),
        ("suppresses_tags", &finding.suppresses_tags),
    ] {
        if tags.len() > MOST_TAGS {
            let why = format!("{} tags, at most {MOST_TAGS} are decided on", tags.len());
            return Err(Notice::InvalidFinding { field, why });
        }
    }
    let texts = [&finding.finding_type, &finding.scope, &finding.motif];
    let tags = finding
        .opportunity_tags
        .iter()
        .chain(&finding.suppresses_tags);
    if texts
        .into_iter()
        .chain(tags)
        .any(|text| text.len() > LONGEST_NAME)
    {
        return Err(Notice::InvalidFinding {
            field: "finding_type, scope, motif or a tag",
            why: format!("longer than {LONGEST_NAME} bytes"),
        });
    }
    FindingScope::parse(&finding.scope).ok_or_else(|| Notice::InvalidFinding {
        field: "scope",
        why: format!("{:?} names no node; write `node:<name>`", finding.scope),
    })
}

/// One knob deciding on one tag of one finding: what it may look at.
struct Deciding<'p> {
    settings: &'p Settings,
    clock: &'p Clock,
    registry: &'p Registry,
    presence: &'p Presence,
    guard: Guard<'p>,
    seen: &'p Seen<'p>,
    tag: &'p Tag,
    responder: &'p Responder,
}

/// The gates, then the new value, then the plan.
fn decide(
    deciding: &Deciding<'_>,
    ledger: &mut Ledger,
    plan_ids: &mut PlanIds,
    decisions: &mut Decisions,
) -> Result<ActionPlan, Gate> {
    let Deciding {
        registry,
        seen,
        tag,
        responder,
        ..
    } = *deciding;
    let knob = responder.knob;
    let retries = deciding.pass_gates(ledger)?;

    let old = match seen.node.as_ref().and_then(|node| node.id) {
        Some(node) => ledger.value(knob, Scope::Node(node)),
        None => ledger.job_value(knob),
    };
    let old = old.clone();
    let entry = registry.entry(knob);
    let Some(new) = responder
        .action
        .change
        .next(&old, &entry.domain, &seen.facts)
    else {
        return Err(Gate::NoChange { value: old });
    };
    let known = seen.node.as_ref().and_then(|node| node.id);
    let change = Change {
        knob,
        scope: known.map_or(Scope::Job, Scope::Node),
        is_job_wide: seen.node.is_none(),
        old: &old,
        new: &new,
    };
    deciding.guard.plan(change, ledger)?;
    let reach = match &seen.node {
        Some(node) => Reach::Nodes(vec![remember(ledger, node.name, decisions)?]),
        None => Reach::Job,
    };

    let id = unused_id(plan_ids, ledger);
    let plan = ActionPlan {
        plan_id: id.clone(),
        knob_id: entry.name.to_string(),
        target_function: entry.definition.target_function.clone(),
        old_value: Some(old),
        new_value: new.clone(),
        apply_when: responder.action.apply_when.clone(),
        rationale: deciding.rationale(),
        finding_type: seen.finding.finding_type.to_string(),
        severity: seen.facts.severity,
        opportunity_tag: tag.name.to_string(),
        window_index: seen.finding.window_index,
        target_nodes: seen.node.iter().map(|node| node.name.to_owned()).collect(),
    };
    let made = Plan {
        id: id.into(),
        knob,
        reach,
        origin: Origin::Ours,
        value: new,
        action: Action {
            tag: tag.name.clone(),
            at: seen.moment.stamp,
            severity: seen.facts.severity,
            retries,
            taken_back: false,
        },
        window: Some(seen.finding.window_index),
        grounds: deciding.grounds(),
    };
    ledger.open(made, deciding.clock.now());
    Ok(plan)
}

/// A global plan may bear any id, one of ours too.
pub(super) fn unused_id(plan_ids: &mut PlanIds, ledger: &Ledger) -> String {
    loop {
        let id = plan_ids.next_id();
        if !ledger.knows_plan(&id) {
            return id;
        }
    }
}

fn remember(ledger: &mut Ledger, name: &str, decisions: &mut Decisions) -> Result<NodeId, Gate> {
    let node = ledger.remember(name, decisions);
    node.ok_or_else(|| Gate::NoRoom {
        threshold: i64::try_from(ledger.nodes.len()).unwrap_or(i64::MAX),
    })
}

/// What is known of the knob: in the finding's scope, if anything is, and job-wide.
struct Accounts<'l> {
    own: Option<&'l Account>,
    job: &'l Account,
}

impl Deciding<'_> {
    /// The gates, in their order. How many retries in a row the action is, if it may be taken.
    fn pass_gates(&self, ledger: &Ledger) -> Result<u32, Gate> {
        let knob = self.responder.knob;
        let job = ledger.job_account(knob);
        let own = match &self.seen.node {
            Some(node) => node.id.and_then(|id| ledger.node_account(knob, id)),
            None => Some(job),
        };
        let accounts = Accounts { own, job };
        self.pending(&accounts, ledger)?;
        let node = self.seen.node.as_ref().map(|node| node.name);
        self.presence.gate(knob, node)?;
        gates::severity(self.seen.facts.severity, self.responder.min_severity)?;
        gates::persistence(
            self.seen.finding.persistence,
            self.responder.min_persistence,
        )?;
        self.cooldown(&accounts, ledger)?;
        self.effectiveness(&accounts)
    }

    /// A plan for this knob and scope awaits its acknowledgement, or one for a scope that holds it.
    fn pending(&self, accounts: &Accounts<'_>, ledger: &Ledger) -> Result<(), Gate> {
        let held_by = |plan_id: &Name, plan_node: Option<&Name>| {
            Err(Gate::Pending {
                plan_id: plan_id.clone(),
                plan_node: plan_node.cloned(),
            })
        };
        let node = self.seen.node.as_ref();
        if let Some(plan) = accounts.own.and_then(Account::pending) {
            return held_by(plan, node.map(|node| &node.shared));
        }
        if !self.settings.scopes_hold_each_other {
            return Ok(());
        }
        if node.is_some() {
            return accounts
                .job
                .pending()
                .map_or(Ok(()), |plan| held_by(plan, None));
        }
        match ledger.pending_for_a_node(self.responder.knob) {
            Some((node, plan)) => held_by(plan, Some(ledger.nodes.name(node))),
            None => Ok(()),
        }
    }

    /// The knob rests after its last action, in this scope or one that holds it.
    fn cooldown(&self, accounts: &Accounts<'_>, ledger: &Ledger) -> Result<(), Gate> {
        let own = accounts.own.and_then(|account| account.resting_since);
        let other = match self.seen.node {
            _ if !self.settings.scopes_hold_each_other => None,
            Some(_) => accounts.job.resting_since,
            None => ledger.nodes_resting_since(self.responder.knob),
        };
        for since in [own, other].into_iter().flatten() {
            gates::cooldown(self.windows_since(since), self.responder.cooldown_windows)?;
        }
        Ok(())
    }

    /// The last action did not help.
    fn effectiveness(&self, accounts: &Accounts<'_>) -> Result<u32, Gate> {
        let last = accounts
            .own
            .and_then(|account| match self.settings.judge_by_same_tag {
                true => account.last_action_for(&self.tag.name),
                false => account.last_action(),
            });
        let Some(last) = last else {
            return Ok(0);
        };
        let standing = gates::effectiveness(
            last.severity,
            self.seen.facts.severity,
            self.responder.action.effectiveness_threshold,
            self.windows_since(last.at),
            self.settings.patience_after(last.retries),
            last.taken_back,
        )?;
        Ok(match standing {
            Standing::Fresh => 0,
            Standing::Retry => last.retries.saturating_add(1),
        })
    }

    /// What the plan is made on, if it will be judged by it.
    fn grounds(&self) -> Option<Grounds> {
        self.settings.undo_after?;
        let is_computed = self.responder.action.change.is_from_evidence();
        let knob = self.responder.knob_name.clone();
        Some(Grounds::of(self.seen.finding, knob, is_computed))
    }

    /// Why, in one line for people.
    fn rationale(&self) -> String {
        let finding = self.seen.finding;
        let mut text = String::with_capacity(128);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{}: {} (severity={:.3}, persistence={}, trend={}, scope={}) -> {}",
            finding.finding_type,
            finding.motif,
            finding.severity_score,
            finding.persistence,
            finding.trend_direction,
            finding.scope,
            self.tag.name,
        );
        if self.settings.rationale_says_assumed && self.presence.is_assumed(self.responder.knob) {
            text.push_str("; old value assumed");
        }
        text
    }

    fn windows_since(&self, then: Stamp) -> i64 {
        self.clock.windows_since(then, self.seen.moment.stamp)
    }
}
