//! From the start to the stop of a context: optimizers that come, go and misbehave.

mod support;

use std::time::{Duration, Instant};

use dfo_context::model::AckStatus::{Applied, Rejected};
use dfo_context::model::Value;
use dfo_context::transport::{ErrorKind, Record};
use dfo_context::{Action, Boundary, Context, Function, Link, StartError};
use support::{Optimizer, PATIENCE, at, int_knob, plan, plan_for, said, train, wait_for};

fn apply_all(function: &Function) -> usize {
    function.apply_at(Boundary::Epoch, |_| Ok::<_, String>(()))
}

#[test]
fn wrong_options_are_an_error_and_an_absent_optimizer_is_none() {
    let optimizer = Optimizer::away();
    let start = |given: &[(&str, &str)]| {
        let given = given.to_vec();
        Context::builder("app")
            .node("n1")
            .start_patience(PATIENCE)
            .transport(optimizer.transport(), given)
            .start()
    };
    let error = start(&[("adress", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("option `adress`: "), "{error}");
    // What only the transport itself can tell.
    let error = start(&[("address", "x"), ("size", "big")]).unwrap_err();
    assert!(matches!(error, StartError::Transport(_)));
    let error = start(&[]).unwrap_err().to_string();
    assert!(error.starts_with("option `address`: "), "{error}");
    assert_eq!(
        start(&[("address", "x")]).unwrap().status().link,
        Link::Opening
    );
    let error = optimizer.builder().node(" ").start().unwrap_err();
    assert!(matches!(error, StartError::EmptyNode));
    assert!(!optimizer.builder().start().unwrap().node().is_empty());
}

#[test]
fn without_a_name_the_node_is_the_host() {
    let context = Context::builder("").start().unwrap();
    assert!(!context.node().is_empty());
    assert_eq!(context.namespace(), "app");
}

#[test]
fn the_heartbeat_carries_the_values_in_force() {
    let optimizer = Optimizer::new();
    let beat = Duration::from_millis(10);
    let context = optimizer.builder().heartbeat(beat).start().unwrap();
    let train = train(&context);
    let told = |value: i64| {
        let is_so = || optimizer.next_registration().current_value("k") == Some(&value.into());
        assert!((0..1000).any(|_| is_so()), "{value} is never told");
    };
    told(2);
    optimizer.send(&plan("p", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(apply_all(&train), 1);
    told(3);
    // It is what it is, also outside the range.
    train.set_value("k", 99).unwrap();
    told(99);
    assert!(train.set_value("k", "many").is_err());
    assert!(train.set_value("x", 1).is_err());
    assert_eq!(train.value("k"), Some(99.into()));
}

#[test]
fn the_heartbeat_keeps_its_time() {
    let optimizer = Optimizer::new();
    let beat = Duration::from_millis(20);
    let begun = Instant::now();
    let context = optimizer.builder().heartbeat(beat).start().unwrap();
    train(&context);
    // The opening and the registration may each cause one.
    for _ in 0..6 {
        optimizer.next_registration();
    }
    assert!(begun.elapsed() >= 4 * beat, "{:?}", begun.elapsed());
}

#[test]
fn a_restarted_optimizer_is_found_again() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    assert_eq!(
        optimizer.next_registration().current_value("k"),
        Some(&2.into())
    );
    optimizer.send(&plan("before", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);

    optimizer.leave();
    wait_for(&context, "its absence", |s| s.link == Link::Opening);
    // What came before is applied all the same, and said when there is someone to hear it.
    assert_eq!(apply_all(&train), 1);
    wait_for(&context, "waiting acks", |s| s.acks_waiting == 1);
    optimizer.come_back();
    optimizer.wait_for_connection(2);
    assert_eq!(
        optimizer.next_registration().current_value("k"),
        Some(&3.into())
    );
    assert_eq!(optimizer.next_ack().plan_id, "before");

    optimizer.send(&plan("after", 4));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(apply_all(&train), 1);
    assert_eq!(optimizer.next_ack().new_value, Some(4.into()));
    assert_eq!(context.status().openings, 2);
}

#[test]
fn while_the_optimizer_is_away_acknowledgements_wait_to_a_bound() {
    let optimizer = Optimizer::away();
    let context = optimizer.builder().waiting_acks(3).start().unwrap();
    let train = train(&context);
    for i in 0..10 {
        context.stage(plan(&format!("p{i}"), i % 16 + 1));
        assert_eq!(apply_all(&train), 1);
    }
    let status = context.status();
    assert_eq!((status.acks_waiting, status.sent.acks_dropped), (3, 7));
    optimizer.come_back();
    let ids = [(); 3].map(|()| optimizer.next_ack().plan_id);
    assert_eq!(ids, ["p7", "p8", "p9"]);
}

#[test]
fn a_plan_that_comes_twice_is_applied_once_and_answered_again() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.send(&plan("p", 3));
    optimizer.send(&plan("p", 3));
    wait_for(&context, "both", |s| s.plans.repeated == 1);
    assert_eq!(apply_all(&train), 1);
    let first = optimizer.next_ack();
    optimizer.send(&plan("p", 3));
    assert_eq!(optimizer.next_ack(), first);
    assert_eq!(apply_all(&train), 0);
    // An optimizer that counts its plans from the beginning again means another one.
    optimizer.send(&plan("p", 5));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(apply_all(&train), 1);
    assert_eq!(optimizer.next_ack().new_value, Some(5.into()));
}

#[test]
fn actions_come_in_the_order_of_their_plans() {
    let context = Context::disabled();
    let knobs = ["a", "b", "c"].map(|name| int_knob(name, 2));
    let train = context.register("train", knobs).unwrap();
    for (id, knob) in [
        ("1", "app.c"),
        ("2", "app.a"),
        ("3", "app.b"),
        ("4", "app.c"),
    ] {
        context.stage(plan_for(knob, id, 3));
    }
    context.stage(at(plan_for("app.a", "5", 4), "epoch_boundary"));
    let ids = |actions: &[Action]| -> Vec<String> {
        let ids = actions.iter().map(|a| a.plan().plan_id.clone());
        ids.collect()
    };
    let window: Vec<_> = train.window_boundary().collect();
    assert_eq!(ids(&window), ["3", "4"]);
    // One that is put off has its old place, unless something newer came.
    context.stage(plan_for("app.b", "6", 5));
    window.into_iter().for_each(Action::deferred);
    let epoch: Vec<_> = train.epoch_boundary().collect();
    assert_eq!(ids(&epoch), ["4", "5", "6"]);
    let plans = context.status().plans;
    assert_eq!((plans.superseded, plans.deferred), (3, 1));
}

#[test]
fn a_new_definition_outdates_a_plan_that_waits() {
    let context = Context::disabled();
    let train = train(&context);
    context.stage(plan("p", 16));
    let mut narrower = int_knob("k", 3);
    narrower.knob.range = Some(dfo_context::model::Range::new(1, 8));
    context.register("train", [narrower]).unwrap();
    assert!(train.epoch_boundary().is_empty());
    assert_eq!(train.value("k"), Some(3.into()));
    assert_eq!(context.status().plans.rejected, 1);
}

#[test]
fn a_hundred_thousand_bad_records_are_counted_and_nothing_else() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    let garbage: [&[u8]; 10] = [
        b"",
        b"{",
        b"null",
        b"[1, 2]",
        b"\xff\xfe\x00",
        b"{\"knob_id\": \"app.k\"}",
        b"{\"knob_id\": \"app.k\", \"new_value\": 3}",
        b"{\"plan_id\": 5, \"knob_id\": [], \"new_value\": {}}",
        b"NaN",
        b"\"plan\"",
    ];
    let metadata: [&[u8]; 4] = [b"", b"[\"x\"]", b"{\"type\": 3}", b"\x00"];
    optimizer.send_records((0..100_000).map(|i| {
        let metadata = metadata[i % metadata.len()];
        Record::new(metadata, garbage[i % garbage.len()])
    }));
    optimizer.send(&plan("good", 3));
    wait_for(&context, "the good one", |s| s.plans_waiting == 1);
    let status = context.status();
    assert_eq!(status.plans.undecodable, 100_000);
    assert_eq!(status.plans.received, 100_001);
    assert_eq!((status.acks_waiting, status.plans.rejected), (0, 0));
    assert!(status.last_undecodable.is_some());
    assert_eq!(status.openings, 1);
    assert_eq!(apply_all(&train), 1);
}

#[test]
fn the_end_of_an_optimizers_stream_is_not_the_end_of_ours() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    train(&context);
    optimizer.send_record(Record::new(&b"{\"name\": \"end\"}"[..], ""));
    optimizer.send(&plan("p", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(context.status().plans.received, 1);
}

#[test]
fn a_huge_plan_is_passed_over() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    train(&context);
    let mut huge = plan("huge", 3);
    huge.rationale = "x".repeat(2 << 20);
    optimizer.send(&huge);
    optimizer.send(&plan(&"long".repeat(1000), 3));
    optimizer.send(&plan("p", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(context.status().plans.undecodable, 2);
}

#[test]
fn a_stop_rejects_what_waits_and_says_goodbye() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.wait_for_connection(1);
    context.stage(plan("in hand", 3));
    let in_hand = train.window_boundary();
    context.stage(plan("waits", 4));
    let instance = context.instance().to_owned();
    drop(context);

    let (acks, stop) = optimizer.until_stop();
    let reason = "the application stopped taking plans before it applied this one";
    assert_eq!(acks.len(), 1);
    assert_eq!(said(&acks[0]), (Rejected, reason));
    let expected = format!(r#"{{"type":"stop","instance":"{instance}","node":"n1"}}"#);
    assert_eq!(String::from_utf8_lossy(&stop.metadata), expected);
    assert_eq!(&stop.payload[..], b"{}");
    // The answer comes too late for anyone, and does no harm.
    in_hand.for_each(Action::applied);
    assert_eq!(train.value("k"), Some(3.into()));
}

#[test]
fn a_stop_never_hangs_where_nobody_reads() {
    let optimizer = Optimizer::new();
    optimizer.fault(|faults| faults.control_capacity = 1);
    let deadline = Duration::from_millis(50);
    let context = optimizer.builder().stop_deadline(deadline).start().unwrap();
    let train = train(&context);
    optimizer.wait_for_connection(1);
    for i in 0..20 {
        context.stage(plan(&format!("p{i}"), 3));
        assert_eq!(apply_all(&train), 1);
    }
    let begun = Instant::now();
    context.stop();
    assert!(begun.elapsed() < PATIENCE);
    let status = context.status();
    assert_eq!(status.acks_waiting, 0);
    assert_eq!(
        status.sent.acks + status.sent.acks_dropped,
        20,
        "{status:?}"
    );
}

#[test]
fn an_optimizer_that_hears_nothing_still_sends_plans() {
    let optimizer = Optimizer::new();
    optimizer.fault(|faults| faults.has_no_control = true);
    let context = optimizer.context();
    let train = train(&context);
    for i in 0..5 {
        optimizer.send(&plan(&format!("p{i}"), i + 3));
        wait_for(&context, "a plan", |s| s.plans_waiting == 1);
        assert_eq!(apply_all(&train), 1);
    }
    assert_eq!(train.value("k"), Some(7.into()));
    let status = context.status();
    assert_eq!((status.sent.acks_unheard, status.acks_waiting), (5, 0));
}

#[test]
fn an_acknowledgement_that_the_transport_cannot_carry_does_not_stop_the_others() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.next_registration();
    optimizer.fault(|faults| faults.sending.push_back(ErrorKind::TooLarge));
    for id in ["first", "second"] {
        optimizer.send(&plan(id, 3));
        wait_for(&context, "a plan", |s| s.plans_waiting == 1);
        assert_eq!(apply_all(&train), 1);
    }
    let ack = optimizer.next_ack();
    assert_eq!((ack.plan_id.as_str(), ack.status), ("second", Applied));
    assert_eq!(context.status().sent.acks_dropped, 1);
}

#[test]
fn values_are_given_in_the_knobs_own_type() {
    use dfo_context::LiveKnob;
    use dfo_context::model::{Knob, KnobType};
    let context = Context::disabled();
    let share = LiveKnob::new("share", Knob::new("", KnobType::Float, 1));
    let train = context.register("train", [share]).unwrap();
    assert_eq!(train.value("share"), Some(Value::Float(1.0)));
    context.stage(plan_for("app.share", "p", 2));
    for action in train.epoch_boundary() {
        assert_eq!(action.new_value(), &Value::Float(2.0));
        assert!(action.applied_as("much").is_err());
    }
    assert_eq!(train.value("share"), Some(Value::Float(1.0)));
    assert_eq!(context.status().plans.rejected, 1);
}

#[test]
fn a_transport_that_fails_is_not_tried_at_once_again() {
    let absent = Optimizer::away();
    let hour = Duration::from_hours(1);
    let waiting = absent.builder().back_off(hour, hour).start().unwrap();
    // Time enough for many tries, measured by what else can be done in it.
    let present = Optimizer::new();
    let context = present.context();
    train(&context);
    present.next_registration();
    assert_eq!(absent.attempts(), 1);
    let begun = Instant::now();
    waiting.stop();
    assert!(
        begun.elapsed() < PATIENCE,
        "a stop does not wait for the next try"
    );
}

#[test]
fn what_is_registered_later_is_told_at_once() {
    let optimizer = Optimizer::new();
    let context = optimizer
        .builder()
        .heartbeat(Duration::from_hours(1))
        .start()
        .unwrap();
    wait_for(&context, "an open link", |s| s.link == Link::Open);
    for name in ["first", "second"] {
        context.register(name, [int_knob(name, 2)]).unwrap();
        assert_eq!(optimizer.next_registration().function_name, name);
        let number = if name == "first" { 1 } else { 2 };
        wait_for(&context, "the count", |s| s.sent.registrations == number);
    }
}

#[test]
fn a_stopped_context_stays_stopped_when_its_optimizer_comes_and_goes() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    for _ in 0..20 {
        optimizer.cut();
    }
    context.stop();
    optimizer.cut();
    context.stage(plan("late", 3));
    let status = context.status();
    assert_eq!((status.link, status.plans_waiting), (Link::Stopped, 0));
    assert!(train.epoch_boundary().is_empty());
}

#[test]
fn a_broken_copy_of_a_plan_does_not_answer_for_the_whole_one() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.send(&plan("p", 3));
    optimizer.send_payload(r#"{"plan_id": "p", "knob_id": "app.k", "new_value": null}"#);
    wait_for(&context, "both", |s| s.plans.undecodable == 1);
    assert_eq!(apply_all(&train), 1);
    let ack = optimizer.next_ack();
    assert_eq!((ack.plan_id.as_str(), ack.status), ("p", Applied));
    assert_eq!(context.status().plans.rejected, 0);
}

#[test]
fn who_waits_for_a_status_may_ask_the_context_meanwhile() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.send(&plan("p", 3));
    let came = context.wait_for(PATIENCE, |_| context.status().plans_waiting == 1);
    assert!(came && train.value("k") == Some(2.into()));
    assert!(!context.wait_for(Duration::from_millis(5), |s| s.link == Link::Stopped));
}

#[test]
fn knobs_can_be_made_with_the_help_of_their_context() {
    let context = Context::disabled();
    let train = train(&context);
    let like_k = |name| int_knob(name, 1).with_value(train.value("k").unwrap());
    let knobs = ["a", "b"].into_iter().map(like_k);
    let others = context.register("others", knobs).unwrap();
    assert_eq!(others.value("b"), Some(2.into()));
}

#[test]
fn all_that_an_application_holds_can_go_to_another_thread() {
    fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<Context>();
    goes_anywhere::<Function>();
    goes_anywhere::<Action>();
}
