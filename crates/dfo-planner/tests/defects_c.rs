//! Defects of the original about arithmetic and values: none of them is here, but where
//! `docs/planner.md` keeps a behaviour on purpose.

mod scene;

use dfo_planner::Notice;
use scene::{
    Finding, Knob, Response, Scene, both, down, evidence, finding, global_plan, json, knob, over,
    rejected, set, times, up,
};
use serde_json::Value as Json;

fn t() -> Finding {
    finding(&["t"])
}

fn metrics(fetch: f64, compute: f64) -> Json {
    json!({"fetch_frac": fetch, "compute_frac": compute})
}

/// The value that the finding gives the knob, under both settings.
fn next(k: &Knob, finding: &Finding) -> Json {
    let values = both().map(|settings| {
        let mut s = Scene::under(settings).knob(k.clone());
        s.find(finding);
        s.value("k")
    });
    assert_eq!(values[0], values[1], "it is no setting");
    values[0].clone()
}

/// What of a knob was refused: field by field.
fn refused(k: &Knob) -> Vec<&'static str> {
    let out = Scene::ours().register([k.clone()]);
    let fields = out.0.notices().filter_map(|notice| match notice {
        Notice::KnobRefused { field, .. } => Some(*field),
        _ => None,
    });
    fields.collect()
}

#[test]
fn c01_an_evidence_decrease_without_metrics_lowers() {
    assert_eq!(next(&knob("k", 4).on("t", evidence("decrease")), &t()), 2);
}

#[test]
fn c02_an_evidence_decrease_aims_at_1_on_purpose_but_never_raises() {
    for (old, fetch, compute, new) in [
        (16, 0.1, 0.8, 1),
        (16, 0.45, 0.55, 1),
        (12, 0.49, 0.5, 1),
        (0, 0.3, 0.7, 0),
    ] {
        let k = knob("k", old).range(0, 16).on("t", evidence("decrease"));
        assert_eq!(next(&k, &t().metrics(metrics(fetch, compute))), new);
    }
}

#[test]
fn c03_a_listed_value_moves_to_its_neighbour() {
    let k = knob("k", 1)
        .values(json!([1, 2, 4, 8]))
        .live(4)
        .on("t", up(1));
    assert_eq!(next(&k, &t()), 8);
}

#[test]
fn c03_a_global_plan_for_a_value_that_is_not_listed_goes_to_the_nearest_that_way() {
    for (in_force, wanted, held) in [(4, 3, 2), (2, 3, 4), (4, 100, 8), (2, -5, 1)] {
        let k = knob("k", 1).values(json!([1, 2, 4, 8])).live(in_force);
        let mut s = Scene::ours().knob(k);
        assert_eq!(
            s.global(&global_plan("g", "k", wanted)).new_value(),
            held,
            "{wanted}"
        );
    }
}

#[test]
fn c03_a_global_plan_for_the_value_in_force_does_nothing() {
    let k = knob("k", 1).values(json!([1, 2, 4, 8]));
    for live in [4, 5] {
        let mut s = Scene::ours().knob(k.clone().live(live));
        let out = s.global(&global_plan("g", "k", live));
        assert_eq!(out.notices(), ["global_plan_ignored"], "{live}: {out:?}");
    }
}

#[test]
fn c04_a_float_is_multiplied_and_divided_plainly() {
    assert_eq!(next(&knob("k", 0.1).on("t", times(2)), &t()), 0.2);
    assert_eq!(next(&knob("k", 0.5).on("t", over(2)), &t()), 0.25);
}

#[test]
fn c05_a_factor_below_1_is_refused_and_1_is_kept_on_purpose() {
    for factor in [json!(0), json!(0.5), json!(-2)] {
        assert_eq!(
            refused(&knob("k", 4).on("t", times(factor.clone()))),
            ["step"]
        );
        assert_eq!(refused(&knob("k", 4).on("t", over(factor))), ["step"]);
    }
    assert_eq!(next(&knob("k", 4).on("t", times(1)), &t()), 5);
    assert_eq!(next(&knob("k", 4).on("t", over(1)), &t()), 4);
}

