//! What `dfo ctl` does: freeze, thaw, revert, status.

use serde_json::{Value as Json, json};

use super::dfo::{Folder, Ran};
use super::folder;
use super::live::findings::{BESIDE, applied, finding, plan};
use super::live::peer::Peer;
use super::live::{Serve, is_notice, is_plan, until};

/// A diagnoser, an optimizer with a control socket, and an application.
struct Scene {
    here: Folder,
    serve: Serve,
    diagnoser: Peer,
    plans: Peer,
    control: Peer,
    /// Up to where the log was looked at.
    told: usize,
}

impl Scene {
    fn new() -> Self {
        let here = folder();
        let serve = Serve::listening(&here, "--knobs knobs.json --explain --control-socket s");
        Scene {
            diagnoser: Peer::connect(&serve.address("findings"), "PUSH"),
            plans: Peer::connect(&serve.address("plans"), "PULL"),
            control: Peer::connect(&serve.address("control"), "PUSH"),
            here,
            serve,
            told: 0,
        }
    }

    fn ctl(&self, args: &str) -> Ran {
        self.here.run(&format!("ctl --control s {args}"))
    }

    /// A finding on which both knobs act, if nothing holds them; waits for the first decision on it.
    fn find(&mut self, window: i64) -> Json {
        self.diagnoser
            .send(&[BESIDE, &finding("app", vec!["k0"], window)]);
        let decided = |e: &Json| {
            e["window_index"] == window && (is_plan(e) || e["event"] == "optimizer.hold")
        };
        let (told, event) = self.serve.wait_from("a decision", self.told, decided);
        self.told = told;
        event
    }

    /// The next plan, which the application applies.
    fn apply(&mut self) -> Json {
        let plan = plan(&self.plans.receive());
        applied(&mut self.control, &plan);
        let id = plan["plan_id"].clone();
        let is_applied = |e: &Json| is_notice(e, "applied") && e["details"]["plan_id"] == id;
        self.serve.wait_for("applied", is_applied);
        plan
    }
}

#[test]
fn a_freeze_takes_effect_at_once_and_a_thaw_ends_it() {
    let mut s = Scene::new();
    let ran = s.ctl("freeze").succeeds();
    assert_eq!(
        ran.out,
        "an operator froze everything: no plans until it is thawed\n"
    );
    for window in 0..20 {
        assert_eq!(s.find(window)["gate"], "frozen");
    }
    s.ctl("thaw").succeeds().says("thawed everything");
    assert!(is_plan(&s.find(20)));
    assert_eq!(s.apply()["window_index"], 20);
    let served = s.serve.stop().in_order();
    assert_eq!((served.plans(), served.count("sent")), (1, 1));
}

#[test]
fn one_knob_can_be_frozen() {
    let mut s = Scene::new();
    s.ctl("freeze app.k0").succeeds().says("app.k0");
    assert_eq!(s.find(0)["gate"], "frozen");
    s.ctl("thaw app.k0").succeeds().says("app.k0");
    assert!(is_plan(&s.find(1)));
}

#[test]
fn plans_that_nobody_has_taken_yet_wait_on_through_a_freeze_and_what_is_taken_back_does_not() {
    let here = folder();
    let serve = Serve::listening(&here, "--knobs knobs.json --control-socket s");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0", "k1"], 0)]);
    let of_k1 = serve.wait_for("the second plan", |e| {
        is_plan(e) && e["knob_id"] == "app.k1"
    });
    here.run("ctl --control s freeze").succeeds();
    let plans = Peer::connect(&serve.address("plans"), "PULL");
    let frozen = status(&here);
    assert_eq!(frozen["is_frozen"], true);
    assert_eq!(frozen["sinks"][0]["waiting"], 2);
    let id = of_k1["plan_id"].as_str().unwrap();
    here.run(&format!("ctl --control s revert {id}")).succeeds();
    // The first that leaves, though the others had waited longer.
    let first = plan(&plans.receive());
    assert_eq!(
        (&first["knob_id"], &first["new_value"]),
        (&json!("app.k1"), &json!(0))
    );
    here.run("ctl --control s thaw").succeeds();
    let second = plan(&plans.receive());
    assert_eq!(
        (&second["knob_id"], &second["new_value"]),
        (&json!("app.k0"), &json!(1))
    );
    let served = serve.stop().in_order();
    assert_eq!((served.count("sent"), served.count("withdrawn")), (2, 1));
}

