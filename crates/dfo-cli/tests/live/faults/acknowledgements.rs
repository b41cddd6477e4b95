//! Acknowledgements that are lost, late, doubled, contradictory, wrong, or for another plan.

use serde_json::Value as Json;

use super::dfo::{Folder, json};
use super::folder;
use super::live::findings::{
    BESIDE, END, ack, applied, finding, knobs, numbered, plan, register, send_ack,
};
use super::live::peer::Peer;
use super::live::{Serve, is_notice};

/// A diagnoser, an optimizer, and an application that acknowledges what the test says.
struct Scene {
    serve: Serve,
    diagnoser: Peer,
    plans: Peer,
    control: Peer,
    /// Up to where the log was looked at.
    told: usize,
}

impl Scene {
    fn new(here: &Folder) -> Self {
        std::fs::write(here.path("dfo.toml"), "[planner]\npending_patience = 3\n").unwrap();
        let serve = Serve::listening(here, "--knobs knobs.json --config dfo.toml --explain");
        Scene {
            diagnoser: Peer::connect(&serve.address("findings"), "PUSH"),
            plans: Peer::connect(&serve.address("plans"), "PULL"),
            control: Peer::connect(&serve.address("control"), "PUSH"),
            serve,
            told: 0,
        }
    }

    /// A finding on which the first knob acts, if nothing holds it.
    fn find(&mut self, scope: &str, window: i64) {
        self.diagnoser
            .send(&[BESIDE, &finding(scope, vec!["k0"], window)]);
    }

    /// The next plan.
    fn plan(&self) -> Json {
        plan(&self.plans.receive())
    }

    fn held(&mut self, gate: &str) {
        self.next(gate, |e| e["gate"] == gate);
    }

    fn noticed(&mut self, notice: &str) -> Json {
        let event = self.next(notice, |e| is_notice(e, notice));
        event["details"].clone()
    }

    fn next(
        &mut self,
        what: &str,
        is_it: impl Fn(&super::live::Event) -> bool,
    ) -> super::live::Event {
        let (told, event) = self.serve.wait_from(what, self.told, is_it);
        self.told = told;
        event
    }
}

#[test]
fn a_lost_acknowledgement_costs_a_while_and_a_late_one_changes_nothing() {
    let mut s = Scene::new(&folder(1));
    s.find("app", 1);
    let lost = s.plan();
    for window in 2..=3 {
        s.find("app", window);
        s.held("pending");
    }
    s.find("app", 4);
    s.noticed("plan_expired");
    let next = s.plan();
    // The value went back, so it is the same step again.
    assert_eq!(
        (&next["old_value"], &next["new_value"]),
        (&json!(0), &json!(1))
    );
    assert_ne!(next["plan_id"], lost["plan_id"]);

    applied(&mut s.control, &lost);
    let ignored = s.noticed("ack_ignored");
    assert!(ignored.to_string().contains("expired"), "{ignored}");
    s.find("app", 5);
    s.held("pending");
    applied(&mut s.control, &next);
    s.noticed("applied");
    s.find("app", 6);
    assert_eq!(s.plan()["old_value"], 1);
    let served = s.serve.stop().in_order();
    assert_eq!((served.count("acks"), served.plans()), (2, 3));
}

#[test]
fn an_acknowledgement_counts_once() {
    let mut s = Scene::new(&folder(1));
    s.find("node:n1", 1);
    let first = s.plan();
    for _ in 0..3 {
        applied(&mut s.control, &first);
    }
    s.noticed("applied");
    s.noticed("ack_ignored");
    let repeated = s.noticed("ack_ignored");
    assert!(repeated.to_string().contains("repeated"), "{repeated}");
    s.find("node:n1", 2);
    assert_eq!(s.plan()["old_value"], 1);
    s.serve.stop().in_order();
}

#[test]
fn of_contradictory_acknowledgements_the_first_counts() {
    let mut s = Scene::new(&folder(1));
    s.find("app", 1);
    let first = s.plan();
    applied(&mut s.control, &first);
    s.noticed("applied");
    send_ack(&mut s.control, &ack(&first, "rejected", &json!(0)));
    s.noticed("acks_disagree");
    s.find("app", 2);
    let second = s.plan();
    assert_eq!(second["old_value"], 1);
    send_ack(&mut s.control, &ack(&second, "rejected", &json!(1)));
    s.noticed("rejected");
    applied(&mut s.control, &second);
    s.noticed("acks_disagree");
    s.find("app", 3);
    assert_eq!(s.plan()["old_value"], 1);
    s.serve.stop().in_order();
}