#[test]
fn c06_a_step_that_is_not_above_0_is_refused() {
    for step in [json!(-2), json!(0), json!(-0.5)] {
        for k in [knob("k", 4), knob("k", 4.0)] {
            assert_eq!(refused(&k.clone().on("t", up(step.clone()))), ["step"]);
            assert_eq!(refused(&k.on("t", down(step.clone()))), ["step"]);
        }
    }
}

#[test]
fn c07_the_text_false_is_false_and_other_texts_are_no_bool() {
    assert_eq!(next(&knob("k", true).on("t", set("false")), &t()), false);
    for text in ["False", "0", "no", ""] {
        assert_eq!(
            refused(&knob("k", true).on("t", set(text))),
            ["set_to"],
            "{text:?}"
        );
    }
}

#[test]
fn c08_a_range_that_makes_no_sense_is_refused() {
    assert_eq!(refused(&knob("k", 5).range(16, 1)), ["range"]);
    assert_eq!(
        refused(&knob("k", 5).range(0.2, 0.8)),
        ["range"],
        "no whole number within"
    );
    assert_eq!(refused(&knob("k", "posix").range(1, 2)), ["range"]);
    assert_eq!(refused(&knob("k", 5).range(5, 5)), [""; 0]);
}

#[test]
fn c08_a_value_is_held_within_a_fractional_range() {
    let k = knob("k", 1).range(0.5, 8).on("t", down(1));
    assert_eq!(next(&k, &t()), 1, "0 is below 0.5");
    let k = knob("k", 8).range(0.5, 8.5).on("t", up(1));
    assert_eq!(next(&k, &t()), 8);
}

#[test]
fn c09_a_live_value_of_the_wrong_type_is_refused_and_the_default_counts() {
    for live in [json!("4"), json!(4.5)] {
        let mut s = Scene::ours();
        let out = s.register([knob("k", 2).range(1, 16).live(live).on("t", up(1))]);
        assert_eq!(out.notices(), ["value_refused", "knob_registered"]);
        assert_eq!(s.find(&t()).new_value(), 3);
    }
    for live in [json!(null), json!([4])] {
        let mut s = Scene::ours();
        s.register([knob("k", 2).live(live)]);
        assert_eq!(s.value("k"), 2);
    }
}

#[test]
fn c09_a_live_value_outside_the_range_is_kept_with_a_notice_and_not_lowered_by_an_increase() {
    let mut s = Scene::ours();
    let out = s.register([knob("k", 2)
        .range(1, 16)
        .live(500)
        .on("t", up(1))
        .on("u", down(1))]);
    assert_eq!(out.notices(), ["value_kept", "knob_registered"]);
    assert_eq!(s.find(&t()).held_by(), "no_change");
    assert_eq!(s.find(&finding(&["u"])).new_value(), 16);
}

#[test]
fn c10_equality_is_by_number_after_the_value_has_its_type() {
    assert_eq!(next(&knob("k", 2).on("t", set(2.9)), &t()), json!(2));
    let mut s = Scene::ours().knob(knob("k", 2.0).on("t", set(2)));
    assert_eq!(s.find(&t()).held_by(), "no_change");
    let mut s = Scene::ours().knob(knob("k", true).on("t", set(1)));
    assert_eq!(s.find(&t()).held_by(), "no_change");

    let mut s = Scene::ours();
    let out = s.register([knob("k", "2").live(2).on("t", set(2)).on("u", set("2"))]);
    assert_eq!(
        out.notices(),
        ["knob_refused", "value_refused", "knob_registered"]
    );
    assert_eq!(s.find(&finding(&["u"])).held_by(), "no_change");
}

#[test]
fn c11_set_without_a_value_is_refused() {
    for k in [
        knob("k", 2),
        knob("k", "a"),
        knob("k", true),
        knob("k", 0.5),
    ] {
        assert_eq!(refused(&k.on("t", set(json!(null)))), ["set_to"]);
    }
}