#[test]
fn a_plan_is_taken_back_and_all_of_them_through_a_freeze() {
    let mut s = Scene::new();
    let mut first = Json::Null;
    for window in 0..3 {
        s.find(window);
        let plan = s.apply();
        if window == 0 {
            first = plan;
        }
    }
    s.ctl("freeze").succeeds();
    let last = s.here.run("ctl --control s status").succeeds();
    last.says("app.k0 at 3, frozen");
    // The first plan set it to 1; before that it was 0.
    let id = first["plan_id"].as_str().unwrap();
    let ran = s.ctl(&format!("revert {id}")).succeeds();
    let ran = ran.says("app.k0 → 0 on all nodes");
    let back = s.apply();
    assert_eq!(
        (&back["old_value"], &back["new_value"]),
        (&Json::from(3), &Json::from(0))
    );
    assert!(ran.out.contains(back["plan_id"].as_str().unwrap()), "{ran}");

    s.ctl("thaw").succeeds();
    s.find(50);
    s.apply();
    s.find(51);
    s.apply();
    s.ctl("freeze").succeeds();
    s.ctl("revert --all").succeeds().says("app.k0 → 0");
    assert_eq!(s.apply()["new_value"], 0);
    let done = s.serve.stop().in_order();
    assert_eq!(done.done()["knob_state"]["app.k0"], 0);
    assert_eq!(done.notices("reverted"), 2);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason_and_told_without_explain() {
    let here = folder();
    let serve = Serve::listening(&here, "--knobs knobs.json --control-socket s");
    for (command, why) in [
        ("freeze app.k9", "no knob \"app.k9\" is registered"),
        ("thaw", "nothing is frozen"),
        ("thaw app.k0", "app.k0 is not frozen by name"),
        ("revert nothing", "no plan \"nothing\""),
        ("revert --all", "no plan has changed anything"),
    ] {
        let ran = here.run(&format!("ctl --control s {command}")).exits(1);
        assert_eq!(ran.out, "");
        ran.complains(&format!("dfo: refused: {why}"));
    }
    let served = serve.stop().in_order();
    assert_eq!(served.notices("command_refused"), 5);
    let told = served.events.iter();
    let told = told.filter(|e| is_notice(e, "command_refused"));
    assert!(told.clone().all(|e| e["level"] == "warning"));
    assert_eq!(told.count(), 5);
}

fn status(here: &Folder) -> Json {
    let ran = here.run("ctl --control s status --format json").succeeds();
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn the_status_is_told_for_eyes_and_as_json() {
    let mut s = Scene::new();
    s.find(0);
    s.apply();
    s.find(1);
    s.diagnoser.send(&[BESIDE, b"no finding"]);
    s.serve
        .wait_for("a bad record", |e| e["event"] == "optimizer.bad_record");
    until("the plan is sent", || {
        status(&s.here)["sinks"][0]["waiting"] == 0
    });
    s.ctl("freeze app.k1").succeeds();
    let json = status(&s.here);
    assert_eq!(json["counts"]["findings"], 2);
    assert_eq!(json["knobs"][0]["pending"], 1);
    assert_eq!(json["decision_latency"]["count"], 2);
    let mut text = s.ctl("status").succeeds().out;
    for channel in ["findings", "control", "plans"] {
        text = text.replace(&s.serve.address(channel), &format!("[{channel}]"));
    }
    // Times differ.
    let is_same = |line: &&str| !line.starts_with("running") && !line.starts_with("latency");
    let lines: Vec<_> = text.lines().filter(is_same).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("ctl_status", lines.join("\n")));
}

#[test]
fn the_variable_names_the_socket_for_both() {
    let here = folder();
    let dfo = here.dfo("serve zmq --format json --bind --address tcp://127.0.0.1:*");
    let serve = Serve::start(dfo.env("DFOPTIMIZER_CONTROL", "by-variable"));
    let ctl = |args: &str| here.dfo(args).env("DFOPTIMIZER_CONTROL", "by-variable");
    ctl("ctl status").run().succeeds().says("running");
    // A flag goes before it, wherever it stands.
    ctl("ctl status --control elsewhere").run().exits(3);
    ctl("ctl --control-socket elsewhere status").run().exits(3);
    drop(serve);
}

#[test]
fn without_a_socket_or_without_a_service_it_says_what_to_do() {
    let here = folder();
    let ran = here.run("ctl status").exits(2);
    ran.complains("DFOPTIMIZER_CONTROL");
    let ran = here.run("ctl --control s status").exits(3);
    ran.complains("is the service running?");
    here.run("ctl --control s revert").exits(2);
    here.run("ctl --control s revert p --all").exits(2);
    here.run("ctl --control s").exits(2);
}

#[test]
fn the_help_of_ctl_says_what_there_is() {
    let help = Folder::new().run("ctl --help").succeeds().out;
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("ctl_help", lines.join("\n")));
}
