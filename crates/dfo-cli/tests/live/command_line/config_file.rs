//! The configuration file.

use super::dfo::{Folder, json};
use super::live::findings::{BESIDE, END, finding, knobs};
use super::live::peer::Peer;
use super::live::{Serve, is_plan};

/// All keys, with values that show.
const ALL: &str = r#"
    transport = "zmq"
    knobs = ["knobs/app.json"]
    bootstrap = ["dlio"]
    idle-timeout = 100
    senders = 2
    heartbeat = 0.5
    plan-queue = 3
    dead-letter = "dead.jsonl"
    dead-letter-limit = 600
    dry-run = true
    acks = "delay=2"
    explain = true
    format = "json"

    [options]
    address = ["tcp://127.0.0.1:*"]
    bind = true
    plans-address = "tcp://127.0.0.1:*"
    plans = "pub"
    control-address = "tcp://127.0.0.1:*"
    linger-ms = 100
    high-water-mark = 50
    max-message-bytes = 1000
    reconnect-ms = 10
    reconnect-max-ms = 20

    [planner]
    pending_patience = 3
    suppression_patience = "unlimited"
    new_run_below = "never"
"#;

/// A folder with a file `site/dfo.toml`, and knobs beside it.
fn folder(config: &str) -> Folder {
    let here = Folder::new();
    std::fs::create_dir_all(here.path("site/knobs")).unwrap();
    here.file("site/dfo.toml", config)
        .file("site/knobs/app.json", knobs(["a", "b"]).to_string())
}

fn complaint(config: &str) -> String {
    let args = "serve zmq --address tcp://127.0.0.1:9 --config site/dfo.toml";
    folder(config).run(args).exits(2).err
}

#[test]
fn a_file_can_say_all_of_it_with_paths_relative_to_it() {
    let here = folder(ALL);
    let serve = Serve::start(here.dfo("serve --config site/dfo.toml"));
    for channel in ["findings", "plans", "control"] {
        assert_eq!(serve.addresses(channel).len(), 1, "{channel}");
    }
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let mut second = Peer::connect(&serve.address("findings"), "PUSH");
    // A dry run: acknowledged two windows later, so that the next plan comes in window 3.
    for window in 1..=3 {
        diagnoser.send(&[BESIDE, &finding("app", vec!["a"], window)]);
    }
    // Bad ones, of which a few have room.
    for _ in 0..10 {
        diagnoser.send(&[BESIDE, b"[1]"]);
    }
    diagnoser.send(&[END, b""]);
    // One of two senders has ended.
    serve.wait_for("the first end", |e| e["event"] == "optimizer.ended");
    second.send(&[END, b""]);
    let served = serve.ends().in_order();

    assert!(served.reason().contains("ended"), "{}", served.reason());
    let windows: Vec<_> = served
        .told_plans()
        .iter()
        .map(|e| e["window_index"].clone())
        .collect();
    assert_eq!(windows, [json!(1), json!(3)]);
    assert_eq!(served.count("sent"), 0);
    let holds = served
        .events
        .iter()
        .filter(|e| e["event"] == "optimizer.hold");
    assert_eq!(holds.count(), 1, "explained");
    assert_eq!(served.count("bad_findings"), 10);
    let (kept, dropped) = (
        served.count("dead_letters"),
        served.count("dead_letters_dropped"),
    );
    assert!(kept > 0 && dropped > 0, "{kept} kept, {dropped} dropped");
    let letters = std::fs::read_to_string(here.path("site/dead.jsonl")).unwrap();
    assert_eq!(letters.lines().count() as u64, kept);
    assert!(letters.len() <= 600);
    let state = &served.done()["knob_state"];
    assert_eq!((&state["app.a"], &state["app.b"]), (&json!(2), &json!(0)));
    assert!(state["dlio.prefetch_size"].is_i64());
}