#[test]
fn c12_an_unknown_direction_or_mode_is_refused_and_named() {
    for (response, problem) in [
        (
            up(1).with("direction", "Increase"),
            "direction: unknown word \"Increase\"",
        ),
        (
            up(1).with("direction", "sideways"),
            "direction: unknown word \"sideways\"",
        ),
        (
            up(1).with("step_mode", "mul"),
            "step_mode: unknown word \"mul\"",
        ),
    ] {
        let message = json!({"knobs": [json!({"id": "k", "default": 2,
            "responds_to": {"t": response_json(response)}})]});
        let decoded = dfo_model::Registration::decode(message.to_string().as_bytes());
        let told = decoded.problems[0].to_string();
        assert!(
            told.starts_with(&format!("knobs[0].responds_to.t.{problem}")),
            "{told}"
        );
        let mut s = Scene::ours();
        s.receive_registration(&message);
        assert_eq!(s.find(&t()).held_by(), "no_response");
    }
}

fn response_json(response: Response) -> Json {
    Json::Object(response.0)
}

#[test]
fn c13_evidence_keeps_probing_on_purpose_while_fetching_is_notable() {
    let k = |old| knob("k", old).range(0, 32).on("t", evidence("increase"));
    assert_eq!(next(&k(24), &t().metrics(metrics(0.3, 0.7))), 25);
    assert_eq!(next(&k(24), &t().metrics(metrics(0.2, 0.8))), 24);
    assert_eq!(next(&k(1), &t().metrics(metrics(0.89, 0.11))), 8);
    assert_eq!(next(&k(24), &t().metrics(metrics(0.05, 0.0))), 24);
}

#[test]
fn c14_a_text_is_not_computed_with() {
    for response in [up(1), down(1)] {
        let k = knob("k", "posix").on("t", response);
        assert_eq!(refused(&k), ["direction"]);
        assert_eq!(next(&k, &t()), "posix");
    }
}

#[test]
fn c15_numbers_saturate() {
    let settled = |k: Knob| {
        let mut s = Scene::original().knob(k);
        for window in 0..2_000 {
            let out = s.find(&t().at(window));
            let Some(plan) = out.0.plans().next() else {
                assert_eq!(out.held_by(), "no_change");
                return s.value("k");
            };
            s.ack(&scene::applied(&plan.plan_id));
        }
        panic!("it never settles");
    };
    assert_eq!(settled(knob("k", 2).on("t", times(2).eager())), i64::MAX);
    assert_eq!(
        settled(knob("k", 2).on("t", up(i64::MAX).eager())),
        i64::MAX
    );
    assert_eq!(
        settled(knob("k", -2).on("t", down(i64::MAX).eager())),
        i64::MIN
    );
    assert_eq!(
        settled(knob("k", 2.0).on("t", times(1e300).eager())),
        f64::MAX
    );
    assert_eq!(
        settled(knob("k", -2.0).on("t", down(1e308).eager())),
        f64::MIN
    );
}

#[test]
fn c16_null_fields_count_as_missing() {
    let mut s = Scene::ours().knob(knob("k", 2).on("t", up(1)));
    let out = s.receive_finding(
        r#"{"finding_type": "fetch_pressure", "scope": null, "trend_direction": null, "motif": null,
            "severity_score": 0.8, "persistence": 5, "opportunity_tags": ["t"]}"#,
    );
    assert_eq!(
        out.plan().rationale,
        "fetch_pressure: unclassified (severity=0.800, persistence=5, trend=insufficient_data, scope=) -> t"
    );
}

#[test]
fn c09_a_rejected_plan_gives_back_a_live_value_outside_the_range() {
    let mut s = Scene::ours().knob(knob("k", 2).range(1, 16).live(500).on("t", down(1)));
    let plan = s.find(&t()).plan().clone();
    assert_eq!(s.value("k"), 16);
    s.ack(&rejected(&plan.plan_id));
    assert_eq!(s.value("k"), 500);
}
