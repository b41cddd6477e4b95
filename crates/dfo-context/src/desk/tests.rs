//! Whatever happens in whatever order: every plan taken in is answered once and for all.

use std::collections::HashMap;
use std::sync::Arc;

use dfo_model::{Ack, AckStatus, ActionPlan, Knob, KnobType, Range, Value};
use proptest::prelude::*;

use super::{Answer, Audience, Desk, Fate, Limits, Outgoing, Taken};
use crate::boundary::Boundary;
use crate::knobs::LiveKnob;
use crate::speaker::Speaker;
use crate::status::Link;

/// Something that happens to a desk.
#[derive(Debug, Clone, Copy)]
enum Event {
    Plan {
        id: u8,
        knob: u8,
        value: i64,
        apply_when: &'static str,
        node: &'static str,
    },
    Boundary(u8, Boundary),
    /// Of one of the plans in hand.
    Answer(u8, Reply),
    Redefine(u8, i64),
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Applied,
    AppliedAs(i64),
    Rejected,
    Deferred,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let boundary = prop_oneof![Just(Boundary::Epoch), Just(Boundary::Window)];
    let apply_when = prop_oneof![
        4 => Just("window_boundary"),
        4 => Just("epoch_boundary"),
        1 => Just("next_window"),
        1 => Just("tomorrow"),
    ];
    let node = prop_oneof![4 => Just(""), 1 => Just("n1.site"), 1 => Just("n2")];
    let reply = prop_oneof![
        Just(Reply::Applied),
        (1..20i64).prop_map(Reply::AppliedAs),
        Just(Reply::Rejected),
        Just(Reply::Deferred),
    ];
    // Knobs 0 and 1 are of function 0, knob 2 of function 1, knob 3 of none.
    let plan = (
        0..24u8,
        0..4u8,
        prop_oneof![0..20i64, 3..5i64],
        apply_when,
        node,
    );
    let plan = plan.prop_map(|(id, knob, value, apply_when, node)| Event::Plan {
        id,
        knob,
        value,
        apply_when,
        node,
    });
    let event = prop_oneof![
        4 => plan,
        2 => (0..2u8, boundary).prop_map(|(f, at)| Event::Boundary(f, at)),
        2 => (any::<u8>(), reply).prop_map(|(i, reply)| Event::Answer(i, reply)),
        1 => (0..3u8, 1..16i64).prop_map(|(knob, most)| Event::Redefine(knob, most)),
    ];
    proptest::collection::vec(event, 0..80)
}

fn function_of(knob: u8) -> &'static str {
    match knob {
        0 | 1 => "first",
        2 => "second",
        _ => "third",
    }
}

fn knob(knob: u8, most: i64) -> LiveKnob {
    let mut definition = Knob::new("", KnobType::Int, 1);
    definition.range = Some(Range::new(1, most));
    LiveKnob::new(format!("k{knob}"), definition)
}

fn plan(id: u8, number: u8, value: i64, apply_when: &str, node: &str) -> ActionPlan {
    let text = format!(
        r#"{{"plan_id": "{id}", "knob_id": "app.k{number}", "new_value": {value}, "apply_when": "{apply_when}", "target_function": "{}"}}"#,
        function_of(number)
    );
    let mut plan = ActionPlan::decode(text.as_bytes()).into_result().unwrap();
    if !node.is_empty() {
        plan.target_nodes = vec![node.to_owned()];
    }
    plan
}

/// A desk, and what someone who looks on expects of it.
struct Scene {
    desk: Desk,
    in_hand: Vec<Taken>,
    /// Answers still owed, by plan id.
    owed: HashMap<String, ActionPlan>,
    acks: Vec<Ack>,
}

