//! Metrics and health over HTTP.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use super::dfo::{Folder, has};
use super::folder;
use super::http::{address, ask, get, say};
use super::live::findings::{
    BESIDE, END, ack, applied, finding, one_more, plan, register, send_ack,
};
use super::live::peer::Peer;
use super::live::{Serve, until};

/// The `promtool` that `DFO_PROMTOOL` names, else the one that `.ci/run` gets, else the one on the path.
fn promtool() -> Command {
    let named = std::env::var("DFO_PROMTOOL").ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let of_ci = root.join("target/promtool/usr/bin/promtool");
    Command::new(match named.filter(|name| !name.is_empty()) {
        Some(named) => named.into(),
        None if of_ci.exists() => of_ci,
        None => PathBuf::from("promtool"),
    })
}

fn has_promtool() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    let is_there = *HAS.get_or_init(|| {
        let tried = promtool().arg("--version").output();
        tried.is_ok_and(|ran| ran.status.success())
    });
    has("promtool (DFO_PROMTOOL names it)", is_there)
}

/// `promtool check metrics` has nothing to say about a page.
#[track_caller]
fn passes_promtool(page: &str) {
    if !has_promtool() {
        return;
    }
    let mut checking = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = checking.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let checked = checking.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(
        checked.status.success() && said.is_empty(),
        "{}\n{page}",
        String::from_utf8_lossy(&said)
    );
}

/// The value of a sample, by its name with labels.
#[track_caller]
fn sample(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| {
        let rest = line.strip_prefix("dfoptimizer_")?.strip_prefix(name)?;
        rest.strip_prefix(' ')
    });
    let value = line.unwrap_or_else(|| panic!("no {name} in\n{page}"));
    value.parse().unwrap()
}

#[test]
fn everything_that_happens_is_in_the_metrics_and_promtool_is_content() {
    let here = folder();
    let serve = Serve::listening(&here, "--metrics-address :0 --control-socket s --explain");
    let at = address(&serve);
    // A service that has seen nothing has metrics, too.
    passes_promtool(&get(&at, "/metrics").body);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let plans = Peer::connect(&serve.address("plans"), "PULL");
    let mut control = Peer::connect(&serve.address("control"), "PUSH");
    // A name that is not easy to write.
    let odd = "\"od\\d\"\n{}";
    let knobs = json!({"k0": {"default": 0, "responds_to": {"k0": one_more()}},
        odd: {"default": 0, "responds_to": {"odd": one_more()}}});
    let app = json!({"namespace": "app", "function_name": "step", "knobs": knobs,
        "instance": "i", "node": "n"});
    register(&mut control, &app);
    serve.wait_for("the application", |e| e["event"] == "optimizer.joined");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 0)]);
    let first = plan(&plans.receive());
    applied(&mut control, &first);
    serve.wait_for_notices("applied", 1);
    applied(&mut control, &first);
    serve.wait_for_notices("ack_ignored", 1);
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    send_ack(
        &mut control,
        &ack(&plan(&plans.receive()), "rejected", &Json::Null),
    );
    serve.wait_for_notices("rejected", 1);
    diagnoser.send(&[BESIDE, b"no finding"]);
    here.run("ctl --control s freeze app.k0").succeeds();
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 20)]);
    serve.wait_for("the hold", |e| e["gate"] == "frozen");
    let answer = get(&at, "/metrics");
    assert_eq!(answer.code, 200);
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let page = answer.body;
    passes_promtool(&page);
    for (name, value) in [
        ("findings_total", 3.0),
        ("plans_total", 2.0),
        ("holds_total{gate=\"frozen\"}", 1.0),
        ("acks_total{outcome=\"applied\"}", 1.0),
        ("acks_total{outcome=\"rejected\"}", 1.0),
        ("acks_total{outcome=\"ignored\"}", 1.0),
        ("notices_total{notice=\"frozen\"}", 1.0),
        ("plans_undone_total", 0.0),
        ("bad_records_total{channel=\"findings\"}", 1.0),
        ("bad_records_total{channel=\"control\"}", 0.0),
        ("plans_unsent_total{reason=\"superseded\"}", 0.0),
        ("decision_latency_seconds_count", 3.0),
        ("decision_latency_seconds_bucket{le=\"+Inf\"}", 3.0),
        ("applications", 1.0),
        ("applications_silent_total", 0.0),
        ("frozen", 0.0),
        ("knob_frozen{knob=\"app.k0\"}", 1.0),
        ("knob_frozen{knob=\"app.\\\"od\\\\d\\\"\\n{}\"}", 0.0),
        ("retries_total", 0.0),
        ("disconnections_total", 0.0),
        ("log_lines_dropped_total", 0.0),
    ] {
        let found = sample(&page, name);
        assert!((found - value).abs() < 1e-9, "{name}: {found}\n{page}");
    }
    let sink = serve.address("plans");
    let sent = sample(&page, &format!("plans_sent_total{{sink=\"{sink}\"}}"));
    assert!((sent - 2.0).abs() < 1e-9);
    sample(&page, &format!("plans_waiting{{sink=\"{sink}\"}}"));
    serve.stop().in_order();
}

