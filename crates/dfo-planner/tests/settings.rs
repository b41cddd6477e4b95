//! Every choice, ours and the original's: a pair of tests for each row of the settings table.

mod scene;

use dfo_model::ActionPlan;
use dfo_planner::{Gate, Notice, Settings};
use scene::{
    AckWords, Finding, PlanWords, Scene, applied, deferred, down, finding, global_plan, json, knob,
    rejected, suppressing, up,
};

/// A knob at 2 that rests three windows, and goes up for the tag `t`.
fn with_knob(settings: Settings) -> Scene {
    Scene::under(settings).knob(knob("k", 2).range(0, 64).on("t", up(1)))
}

/// A knob that may always act.
fn with_eager_knob(settings: Settings) -> Scene {
    let response = up(1).eager().with("effectiveness_threshold", -1e9);
    Scene::under(settings).knob(knob("k", 2).range(0, 64).on("t", response))
}

fn t(window: i64) -> Finding {
    finding(&["t"]).at(window)
}

mod pending {
    use super::*;

    #[test]
    fn a_plan_that_no_one_acknowledged_expires_after_10_windows_and_its_value_goes_back() {
        let mut s = with_knob(Settings::default());
        s.find(&t(100)).plan();
        assert_eq!(s.find(&t(109)).held_by(), "pending");
        let out = s.find(&t(110));
        let Notice::PlanExpired {
            windows_waited,
            value,
            ..
        } = out.notice()
        else {
            panic!("{out:?}");
        };
        assert_eq!((*windows_waited, value), (10, &2.into()));
        assert_eq!(out.new_value(), 3, "and it may act anew");
    }

    #[test]
    fn a_nodes_plan_expires_too_and_gives_back_the_nodes_own_value() {
        let mut s = with_eager_knob(Settings::default());
        s.act(&t(0).on("n1"));
        assert_eq!(s.find(&t(1).on("n1")).new_value(), 4);
        let out = s.find(&finding(&[]).at(11));
        assert_eq!(out.notices(), ["plan_expired", "not_judged"]);
        assert_eq!(s.value_on("n1", "k"), 3);
    }

    #[test]
    fn an_expired_plans_value_stays_where_the_application_has_said_another() {
        let mut s = with_knob(Settings::default());
        s.find(&t(0)).plan();
        s.register([knob("k", 2).range(0, 64).on("t", up(1)).live(7)]);
        s.find(&finding(&[]).at(10));
        assert_eq!(s.value("k"), 7);
    }

    #[test]
    fn a_deferred_plan_waits_anew() {
        let mut s = with_knob(Settings::default());
        let plan = s.find(&t(0)).plan().clone();
        s.find(&t(9));
        s.ack(&deferred(&plan.plan_id));
        assert_eq!(s.find(&t(18)).held_by(), "pending");
        assert_eq!(s.find(&t(19)).notices(), ["plan_expired"]);
    }

    #[test]
    fn the_original_waits_for_ever() {
        let mut s = with_knob(Settings::original());
        s.find(&t(0)).plan();
        assert_eq!(s.find(&t(100_000)).held_by(), "pending");
    }
}

mod ineffective {
    use super::*;

    /// The windows in which the knob acts while nothing ever helps.
    fn windows_of_actions(settings: Settings, until: i64) -> Vec<i64> {
        let mut s = with_knob(settings);
        let mut windows = Vec::new();
        for window in 0..until {
            if let Some(plan) = s.find(&t(window)).0.plans().next() {
                s.ack(&applied(&plan.plan_id).at(window));
                windows.push(window);
            }
        }
        windows
    }

    #[test]
    fn a_knob_that_does_not_help_acts_again_after_5_windows_then_10_and_so_on_up_to_80() {
        let windows = windows_of_actions(Settings::default(), 400);
        assert_eq!(windows, [0, 5, 15, 35, 75, 155, 235, 315, 395]);
    }

    #[test]
    fn an_action_that_helps_ends_the_doubling() {
        let mut s = with_knob(Settings::default());
        for (window, severity) in [(0, 1.0), (5, 1.0), (8, 0.8)] {
            s.act(&t(window).severity(severity));
        }
        assert_eq!(s.find(&t(12).severity(0.8)).held_by(), "ineffective");
        s.find(&t(13).severity(0.8)).plan();
    }

