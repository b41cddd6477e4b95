//! Our behaviour where the original is plainly wrong: one test for each mark of `docs/planner.md`,
//! named after it. A mark is no setting: where it can be shown under both, it is.

mod scene;

use dfo_planner::{AckIgnored, Gate, Notice};
use scene::{
    AckWords, Finding, PlanWords, Scene, applied, both, deferred, down, evidence, finding,
    global_plan, json, knob, over, rejected, set, suppressing, times, up,
};

fn t() -> Finding {
    finding(&["t"])
}

/// A knob that may always act, under both settings.
fn scenes() -> [Scene; 2] {
    both().map(|settings| {
        let response = up(1).cooldown(0).with("effectiveness_threshold", -1e9);
        Scene::under(settings).knob(knob("k", 2).range(0, 64).on("t", response))
    })
}

#[test]
fn suppression_before_registration_dropped() {
    for settings in both() {
        let mut s = Scene::under(settings);
        assert_eq!(s.find(&suppressing(&["t"])).told().len(), 2);
        s.register([knob("k", 2).on("t", up(1))]);
        assert_eq!(s.find(&t()).held_by(), "suppressed");
    }
}

#[test]
fn global_scope_spelling() {
    for mut s in scenes() {
        for (scope, is_global) in [
            ("global", true),
            ("global:global", true),
            ("global:window", true),
            ("global:x:y", true),
            ("globally", false),
            ("app:global", false),
        ] {
            s.find(&suppressing(&["t"]).scope(scope));
            assert_eq!(
                !s.planner.suppressed_tags().is_empty(),
                is_global,
                "{scope}"
            );
            s.find(&suppressing(&[]));
        }
    }
}

#[test]
fn reregistration_keeps_old_responses() {
    for settings in both() {
        let mut s = Scene::under(settings);
        let lenient = knob("k", 2).on("t", up(1)).on("u", up(1));
        s.register([lenient.clone()]);
        s.register([lenient]);
        s.register([knob("k", 2).on("t", up(5).with("min_severity", 0.95))]);
        let out = s.find(&t().severity(0.6));
        assert_eq!(
            out.gate(),
            &Gate::Severity {
                value: 0.6,
                threshold: 0.95
            }
        );
        assert_eq!(s.find(&finding(&["u"])).held_by(), "no_response");
        assert_eq!(s.find(&t()).new_value(), 7);
    }
}

#[test]
fn str_knob_arithmetic() {
    for settings in both() {
        for response in [up(1), down(1), times(2), over(2), evidence("increase")] {
            let mut s = Scene::under(settings.clone());
            let text = knob("k", "posix").on("t", response).on("u", set("mpiio"));
            let out = s.register([text]);
            assert_eq!(out.notices(), ["knob_refused", "knob_registered"]);
            let Some(Notice::KnobRefused { knob, tag, .. }) = out.0.notices().next() else {
                panic!("{out:?}");
            };
            assert_eq!((&**knob, tag.as_deref()), ("k", Some("t")));
            assert_eq!(s.find(&t()).held_by(), "no_response");
            assert_eq!(s.find(&finding(&["u"])).new_value(), "mpiio");
        }
    }
}

#[test]
fn invalid_enum_value_becomes_default() {
    for settings in both() {
        let listed = || knob("k", 4).values(json!([1, 2, 4, 8]));
        let mut s = Scene::under(settings);
        let out = s.register([listed().on("t", set(3)).on("u", set(8))]);
        assert_eq!(out.notices(), ["knob_refused", "knob_registered"]);
        let out = s.find(&finding(&["t", "u"]));
        assert_eq!(out.plans(), [("k".to_owned(), json!(8))]);
    }
}

