//! Defects of the original about registration: none of them is here.

#![expect(clippy::expect_used, reason = "what fails here fails the test")]

mod scene;

use dfo_model::{Registration, Response, StepMode};
use scene::{Finding, Scene, finding, json, knob, up};
use serde_json::Value as Json;

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

/// What decoding says of a registration, and the ids of the knobs that are left.
fn decoded(message: &Json) -> (Vec<String>, Vec<String>) {
    let decoded = Registration::decode(message.to_string().as_bytes());
    let problems = decoded.problems.iter().map(ToString::to_string).collect();
    let registration = decoded.message.expect("the good knobs are there");
    let ids = registration.knobs.values().map(|k| k.id.clone()).collect();
    (problems, ids)
}

#[test]
fn e01_a_knob_registered_a_thousand_times_responds_once_and_by_its_latest_rules() {
    let lenient = || knob("k", 2).on("t", up(1)).on("gone", up(1));
    let mut s = Scene::ours();
    for _ in 0..1_000 {
        s.register([lenient()]);
    }
    s.register([knob("k", 2).on("t", up(1).with("min_severity", 0.95))]);
    assert_eq!(s.find(&t(0).severity(0.6)).held_by(), "severity");
    assert_eq!(s.find(&finding(&["gone"])).held_by(), "no_response");
    s.find(&t(0)).plan();
}

#[test]
fn e01_a_knob_keeps_its_place_among_the_knobs_and_among_a_tags_responses() {
    let responding = |id| knob(id, 2).on("t", up(1));
    let mut s = Scene::ours().knob(responding("a"));
    s.register([responding("b").on("u", up(1))]);
    s.register([knob("a", 2).on("u", up(1)).on("t", up(5))]);

    let known: Vec<_> = s.planner.knobs().map(|k| k.id.as_str()).collect();
    assert_eq!(known, ["a", "b"]);
    let planned = s.find(&t(0)).plans().into_iter().map(|(id, _)| id);
    assert_eq!(planned.collect::<Vec<_>>(), ["a", "b"]);
    let out = s.find(&finding(&["u"]));
    let held = out.0.holds().filter_map(|hold| hold.knob.as_deref());
    assert_eq!(
        held.collect::<Vec<_>>(),
        ["b", "a"],
        "a response to a new tag goes last"
    );
}

#[test]
fn e01_a_reregistration_keeps_the_value_the_pending_plan_and_the_last_action() {
    let k = || knob("k", 2).on("t", up(1));
    let mut s = Scene::ours().knob(k());
    s.act(&t(0));
    s.register([k().with("target_function", "train")]);
    assert_eq!(
        (s.value("k"), s.find(&t(1)).held_by()),
        (json!(3), "cooldown")
    );
    s.find(&t(3).severity(0.5)).plan();
    s.register([k()]);
    assert_eq!(s.find(&t(4)).held_by(), "pending");
}

#[test]
fn e01_a_response_that_went_and_came_back_is_still_judged_by_the_last_action() {
    let k = || knob("k", 2);
    let mut s = Scene::ours().knob(k().on("t", up(1)));
    s.act(&t(0));
    s.register([k()]);
    s.register([k().on("t", up(1))]);
    assert_eq!(s.find(&t(3)).held_by(), "ineffective");
}

#[test]
fn e02_what_a_dead_application_left_behind_ends_with_patience() {
    let live = || knob("k", 2).on("t", up(1)).live(2);
    let mut s = Scene::ours().knob(live());
    s.act(&t(0));
    s.find(&t(5)).plan();
    s.register([live()]);
    assert_eq!(s.find(&t(6)).held_by(), "pending");
    let out = s.find(&t(15));
    assert_eq!(
        (out.notices(), out.new_value()),
        (vec!["plan_expired"], json!(3))
    );
}