    #[test]
    fn in_the_original_it_never_acts_again() {
        assert_eq!(windows_of_actions(Settings::original(), 400), [0]);
    }
}

mod suppression {
    use super::*;

    #[test]
    fn a_suppression_that_is_not_refreshed_ends_after_20_windows() {
        let mut s = with_knob(Settings::default());
        s.find(&suppressing(&["t"]).at(0));
        s.find(&suppressing(&["t"]).at(5));
        assert_eq!(s.find(&t(24)).held_by(), "suppressed");
        let out = s.find(&t(25));
        assert_eq!(out.notices(), ["suppression_ended"]);
        out.plan();
    }

    #[test]
    fn in_the_original_it_never_ends() {
        let mut s = with_knob(Settings::original());
        s.find(&suppressing(&["t"]).at(0));
        assert_eq!(s.find(&t(20_000)).held_by(), "suppressed");
    }

    fn suppresses(settings: Settings, severity: f64, persistence: i64) -> bool {
        let mut s = with_knob(settings);
        let global = suppressing(&["t"]).severity(severity);
        s.find(&global.persistence(persistence));
        !s.planner.suppressed_tags().is_empty()
    }

    #[test]
    fn only_a_global_finding_of_severity_half_and_persistence_2_suppresses() {
        let ours = |severity, persistence| suppresses(Settings::default(), severity, persistence);
        assert!(ours(0.5, 2));
        assert!(!ours(0.499, 2));
        assert!(!ours(0.5, 1));
    }

    #[test]
    fn in_the_original_every_global_finding_does() {
        assert!(suppresses(Settings::original(), 0.01, 0));
        assert!(suppresses(Settings::original(), -1.0, -1));
    }
}

mod rejection {
    use super::*;

    fn held_after_rejection(settings: Settings) -> Vec<bool> {
        let mut s = with_knob(settings);
        let plan = s.find(&t(0)).plan().clone();
        s.ack(&rejected(&plan.plan_id).at(0));
        let next = [1, 2, 3].map(|window| {
            let out = s.find(&t(window));
            if let Some(plan) = out.0.plans().next() {
                s.ack(&rejected(&plan.plan_id).at(0));
            }
            out.0.plans().next().is_none()
        });
        next.to_vec()
    }

    #[test]
    fn a_rejection_starts_the_cooldown() {
        assert_eq!(
            held_after_rejection(Settings::default()),
            [true, true, false]
        );
    }

    #[test]
    fn in_the_original_a_refused_plan_is_sent_again_in_every_window() {
        assert_eq!(held_after_rejection(Settings::original()), [false; 3]);
    }

    #[test]
    fn a_rejection_leaves_nothing_to_judge_effectiveness_by() {
        let mut s = with_knob(Settings::default());
        let plan = s.find(&t(0)).plan().clone();
        s.ack(&rejected(&plan.plan_id).at(0));
        s.find(&t(3)).plan();
    }
}

mod judging {
    use super::*;

    /// An increase for `t` at 0.6, then something worse that calls for a decrease.
    fn find_another_tag(settings: Settings) -> scene::Out {
        let both_ways = knob("k", 2).range(0, 64);
        let both_ways = both_ways
            .on("t", up(1).cooldown(0))
            .on("u", down(1).cooldown(0));
        let mut s = Scene::under(settings).knob(both_ways);
        s.act(&t(0).severity(0.6));
        s.find(&finding(&["u"]).at(1).severity(0.95))
    }

    #[test]
    fn effectiveness_is_judged_against_the_last_action_for_the_same_tag() {
        assert_eq!(find_another_tag(Settings::default()).new_value(), 2);
    }

    #[test]
    fn in_the_original_against_the_last_action_for_any() {
        assert_eq!(
            find_another_tag(Settings::original()).held_by(),
            "ineffective"
        );
    }

