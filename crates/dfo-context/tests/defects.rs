//! The defects of the original's application side, group f: none of them is here.

mod support;

use std::time::Duration;

use dfo_context::model::AckStatus::{Applied, Deferred, Rejected};
use dfo_context::transport::{ErrorKind, Record};
use dfo_context::{Action, Boundary, Context, Link};
use support::{Optimizer, at, for_nodes, int_knob, plan, plan_for, said, train, wait_for};

#[test]
fn f01_a_bad_value_is_rejected_on_receipt_and_never_reaches_the_application() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    for (value, reason) in [
        ("null", "new_value: missing: a plan needs a value"),
        ("\"abc\"", "new_value: \"abc\" is not of type int"),
        (
            "[1]",
            "new_value: expected a bool, a finite number or a string, found a list",
        ),
        ("2.5", "new_value: 2.5 is not of type int"),
        ("99", "new_value: 99 is outside the range [1, 16]"),
    ] {
        let id = format!("p{value}").replace('"', "");
        let text = format!(
            r#"{{"plan_id": "{id}", "knob_id": "app.k", "target_function": "train", "new_value": {value}}}"#
        );
        optimizer.send_payload(text);
        let ack = optimizer.next_ack();
        assert_eq!(said(&ack), (Rejected, reason));
        assert_eq!((&ack.plan_id, &ack.knob_id), (&id, &"app.k".to_owned()));
        assert_eq!(ack.old_value, Some(2.into()));
        assert_eq!(ack.new_value, Some(2.into()));
        assert!(train.epoch_boundary().is_empty());
    }
    // What the payload cannot tell, the metadata can.
    let metadata = r#"{"type": "action_plan", "plan_id": "half", "knob_id": "app.k"}"#;
    optimizer.send_record(Record::new(metadata, &b"{\"plan_id\": \"ha"[..]));
    let ack = optimizer.next_ack();
    assert_eq!((ack.plan_id.as_str(), ack.status), ("half", Rejected));
    assert_eq!(context.status().plans.rejected, 6);
    assert_eq!(train.value("k"), Some(2.into()));
}

#[test]
fn f02_an_application_that_fails_to_answer_still_acknowledges() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);

    optimizer.send(&plan("early return", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    let returns_early = || -> Result<(), String> {
        let _actions = train.window_boundary();
        Err("the loader is gone".to_owned())
    };
    assert!(returns_early().is_err());
    let reason = "failed: the application gave no answer";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));

    optimizer.send(&plan("panic", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    let panicking = std::thread::spawn({
        let train = train.clone();
        move || {
            train.apply_at(Boundary::Window, |_| -> Result<(), String> {
                panic!("as the test wants it")
            })
        }
    });
    assert!(panicking.join().is_err());
    let reason = "failed: the application panicked before it answered";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));

    optimizer.send(&plan("error", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    let applied = train.apply_at(Boundary::Window, |_| Err("out of memory"));
    assert_eq!(applied, 0);
    assert_eq!(said(&optimizer.next_ack()), (Rejected, "out of memory"));
    assert_eq!(train.value("k"), Some(2.into()));
}

#[test]
fn f04_a_registration_is_retried_until_it_goes_out() {
    // The broker is not up yet; then it is, and takes nothing at first.
    let optimizer =
        Optimizer::refusing([ErrorKind::Unreachable, ErrorKind::Io, ErrorKind::NotFound]);
    optimizer.fault(|faults| {
        let passing = [ErrorKind::Unreachable, ErrorKind::Interrupted];
        faults
            .sending
            .extend(passing.into_iter().chain([ErrorKind::Closed; 3]));
    });
    let context = optimizer.context();
    train(&context);
    let registration = optimizer.next_registration();
    assert_eq!(registration.function_name, "train");
    assert_eq!(registration.current_value("k"), Some(&2.into()));
    assert!(optimizer.attempts() > 3);
}

#[test]
fn f04_each_function_has_its_own_registration() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let definition = |parameter| int_knob(parameter, 2);
    context.register("first", [definition("a")]).unwrap();
    context.register("second", [definition("b")]).unwrap();
    let names = [(); 2].map(|()| optimizer.next_registration().function_name);
    assert!(names.contains(&"first".to_owned()) && names.contains(&"second".to_owned()));

    let mut for_second = plan_for("app.b", "p", 3);
    for_second.target_function = "second".to_owned();
    optimizer.send(&for_second);
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(context.at("first", Boundary::Epoch).len(), 0);
    for action in context.at("second", Boundary::Epoch) {
        action.applied();
    }
    assert_eq!(optimizer.next_ack().status, Applied);
}