#[test]
fn bool_of_string() {
    for settings in both() {
        let mut s = Scene::under(settings);
        s.register([knob("k", true).on("t", set("false")).on("u", set("true"))]);
        assert_eq!(s.find(&t()).new_value(), false);
        assert_eq!(s.find(&finding(&["u"])).told().len(), 1);

        s.register([knob("live", true).live("false")]);
        assert_eq!(s.value("live"), false);
        let out = s.register([knob("odd", true).on("t", set("no")).live("False")]);
        assert_eq!(
            out.notices(),
            ["knob_refused", "value_refused", "knob_registered"]
        );
        assert_eq!(s.value("odd"), true);
    }
}

#[test]
fn suppression_partial_not_cleared() {
    for mut s in scenes() {
        s.find(&suppressing(&["t", "u"]));
        s.find(&suppressing(&["u"]));
        assert_eq!(s.planner.suppressed_tags(), ["u"]);
        s.find(&t()).plan();
    }
}

#[test]
fn improving_global_does_not_clear() {
    for mut s in scenes() {
        s.find(&suppressing(&["t"]));
        s.find(&suppressing(&["u"]).trend("improving"));
        assert_eq!(
            s.planner.suppressed_tags(),
            ["t"],
            "with tags it changes nothing"
        );
        s.find(&suppressing(&[]).trend("improving"));
        assert_eq!(s.planner.suppressed_tags(), [""; 0]);
    }
}

#[test]
fn suppression_owner_overwritten() {
    for mut s in scenes() {
        s.find(&suppressing(&["t"]).kind("strong").severity(0.8));
        s.find(&suppressing(&["t"]).kind("weak").severity(0.6));
        let out = s.find(&t().severity(0.9));
        let by_the_strongest = Gate::Suppressed {
            by: "strong".into(),
            value: 0.9,
            threshold: 0.8,
        };
        assert_eq!(out.gate(), &by_the_strongest);
        s.find(&suppressing(&[]).kind("strong"));
        assert_eq!(s.find(&t()).held_by(), "suppressed");
        s.find(&t().severity(0.7).on("n1")).plan();
        s.find(&suppressing(&[]).kind("weak"));
        assert_eq!(s.planner.suppressed_tags(), [""; 0]);
    }
}

#[test]
fn empty_node_becomes_global() {
    for mut s in scenes() {
        for scope in ["node:", "node::app:epoch"] {
            let out = s.find(&t().scope(scope));
            assert!(matches!(
                out.notice(),
                Notice::InvalidFinding { field: "scope", .. }
            ));
            assert_eq!(out.plans(), []);
        }
        assert_eq!(s.find(&t().scope("node")).plan().target_nodes, [""; 0]);
    }
}

#[test]
fn evidence_decrease_without_metrics_doubles() {
    for settings in both() {
        for (from, to) in [
            (json!(4), json!(2)),
            (json!(5), json!(2)),
            (json!(1), json!(0)),
            (json!(-3), json!(-4)),
            (json!(4.0), json!(2.0)),
            (json!(1.5), json!(0.5)),
        ] {
            let k = knob("k", from.clone()).on("t", evidence("decrease"));
            let mut s = Scene::under(settings.clone()).knob(k);
            assert_eq!(s.find(&t()).new_value(), to, "from {from}");
        }
    }
}

#[test]
fn decrease_raised_value() {
    let computing = || t().metrics(json!({"fetch_frac": 0.3, "compute_frac": 0.7}));
    for settings in both() {
        for (why, k) in [
            (
                "the target is 1",
                knob("k", 0).on("t", evidence("decrease")),
            ),
            (
                "the range begins at 4",
                knob("k", 8).range(4, 16).live(1).on("t", down(1)),
            ),
            ("the floor of −4 ÷ 2 is −2", knob("k", -4).on("t", over(2))),
            ("−4.0 ÷ 2 is −2", knob("k", -4.0).on("t", over(2))),
        ] {
            let mut s = Scene::under(settings.clone()).knob(k);
            assert_eq!(s.find(&computing()).held_by(), "no_change", "{why}");
        }
    }
}