    #[test]
    fn each_tag_is_judged_against_its_own_last_action() {
        let response = || up(1).cooldown(0);
        let two = knob("k", 2).on("t", response()).on("u", response());
        let mut s = Scene::ours().knob(two);
        s.act(&t(0).severity(0.6));
        s.act(&finding(&["u"]).at(1).severity(0.95));
        let Gate::Ineffective { severity_then, .. } = *s.find(&t(2).severity(0.7)).gate() else {
            panic!("held by something else");
        };
        assert_eq!(severity_then.to_bits(), 0.6_f64.to_bits());
    }
}

mod scopes {
    use super::*;

    /// What holds the second finding, in the same window: pending, and after its ack cooldown.
    fn held_by(
        settings: &Settings,
        first: &Finding,
        second: &Finding,
    ) -> [Option<&'static str>; 2] {
        let mut s = with_knob(settings.clone());
        let plan = s.find(first).plan().clone();
        let name = |out: scene::Out| out.0.holds().next().map(|hold| hold.gate.name());
        let while_pending = name(s.find(second));
        if while_pending.is_none() {
            s = with_knob(settings.clone());
            s.find(first).plan();
        }
        s.ack(&applied(&plan.plan_id).at(0));
        [while_pending, name(s.find(second))]
    }

    #[test]
    fn a_job_wide_plan_holds_the_nodes_plans_and_the_other_way_round() {
        let (job, node) = (t(0), t(0).on("n1"));
        for (first, second) in [(&job, &node), (&node, &job)] {
            let held = held_by(&Settings::default(), first, second);
            assert_eq!(held, [Some("pending"), Some("cooldown")]);
        }
    }

    #[test]
    fn in_the_original_they_do_not() {
        let (job, node) = (t(0), t(0).on("n1"));
        for (first, second) in [(&job, &node), (&node, &job)] {
            let held = held_by(&Settings::original(), first, second);
            assert_eq!(held, [None, None]);
        }
    }

    #[test]
    fn one_nodes_plan_does_not_hold_anothers() {
        let mut s = with_knob(Settings::default());
        s.find(&t(0).on("n1")).plan();
        s.find(&t(0).on("n2")).plan();
    }
}

mod global_plans {
    use super::*;

    /// The node `n1` is at 3 when a plan for all nodes wants 12.
    fn after_a_plan_for_all(settings: Settings) -> (Scene, ActionPlan) {
        let mut s = with_eager_knob(settings);
        s.act(&t(0).on("n1"));
        let plan = s.global(&global_plan("g", "k", 12)).plan().clone();
        (s, plan)
    }

    #[test]
    fn a_plan_for_all_nodes_clears_the_nodes_own_values() {
        let (s, _) = after_a_plan_for_all(Settings::default());
        assert_eq!(s.value_on("n1", "k"), 12);
    }

    #[test]
    fn its_rejection_brings_them_back() {
        let (mut s, plan) = after_a_plan_for_all(Settings::default());
        s.ack(&rejected(&plan.plan_id));
        assert_eq!((s.value("k"), s.value_on("n1", "k")), (json!(2), json!(3)));
    }

    #[test]
    fn its_ack_does_not() {
        let (mut s, plan) = after_a_plan_for_all(Settings::default());
        s.ack(&applied(&plan.plan_id));
        assert_eq!(s.value_on("n1", "k"), 12);
    }

    #[test]
    fn a_plan_for_all_nodes_is_news_where_only_a_node_differs() {
        let mut s = with_eager_knob(Settings::default());
        s.act(&t(0).on("n1"));
        s.global(&global_plan("g", "k", 2)).plan();
        assert_eq!(s.value_on("n1", "k"), 2);
    }

    #[test]
    fn in_the_original_a_plan_for_all_leaves_them_alone() {
        let (s, _) = after_a_plan_for_all(Settings::original());
        assert_eq!((s.value("k"), s.value_on("n1", "k")), (json!(12), json!(3)));
    }

    #[test]
    fn a_plan_for_named_nodes_clears_nothing() {
        for settings in scene::both() {
            let mut s = with_eager_knob(settings).at_node("n2");
            s.act(&t(0).on("n1"));
            s.global(&global_plan("g", "k", 12).on(&["n2"])).plan();
            assert_eq!((s.value_on("n1", "k"), s.value("k")), (json!(3), json!(2)));
        }
    }
}

mod new_run {
    use super::*;