#[test]
fn e03_types_have_aliases_and_an_unknown_one_is_refused() {
    let of_type = |kind: &str, default: Json, set_to: Json| {
        let mut s = Scene::ours();
        s.register([knob("k", default)
            .with("type", kind)
            .on("t", scene::set(set_to))]);
        s.find(&t(0)).new_value()
    };
    assert_eq!(of_type("string", json!("a"), json!("b")), "b");
    assert_eq!(of_type("double", json!(0.5), json!(0.75)), 0.75);
    assert_eq!(of_type("boolean", json!(false), json!(true)), true);
    assert_eq!(of_type("integer", json!(1), json!(2)), json!(2));

    let (problems, ids) = decoded(&json!({"knobs": {"k": {"default": 1, "type": "complex"}}}));
    assert_eq!(
        problems,
        ["knobs.k.type: unknown type \"complex\"; one of: int, float, str, bool"]
    );
    assert_eq!(ids, [""; 0]);
}

#[test]
fn e04_one_wrong_knob_does_not_lose_the_others() {
    let message = json!({"namespace": "n", "knobs": {
        "first": {"default": 2, "responds_to": {"t": {"step": 1}}},
        "no_default": {}, "scalar_range": {"default": 1, "range": 5}, "text": "x",
        "half_open": {"default": 1, "range": [0, null]},
        "reversed": {"default": 1, "range": [8, 1]}, "unfit": {"default": "one"},
        "last": {"default": 2, "responds_to": {"t": {"step": 1}}},
        "no_responses": {"default": 2, "responds_to": null}}});
    let mut s = Scene::ours();
    let out = s.receive_registration(&message);
    let refused: Vec<_> = out
        .told()
        .into_iter()
        .filter(|t| t.contains("refused"))
        .collect();
    assert_eq!(
        refused,
        [
            "knob n.reversed refused: range: [8, 1] is reversed; write it as [1, 8]",
            "knob n.unfit refused: default: one is not of type int",
        ]
    );
    let (problems, _) = decoded(&message);
    assert_eq!(problems.len(), 4);
    let out = s.find(&t(0));
    assert_eq!(
        out.plans(),
        [
            ("n.first".to_owned(), json!(3)),
            ("n.last".to_owned(), json!(3))
        ]
    );
}

#[test]
fn e04_a_knob_without_an_id_has_the_maps_name_and_in_a_list_is_refused() {
    let (_, ids) = decoded(&json!({"namespace": "n", "knobs": {"k": {"default": 1}}}));
    assert_eq!(ids, ["n.k"]);
    let (problems, ids) = decoded(&json!({"knobs": [{"default": 1}, {"id": "k", "default": 1}]}));
    assert_eq!((problems.len(), ids), (1, vec!["k".to_owned()]));
    assert_eq!(decoded(&json!({"knobs": null})).1, [""; 0]);
}

#[test]
fn e05_a_knob_response_without_a_tag_answers_to_io_bottleneck() {
    let mut s = Scene::ours();
    s.receive_registration(&json!({"knobs": [{"id": "k", "default": 4,
        "knob_response": {"direction": "decrease", "step": 2, "step_mode": "multiply"}}]}));
    let responds_to = &s.planner.knobs().next().unwrap().responds_to;
    let [
        (
            tag,
            Response {
                step_mode: StepMode::Multiply,
                ..
            },
        ),
    ] = responds_to.iter().collect::<Vec<_>>()[..]
    else {
        panic!("{responds_to:?}");
    };
    assert_eq!(tag, "io_bottleneck");
    assert_eq!(s.find(&finding(&["io_bottleneck"])).new_value(), 2);
}

#[test]
fn e06_an_empty_range_is_an_error_and_not_unbounded() {
    let (problems, ids) = decoded(&json!({"knobs": {"k": {"default": 1, "range": []}}}));
    assert!(problems[0].starts_with("knobs.k.range: expected a list [min, max]"));
    assert_eq!(ids, [""; 0]);
}
