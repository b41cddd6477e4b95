//! What the log tells, by target and level.

use serde_json::json;

use super::dfo::Folder;
use super::folder;
use super::live::findings::{BESIDE, finding, one_more, register};
use super::live::peer::Peer;
use super::live::{Serve, Served, is_notice, is_plan};

/// Some findings, one plan among what comes of them, and a bad knob.
fn session(here: &Folder, args: &str) -> Served {
    let args = format!("--knobs knobs.json --metrics-address :0 {args}");
    let args = format!("serve zmq {} {args}", super::live::LISTENING);
    let serve = Serve::spawn(here.dfo(&format!("{args} --log-format json")));
    let told = |what: &str| {
        let is_it = |e: &super::live::Event| e["channel"] == what;
        let open = serve.wait_for(what, is_it);
        open["name"].as_str().unwrap().to_owned()
    };
    let (findings, control) = (told("findings"), told("control"));
    let mut diagnoser = Peer::connect(&findings, "PUSH");
    let mut control = Peer::connect(&control, "PUSH");
    let app = json!({"namespace": "app", "function_name": "other", "instance": "i", "node": "n",
        "knobs": {"bad": {"default": 5, "range": [9, "x"], "responds_to": {"t": one_more()}}}});
    register(&mut control, &app);
    for window in 0..2 {
        diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], window)]);
    }
    diagnoser.send(&[super::live::findings::END, b""]);
    serve.ends().in_order()
}

/// How many events of a target there are.
fn of(served: &Served, target: &str) -> usize {
    let events = served.events.iter();
    events.filter(|e| e["target"] == target).count()
}

#[test]
fn each_line_has_event_level_target_and_time() {
    let served = session(&folder(), "--explain");
    for event in &served.events {
        for field in ["event", "level", "target", "timestamp", "logger"] {
            assert!(event[field].is_string(), "{field} of {event}");
        }
    }
    assert!(of(&served, "plans") > 0 && of(&served, "decisions") > 0);
    assert!(of(&served, "service") > 0 && of(&served, "links") > 0);
}

#[test]
fn what_was_refused_is_told_without_explain_and_holds_are_not() {
    let here = folder();
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let mut control = Peer::connect(&serve.address("control"), "PUSH");
    let app = json!({"namespace": "app", "function_name": "other",
        "knobs": {"bad": {"default": 5, "type": "int", "range": [9, 3],
                          "responds_to": {"t": one_more()}}}});
    register(&mut control, &app);
    let refused = serve.wait_for("the refusal", |e| is_notice(e, "knob_refused"));
    assert_eq!(refused["level"], "warning");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in [0, 1, 30, 31] {
        diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], window)]);
    }
    let expired = serve.wait_for("the expiry", |e| is_notice(e, "plan_expired"));
    assert_eq!(expired["level"], "info");
    let served = serve.stop().in_order();
    assert!(served.events.iter().all(|e| e["event"] != "optimizer.hold"));
    assert!(
        !served
            .events
            .iter()
            .any(|e| is_notice(e, "knob_registered"))
    );
}

#[test]
fn levels_are_by_target() {
    let here = folder();
    let served = session(&here, "--log-level warning,links=info,decisions=debug");
    assert_eq!(of(&served, "plans"), 0);
    assert!(of(&served, "links") > 0);
    assert!(served.events.iter().any(|e| e["event"] == "optimizer.hold"));
    assert!(
        !served
            .events
            .iter()
            .any(|e| e["event"] == "optimizer.started")
    );
    // The summary comes whatever the level.
    served.done();
    let served = session(&here, "--log-level links=debug");
    assert!(served.events.iter().any(is_plan));
}

#[test]
fn what_is_no_target_or_level_is_a_usage_error_that_names_those_there_are() {
    let here = folder();
    for (levels, what) in [
        (
            "loud",
            "no level \"loud\"; there is: debug, info, warning, error",
        ),
        (
            "plan=info",
            "no target \"plan\"; there is: service, plans, decisions",
        ),
    ] {
        let run = here.run(&format!(
            "serve zmq --address tcp://127.0.0.1:1 --log-level {levels}"
        ));
        run.exits(2).complains(what);
        let config = format!("log-level = \"{levels}\"\n");
        std::fs::write(here.path("site.toml"), config).unwrap();
        let run = here.run("serve zmq --config site.toml").exits(2);
        run.complains("site.toml:1: ").complains(what);
    }
}
