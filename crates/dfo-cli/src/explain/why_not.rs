//! `--why-not KNOB`: each gate that held it, how close it was, and what would have to be different now.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

use dfo_journal::{Archive, Recorded, RecordedEvent, Replay, Step};
use dfo_model::{FindingView, Knob, node_names_match};
use dfo_planner::{Decision, Decisions, Gate, Hold, Planner};
use serde_json::json;

use super::filter::{concerns, tags_of};
use super::{otherwise, text};
use crate::args::{ExplainArgs, Format};
use crate::exit::{Exit, Failure};
use crate::output::{Console, count, plain};

pub(super) fn run(
    archive: &Archive,
    knob: &str,
    args: &ExplainArgs,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut asked = Asked {
        knob: knob.to_owned(),
        window: args.window,
        node: args.node.clone(),
        tags: None,
        findings: 0,
        carrying: 0,
        plans: 0,
        gates: BTreeMap::new(),
        last: Last::None,
        other_tags: BTreeMap::new(),
        problems: 0,
    };
    let folded = Replay::new().run(archive, |step| {
        asked.step(&step);
        ControlFlow::Continue(())
    });
    let answer = Answer {
        knob: folded
            .planner
            .as_ref()
            .and_then(|p| p.knobs().find(|k| k.id == knob).cloned()),
        planner: folded.planner,
        asked: &asked,
    };
    match args.format {
        Format::Text => answer.text(console.out())?,
        Format::Json => answer.json(console.out())?,
    }
    super::say_problems(asked.problems, args, console);
    Ok(Exit::Done)
}

/// A hold with the finding that it held.
struct Case {
    hold: Hold,
    finding: String,
    at_ms: u64,
}

/// How often a gate held the knob.
struct Held {
    times: u64,
    closest: Case,
    /// How far that was from passing.
    miss: Option<f64>,
    last: Case,
}

struct Asked {
    knob: String,
    window: Option<i64>,
    node: Option<String>,
    /// The tags that the knob responds to, by its latest definition.
    tags: Option<BTreeSet<String>>,
    /// Findings in question.
    findings: u64,
    /// Those of them that carry one of its tags.
    carrying: u64,
    plans: u64,
    /// By the gate's place in the order of asking.
    gates: BTreeMap<usize, Held>,
    /// What became of the last finding that carries one of its tags.
    last: Last,
    /// The tags of the other findings.
    other_tags: BTreeMap<String, u64>,
    problems: u64,
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// There was none.
    None,
    Plan,
    /// A gate, by its place in the order of asking.
    Held(usize),
}

/// A journal may name any number of tags; so many are told.
const OTHER_TAGS: usize = 1000;

impl Asked {
    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Problem(problem) => self.problems += u64::from(!problem.what.is_harmless()),
            Step::Entry {
                entry,
                decided: Some(decisions),
                planner: Some(planner),
                ..
            } => {
                let Recorded::Event { event, .. } = &entry.what else {
                    return;
                };
                let is_definition = matches!(
                    event,
                    RecordedEvent::Registration(_) | RecordedEvent::Bootstrap(_)
                );
                if is_definition || self.tags.is_none() {
                    self.tags = Some(tags_of(&self.knob, planner));
                }
                let tags = self.tags.take().unwrap_or_default();
                if let RecordedEvent::Finding(finding) = event {
                    self.finding(finding, event, decisions, &tags, entry.at_ms);
                }
                self.tags = Some(tags);
            }
            _ => {}
        }
    }

    fn finding(
        &mut self,
        finding: &FindingView<'_>,
        event: &RecordedEvent<'_>,
        decisions: &Decisions,
        tags: &BTreeSet<String>,
        at_ms: u64,
    ) {
        let is_asked = self.window.is_none_or(|n| n == finding.window_index)
            && self.node.as_ref().is_none_or(|asked| {
                let node = finding.scope.strip_prefix("node:").unwrap_or_default();
                node_names_match(node.split(':').next().unwrap_or_default(), asked)
            });
        if !is_asked {
            return;
        }
        self.findings += 1;
        let mut named = finding.opportunity_tags.iter();
        if named.any(|tag| tags.contains(&**tag)) {
            self.carrying += 1;
        } else if self.other_tags.len() < OTHER_TAGS {
            for tag in &finding.opportunity_tags {
                *self.other_tags.entry(tag.to_string()).or_default() += 1;
            }
        }
        for decision in decisions {
            match decision {
                Decision::Plan(plan) if plan.knob_id == self.knob => {
                    self.plans += 1;
                    self.last = Last::Plan;
                }
                Decision::Hold(hold) if concerns(hold, event, &self.knob, tags) => {
                    self.held(hold, finding, at_ms);
                    self.last = Last::Held(hold.gate.index());
                }
                _ => {}
            }
        }
    }

    fn held(&mut self, hold: &Hold, finding: &FindingView<'_>, at_ms: u64) {
        let case = || Case {
            hold: hold.clone(),
            finding: text::finding_line(finding),
            at_ms,
        };
        let miss = miss(&hold.gate);
        match self.gates.get_mut(&hold.gate.index()) {
            Some(so_far) => {
                so_far.times += 1;
                // Of equals the later one.
                if miss <= so_far.miss {
                    so_far.miss = miss;
                    so_far.closest = case();
                }
                so_far.last = case();
            }
            None => {
                let first = Held {
                    times: 1,
                    closest: case(),
                    miss,
                    last: case(),
                };
                self.gates.insert(hold.gate.index(), first);
            }
        }
    }
}

