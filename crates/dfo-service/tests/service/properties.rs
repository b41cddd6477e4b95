//! What holds whatever comes, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dfo_model::{Ack, AckStatus, ActionPlan, Value};
use dfo_planner::{Decision, Notice};
use dfo_service::{Counts, Tally, Unsent};
use dfo_transport::{ErrorKind, Record, Sink};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use crate::scene::{
    Live, Outcome, Scene, Told, ack_record, app, farewell, finding, knob, plan_of, sink,
};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Register {
        instance: &'static str,
        node: &'static str,
        knobs: Vec<&'static str>,
        /// One knob more, which is none.
        is_odd: bool,
        live: Option<i64>,
    },
    Leave(&'static str),
    Find {
        node: &'static str,
        severity: f64,
        windows_later: i64,
    },
    Summarise,
    SayBadThings(Channel, &'static str, &'static str),
    EndOne,
    Acknowledge(Reply),
    /// So many seconds pass. Otherwise nobody waits for anybody.
    Wait(u32),
    Settle,
}

#[derive(Debug, Clone, Copy)]
enum Channel {
    Findings,
    Control,
}

/// An acknowledgement of one of the plans so far, or of none.
#[derive(Debug, Clone)]
struct Reply {
    plan: Option<prop::sample::Index>,
    status: AckStatus,
    window: Option<i64>,
    value: Option<Value>,
    knob: &'static str,
}

const NODES: [&str; 4] = ["", "n1", "n2", "n1.site"];
const INSTANCES: [&str; 4] = ["", "i1", "i2", "i3"];
const KNOBS: [&str; 3] = ["k", "l", "m"];