#[test]
fn f05_next_window_is_a_window_boundary_and_an_unknown_boundary_is_rejected() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);

    optimizer.send(&at(plan("next", 3), "next_window"));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    let actions = train.window_boundary();
    assert_eq!(actions.len(), 1);
    actions.for_each(Action::applied);
    assert_eq!(optimizer.next_ack().plan_id, "next");

    optimizer.send(&at(plan("some day", 4), "tomorrow"));
    let reason = "apply_when: unknown boundary \"tomorrow\"; one of: epoch_boundary, \
                  window_boundary, next_window";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));

    optimizer.send(&at(plan("epoch", 5), "epoch_boundary"));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert!(train.window_boundary().is_empty());
    assert_eq!(train.epoch_boundary().len(), 1);
    assert_eq!(optimizer.next_ack().plan_id, "epoch");
}

#[test]
fn f06_a_superseded_plan_and_one_for_an_unknown_function_are_answered() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.send(&plan("a", 3));
    optimizer.send(&plan("b", 4));
    let ack = optimizer.next_ack();
    assert_eq!(ack.plan_id, "a");
    assert_eq!(said(&ack), (Rejected, "superseded by b"));
    assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
    assert_eq!(optimizer.next_ack().new_value, Some(4.into()));

    let mut stray = plan("stray", 3);
    stray.target_function = "validate".to_owned();
    stray.knob_id = "app.other".to_owned();
    optimizer.send(&stray);
    let reason = "no function `validate` is registered here";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));
    optimizer.send(&plan_for("app.other", "unknown knob", 3));
    let reason = "no knob `app.other` is registered here";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));
    stray.knob_id = "app.k".to_owned();
    stray.plan_id = "wrong function".to_owned();
    optimizer.send(&stray);
    let reason = "knob `app.k` is applied by function `train` here, not by `validate`";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));
    let plans = context.status().plans;
    assert_eq!(
        (plans.superseded, plans.unknown_function, plans.rejected),
        (1, 3, 3)
    );
}