/// How far a gate was from letting pass, where it compares numbers.
fn miss(gate: &Gate) -> Option<f64> {
    let value = gate.value()?.as_number()?.as_f64();
    let threshold = gate.threshold()?.as_number()?.as_f64();
    Some((threshold - value).abs())
}

/// A job may have thousands of nodes.
const PENDING_SHOWN: usize = 5;

struct Answer<'a> {
    knob: Option<Knob>,
    planner: Option<Planner>,
    asked: &'a Asked,
}

impl Answer<'_> {
    /// What hinders it now, beside what the last finding met.
    fn hindrances(&self) -> Vec<String> {
        let (Some(planner), name) = (&self.planner, &self.asked.knob) else {
            return Vec::new();
        };
        let mut now = Vec::new();
        if planner.is_frozen() {
            now.push("everything is frozen; thaw it: dfo ctl thaw".to_owned());
        } else if planner.frozen_knobs().any(|frozen| frozen == name) {
            now.push(format!("it is frozen; thaw it: dfo ctl thaw {name}"));
        }
        let pending = planner.pending();
        let pending: Vec<_> = pending.iter().filter(|plan| plan.knob == name).collect();
        for pending in pending.iter().take(PENDING_SHOWN) {
            now.push(format!(
                "{} for {} awaits its acknowledgement",
                pending.plan_id,
                pending.node.unwrap_or("all nodes")
            ));
        }
        if let more @ 1.. = pending.len().saturating_sub(PENDING_SHOWN) {
            let plans = count(more as u64, "plan");
            now.push(format!("{plans} more for other nodes await theirs"));
        }
        let tags = self.asked.tags.iter().flatten();
        let suppressed = planner.suppressed_tags();
        for tag in tags.filter(|tag| suppressed.contains(&tag.as_str())) {
            now.push(format!("{tag} is suppressed by a finding of the whole job"));
        }
        let tags: Vec<_> = self
            .asked
            .tags
            .iter()
            .flatten()
            .map(String::as_str)
            .collect();
        if self.asked.carrying == 0 && !tags.is_empty() {
            now.push(format!(
                "a finding would have to name {}",
                tags.join(" or ")
            ));
        }
        now
    }

    /// What would have to be different for the next finding like the last one.
    fn next_time(&self) -> Option<String> {
        let Last::Held(gate) = self.asked.last else {
            return None;
        };
        let held = self.asked.gates.get(&gate)?;
        match held.last.hold.gate {
            // What is so now is known, and told.
            Gate::Frozen { .. } | Gate::Pending { .. } => None,
            _ => Some(otherwise::now(&held.last.hold)),
        }
    }

    fn in_short(&self) -> String {
        let Asked { knob: name, .. } = self.asked;
        let Some(knob) = &self.knob else {
            let known = self.planner.iter().flat_map(Planner::knobs);
            let known: Vec<_> = known.map(|knob| knob.id.as_str()).collect();
            let known = match known.is_empty() {
                true => "no knob was".to_owned(),
                false => format!("there are {}", known.join(", ")),
            };
            return format!("{name} was never registered; {known}");
        };
        let value = self.planner.as_ref().and_then(|p| p.value(name, None));
        let value = value.map_or(String::new(), |value| format!(" is at {value}"));
        let tags: Vec<_> = knob.responds_to.keys().map(String::as_str).collect();
        match tags.is_empty() {
            true => format!("{name}{value}, and responds to no tag: nothing can change it"),
            false => format!("{name}{value}, and responds to {}", tags.join(", ")),
        }
    }

    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "{}", plain(&self.in_short()))?;
        if self.knob.is_none() {
            return Ok(());
        }
        let Asked {
            findings,
            carrying,
            plans,
            ..
        } = self.asked;
        writeln!(
            out,
            "{}, {carrying} with one of its tags; {}",
            count(*findings, "finding"),
            match plans {
                0 => "no plan was made for it".to_owned(),
                n => format!("{} made for it", count(*n, "plan")),
            },
        )?;
        if *carrying == 0 {
            self.text_of_tags(out)?;
        }
        for held in self.asked.gates.values() {
            writeln!(
                out,
                "\nheld {} by {}",
                count(held.times, "time"),
                held.last.hold.gate.name()
            )?;
            let is_last = held.closest.hold == held.last.hold;
            if held.miss.is_some() && !is_last {
                case("closest", &held.closest, out)?;
            }
            case("last", &held.last, out)?;
        }
        let hindrances = self.hindrances();
        let next_time = self.next_time();
        if hindrances.is_empty() && next_time.is_none() {
            return match self.asked.last {
                Last::Plan => writeln!(out, "\nnow     nothing: the last such finding changed it"),
                _ => Ok(()),
            };
        }
        writeln!(out)?;
        let mut label = "now";
        for sentence in hindrances.iter().chain(&next_time) {
            writeln!(out, "{label:<8}{}", plain(sentence))?;
            label = "";
        }
        Ok(())
    }

    fn text_of_tags(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut tags: Vec<_> = self.asked.other_tags.iter().collect();
        tags.sort_by_key(|(name, times)| (std::cmp::Reverse(**times), *name));
        let shown: Vec<_> = tags
            .iter()
            .take(8)
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        match shown.is_empty() {
            true => writeln!(out, "no finding named any tag"),
            false => writeln!(out, "the findings named {}", plain(&shown.join(", "))),
        }
    }

    fn json(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let case = |case: &Case| {
            json!({
                "window_index": case.hold.window_index, "at_ms": case.at_ms,
                "value": case.hold.gate.value(), "threshold": case.hold.gate.threshold(),
                "reason": case.hold.gate.to_string(), "otherwise": otherwise::then(&case.hold),
            })
        };
        let gates = self.asked.gates.values().map(|held| {
            json!({
                "gate": held.last.hold.gate.name(), "times": held.times,
                "closest": case(&held.closest), "last": case(&held.last),
            })
        });
        let value = self.planner.as_ref();
        let value = value.and_then(|p| p.value(&self.asked.knob, None));
        let answer = json!({
            "event": "explain.why_not",
            "knob_id": self.asked.knob,
            "registered": self.knob.is_some(),
            "value": value,
            "tags": self.asked.tags,
            "findings": self.asked.findings,
            "findings_with_its_tags": self.asked.carrying,
            "plans": self.asked.plans,
            "gates": gates.collect::<Vec<_>>(),
            "now": self.hindrances().into_iter().chain(self.next_time()).collect::<Vec<_>>(),
        });
        writeln!(out, "{answer}")
    }
}

fn case(label: &str, case: &Case, out: &mut dyn io::Write) -> io::Result<()> {
    let at = text::moment(case.at_ms);
    writeln!(out, "  {label:<8}{at}  {}", plain(&case.finding))?;
    writeln!(out, "          {}", plain(&text::held_by(&case.hold)))?;
    writeln!(out, "          {}", plain(&otherwise::then(&case.hold)))
}