    #[test]
    fn a_window_more_than_10_below_the_newest_starts_a_new_run() {
        let mut s = with_knob(Settings::default());
        s.find(&finding(&[]).at(100));
        assert_eq!(s.find(&finding(&[]).at(90)).held_by(), "no_tags");
        let out = s.find(&finding(&[]).at(89));
        assert_eq!(
            out.notice(),
            &Notice::NewRun {
                window_index: 89,
                newest: 100
            }
        );
    }

    #[test]
    fn a_cooldown_begins_anew() {
        let mut s = with_knob(Settings::default());
        s.act(&t(5_000));
        assert_eq!(s.find(&t(0).severity(0.5)).held_by(), "cooldown");
        assert_eq!(s.find(&t(2).severity(0.5)).held_by(), "cooldown");
        s.find(&t(3).severity(0.5)).plan();
    }

    #[test]
    fn the_cooldown_of_a_rejection_begins_anew() {
        let mut s = with_knob(Settings::default());
        let plan = s.find(&t(5_000)).plan().clone();
        s.ack(&rejected(&plan.plan_id));
        assert_eq!(s.find(&t(2)).held_by(), "cooldown");
        s.find(&t(5)).plan();
    }

    #[test]
    fn patience_with_a_pending_plan_begins_anew() {
        let mut s = with_knob(Settings::default());
        s.find(&t(5_000)).plan();
        s.find(&t(5_006));
        assert_eq!(s.find(&t(0)).held_by(), "pending");
        assert_eq!(s.find(&t(9)).held_by(), "pending");
        assert_eq!(s.find(&t(10)).notices(), ["plan_expired"]);
    }

    #[test]
    fn patience_with_an_ineffective_knob_begins_anew() {
        let mut s = with_knob(Settings::default());
        s.act(&t(5_000));
        s.find(&t(0));
        assert_eq!(s.find(&t(4)).held_by(), "ineffective");
        s.find(&t(5)).plan();
    }

    #[test]
    fn patience_with_a_suppression_begins_anew() {
        let mut s = with_knob(Settings::default());
        s.find(&suppressing(&["t"]).at(5_000));
        s.find(&finding(&[]).at(5_015));
        s.find(&finding(&[]).at(0));
        assert_eq!(s.find(&t(19)).held_by(), "suppressed");
        s.find(&t(20)).plan();
    }

    #[test]
    fn the_newest_window_is_that_of_the_view() {
        let mut s = with_knob(Settings::default());
        s.find(&finding(&[]).at(5_000).view("window"));
        assert_eq!(
            s.find(&finding(&[]).at(3).view("epoch")).held_by(),
            "no_tags"
        );
        assert_eq!(
            s.find(&finding(&[]).at(5_001).view("window")).held_by(),
            "no_tags"
        );
    }

    /// `window − the last action's window < cooldown_windows`, both of one view.
    #[test]
    fn a_faster_view_does_not_shorten_the_cooldown_of_a_slower_one() {
        let mut s = with_knob(Settings::default());
        let epoch = |e: i64| t(e).severity(0.5).view("epoch");
        s.find(&finding(&[]).at(1_000).view("step"));
        s.act(&t(50).view("epoch"));
        for (e, step) in [(51, 1_100), (52, 1_200)] {
            s.find(&finding(&[]).at(step).view("step"));
            assert_eq!(s.find(&epoch(e)).held_by(), "cooldown", "epoch {e}");
        }
        s.find(&epoch(53)).plan();
    }

    #[test]
    fn an_ack_of_the_run_before_starts_its_cooldown_now() {
        let mut s = with_knob(Settings::default());
        let plan = s.find(&t(5_000)).plan().clone();
        s.find(&finding(&[]).at(0));
        s.ack(&applied(&plan.plan_id).at(5_000));
        s.find(&t(4).severity(0.5)).plan();
    }

    #[test]
    fn a_cooldown_that_began_ahead_of_the_findings_begins_anew() {
        let mut s = with_knob(Settings::default());
        let plan = s.find(&t(5_000)).plan().clone();
        s.ack(&applied(&plan.plan_id).at(7_000));
        s.find(&finding(&[]).at(0));
        s.find(&t(4).severity(0.5)).plan();
    }

