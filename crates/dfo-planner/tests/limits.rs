//! What an operator allows at most.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod scene;

use dfo_planner::{Limits, Settings};
use scene::{AckWords, Finding, Scene, applied, finding, global_plan, json, knob, set, times, up};

fn limited(limits: &str) -> Scene {
    let mut settings = Settings::default();
    settings.limits = toml::from_str(limits).unwrap();
    Scene::under(settings)
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

#[test]
fn so_many_plans_in_a_window() {
    let mut s = limited("plans_per_window = 2");
    for id in ["a", "b", "c"] {
        s = s.knob(knob(id, 2).range(0, 64).on("t", up(1).eager()));
    }
    let out = s.find(&t(0));
    assert_eq!(out.plans().len(), 2);
    let held: Vec<_> = out.0.holds().map(|hold| hold.gate.name()).collect();
    assert_eq!(held, ["plans_per_window"]);
    let told = "2 plans in this window, 2 are allowed";
    assert_eq!(out.told().last().unwrap(), told);
    let out = s.find(&t(1));
    assert_eq!(out.plans(), [("c".to_owned(), json!(3))], "the next window");
}

#[test]
fn a_finding_of_an_earlier_window_is_of_the_newest() {
    let mut s = limited("plans_per_window = 1")
        .knob(knob("a", 2).on("t", up(1).eager()))
        .knob(knob("b", 2).on("u", up(1).eager()));
    s.find(&t(5)).plan();
    assert_eq!(s.find(&finding(&["u"]).at(4)).held_by(), "plans_per_window");
    s.find(&finding(&["u"]).at(6)).plan();
}

#[test]
fn so_many_plans_in_a_job() {
    let mut s = limited("plans_per_job = 2").knob(knob("k", 2).range(0, 64).on("t", up(1).eager()));
    s.act(&t(0));
    s.act(&t(20));
    assert_eq!(s.find(&t(40)).held_by(), "plans_per_job");
}

#[test]
fn taking_back_is_not_limited_in_number() {
    let mut s = limited("plans_per_job = 1\nknobs = ['k']\nlargest_step = 0.5")
        .knob(knob("k", 2).range(0, 64).on("t", up(1).eager()));
    let plan = s.act(&t(0));
    assert_eq!(s.revert(&plan.plan_id).new_value(), json!(2));
}

#[test]
fn a_step_is_a_fraction_of_the_value_before() {
    let mut s = limited("largest_step = 1.0").knob(knob("k", 4).on("t", times(2).eager()));
    s.find(&t(0)).plan();
    let mut s = limited("largest_step = 0.99").knob(knob("k", 4).on("t", times(2).eager()));
    let out = s.find(&t(0));
    let told = "a change to 8 is one by 100.0 %, at most 99.0 % are allowed";
    assert_eq!(out.told(), [told]);
    let mut s = limited("largest_step = 1000").knob(knob("k", 0).on("t", up(1).eager()));
    assert_eq!(s.find(&t(0)).held_by(), "largest_step", "from 0");
    let mut s = limited("largest_step = 0.1").knob(knob("k", "x").on("t", set("y").eager()));
    s.find(&t(0)).plan();
}

#[test]
fn only_knobs_that_match() {
    let mut s = limited("knobs = ['dlio.*', 'x']")
        .knob(knob("dlio.a", 2).on("t", up(1).eager()))
        .knob(knob("other", 2).on("t", up(1).eager()));
    let out = s.find(&t(0));
    assert_eq!(out.plans(), [("dlio.a".to_owned(), json!(3))]);
    let held: Vec<_> = out.0.holds().map(|hold| hold.gate.to_string()).collect();
    assert_eq!(held, ["only knobs of dlio.*, x are allowed to change"]);
    let refused = s.global(&global_plan("g", "other", 5)).told();
    assert!(
        refused[0].contains("not_allowed: only knobs of"),
        "{refused:?}"
    );
}

/// Threads times prefetch, at most 12.
fn product() -> Scene {
    limited("constraints = ['threads * prefetch <= 12']")
        .knob(knob("threads", 2).range(0, 64).on("t", up(1).eager()))
        .knob(knob("prefetch", 4).range(0, 64).on("u", up(1).eager()))
}

#[test]
fn knobs_together_are_bounded() {
    let mut s = product();
    s.act(&t(0));
    let out = s.find(&t(20));
    let told = "with 4, threads * prefetch <= 12 would be 16 against 12";
    assert_eq!(out.told().last().unwrap(), told);
    assert_eq!(s.find(&finding(&["u"]).at(20)).held_by(), "constraint");
}

#[test]
fn what_is_out_of_bounds_already_may_get_better() {
    let mut s = product().knob(
        knob("prefetch", 4)
            .range(0, 64)
            .live(32)
            .on("less", scene::down(8).eager())
            .on("u", up(1).eager()),
    );
    assert_eq!(s.find(&finding(&["u"])).held_by(), "constraint");
    assert_eq!(s.find(&finding(&["less"])).new_value(), json!(24));
}

#[test]
fn a_nodes_own_values_count_there() {
    let mut s = product();
    let plan = s.find(&finding(&["u"]).at(0).on("n1")).plan().clone();
    s.ack(&applied(&plan.plan_id).at(0));
    assert_eq!(s.value_on("n1", "prefetch"), json!(5));
    assert_eq!(s.find(&t(20).on("n1")).held_by(), "constraint");
    let out = s.find(&t(20));
    let told = "with 3, threads * prefetch <= 12 would be 15 against 12 on n1";
    assert_eq!(out.told(), [told], "a job-wide plan reaches it, too");
    assert_eq!(s.find(&t(20).on("n2")).new_value(), json!(3));
}

#[test]
fn what_cannot_be_computed_holds() {
    let mut s =
        limited("constraints = ['k * unknown <= 12']").knob(knob("k", 2).on("t", up(1).eager()));
    let told = "with 3, k * unknown <= 12 cannot be computed: unknown has no number in force";
    assert_eq!(s.find(&t(0)).told(), [told]);
    let mut s = limited("constraints = ['1 / (k - 3) <= 12']").knob(knob("k", 2).on("t", up(1)));
    let out = s.find(&t(0));
    assert_eq!(out.told(), ["with 3, 1 / (k - 3) <= 12 would be no number"]);
    assert!(out.gate().value().is_none());
}

#[test]
fn limits_that_make_no_sense_are_named() {
    for (text, complaint) in [
        ("plans = 3", "unknown field `plans`"),
        ("plans_per_job = -1", "invalid value: integer `-1`"),
        (
            "constraints = ['k <']",
            "constraint \"k <\": expected a number, a knob or ( at character 4",
        ),
        ("largest_step = -0.5", "expected a number, 0 or more"),
        ("largest_step = nan", "expected a number, 0 or more"),
    ] {
        let told = toml::from_str::<Limits>(text).unwrap_err().to_string();
        assert!(told.contains(complaint), "{text}: {told}");
    }
}
