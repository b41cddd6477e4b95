//! An operator freezes, thaws, and takes plans back.

mod scene;

use dfo_planner::{Command, Gate, Notice, is_operators};
use scene::{
    AckWords, Finding, Knob, PlanWords, Scene, applied, both, finding, global_plan, json, knob,
    rejected, up,
};

fn k() -> Knob {
    knob("k", 2).range(0, 64).on("t", up(1).eager())
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

fn ours() -> Scene {
    Scene::ours().knob(k())
}

#[test]
fn while_all_is_frozen_nothing_is_planned_and_everything_is_told() {
    for settings in both() {
        let mut s = Scene::under(settings).knob(k());
        assert_eq!(s.freeze(None).notices(), ["frozen"]);
        let gate = s.find(&t(0)).gate().clone();
        let expected = Gate::Frozen {
            value: 3.into(),
            everything: true,
        };
        assert_eq!(gate, expected);
        assert_eq!(s.value("k"), json!(2));
        assert_eq!(s.thaw(None).notices(), ["thawed"]);
        assert_eq!(s.find(&t(0)).new_value(), json!(3));
    }
}

#[test]
fn a_frozen_knob_holds_no_other() {
    let mut s = ours().knob(knob("other", 2).range(0, 64).on("t", up(1).eager()));
    s.freeze(Some("k"));
    let out = s.find(&t(0));
    assert_eq!(out.plans(), [("other".to_owned(), json!(3))]);
    let held: Vec<_> = out.0.holds().map(|hold| hold.gate.name()).collect();
    assert_eq!(held, ["frozen"]);
    assert_eq!(s.planner.frozen_knobs().collect::<Vec<_>>(), ["k"]);
    assert!(!s.planner.is_frozen());
}

#[test]
fn thawing_everything_thaws_knobs_by_name_and_not_the_other_way_round() {
    let mut s = ours();
    s.freeze(None);
    assert_eq!(s.thaw(Some("k")).notices(), ["command_refused"]);
    s.freeze(Some("k"));
    s.thaw(Some("k"));
    assert_eq!(s.find(&t(0)).held_by(), "frozen", "everything still is");
    s.freeze(Some("k"));
    s.thaw(None);
    s.find(&t(0)).plan();
    let told = s.thaw(None).told();
    assert_eq!(told, ["thaw refused: nothing is frozen"]);
}

#[test]
fn a_knob_that_is_not_known_is_refused() {
    let mut s = ours();
    let told = s.freeze(Some("q")).told();
    assert_eq!(told, ["freeze refused: no knob \"q\" is registered"]);
}

#[test]
fn a_global_plan_does_not_pass_a_freeze() {
    let mut s = ours();
    s.freeze(None);
    let out = s.global(&global_plan("g", "k", 5));
    assert_eq!(out.notices(), ["global_plan_refused"]);
    assert!(out.told()[0].contains("frozen: an operator froze everything"));
    assert_eq!(s.value("k"), json!(2));
}

#[test]
fn a_plan_is_taken_back_by_a_plan() {
    let mut s = ours();
    let plan = s.act(&t(0));
    s.freeze(None);
    let out = s.revert(&plan.plan_id);
    let back = out.plan();
    assert_eq!(
        (&back.old_value, &back.new_value),
        (&Some(3.into()), &2.into())
    );
    assert_eq!(back.finding_type, "operator");
    assert_eq!(out.notices(), ["reverted"]);
    assert_eq!(s.value("k"), json!(2));
    assert_eq!(s.pending(), [("k", None)]);
}

#[test]
fn a_finding_that_calls_itself_the_operators_is_a_finding() {
    let mut s = ours();
    let plan = s.act(&t(0).kind("operator"));
    assert_eq!(plan.finding_type, "operator");
    assert!(!is_operators(&plan));
    assert!(is_operators(s.revert(&plan.plan_id).plan()));
}

#[test]
fn a_plan_that_still_waits_is_superseded_by_the_one_back() {
    let mut s = ours();
    let id = s.find(&t(0)).plan().plan_id.clone();
    let out = s.revert(&id);
    assert_eq!(out.notices(), ["plan_superseded", "reverted"]);
    assert_eq!(out.new_value(), json!(2));
    assert_eq!(s.ack(&applied(&id)).name(), "ack_ignored");
}

#[test]
fn what_came_to_nothing_cannot_be_taken_back() {
    let mut s = ours();
    let id = s.find(&t(0)).plan().plan_id.clone();
    s.ack(&rejected(&id));
    let told = s.revert(&id).told();
    assert_eq!(told, [format!("revert refused: {id} was rejected")]);
    let told = s.revert("plan_x").told();
    assert_eq!(
        told,
        ["revert refused: no plan \"plan_x\", or one of long ago"]
    );
    let plan = s.act(&t(20));
    s.revert(&plan.plan_id);
    let told = s.revert(&plan.plan_id).told();
    let expected = format!(
        "revert refused: the values before {} are in force",
        plan.plan_id
    );
    assert_eq!(told, [expected]);
}

#[test]
fn everything_goes_back_to_what_was_before_the_first_plan() {
    let mut s = ours().knob(knob("other", 10).range(0, 64).on("u", up(2).eager()));
    for window in [0, 30, 60] {
        s.act(&t(window));
        s.act(&finding(&["u"]).at(window));
    }
    s.act(&t(90).on("n1"));
    s.act(&t(120).on("n1"));
    assert_eq!((s.value("k"), s.value("other")), (json!(5), json!(16)));
    assert_eq!(s.value_on("n1", "k"), json!(7));
    let out = s.command(&Command::RevertAll);
    let expected = [
        ("k".to_owned(), json!(2)),
        ("k".to_owned(), json!(2)),
        ("other".to_owned(), json!(10)),
    ];
    assert_eq!(out.plans(), expected);
    assert_eq!((s.value("k"), s.value("other")), (json!(2), json!(10)));
    assert_eq!(
        s.value_on("n1", "k"),
        json!(2),
        "and not 5: that was a plan's, too"
    );
    let told = s.command(&Command::RevertAll).told();
    let nothing = "revert_all refused: no plan has changed anything that is still in force";
    assert_eq!(told, [nothing]);
}

#[test]
fn an_application_that_started_anew_says_what_was_before() {
    let mut s = ours();
    s.act(&t(0));
    s.register([k().live(8)]);
    assert_eq!(s.command(&Command::RevertAll).plans(), []);
    s.act(&t(30));
    assert_eq!(s.command(&Command::RevertAll).new_value(), json!(8));
}

#[test]
fn an_application_that_has_not_applied_a_plan_yet_says_nothing_new() {
    let mut s = ours();
    s.act(&t(0));
    let waits = s.find(&t(30)).plan().plan_id.clone();
    assert_eq!(s.value("k"), json!(4));
    // Its heartbeat, perhaps with another value of another knob, or the first after a restart.
    s.register([k().live(3)]);
    s.ack(&applied(&waits).at(30));
    assert_eq!(s.value("k"), json!(4));
    assert_eq!(s.command(&Command::RevertAll).new_value(), json!(2));
}

#[test]
fn what_was_taken_back_waits_before_it_is_tried_again() {
    let mut s = ours();
    let plan = s.act(&t(0));
    let back = s.revert(&plan.plan_id).plan().clone();
    s.ack(&applied(&back.plan_id).at(0));
    let gate = s.find(&t(4).severity(0.6)).gate().clone();
    let Gate::Ineffective { taken_back, .. } = gate else {
        panic!("{gate:?}");
    };
    assert!(taken_back, "though the severity fell");
    assert_eq!(s.find(&t(5).severity(0.6)).new_value(), json!(3));
}

#[test]
fn a_plan_back_takes_the_place_of_a_nodes_plans() {
    let mut s = ours();
    let plan = s.act(&t(0));
    let on_node = s.find(&t(30).on("n1")).plan().plan_id.clone();
    let out = s.revert(&plan.plan_id);
    assert_eq!(out.notices(), ["plan_superseded", "reverted"]);
    let Some(Notice::PlanSuperseded { plan_id, .. }) = out.0.notices().next() else {
        panic!("{out:?}");
    };
    assert_eq!(*plan_id, on_node);
    // It has the job's value again, as the plan back says to all: its own was never applied.
    assert_eq!(s.value_on("n1", "k"), json!(2));
    assert!(!out.told()[0].contains("global"), "{:?}", out.told());
}

#[test]
fn a_global_plan_for_nodes_is_taken_back_on_each() {
    let mut s = ours().at_node("n1");
    s.act(&t(0).on("n2"));
    s.global(&global_plan("g", "k", 9).on(&["n1", "n2"]).at(30));
    s.ack(&applied("g").at(30));
    let out = s.revert("g");
    let mut back: Vec<_> = out
        .0
        .plans()
        .map(|p| (p.target_nodes.join(" "), p.new_value.clone()))
        .collect();
    back.sort_unstable_by_key(|(node, _)| node.clone());
    assert_eq!(
        back,
        [("n1".to_owned(), 2.into()), ("n2".to_owned(), 3.into())]
    );
}

#[test]
fn a_silent_knob_cannot_be_taken_back() {
    let mut s = ours();
    let plan = s.act(&t(0));
    s.silence("k", None);
    let told = s.revert(&plan.plan_id).told();
    assert_eq!(told, ["revert refused: no live application has k"]);
    let told = s.command(&Command::RevertAll).told();
    assert_eq!(
        told,
        ["revert_all refused: not for all: no live application has k"]
    );
    assert_eq!(s.value("k"), json!(3));
}

#[test]
fn commands_travel_as_json() {
    for (text, command) in [
        (
            r#"{"freeze":{"knob":null}}"#,
            Command::Freeze { knob: None },
        ),
        (
            r#"{"revert":{"plan_id":"p"}}"#,
            Command::Revert {
                plan_id: "p".to_owned(),
            },
        ),
        (r#""revert_all""#, Command::RevertAll),
    ] {
        assert_eq!(serde_json::to_string(&command).unwrap(), text);
        assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
    }
}