#[test]
fn increase_lowered_value() {
    for settings in both() {
        for (why, k) in [
            (
                "the range ends at 16",
                knob("k", 8).range(1, 16).live(500).on("t", up(1)),
            ),
            ("−4.0 × 2 is −8", knob("k", -4.0).on("t", times(2))),
            (
                "the list ends at 8",
                knob("k", 8).values(json!([1, 8])).live(9).on("t", up(1)),
            ),
        ] {
            let mut s = Scene::under(settings.clone()).knob(k);
            assert_eq!(s.find(&t()).held_by(), "no_change", "{why}");
        }
    }
}

#[test]
fn multiply_float_plus_one() {
    for settings in both() {
        let mut s = Scene::under(settings).knob(knob("k", 0.25).on("t", times(2)));
        assert_eq!(s.find(&t()).new_value(), 0.5);
    }
}

#[test]
fn multiply_float_floor_division() {
    for settings in both() {
        let mut s = Scene::under(settings).knob(knob("k", 0.5).on("t", over(4)));
        assert_eq!(s.find(&t()).new_value(), 0.125);
    }
}

#[test]
fn values_step_falls_to_default() {
    let tie_from_2 = times(3); // 6 is as near to 4 as to 8
    for settings in both() {
        for (values, from, response, to) in [
            (json!([1, 2, 4, 8]), 4, up(1), Some(8)),
            (json!([1, 2, 4, 8]), 4, down(1), Some(2)),
            (json!([1, 2, 4, 8]), 1, up(3), Some(4)),
            (json!([1, 2, 4, 8]), 2, tie_from_2.clone(), Some(4)),
            (json!([8, 4, 2, 1]), 2, tie_from_2.clone(), Some(4)),
            (json!([1, 2, 4, 8]), 8, over(3), Some(2)),
            (json!([1, 2, 4, 8]), 8, up(1), None),
            (json!([1, 2, 4, 8]), 1, down(1), None),
            (json!([1, 100]), 1, up(1), Some(100)),
            (json!([1, 2, 4, 8]), 5, up(1), Some(8)),
        ] {
            let k = knob("k", 1)
                .values(values.clone())
                .live(from)
                .on("t", response);
            let mut s = Scene::under(settings.clone()).knob(k);
            let out = s.find(&t());
            let new: Vec<_> = out.plans().into_iter().map(|(_, value)| value).collect();
            let expected: Vec<_> = to.map(|to| json!(to)).into_iter().collect();
            assert_eq!(new, expected, "from {from} in {values}");
        }
    }
}

#[test]
fn values_type_not_coerced() {
    for settings in both() {
        let ints = knob("k", 1).values(json!([1.0, 2.0, 4.0])).on("t", up(1));
        let mut s = Scene::under(settings.clone()).knob(ints);
        assert_eq!(s.find(&t()).new_value(), json!(2));

        let floats = knob("k", 1.0).values(json!([1, 2, 4])).on("t", up(1));
        let mut s = Scene::under(settings).knob(floats);
        assert_eq!(s.find(&t()).new_value(), json!(2.0));
    }
}

#[test]
fn clamp_result_outside_range() {
    for settings in both() {
        let k = || knob("k", 2).range(0.5, 8.5);
        let mut s = Scene::under(settings.clone()).knob(k().on("t", down(5)));
        assert_eq!(s.find(&t()).new_value(), 1, "0 is below 0.5");

        let mut s = Scene::under(settings).knob(k());
        assert_eq!(s.global(&global_plan("g1", "k", 0)).new_value(), 1);
        assert_eq!(s.global(&global_plan("g2", "k", 9)).new_value(), 8);
    }
}

#[test]
fn ack_without_window_starts_no_cooldown() {
    for settings in both() {
        let unknown = [None, Some(-1)];
        for window in unknown {
            let k = knob("k", 2).on("t", up(1).cooldown(3));
            let mut s = Scene::under(settings.clone()).knob(k);
            let plan = s.find(&t().at(10)).plan().clone();
            s.find(&finding(&[]).at(12));
            let mut ack = applied(&plan.plan_id);
            ack.window_index = window;
            s.ack(&ack);
            let out = s.find(&t().at(14).severity(0.5));
            assert_eq!(
                out.gate(),
                &Gate::Cooldown {
                    value: 2,
                    threshold: 3
                }
            );
            s.find(&t().at(15).severity(0.5)).plan();
        }
    }
}

