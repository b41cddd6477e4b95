//! Knobs that a pack or a file names before any application has registered them.

mod scene;

use scene::{AckWords, Finding, Knob, Scene, applied, deferred, finding, json, knob, rejected, up};

fn k() -> Knob {
    knob("k", 2).range(0, 16).on("t", up(1).eager())
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

/// A knob that is known from a pack, at 4.
fn bootstrapped() -> Scene {
    let mut s = Scene::ours();
    s.bootstrap([k().live(4)]);
    s
}

/// Whether the next finding's plan says that its old value is assumed.
fn says_assumed(s: &mut Scene, finding: &Finding) -> bool {
    let rationale = s.find(finding).plan().rationale.clone();
    rationale.contains("assumed")
}

#[test]
fn a_bootstrap_is_as_good_as_a_registration() {
    let mut s = Scene::ours();
    let out = s.bootstrap([k().live(4), knob("odd", 2).range(9, 1)]);
    assert_eq!(out.notices(), ["knob_registered", "knob_refused"]);
    assert_eq!(s.value("k"), 4);
    assert_eq!(s.find(&t(0)).plans(), [("k".to_owned(), json!(5))]);
}

#[test]
fn a_plan_says_at_the_end_of_its_rationale_that_its_old_value_is_assumed() {
    let registered = Scene::ours().knob(k()).find(&t(0)).plan().rationale.clone();
    let assumed = bootstrapped().find(&t(0)).plan().rationale.clone();
    assert_eq!(assumed, format!("{registered}; old value assumed"));
}

#[test]
fn a_registration_ends_the_assumption_and_says_so_even_with_the_same_words() {
    let mut s = bootstrapped();
    let out = s.register([k()]);
    assert_eq!(out.notices(), ["knob_registered"]);
    assert_eq!(s.value("k"), 4, "what is there stays");
    assert!(!says_assumed(&mut s, &t(0)));
    assert!(s.register([k()]).0.is_empty(), "once");
}

#[test]
fn a_registration_that_is_refused_ends_nothing() {
    let mut s = bootstrapped();
    s.register([k().range(9, 1)]);
    assert!(says_assumed(&mut s, &t(0)));
}

#[test]
fn an_applied_plan_ends_the_assumption_for_the_whole_job() {
    for first in [t(0), t(0).on("n1")] {
        for next in [t(1), t(1).on("n2")] {
            let mut s = bootstrapped();
            s.act(&first);
            assert!(!says_assumed(&mut s, &next));
        }
    }
}

#[test]
fn nothing_else_ends_the_assumption() {
    let mut s = bootstrapped();
    let plan = s.find(&t(0)).plan().clone();
    s.ack(&deferred(&plan.plan_id));
    s.ack(&rejected(&plan.plan_id));
    let plan = s.find(&t(1)).plan().clone();
    assert!(plan.rationale.contains("assumed"), "after a rejection");
    s.ack(&applied(&plan.plan_id).value("not a number"));
    s.find(&finding(&[]).at(11));
    s.ack(&applied(&plan.plan_id));
    assert!(says_assumed(&mut s, &t(12)), "after an ack that was late");
}

#[test]
fn one_knobs_ack_does_not_speak_for_another() {
    let other = knob("other", 2).range(0, 16).on("u", up(1));
    let mut s = bootstrapped();
    s.bootstrap([other]);
    s.act(&t(0));
    assert!(says_assumed(&mut s, &finding(&["u"]).at(1)));
}

#[test]
fn a_later_bootstrap_takes_the_place_of_an_earlier_one() {
    let mut s = bootstrapped();
    let out = s.bootstrap([k().range(0, 8).live(7)]);
    assert_eq!(out.notices(), ["knob_registered"]);
    assert_eq!(s.value("k"), 7);
    assert!(says_assumed(&mut s, &t(0)));
}

#[test]
fn a_bootstrap_never_overrules_an_application() {
    let mut registered = Scene::ours().knob(k().live(4));
    let mut acknowledged = bootstrapped();
    let plan = acknowledged.act(&t(0));
    for s in [&mut registered, &mut acknowledged] {
        let before = s.value("k");
        let out = s.bootstrap([knob("k", "text").live("x"), knob("new", 1)]);
        assert_eq!(out.notices(), ["bootstrap_passed_over", "knob_registered"]);
        assert_eq!(s.value("k"), before);
        assert!(!says_assumed(s, &t(plan.window_index + 1)));
    }
}

#[test]
fn the_sentences_about_a_bootstrap() {
    let mut s = Scene::ours().knob(k());
    insta::assert_snapshot!(s.bootstrap([k()]).notice(), @"k: an application has spoken for it; what a pack or a file says is passed over");
    let mut s = bootstrapped();
    insta::assert_snapshot!(s.find(&t(0)).plan().rationale, @"pressure: persistent (severity=1.000, persistence=5, trend=worsening, scope=app:window) -> t; old value assumed");
}

#[test]
fn an_application_on_a_node_with_a_value_of_its_own_speaks_of_that_value() {
    for (found, speaks) in [("n1", "n1"), ("n1.site", "n1"), ("n1", "n1.site")] {
        let mut s = Scene::ours().knob(k());
        s.act(&finding(&["t"]).on(found));
        assert_eq!(s.value_on(found, "k"), 3);
        s.register_on(speaks, [k().live(5)]);
        assert_eq!((s.value_on(found, "k"), s.value("k")), (5.into(), 2.into()));
        // Another node has none of its own: it speaks for the job.
        s.register_on("n2", [k().live(4)]);
        assert_eq!((s.value_on(found, "k"), s.value("k")), (5.into(), 4.into()));
    }
}

#[test]
fn a_rejected_plan_of_a_node_gives_back_what_the_application_said_meanwhile() {
    let mut s = Scene::ours().knob(k());
    let plan = s.find(&finding(&["t"]).on("n1")).plan().plan_id.clone();
    s.register_on("n1", [k().live(7)]);
    s.ack(&rejected(&plan));
    assert_eq!((s.value_on("n1", "k"), s.value("k")), (7.into(), 2.into()));
}