#[test]
fn the_settings_of_the_planner_are_used() {
    let here = folder("[planner]\npending_patience = 3\n");
    let args = "--knobs site/knobs/app.json --config site/dfo.toml";
    let serve = Serve::listening(&here, args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in 1..=6 {
        diagnoser.send(&[BESIDE, &finding("app", vec!["a"], window)]);
    }
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    // Nobody acknowledges: one each three windows.
    assert_eq!(served.plans(), 2);
    assert_eq!(served.notices("plan_expired"), 1);
}

#[test]
fn the_original_s_settings_can_be_named_in_the_file() {
    let here = folder("settings = \"original\"\n");
    let args = "--knobs site/knobs/app.json --config site/dfo.toml";
    let serve = Serve::listening(&here, args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    for window in 1..=30 {
        diagnoser.send(&[BESIDE, &finding("app", vec!["a"], window)]);
    }
    diagnoser.send(&[END, b""]);
    assert_eq!(serve.ends().in_order().plans(), 1);
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let config = r#"
        transport = "zmq"
        idle-timeout = 1000
        format = "text"
        acks = "never"
        [options]
        address = "nonsense"
        bind = true
        plans-address = ["nonsense", "more of it"]
    "#;
    let here = folder(config);
    // The transport's options: environment before file.
    let dfo = here.dfo("serve --config site/dfo.toml --format json --acks immediate --dry-run");
    let serve = Serve::start(
        dfo.env("DFOPTIMIZER_ZMQ_FINDINGS", "tcp://127.0.0.1:*")
            .env("DFOPTIMIZER_ZMQ_PLANS", "tcp://127.0.0.1:*")
            .env("DFOPTIMIZER_IDLE_TIMEOUT_SEC", "0.3"),
    );
    assert_eq!(serve.addresses("plans").len(), 1);
    serve.ends().in_order();

    // Flags before both.
    let args = "serve zmq --config site/dfo.toml --format json --acks immediate --dry-run \
                --address tcp://127.0.0.1:* --option plans-address=tcp://127.0.0.1:* \
                --idle-timeout 0.3";
    let serve = Serve::start(
        here.dfo(args)
            .env("DFOPTIMIZER_ZMQ_FINDINGS", "other nonsense")
            .env("DFOPTIMIZER_ZMQ_PLANS", "other nonsense")
            .env("DFOPTIMIZER_IDLE_TIMEOUT_SEC", "1000"),
    );
    serve.ends().in_order();

    // The transport, too.
    let dfo = here.dfo("serve --config site/dfo.toml");
    let ran = dfo.env("DFOPTIMIZER_TRANSPORT", "carrier-pigeon").run();
    ran.exits(2).complains("carrier-pigeon");
}

#[test]
fn unknown_keys_are_named() {
    for (config, key) in [
        ("idle-timout = 3", "idle-timout"),
        ("idle_timeout = 3", "idle_timeout"),
        ("[options]\nadress = \"tcp://127.0.0.1:9\"", "adress"),
        ("[options]\nspeed = 3", "speed"),
        ("[planner]\npatience = 3", "patience"),
        ("[service]\nbatch = 3", "service"),
    ] {
        let said = complaint(config);
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[test]
fn values_of_a_wrong_type_are_named_with_what_was_expected() {
    for (config, named) in [
        ("transport = 3", "transport"),
        ("idle-timeout = \"soon\"", "idle-timeout"),
        ("idle-timeout = -1", "idle-timeout"),
        ("idle-timeout = nan", "idle-timeout"),
        ("heartbeat = -0.5", "heartbeat"),
        ("senders = -1", "senders"),
        ("plan-queue = 1.5", "plan-queue"),
        ("knobs = \"one.json\"", "knobs"),
        ("bootstrap = \"dlio\"", "bootstrap"),
        ("dry-run = \"yes\"", "dry-run"),
        ("dry-run = true\nacks = \"sometimes\"", "acks"),
        ("settings = \"theirs\"", "settings"),
        ("format = \"yaml\"", "format"),
        ("dead-letter = 3", "dead-letter"),
        ("[options]\nhigh-water-mark = \"many\"", "high-water-mark"),
        ("[options]\nhigh-water-mark = 0", "high-water-mark"),
        ("[options]\nhigh-water-mark = {}", "high-water-mark"),
        ("[options]\nbind = \"perhaps\"", "bind"),
        ("[options]\nplans-address = 1979-05-27", "plans-address"),
        ("[options]\nbind = [true, true]", "bind"),
        ("[planner]\npending_patience = \"long\"", "pending_patience"),
        ("[planner]\njudge_by_same_tag = 1", "judge_by_same_tag"),
        ("[planner", "dfo.toml"),
        ("acks = \"never\"", "--dry-run"),
    ] {
        let said = complaint(config);
        // A value of a wrong type is shown by its line.
        let lines = config.lines().count();
        let is_placed = said.contains(&format!("site/dfo.toml:{lines}: "));
        assert!(is_placed || said.contains(named), "{config}: {said}");
        let is_of_transport = config.starts_with("acks") || config.contains("[options]");
        assert!(
            is_of_transport || said.contains("site/dfo.toml"),
            "{config}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{config}: {said}");
    }
}

#[test]
fn settings_are_given_as_a_whole_or_one_by_one() {
    let config = "[planner]\npending_patience = 3\n";
    let args = "serve zmq --address tcp://127.0.0.1:9 --config site/dfo.toml --settings original";
    let ran = folder(config).run(args).exits(2);
    ran.complains("--settings").complains("[planner]");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let args = "serve zmq --address tcp://127.0.0.1:9 --config nothing.toml";
    Folder::new().run(args).exits(3).complains("nothing.toml");
    let args = "serve zmq --address tcp://127.0.0.1:9 --config site/dfo.toml";
    let here = folder("knobs = [\"nothing.json\"]");
    here.run(args).exits(3).complains("site/nothing.json");
    let here = folder("dead-letter = \"no/such/folder\"");
    here.run(args).exits(3).complains("site/no/such/folder");
}

#[test]
fn options_by_their_key_are_options() {
    let here = Folder::new();
    let args = "--option address=tcp://127.0.0.1:* --option bind=true \
                --option plans-address=tcp://127.0.0.1:* --option plans=pub \
                --option plans-address=tcp://127.0.0.1:* --option control-address=tcp://127.0.0.1:*";
    let serve = Serve::zmq(&here, args);
    assert_eq!(serve.addresses("plans").len(), 2);
    assert_eq!(serve.addresses("control").len(), 1);
    assert_eq!(serve.count(is_plan), 0);
    serve.stop().in_order();
}