impl Scene {
    fn new() -> Self {
        let speaker = Speaker::new("app", "n1");
        let mut desk = Desk::new(speaker, Limits::default(), Fate::Waits);
        for number in 0..3 {
            register(&mut desk, number, 16);
        }
        while desk.next_outgoing().is_some() {}
        Scene {
            desk,
            in_hand: Vec::new(),
            owed: HashMap::new(),
            acks: Vec::new(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Plan {
                id,
                knob,
                value,
                apply_when,
                node,
            } => {
                let plan = plan(id, knob, value, apply_when, node);
                if node != "n2" {
                    self.owed.entry(id.to_string()).or_insert(plan.clone());
                }
                self.receive(plan);
            }
            Event::Boundary(function, at) => {
                let was_empty = self.pending(function, at);
                let taken = self.desk.take(function.into(), at, |_| true);
                assert_eq!(was_empty, taken.is_empty());
                assert!(self.pending(function, at));
                for taken in &taken {
                    let value = &taken.staged.value;
                    assert!((1..=16).any(|i| *value == Value::Int(i)), "{value}");
                }
                self.in_hand.extend(taken);
            }
            Event::Answer(index, reply) => {
                if !self.in_hand.is_empty() {
                    let taken = self.in_hand.remove(usize::from(index) % self.in_hand.len());
                    self.answer(taken, reply);
                }
            }
            Event::Redefine(knob, most) => register(&mut self.desk, knob, most),
        }
        self.look_at_acks();
    }

    /// A plan that was answered before is answered again, in the same words, and not taken in.
    fn receive(&mut self, plan: ActionPlan) {
        let before = self.desk.status().plans.repeated;
        let is_open = self.desk.history.is_open(&plan.plan_id);
        self.desk.receive(plan, Audience::OnlyUs);
        if self.desk.status().plans.repeated > before && !is_open {
            let Some(Outgoing::Ack(ack)) = self.desk.next_outgoing() else {
                panic!("the answer is not repeated");
            };
            assert!(self.acks.contains(&ack), "said for the first time: {ack:?}");
            self.owed.remove(&ack.plan_id);
        }
    }

    fn pending(&self, function: u8, at: Boundary) -> bool {
        let pending = self.desk.functions.pending(function.into());
        pending.is_empty(at)
    }

    fn answer(&mut self, taken: Taken, reply: Reply) {
        let value = taken.staged.value.clone();
        let answer = match reply {
            Reply::Applied => Answer::Applied(value),
            Reply::AppliedAs(value) => Answer::Applied(value.into()),
            Reply::Rejected => Answer::Rejected("no".to_owned()),
            Reply::Deferred => Answer::Deferred,
        };
        self.desk.answer(taken, answer);
    }

    /// Every acknowledgement that ends a plan ends one that was owed.
    fn look_at_acks(&mut self) {
        while let Some(outgoing) = self.desk.next_outgoing() {
            let Outgoing::Ack(ack) = outgoing else {
                continue;
            };
            if ack.status == AckStatus::Deferred {
                assert!(self.owed.contains_key(&ack.plan_id), "{ack:?}");
            } else {
                let owed = self.owed.remove(&ack.plan_id);
                assert!(owed.is_some(), "answered once too often: {ack:?}");
            }
            self.acks.push(*ack);
        }
    }

    fn end(mut self) {
        for taken in std::mem::take(&mut self.in_hand) {
            self.answer(taken, Reply::Deferred);
        }
        self.desk.stop();
        self.look_at_acks();
        assert!(self.owed.is_empty(), "never answered: {:?}", self.owed);
        let plans = self.desk.status().plans;
        let of = |status| self.acks.iter().filter(|a| a.status == status).count() as u64;
        assert_eq!(plans.applied, of(AckStatus::Applied));
        assert_eq!(plans.deferred, of(AckStatus::Deferred));
        assert_eq!(plans.rejected + plans.superseded, of(AckStatus::Rejected));
        for function in 0..2 {
            assert!(self.pending(function, Boundary::Epoch));
        }
        assert!(self.desk.functions.all_pending().is_empty(Boundary::Epoch));
        assert_eq!(self.desk.status().plans_waiting, 0);
    }
}

fn register(desk: &mut Desk, number: u8, most: i64) {
    let registered = desk
        .functions
        .register(function_of(number), [knob(number, most)], "app");
    for (staged, why) in registered.unwrap().1 {
        desk.refuse(&staged.plan, why);
    }
}

proptest! {
    #[test]
    fn every_plan_is_answered_once_whatever_happens(events in events()) {
        let mut scene = Scene::new();
        for event in events {
            scene.happen(event);
        }
        scene.end();
    }
}

#[test]
fn plans_that_are_done_with_are_remembered_to_a_bound() {
    let limits = Limits {
        remembered_plans: 2,
        ..Limits::default()
    };
    let mut desk = Desk::new(Speaker::new("app", "n1"), limits, Fate::Waits);
    register(&mut desk, 0, 16);
    let wrong = |id| plan(id, 0, 99, "next_window", "");
    for id in [1, 2, 3, 3, 1] {
        desk.receive(wrong(id), Audience::OnlyUs);
    }
    // 3 was remembered, 1 was not any more.
    let plans = desk.status().plans;
    assert_eq!((plans.rejected, plans.repeated), (4, 1));
}

#[test]
fn a_boundary_sees_only_what_waits_for_it() {
    let mut desk = Desk::new(Speaker::new("app", "n1"), Limits::default(), Fate::Waits);
    register(&mut desk, 0, 16);
    let pending = desk.functions.pending(0);
    let is_empty = || [Boundary::Window, Boundary::Epoch].map(|at| pending.is_empty(at));
    assert_eq!(is_empty(), [true, true]);
    desk.receive(plan(1, 0, 3, "epoch_boundary", ""), Audience::OnlyUs);
    assert_eq!(is_empty(), [true, false]);
    desk.receive(plan(2, 0, 3, "next_window", ""), Audience::OnlyUs);
    assert_eq!(is_empty(), [false, false]);
    assert_eq!(desk.take(0, Boundary::Window, |_| true).len(), 1);
    assert_eq!(is_empty(), [true, true]);
    assert_eq!(Arc::strong_count(&pending), 2);
}

#[test]
fn a_desk_that_was_stopped_stays_so() {
    let mut desk = Desk::new(Speaker::new("app", "n1"), Limits::default(), Fate::Waits);
    register(&mut desk, 0, 16);
    desk.stop();
    desk.set_link(Link::Open);
    desk.receive(plan(1, 0, 3, "next_window", ""), Audience::OnlyUs);
    let status = desk.status();
    assert_eq!((status.link, status.plans_waiting), (Link::Stopped, 0));
    assert_eq!(status.plans.rejected, 1);
}
