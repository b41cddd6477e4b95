//! What job scripts already set.

use std::time::Duration;

use super::dfo::{Dfo, Folder};
use super::live::peer::listen;
use super::live::{Serve, Served};

/// `dfo serve` with nothing on the command line but the format and `args`.
fn serve(here: &Folder, args: &str) -> Dfo {
    here.dfo(&format!("serve {args} --format json"))
}

fn ran(dfo: Dfo) -> Served {
    Serve::start(dfo).ends()
}

#[test]
fn a_job_script_can_say_all_of_it() {
    let diagnoser = listen();
    let here = Folder::new();
    let dfo = serve(&here, "")
        .env("DFOPTIMIZER_TRANSPORT", "zmq")
        .env("DFOPTIMIZER_ZMQ_FINDINGS", &diagnoser.address())
        .env("DFOPTIMIZER_ZMQ_PLANS", "tcp://127.0.0.1:*")
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "1")
        .env("DFOPTIMIZER_IDLE_TIMEOUT_SEC", "0.3")
        .env("DFOPTIMIZER_DEBUG", "1");
    let serve = Serve::start(dfo);
    let mut diagnoser = diagnoser.accept("PUSH");
    // The debug level tells holds.
    diagnoser.send(&[b"{}", br#"{"opportunity_tags": ["t"], "window_index": 1}"#]);
    serve.wait_for("a hold", |e| e["event"] == "optimizer.hold");
    assert_eq!(serve.addresses("plans").len(), 1);
    let served = serve.ends().in_order();
    assert!(served.reason().contains("idle"), "{}", served.reason());
    assert!(served.done()["knob_state"]["dlio.read_threads"].is_i64());
}

#[test]
fn the_command_line_goes_before_the_environment() {
    let here = Folder::new();
    let args = "zmq --bind --address tcp://127.0.0.1:* --idle-timeout 0.2 \
                --plans-address tcp://127.0.0.1:*";
    let served = ran(serve(&here, args)
        .env("DFOPTIMIZER_TRANSPORT", "mofka")
        .env("DFOPTIMIZER_ZMQ_FINDINGS", "nonsense")
        .env("DFOPTIMIZER_ZMQ_PLANS", "nonsense")
        .env("DFOPTIMIZER_IDLE_TIMEOUT_SEC", "1000"));
    served.in_order();
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let here = Folder::new();
    let args = "zmq --bind --address tcp://127.0.0.1:*";
    let serve = Serve::start(
        serve(&here, args)
            .env("DFOPTIMIZER_TRANSPORT", "")
            .env("DFOPTIMIZER_ZMQ_FINDINGS", "")
            .env("DFOPTIMIZER_ZMQ_PLANS", "")
            .env("DFOPTIMIZER_DEBUG", "")
            .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "")
            .env("DFOPTIMIZER_IDLE_TIMEOUT_SEC", ""),
    );
    serve.stop().in_order();
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let here = Folder::new();
    let args = "zmq --bind --address tcp://127.0.0.1:*";
    for value in ["soon", "-1", "nan"] {
        let name = "DFOPTIMIZER_IDLE_TIMEOUT_SEC";
        let ran = serve(&here, args).env(name, value).run().exits(2);
        ran.complains(name);
    }
    let ran = serve(&here, "").env("DFOPTIMIZER_TRANSPORT", "mofka").run();
    ran.exits(2)
        .complains("mofka")
        .complains("there is: file, zmq");
}

#[test]
fn z03_z10_a_service_without_an_idle_timeout_lives_on_and_rests_meanwhile() {
    let here = Folder::new();
    // The original took 0 for ten seconds.
    let serve = Serve::listening(&here, "--idle-timeout 0");
    while serve.age() < Duration::from_secs(11) {
        assert_eq!(serve.count(|e| e["event"] == "optimizer.stopping"), 0);
        // Sleeps: time without findings is what this test is about; it polls while it passes.
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = serve.cpu();
    assert!(used < Duration::from_secs(2), "used {used:?} for nothing");
    serve.stop().in_order();
}

#[test]
fn a_service_ends_when_no_findings_come_for_as_long_as_was_said() {
    let served = Serve::listening(&Folder::new(), "--idle-timeout 0.5").ends();
    assert_eq!(served.in_order().count("findings"), 0);
}