    /// An int beyond 64 bits saturates: one such window must not stop the clock for good.
    #[test]
    fn the_clock_goes_on_after_an_absurd_window() {
        for absurd in [i64::MAX, i64::MIN] {
            let mut s = with_knob(Settings::default());
            s.find(&finding(&[]).at(5));
            s.find(&finding(&[]).at(absurd));
            s.find(&finding(&[]).at(6));
            s.act(&t(7));
            let out = s.find(&t(10).severity(0.5));
            assert_eq!(out.plans().len(), 1, "after {absurd}: {out:?}");
        }
    }

    #[test]
    fn an_absurd_first_window_does_not_put_an_earlier_action_out_of_reach() {
        let mut s = with_knob(Settings::default());
        s.global(&global_plan("g", "k", 12)).plan();
        s.find(&finding(&[]).at(i64::MIN));
        s.find(&finding(&[]).at(1));
        s.find(&t(4)).plan();
    }

    #[test]
    fn in_the_original_a_window_that_begins_again_freezes_the_knob() {
        let mut s = with_knob(Settings::original());
        s.act(&t(5_000));
        assert_eq!(s.find(&t(4_000).severity(0.5)).held_by(), "cooldown");
    }
}

mod nodes_remembered {
    use super::*;

    /// Room for two nodes.
    fn small() -> Scene {
        let mut settings = Settings::default();
        settings.nodes_remembered = 2;
        with_eager_knob(settings)
    }

    #[test]
    fn the_least_recently_seen_node_goes_first_and_is_counted() {
        let mut s = small();
        s.act(&t(0).on("n1"));
        s.act(&t(0).on("n2"));
        s.find(&finding(&[]).on("n1"));
        let out = s.find(&t(1).on("n3"));
        let forgotten = Notice::NodeForgotten { node: "n2".into() };
        assert_eq!(out.0.notices().next(), Some(&forgotten));
        assert_eq!(out.notices(), ["node_forgotten", "not_judged"]);
        assert_eq!(s.planner.nodes_remembered(), 2);
        assert_eq!(
            (s.value_on("n1", "k"), s.value_on("n2", "k")),
            (json!(3), json!(2))
        );
    }

    #[test]
    fn a_node_with_a_pending_plan_stays() {
        let mut s = small();
        s.find(&t(0).on("n1")).plan();
        s.act(&t(0).on("n2"));
        let out = s.find(&t(1).on("n3"));
        let forgotten = Notice::NodeForgotten { node: "n2".into() };
        assert_eq!(out.0.notices().next(), Some(&forgotten));
        assert_eq!(out.notices(), ["node_forgotten", "not_judged"]);
        assert_eq!(s.find(&t(1).on("n4")).held_by(), "no_room");
        assert_eq!(s.pending(), [("k", Some("n1")), ("k", Some("n3"))]);
    }

    #[test]
    fn a_node_without_any_decision_is_not_remembered() {
        let mut s = small();
        s.find(&t(0).on("n1").severity(0.1));
        assert_eq!(s.planner.nodes_remembered(), 0);
    }

    #[test]
    fn ours_are_131072_and_the_original_forgets_none() {
        assert_eq!(Settings::default().nodes_remembered, 131_072);
        assert_eq!(Settings::original().nodes_remembered, usize::MAX);
    }
}

mod assumed {
    use super::*;

    /// The rationale of a plan for a knob that no application has spoken for.
    fn rationale(settings: Settings) -> String {
        let mut s = Scene::under(settings);
        s.bootstrap([knob("k", 2).range(0, 64).on("t", up(1))]);
        s.find(&t(0)).plan().rationale.clone()
    }

    #[test]
    fn a_plan_says_that_its_old_value_is_assumed() {
        assert!(rationale(Settings::default()).ends_with(" -> t; old value assumed"));
    }

    #[test]
    fn the_original_does_not_say_so_and_without_the_setting_ours_does_not() {
        let mut silent = Settings::default();
        silent.rationale_says_assumed = false;
        for settings in [Settings::original(), silent] {
            assert!(rationale(settings).ends_with(" -> t"));
        }
    }
}