fn step() -> impl Strategy<Value = Step> {
    let severity = select(vec![0.1, 0.5, 1.0, 5.0]);
    let knobs = prop::sample::subsequence(KNOBS.to_vec(), 0..=3);
    let live = prop::option::weighted(0.2, -5..20_i64);
    let who = || (select(INSTANCES.to_vec()), select(NODES.to_vec()));
    let odd = prop::bool::weighted(0.1);
    let register = (who(), knobs, odd, live);
    let register = register.prop_map(|((instance, node), knobs, is_odd, live)| Step::Register {
        instance,
        node,
        knobs,
        is_odd,
        live,
    });
    let find = (
        select(NODES.to_vec()),
        severity,
        select(vec![0, 0, 1, 1, 5, 30, -3, -50]),
    );
    let find = find.prop_map(|(node, severity, windows_later)| Step::Find {
        node,
        severity,
        windows_later,
    });
    let channel = select(vec![Channel::Findings, Channel::Control]);
    let metadata = select(vec!["", "{}", "[1]", "x", r#"{"type": "action_ack"}"#]);
    let payload = select(vec![
        "",
        "{",
        "null",
        "[]",
        r#"{"scope": "node:"}"#,
        "\u{0}",
    ]);
    let bad = (channel, metadata, payload).prop_map(|(c, m, p)| Step::SayBadThings(c, m, p));
    prop_oneof![
        3 => register,
        1 => select(INSTANCES.to_vec()).prop_map(Step::Leave),
        10 => find,
        1 => Just(Step::Summarise),
        2 => bad,
        1 => Just(Step::EndOne),
        8 => reply().prop_map(Step::Acknowledge),
        2 => (0_u32..40).prop_map(Step::Wait),
        4 => Just(Step::Settle),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    use AckStatus::{Applied, Deferred, Rejected};
    let plan = prop::option::weighted(0.9, any::<prop::sample::Index>());
    let status = select(vec![Applied, Applied, Applied, Rejected, Deferred]);
    let window = select(vec![None, Some(0), Some(3), Some(-1), Some(i64::MAX)]);
    let value = select(vec![
        None,
        Some(Value::Int(4)),
        Some(Value::Int(-9)),
        Some(Value::from("lots")),
    ]);
    let knob = select(vec!["", "", "k", "nobody's"]);
    (plan, status, window, value, knob).prop_map(|(plan, status, window, value, knob)| Reply {
        plan,
        status,
        window,
        value,
        knob,
    })
}

/// What was sent to the service.
#[derive(Debug, Default)]
struct Sent {
    findings: u64,
    control: u64,
    window: i64,
}

/// How the one who reads plans behaves.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Reads,
    IsSlow,
    IsAbsent,
    IsAwayNowAndThen,
}

impl Sent {
    async fn send(&mut self, s: &mut Live, to: Channel, record: Record) {
        match to {
            Channel::Findings => {
                self.findings += 1;
                s.diagnoser.send(record).await.unwrap();
            }
            Channel::Control => {
                self.control += 1;
                s.control.send(record).await.unwrap();
            }
        }
    }

    async fn take(&mut self, s: &mut Live, step: Step) {
        match step {
            Step::Register {
                instance,
                node,
                knobs,
                is_odd,
                live,
            } => {
                let with_live = |id| match live {
                    Some(live) => knob(id).live(live),
                    None => knob(id),
                };
                let odd = is_odd.then(|| knob("odd").with("default", Json::Null));
                let knobs = knobs.into_iter().map(with_live).chain(odd);
                let app = app(instance).on(node).knobs(knobs);
                self.send(s, Channel::Control, app.record()).await;
            }
            Step::Leave(instance) => self.send(s, Channel::Control, farewell(instance)).await,
            Step::Find {
                node,
                severity,
                windows_later,
            } => {
                self.window += windows_later;
                let mut finding = finding(self.window).severity(severity);
                if !node.is_empty() {
                    finding = finding.on(node);
                }
                self.send(s, Channel::Findings, finding.record()).await;
            }
            Step::Summarise => {
                let summary = Record::new(r#"{"publish_mode": "summary"}"#, "{}");
                self.send(s, Channel::Findings, summary).await;
            }
            Step::SayBadThings(channel, metadata, payload) => {
                self.send(s, channel, Record::new(metadata, payload)).await;
            }
            Step::EndOne => {
                let end = Record::new(r#"{"name": "end"}"#, "");
                self.send(s, Channel::Findings, end).await;
            }
            Step::Acknowledge(reply) => {
                let told = s.log.outcome();
                let ack = reply.to(&told.plans());
                self.send(s, Channel::Control, ack_record(&ack)).await;
            }
            Step::Wait(seconds) => s.wait(seconds.into()).await,
            Step::Settle => s.settle().await,
        }
    }
}

impl Reply {
    fn to(&self, plans: &[&ActionPlan]) -> Ack {
        let plan = self.plan.as_ref().filter(|_| !plans.is_empty());
        let id = plan.map_or("plan_of_nobody", |index| &index.get(plans).plan_id);
        let mut ack = Ack::new(id, self.status);
        ack.window_index = self.window;
        ack.new_value.clone_from(&self.value);
        self.knob.clone_into(&mut ack.knob_id);
        ack
    }
}

/// All decisions, in order.
fn decisions(told: &Outcome) -> Vec<Decision> {
    let decided = told.0.iter().filter_map(|told| match told {
        Told::Decided(decisions) => Some(decisions.clone()),
        _ => None,
    });
    decided.flatten().collect()
}

/// No two plans for one knob and node without an end of the first in between.
fn one_at_a_time(decisions: &[Decision]) {
    let mut open: BTreeMap<(String, Vec<String>), String> = BTreeMap::new();
    for decision in decisions {
        match decision {
            Decision::Plan(plan) => {
                let target = (plan.knob_id.clone(), plan.target_nodes.clone());
                let before = open.insert(target, plan.plan_id.clone());
                assert_eq!(before, None, "{plan:?} while another was open");
            }
            Decision::Notice(notice) => {
                if let Notice::Applied { plan_id, .. }
                | Notice::Rejected { plan_id, .. }
                | Notice::PlanExpired { plan_id, .. } = &**notice
                {
                    let was_open = open.len();
                    open.retain(|_, id| id.as_str() != plan_id.as_str());
                    assert_eq!(open.len() + 1, was_open, "{notice:?} ends an open plan");
                }
            }
            Decision::Hold(_) => {}
        }
    }
}

fn counts_add_up(counts: &Counts, sent: &Sent, told: &Outcome) {
    let findings = counts.findings + counts.summaries + counts.bad_findings + counts.ends;
    assert_eq!(findings, sent.findings, "{counts:?}");
    let registrations = counts.registrations + counts.heartbeats;
    let farewells = counts.left + counts.unknown_farewells;
    let control = registrations + counts.acks + farewells + counts.bad_control;
    assert_eq!(control, sent.control, "{counts:?}");

    let dropped = counts.superseded + counts.crowded_out + counts.withdrawn + counts.undelivered;
    assert_eq!((counts.oversized, counts.undecided), (0, 0));
    assert_eq!(counts.decisions.plans, counts.sent + dropped, "{counts:?}");
    let unsent = |why| told.unsent().iter().filter(|(_, w)| *w == why).count() as u64;
    assert_eq!(counts.superseded, unsent(Unsent::Superseded));
    assert_eq!(counts.crowded_out, unsent(Unsent::CrowdedOut));
    assert_eq!(counts.withdrawn, unsent(Unsent::Withdrawn));

    let mut tally = Tally::default();
    for told in &told.0 {
        if let Told::Decided(decisions) = told {
            tally.count(decisions);
        }
    }
    assert_eq!(counts.decisions, tally);
    let bad = counts.bad_records() + counts.registrations_in_part;
    assert_eq!(bad, told.problems().len() as u64);
    assert_eq!(counts.silent, told.silent().len() as u64);
}

/// The reader got what was planned, each plan once and in order.
fn taken_in_order(taken: &[ActionPlan], told: &Outcome) {
    let order: BTreeMap<_, _> = told
        .plans()
        .into_iter()
        .zip(0..)
        .map(|(p, i)| (&p.plan_id, (i, p)))
        .collect();
    let places: Vec<_> = taken.iter().map(|plan| order[&plan.plan_id]).collect();
    assert!(places.is_sorted_by(|a, b| a.0 < b.0), "out of order");
    assert!(
        places
            .iter()
            .zip(taken)
            .all(|((_, made), taken)| *made == taken)
    );
    let unsent: BTreeSet<_> = told.unsent().into_iter().map(|(id, _)| id).collect();
    assert!(
        taken
            .iter()
            .all(|plan| !unsent.contains(plan.plan_id.as_str()))
    );
}

fn run(steps: Vec<Step>, reader: Reader, queue: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let to = match reader {
            Reader::Reads => sink(),
            Reader::IsSlow => sink().slow(Duration::from_secs(7)),
            Reader::IsAbsent => sink().blocked(),
            Reader::IsAwayNowAndThen => (0..20).fold(sink(), |sink, _| {
                sink.fails(ErrorKind::Unreachable, 1).takes(2)
            }),
        };
        let taken = to.taken();
        let scene = Scene::new().plans_to("plans", to).settings(|s| {
            s.plan_queue = queue;
            // More than come: the findings do not end.
            s.senders = Some(1000);
            s.batch = 3;
            s.applications = 2;
        });
        let mut s = scene.start();
        let mut sent = Sent::default();
        for step in steps {
            sent.take(&mut s, step).await;
        }
        s.settle().await;
        let log = s.log.clone();
        let ended = s.stop().await;
        let told = log.outcome();
        assert!(ended.reason.is_orderly(), "{:?}", ended.reason);
        one_at_a_time(&decisions(&told));
        counts_add_up(&ended.counts, &sent, &told);
        let taken: Vec<_> = taken.records().iter().map(plan_of).collect();
        assert_eq!(taken.len() as u64, ended.counts.sent);
        taken_in_order(&taken, &told);
    });
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_comes_nothing_breaks_and_everything_is_counted(
        steps in prop::collection::vec(step(), 0..80),
        reader in select(vec![Reader::Reads, Reader::IsSlow, Reader::IsAbsent, Reader::IsAwayNowAndThen]),
        queue in select(vec![1, 2, 10_000]),
    ) {
        run(steps, reader, queue);
    }
}
