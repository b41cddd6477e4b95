//! Knobs whose applications are gone.

mod scene;

use dfo_planner::{Gate, Notice, Settings, SilenceIgnored};
use scene::{Finding, Knob, PlanWords, Scene, finding, global_plan, knob, up};

fn k() -> Knob {
    knob("k", 2).range(0, 64).on("t", up(1).eager())
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

fn ours() -> Scene {
    Scene::ours().knob(k())
}

/// Which of these nodes' plans silence holds.
fn held(s: &mut Scene, nodes: &[&str]) -> Vec<bool> {
    let mut is_held = |node| {
        let out = s.find(&t(0).on(node));
        out.0.holds().any(|hold| hold.gate.name() == "silent")
    };
    nodes.iter().copied().map(&mut is_held).collect()
}

#[test]
fn a_knob_that_is_silent_everywhere_holds_every_plan() {
    let mut s = ours();
    assert_eq!(s.silence("k", None).notices(), ["knob_silent"]);
    assert_eq!(s.find(&t(0)).gate(), &Gate::Silent { node: None });
    assert_eq!(s.find(&t(0).on("n1")).gate(), &Gate::Silent { node: None });
}

#[test]
fn a_knob_that_is_silent_on_a_node_holds_that_nodes_plans() {
    let mut s = ours();
    assert_eq!(s.silence("k", Some("n1")).notices(), ["knob_silent"]);
    let node = Some("n1".into());
    assert_eq!(s.find(&t(0).on("n1")).gate(), &Gate::Silent { node });
    s.find(&t(0).on("n2")).plan();
    s.find(&t(20)).plan();
}

#[test]
fn short_and_long_names_of_a_node_are_one_silence() {
    for (silent, found) in [("n1", "n1.site"), ("n1.site", "n1")] {
        let mut s = ours();
        s.silence("k", Some(silent));
        assert_eq!(held(&mut s, &[found, "n10", "n1-a"]), [true, false, false]);
        s.register_on(found, [k()]);
        assert_eq!(s.find(&t(20).on(silent)).plans().len(), 1);
    }
}

#[test]
fn a_silent_knob_does_not_hold_another() {
    let mut s = ours().knob(knob("other", 1).on("t", up(1)));
    s.silence("k", None);
    let out = s.find(&t(0));
    let held: Vec<_> = out.0.holds().map(|hold| hold.knob.as_deref()).collect();
    assert_eq!(
        (held, out.plan().knob_id.as_str()),
        (vec![Some("k")], "other")
    );
}

#[test]
fn silence_is_asked_before_the_numbers_and_after_the_pending_plan() {
    let mut s = ours();
    s.silence("k", None);
    assert_eq!(
        s.find(&t(0).severity(0.1).persistence(0)).held_by(),
        "silent"
    );

    let mut s = ours();
    s.find(&t(0)).plan();
    s.silence("k", None);
    assert_eq!(s.find(&t(1)).held_by(), "pending");
}

#[test]
fn a_pending_plan_of_a_silent_knob_is_left_to_patience() {
    let mut s = ours();
    s.find(&t(0)).plan();
    s.silence("k", None);
    assert_eq!(s.pending(), [("k", None)]);
    let out = s.find(&t(10));
    assert_eq!(
        (out.notices(), out.held_by()),
        (vec!["plan_expired"], "silent")
    );
    assert_eq!(s.value("k"), 2);
}

#[test]
fn a_registration_ends_the_silence_everywhere() {
    let mut s = ours();
    s.silence("k", None);
    assert_eq!(s.register_on("n1", [k()]).notices(), ["knob_heard"]);
    assert_eq!(held(&mut s, &["n1", "n2"]), [false, false]);
    assert!(s.register_on("n1", [k()]).0.is_empty(), "once");
}

#[test]
fn a_registration_ends_the_silence_on_its_own_node() {
    let mut s = ours();
    s.silence("k", Some("n1"));
    s.silence("k", Some("n2"));
    assert!(s.register_on("n3", [k()]).0.is_empty());
    let out = s.register_on("n1", [k()]);
    let heard = Notice::KnobHeard {
        knob: "k".into(),
        node: Some("n1".into()),
    };
    assert_eq!(out.notice(), &heard);
    assert_eq!(held(&mut s, &["n1", "n2"]), [false, true]);
}

#[test]
fn what_was_silent_on_a_node_stays_so_when_the_silence_everywhere_ends_elsewhere() {
    let mut s = ours();
    s.silence("k", Some("n2"));
    s.silence("k", None);
    let heard = Notice::KnobHeard {
        knob: "k".into(),
        node: None,
    };
    assert_eq!(s.register_on("n1", [k()]).notice(), &heard);
    assert_eq!(held(&mut s, &["n1", "n2"]), [false, true]);
}

#[test]
fn a_registration_without_a_node_ends_every_silence() {
    let mut s = ours();
    s.silence("k", Some("n1"));
    s.silence("k", Some("n2"));
    let heard = Notice::KnobHeard {
        knob: "k".into(),
        node: None,
    };
    assert_eq!(s.register([k()]).notice(), &heard);
    assert_eq!(held(&mut s, &["n1", "n2"]), [false, false]);
}

#[test]
fn neither_another_knobs_registration_nor_a_bootstrap_ends_a_silence() {
    let mut s = Scene::ours();
    s.bootstrap([k()]);
    s.silence("k", None);
    s.register([knob("other", 1)]);
    s.bootstrap([k().range(0, 8)]);
    assert_eq!(s.find(&t(0)).held_by(), "silent");
}

#[test]
fn a_silence_that_is_known_is_not_said_again() {
    let mut s = ours();
    for node in [None, Some("n1")] {
        assert_eq!(s.silence("k", node).notices(), ["knob_silent"]);
        assert!(s.silence("k", node).0.is_empty());
    }
}

#[test]
fn a_silence_that_cannot_be_kept_is_said() {
    let mut settings = Settings::default();
    settings.nodes_remembered = 2;
    let mut s = Scene::under(settings).knob(k());
    let long = "n".repeat(1025);
    let mut why = |knob: &str, node: &str| match s.silence(knob, Some(node)).notice() {
        Notice::SilenceIgnored { why, .. } => Some(*why),
        _ => None,
    };
    assert_eq!(why("nobodys", "n1"), Some(SilenceIgnored::UnknownKnob));
    assert_eq!(why("k", ""), Some(SilenceIgnored::InvalidNode));
    assert_eq!(why("k", &long), Some(SilenceIgnored::InvalidNode));
    assert_eq!([why("k", "n1"), why("k", "n2")], [None, None]);
    assert_eq!(why("k", "n3"), Some(SilenceIgnored::NoRoom));
    assert_eq!(held(&mut s, &["n2", "n3"]), [true, false]);
}

#[test]
fn a_global_plan_for_a_knob_that_is_silent_everywhere_is_refused() {
    let mut s = ours().at_node("n1");
    s.silence("k", Some("n1"));
    s.global(&global_plan("g1", "k", 8).on(&["n1"])).plan();
    s.silence("k", None);
    let out = s.global(&global_plan("g2", "k", 9));
    assert_eq!(out.notices(), ["global_plan_refused"]);
    assert_eq!((s.value("k"), s.value_on("n1", "k")), (2.into(), 8.into()));
}

#[test]
fn the_sentences_about_silence() {
    let mut s = ours();
    let mut told = s.silence("k", Some("n1")).told();
    told.extend(s.find(&t(0).on("n1.site")).told());
    told.extend(s.register_on("n1", [k()]).told());
    told.extend(s.silence("k", None).told());
    told.extend(s.find(&t(0)).told());
    told.extend(s.register_on("n1", [k()]).told());
    told.extend(s.silence("nobodys", Some("n1")).told());
    told.extend(s.silence("k", Some("")).told());
    insta::assert_snapshot!(told.join("\n"), @r#"
    k has no live application on n1: its plans are held until one registers it
    no live application has it on n1
    k has a live application again on n1
    k has no live application: its plans are held until one registers it
    no live application has it on any node
    k has a live application again
    silence of nobodys on "n1" ignored: no such knob is registered
    silence of k on "" ignored: its name is empty, or too long
    "#);
}