#[test]
fn reject_resets_to_default() {
    for settings in both() {
        let k = knob("k", 2).range(0, 16).live(8).on("t", up(1));
        let mut s = Scene::under(settings).knob(k);
        let plan = s.find(&t()).plan().clone();
        s.ack(&rejected(&plan.plan_id));
        assert_eq!(s.value("k"), 8);
    }
}

#[test]
fn node_reject_drops_previous_override() {
    for mut s in scenes() {
        s.act(&t().on("n1"));
        let plan = s.find(&t().at(1).on("n1")).plan().clone();
        assert_eq!(s.value_on("n1", "k"), 4);
        s.ack(&rejected(&plan.plan_id));
        assert_eq!((s.value_on("n1", "k"), s.value("k")), (json!(3), json!(2)));
    }
}

#[test]
fn deferred_ack_keeps_unapplied_value() {
    for mut s in scenes() {
        let plan = s.find(&t()).plan().clone();
        s.ack(&deferred(&plan.plan_id).value(3));
        assert_eq!(s.find(&t().at(1)).held_by(), "pending");
        s.ack(&rejected(&plan.plan_id));
        assert_eq!(s.value("k"), 2);
    }
}

#[test]
fn ack_plan_id_mismatch_applied() {
    for mut s in scenes() {
        s.find(&t()).plan();
        let notice = s.ack(&applied("another").value(13).at(0));
        assert!(matches!(
            notice,
            Notice::AckIgnored {
                why: AckIgnored::Unknown,
                ..
            }
        ));
        assert_eq!(s.value("k"), 3);
        assert_eq!(s.pending(), [("k", None)]);
    }
}

#[test]
fn global_plan_ignores_target_nodes() {
    for settings in both() {
        let k = knob("k", 2).range(0, 16).on("t", up(1));
        let mut s = Scene::under(settings).knob(k).at_node("n1");
        let out = s.global(&global_plan("g1", "k", 9).on(&["n2"]));
        assert_eq!(out.notices(), ["global_plan_ignored"]);

        s.find(&finding(&[]).at(4));
        let out = s.global(&global_plan("g2", "k", 8).on(&["n1"]).at(4));
        assert_eq!(out.plan().target_nodes, ["n1"]);
        assert_eq!((s.value("k"), s.value_on("n1", "k")), (json!(2), json!(8)));
        assert_eq!(s.find(&t().at(5).on("n1")).held_by(), "cooldown");
        assert_eq!(s.find(&t().at(5).on("n2")).new_value(), 3);
    }
}

#[test]
fn global_plan_over_pending() {
    for mut s in scenes() {
        let job = s.find(&t()).plan().clone();
        let out = s.global(&global_plan("g", "k", 12));
        assert_eq!(out.notices(), ["plan_superseded"]);
        assert_eq!(out.new_value(), 12);
        assert_eq!(s.pending(), []);
        let notice = s.ack(&applied(&job.plan_id).value(3));
        assert!(matches!(
            notice,
            Notice::AckIgnored {
                why: AckIgnored::Superseded,
                ..
            }
        ));
        assert_eq!(s.value("k"), 12);
    }
}

#[test]
fn global_plan_over_pending_on_every_node_it_names() {
    let pending_after = |nodes: &[&str]| {
        let [mut s, _] = scenes().map(|s| s.at_node("n1"));
        s.find(&t().on("n1")).plan();
        s.find(&t().on("n2")).plan();
        s.global(&global_plan("g", "k", 12).on(nodes)).plan();
        let pending = s.pending();
        pending
            .iter()
            .map(|(_, node)| node.unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(pending_after(&[]), [""; 0]);
    assert_eq!(pending_after(&["n1"]), ["n2"]);
    assert_eq!(pending_after(&["n1", "n2"]), [""; 0]);
}