#[test]
fn an_acknowledgement_for_another_plan_or_knob_changes_nothing() {
    let mut s = Scene::new(&folder(1));
    s.find("app", 1);
    let open = s.plan();
    let mut other = ack(&open, "applied", &json!(13));
    other["plan_id"] = json!("plan_of_someone_else");
    send_ack(&mut s.control, &other);
    let ignored = s.noticed("ack_ignored");
    assert!(ignored.to_string().contains("unknown"), "{ignored}");
    let mut other = ack(&open, "applied", &json!(13));
    other["knob_id"] = json!("app.other");
    send_ack(&mut s.control, &other);
    s.noticed("ack_refused");
    send_ack(&mut s.control, &ack(&open, "applied", &json!("lots")));
    s.noticed("ack_refused");
    s.find("app", 2);
    s.held("pending");
    applied(&mut s.control, &open);
    s.noticed("applied");
    s.find("app", 3);
    assert_eq!(s.plan()["old_value"], 1);
    s.serve.stop().in_order();
}

#[test]
fn what_is_no_acknowledgement_is_counted_and_changes_nothing() {
    let mut s = Scene::new(&folder(1));
    s.find("app", 1);
    let open = s.plan();
    let beside = br#"{"type": "action_ack"}"#;
    let mut wrong = ack(&open, "done", &json!(1));
    s.control.send(&[beside, wrong.to_string().as_bytes()]);
    wrong["status"] = json!(null);
    s.control.send(&[beside, wrong.to_string().as_bytes()]);
    let bad: [&[u8]; 4] = [b"{", b"[]", b"{}", b"null"];
    for payload in bad {
        s.control.send(&[beside, payload]);
    }
    s.control.send(&[
        b"[]",
        ack(&open, "applied", &json!(1)).to_string().as_bytes(),
    ]);
    s.control.send(&[b"{}", b"{}"]);
    // A finding that went to the wrong address.
    s.control.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    // Without any metadata it is still one.
    s.control
        .send(&[ack(&open, "applied", &json!(7)).to_string().as_bytes()]);
    s.noticed("applied");
    s.find("app", 2);
    assert_eq!(s.plan()["old_value"], 7);
    let served = s.serve.stop().in_order();
    assert_eq!((served.count("bad_control"), served.count("acks")), (9, 1));
    assert_eq!(served.count("findings"), 2);
}

#[test]
fn h03_a03_a_node_s_plan_is_acknowledged_as_the_original_s_applications_do() {
    let mut s = Scene::new(&folder(1));
    // Neither node nor window in the acknowledgements.
    for window in 1..=5 {
        for node in ["n1", "n2"] {
            s.find(&format!("node:{node}:app"), window);
            let plan = s.plan();
            assert_eq!(plan["target_nodes"], json!([node]));
            assert_eq!(plan["old_value"], window - 1);
            applied(&mut s.control, &plan);
            s.noticed("applied");
        }
    }
    s.diagnoser.send(&[END, b""]);
    let served = s.serve.ends().in_order();
    assert_eq!((served.plans(), served.count("acks")), (10, 10));
    assert_eq!(
        served.done()["node_state"]["app.k0"],
        json!({"n1": 5, "n2": 5})
    );
    assert_eq!(served.done()["open_plans"], 0);
}

#[test]
fn a01_acknowledgements_nobody_asked_for_do_no_harm_in_any_number() {
    let here = folder(1);
    let mut s = Scene::new(&here);
    let before = s.serve.memory_peak();
    for n in 0..20_000 {
        let plan = json!({"plan_id": format!("plan_{n}"), "knob_id": "app.k0"});
        let ack = ack(&plan, "applied", &json!(n));
        s.control
            .put(&[br#"{"type": "action_ack"}"#, ack.to_string().as_bytes()]);
    }
    register(&mut s.control, &knobs(numbered(1)));
    s.serve
        .wait_for("the registration", |e| e["event"] == "optimizer.joined");
    assert!(s.serve.memory_peak() - before < 32);
    s.find("app", 1);
    assert_eq!(s.plan()["old_value"], 0);
    let served = s.serve.stop().in_order();
    assert_eq!(
        (served.count("acks"), served.notices("ack_ignored")),
        (20_000, 20_000)
    );
}
