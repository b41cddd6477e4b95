//! Knobs that are known from a pack or a file alone.

use crate::scene::{Live, Scene, app, applied, finding, knob};

/// A knob that is known from a pack, and no application.
fn bootstrapped() -> Live {
    Scene::new().bootstrap([knob("k").live(4)]).start()
}

const ASSUMED: &str = "; old value assumed";

#[tokio::test(start_paused = true)]
async fn plans_for_knobs_known_from_bootstrap_alone_say_that_their_old_value_is_assumed() {
    let mut s = bootstrapped();
    s.find(finding(0)).await;
    assert!(s.plan().await.rationale.ends_with(ASSUMED));
    // Nobody said anything; it is still assumed.
    s.find(finding(10)).await;
    assert!(s.plan().await.rationale.ends_with(ASSUMED));
}

#[tokio::test(start_paused = true)]
async fn a_registration_ends_the_assumption() {
    let mut s = bootstrapped();
    s.register(&app("i1").knobs([knob("k").live(9)])).await;
    s.find(finding(0)).await;
    let plan = s.plan().await;
    assert!(!plan.rationale.contains("assumed"), "{}", plan.rationale);
    assert_eq!(plan.old_value, Some(dfo_model::Value::Int(9)));
}

#[tokio::test(start_paused = true)]
async fn an_applied_plan_ends_the_assumption() {
    let mut s = bootstrapped();
    let plan = s.find(finding(0)).await.plan().clone();
    s.ack(&applied(&plan)).await;
    let plan = s.find(finding(1)).await.plan().clone();
    assert!(!plan.rationale.contains("assumed"), "{}", plan.rationale);
}

#[tokio::test(start_paused = true)]
async fn a_knob_that_no_application_ever_registered_is_never_silent() {
    let mut s = bootstrapped();
    s.wait(600.0).await;
    s.find(finding(0)).await.plan();
    assert_eq!(s.stop().await.counts.silent, 0);
}