#[test]
fn f06_where_everyone_gets_every_plan_another_applications_plan_is_left_to_it() {
    let optimizer = Optimizer::new();
    optimizer.fault(|faults| faults.fan_out = true);
    let context = optimizer.context();
    train(&context);
    let mut others = plan_for("other.k", "theirs", 3);
    others.target_function = "other".to_owned();
    optimizer.send(&others);
    // Other processes of this application may have a knob more.
    optimizer.send(&plan_for("app.x", "another rank's", 3));
    optimizer.send_payload(r#"{"plan_id": "their bad one", "knob_id": "other.k"}"#);
    // For our own knob we speak.
    optimizer.send(&plan("ours", 99));
    assert_eq!(optimizer.next_ack().plan_id, "ours");
    optimizer.send_payload(r#"{"plan_id": "our bad one", "knob_id": "app.k"}"#);
    assert_eq!(optimizer.next_ack().plan_id, "our bad one");
    let plans = context.status().plans;
    assert_eq!(
        (plans.unknown_function, plans.undecodable, plans.rejected),
        (2, 2, 2)
    );
}

#[test]
fn f07_node_names_match_short_and_full_and_a_text_is_no_list() {
    for (node, names, is_meant) in [
        ("n1.cluster.site", vec!["n1"], true),
        ("n1", vec!["n2", "n1.cluster.site"], true),
        ("n1", vec!["n10"], false),
        ("n1.a", vec!["n1.b"], false),
        ("n1", vec![], true),
    ] {
        let optimizer = Optimizer::new();
        let context = optimizer.builder().node(node).start().unwrap();
        train(&context);
        optimizer.send(&for_nodes(plan("p", 3), &names));
        wait_for(&context, "a plan", |s| s.plans.received == 1);
        let status = context.status();
        assert_eq!(
            status.plans_waiting,
            usize::from(is_meant),
            "{node} {names:?}"
        );
        assert_eq!(status.plans.not_for_this_node, u64::from(!is_meant));
    }
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    train(&context);
    let text = r#"{"plan_id": "p", "knob_id": "app.k", "new_value": 3, "target_nodes": "n1n2"}"#;
    optimizer.send_payload(text);
    let reason = "target_nodes: expected a list of strings, found \"n1n2\"";
    assert_eq!(said(&optimizer.next_ack()), (Rejected, reason));
    assert_eq!(context.status().plans.undecodable, 1);
}

#[test]
fn f08_an_acknowledgement_says_what_was_applied_when_and_where() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    let registration = optimizer.next_registration();
    assert_eq!(registration.namespace, "app");
    assert_eq!(registration.node, "n1");
    assert_eq!(registration.instance, context.instance());
    assert_eq!(registration.knobs["k"].id, "app.k");
    assert_eq!(registration.knobs["k"].target_function, "train");

    optimizer.send(&plan("p1", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    let mut actions = train.window_boundary();
    let action = actions.next().unwrap();
    assert_eq!((action.parameter(), action.knob_id()), ("k", "app.k"));
    assert_eq!(action.old_value(), &2.into());
    assert_eq!(action.new_value(), &3.into());
    assert_eq!(action.plan().rationale, "fetching holds it up");
    action.applied_as(5).unwrap();
    let record = optimizer.next_record();
    assert_eq!(
        &record.metadata[..],
        br#"{"type":"action_ack","plan_id":"p1"}"#
    );
    let instance = context.instance();
    let expected = format!(
        r#"{{"plan_id":"p1","knob_id":"app.k","status":"applied","old_value":2,"new_value":5,"reason":"","window_index":-1,"target_nodes":["n1"],"instance":"{instance}","node":"n1"}}"#
    );
    assert_eq!(String::from_utf8_lossy(&record.payload), expected);

    context.set_window(12);
    optimizer.send(&plan("p2", 6));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    for action in train.window_boundary() {
        action.deferred();
    }
    let ack = optimizer.next_ack();
    assert_eq!((ack.status, ack.window_index), (Deferred, Some(12)));
    for action in train.window_boundary() {
        action.applied();
    }
    let ack = optimizer.next_ack();
    assert_eq!((ack.status, ack.plan_id.as_str()), (Applied, "p2"));
    assert_eq!(ack.old_value, Some(5.into()));
    assert_eq!(ack.new_value, Some(6.into()));
}

#[test]
fn f09_after_a_stop_a_new_context_can_be_started() {
    let optimizer = Optimizer::new();
    let first = optimizer.context();
    let quiet = train(&first);
    optimizer.wait_for_connection(1);
    first.stop();
    first.stop();
    assert_eq!(first.status().link, Link::Stopped);
    first.stage(plan("late", 3));
    assert!(quiet.epoch_boundary().is_empty());

    let other = Optimizer::new();
    let second = other.builder().node("n2").start().unwrap();
    assert_ne!(first.instance(), second.instance());
    let train = train(&second);
    other.send(&plan("p", 3));
    wait_for(&second, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
    assert_eq!(other.next_ack().node, "n2");
}

#[test]
fn f10_the_listener_survives_errors_and_says_so() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let train = train(&context);
    optimizer.wait_for_connection(1);
    let passing = [ErrorKind::Unreachable, ErrorKind::Interrupted];
    let mut connections = 1;
    for (i, kind) in passing
        .into_iter()
        .chain([ErrorKind::Io, ErrorKind::Closed])
        .enumerate()
    {
        optimizer.fault(|faults| faults.receiving.extend([kind; 2]));
        // Something has to come for the waiting call to end.
        optimizer.send_record(Record::new(&br#"{"name": "end"}"#[..], ""));
        if !passing.contains(&kind) {
            connections += 2;
        }
        optimizer.wait_for_connection(connections);
        optimizer.wait_until_faults_are_met();
        optimizer.send(&plan(&format!("after {i}"), 4));
        wait_for(&context, "a plan", |s| s.plans_waiting == 1);
        assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
        let status = context.status();
        assert_eq!((status.link, status.openings), (Link::Open, connections));
        assert!(status.last_error.unwrap().contains("as the test wants it"));
    }
    assert_eq!(optimizer.connections(), 5);
}

#[test]
fn f10_a_transport_that_panics_is_opened_again() {
    let optimizer = Optimizer::new();
    optimizer.fault(|faults| faults.panics = true);
    let context = optimizer.context();
    let train = train(&context);
    optimizer.wait_for_connection(2);
    assert_eq!(
        context.status().last_error.as_deref(),
        Some("the transport panicked")
    );
    optimizer.send(&plan("p", 3));
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
}

#[test]
fn a_knob_that_makes_no_sense_is_refused_before_anyone_hears_of_it() {
    let optimizer = Optimizer::new();
    let context = optimizer.context();
    let mut reversed = int_knob("reversed", 2);
    reversed.knob.range = Some(dfo_context::model::Range::new(16, 1));
    let wrong_value = int_knob("text", 2).with_value("two");
    let knobs = [int_knob("good", 2), reversed, wrong_value];
    let refused = context.register("train", knobs).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "nothing was registered: knob `reversed`: range: [16, 1] is reversed; write it as [1, 16]; \
         knob `text`: value: \"two\" is not of type int"
    );
    assert!(context.function("train").is_none());
    context.register("train", [int_knob("good", 2)]).unwrap();
}

#[test]
fn f04_two_functions_may_have_the_same_knob_and_a_plan_says_which_applies_it() {
    let context = Context::disabled();
    let train = context.register("train", [int_knob("k", 2)]).unwrap();
    let validate = context.register("validate", [int_knob("k", 5)]).unwrap();
    let mut for_train = plan("p1", 3);
    for_train.target_function = "train".to_owned();
    context.stage(for_train);
    assert!(validate.window_boundary().is_empty());
    assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
    // Without a name, it is for the one that was registered last.
    let mut for_any = plan("p2", 7);
    for_any.target_function = String::new();
    context.stage(for_any);
    assert_eq!(
        validate.apply_at(Boundary::Window, |_| Ok::<_, String>(())),
        1
    );
    assert_eq!(
        [train.value("k"), validate.value("k")],
        [Some(3.into()), Some(7.into())]
    );
}

#[test]
fn a_function_that_only_takes_plans_needs_no_registration() {
    let context = Context::disabled();
    // It came before anybody asked.
    let mut early = plan("early", 3);
    early.target_function = "late".to_owned();
    context.stage(early.clone());
    early.plan_id = "later".to_owned();
    early.new_value = 4.into();
    context.stage(early);
    assert_eq!(context.status().plans_unclaimed, 1);
    let late = context.listen("late");
    let status = context.status();
    assert_eq!(
        (
            status.plans_unclaimed,
            status.plans_waiting,
            status.plans.superseded
        ),
        (0, 1, 1)
    );
    let actions: Vec<_> = late.window_boundary().collect();
    let [action] = <[_; 1]>::try_from(actions).unwrap();
    assert_eq!((action.knob_id(), action.new_value()), ("app.k", &4.into()));
    action.applied();
    assert_eq!(late.value("app.k"), Some(4.into()));
    // Any value is taken, of whatever type, until the knobs are registered.
    let mut text = plan("text", 0);
    text.target_function = "late".to_owned();
    text.new_value = "fast".into();
    context.stage(text.clone());
    assert_eq!(late.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
    context.register("late", [int_knob("k", 2)]).unwrap();
    text.plan_id = "text again".to_owned();
    context.stage(text);
    assert_eq!(
        context.status().last_refusal.as_deref(),
        Some("plan text again for app.k: new_value: \"fast\" is not of type int")
    );
}

#[test]
fn a_number_outside_the_range_is_rejected_or_held_within_it() {
    let optimizer = Optimizer::new();
    for holds in [false, true] {
        let builder = optimizer.builder();
        let context = match holds {
            true => builder.hold_within_range().start().unwrap(),
            false => builder.start().unwrap(),
        };
        let train = train(&context);
        let before = context.news();
        context.stage(plan("p", 99));
        let applied = train.apply_at(Boundary::Window, |_| Ok::<_, String>(()));
        assert_eq!(applied, usize::from(holds));
        assert_eq!(context.news() > before, !holds);
        let ack = optimizer.next_ack();
        let expected = match holds {
            true => (
                Some(16.into()),
                "99 is outside the range [1, 16]; held at 16",
            ),
            false => (Some(2.into()), "new_value: 99 is outside the range [1, 16]"),
        };
        assert_eq!((ack.new_value, ack.reason.as_str()), expected);
    }
}

#[test]
fn no_context_needs_an_optimizer() {
    let context = Context::disabled();
    let train = train(&context);
    assert!(train.window_boundary().is_empty());
    train.set_value("k", 4).unwrap();
    assert_eq!(train.value("k"), Some(4.into()));
    assert_eq!(context.status().link, Link::Disabled);
    context.stage(plan("by hand", 5));
    assert_eq!(train.apply_at(Boundary::Window, |_| Ok::<_, String>(())), 1);
    assert_eq!(train.value("app.k"), Some(5.into()));
    assert_eq!(context.status().sent.acks_unheard, 1);

    let optimizer = Optimizer::away();
    let context = optimizer.context();
    let train = support::train(&context);
    assert!(train.window_boundary().is_empty());
    optimizer.wait_for_attempts(4);
    assert_eq!(context.status().link, Link::Opening);
    let begun = std::time::Instant::now();
    drop(context);
    assert!(begun.elapsed() < Duration::from_secs(10));
}