#[test]
fn it_listens_at_this_machine_alone_unless_told_otherwise() {
    let here = folder();
    let serve = Serve::listening(&here, "--metrics-address :0");
    assert!(address(&serve).starts_with("127.0.0.1:"));
    let there = address(&serve);
    // Someone is there already.
    let args = "serve zmq --bind --address tcp://127.0.0.1:* --metrics-address";
    let ran = here.run(&format!("{args} {there}"));
    ran.exits(3).complains("cannot listen");
    let ran = here.run(&format!("{args} 9100"));
    ran.exits(2).complains("HOST:PORT");
}

#[test]
fn health_readiness_and_status_are_told() {
    let here = folder();
    let serve = Serve::listening(&here, "--metrics-address localhost:0");
    let at = address(&serve);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&at, path).code, 200, "{path}");
    }
    let status = get(&at, "/status");
    assert!(status.head.contains("application/json"));
    let status: Json = serde_json::from_str(&status.body).unwrap();
    assert_eq!(status["is_stopping"], false);
    let nowhere = get(&at, "/");
    assert_eq!(nowhere.code, 404);
    assert!(nowhere.body.contains("/metrics"));
    assert_eq!(ask(&at, "POST", "/metrics").code, 405);
    let head = ask(&at, "HEAD", "/metrics");
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    assert_eq!(say(&at, b"dance\r\n\r\n").code, 400);
    serve.stop().in_order();
}

#[test]
fn who_says_nothing_or_too_much_does_not_keep_others_out() {
    let here = folder();
    let serve = Serve::listening(&here, "--metrics-address :0");
    let at = address(&serve);
    // More than are let in at once.
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(&at).unwrap()).collect();
    assert_eq!(get(&at, "/healthz").code, 200);
    drop(silent);
    let endless = format!(
        "GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let mut stream = TcpStream::connect(&at).unwrap();
    // It may be cut off before it is through.
    let _ = stream.write_all(endless.as_bytes());
    assert_eq!(get(&at, "/healthz").code, 200);
    serve.stop().in_order();
}

#[test]
fn a_service_that_was_held_answers_once_it_goes_on() {
    let here = folder();
    let serve = Serve::listening(&here, "--metrics-address :0");
    let at = address(&serve);
    serve.process.signal("STOP");
    let mut stream = TcpStream::connect(&at).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    serve.process.signal("CONT");
    // It goes on where it was.
    assert_eq!(get(&at, "/healthz").code, 200);
    serve.stop().in_order();
    assert!(TcpStream::connect(&at).is_err());
}

/// Many findings, and what is asked meanwhile. How long a decision took, on average, in seconds.
fn latency_under_load(mut meanwhile: impl FnMut(&str)) -> f64 {
    const FINDINGS: i64 = 20_000;
    let here = folder();
    let serve = Serve::listening(&here, "--knobs knobs.json --metrics-address :0");
    let at = address(&serve);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let flood = std::thread::spawn(move || {
        for window in 0..FINDINGS {
            diagnoser.put(&[BESIDE, &finding("app", vec!["k0"], window)]);
        }
        diagnoser.flush();
        diagnoser
    });
    while !flood.is_finished() {
        meanwhile(&at);
    }
    let mut diagnoser = flood.join().unwrap();
    let mut page = String::new();
    until("all were decided on", || {
        page = get(&at, "/metrics").body;
        sample(&page, "findings_total") >= 20_000.0
    });
    diagnoser.send(&[END, b""]);
    assert_eq!(serve.ends().in_order().count("findings"), 20_000);
    sample(&page, "decision_latency_seconds_sum") / sample(&page, "decision_latency_seconds_count")
}

#[test]
fn scrapes_under_load_disturb_nothing() {
    let alone = latency_under_load(|_| std::thread::yield_now());
    let (mut scrapes, mut seen) = (0, 0.0);
    let with_others = latency_under_load(|at| {
        let found = sample(&get(at, "/metrics").body, "findings_total");
        assert!(found >= seen);
        (scrapes, seen) = (scrapes + 1, found);
    });
    assert!(scrapes > 0);
    let ratio = with_others / alone;
    // Not `eprintln!`: the harness would swallow it. A number to look at: how busy the machine is with
    // other things counts for more.
    let _ = writeln!(
        std::io::stderr(),
        "a decision under load: {:.1} us, {:.1} us with {scrapes} scrapes, ratio {ratio:.2}",
        alone * 1e6,
        with_others * 1e6
    );
}

#[test]
fn a_file_says_all_of_it_too() {
    let config = "control-socket = \"s\"\nmetrics-address = \":0\"\nlog-level = \"links=debug\"\n\
                  log-format = \"json\"\n[options]\nbind = true\naddress = \"tcp://127.0.0.1:*\"\n";
    let here = Folder::with("site.toml", config);
    let serve = Serve::start(here.dfo("serve zmq --config site.toml"));
    assert_eq!(get(&address(&serve), "/readyz").code, 200);
    here.run("ctl --control s status").succeeds();
    serve.stop().in_order();
    let here = here.file("site.toml", "metrics-address = \"9100\"\n");
    let ran = here.run("serve zmq --config site.toml").exits(2);
    ran.complains("site.toml:1: expected HOST:PORT");
}
