//! When a stream of findings is over.

use super::live::findings::{BESIDE, END, finding};
use super::live::peer::{Peer, listen};
use super::live::{Serve, is_plan};
use super::{dfo::Folder, folder};

#[test]
fn h01_the_end_of_the_one_stream_ends_the_service() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!(served.reason(), "the findings have ended");
    assert_eq!((served.count("ends"), served.plans()), (1, 1));
}

#[test]
fn z09_of_two_senders_the_end_of_one_does_not_end_the_service() {
    let here = folder(2);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let address = serve.address("findings");
    let mut one = Peer::connect(&address, "PUSH");
    let mut other = Peer::connect(&address, "PUSH");
    one.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    one.send(&[END, b""]);
    serve.wait_for("the end of one", |e| e["event"] == "optimizer.ended");
    one.close();
    other.send(&[BESIDE, &finding("app", vec!["k1"], 2)]);
    serve.wait_for("a plan for the other", |e| {
        is_plan(e) && e["knob_id"] == "app.k1"
    });
    assert_eq!(serve.count(|e| e["event"] == "optimizer.stopping"), 0);
    other.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.count("ends"), served.count("findings")), (2, 2));
}

#[test]
fn z09_of_two_diagnosers_connected_to_both_have_to_end() {
    let here = folder(2);
    let (first, second) = (listen(), listen());
    let args = format!(
        "--address {} --address {} --knobs knobs.json",
        first.address(),
        second.address()
    );
    let serve = Serve::zmq(&here, &args);
    let mut one = first.accept("PUSH");
    let mut other = second.accept("PUSH");
    // The service knows of both once both have spoken.
    one.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    other.send(&[BESIDE, &finding("app", vec!["k1"], 1)]);
    serve.wait_for("another plan", |e| is_plan(e) && e["knob_id"] == "app.k1");
    one.send(&[END, b""]);
    serve.wait_for("the end of one", |e| e["event"] == "optimizer.ended");
    other.send(&[BESIDE, &finding("node:n1", vec!["k0"], 30)]);
    serve.wait_for("a plan for the other", |e| {
        is_plan(e) && e["window_index"] == 30
    });
    other.send(&[END, b""]);
    assert_eq!(serve.ends().in_order().count("ends"), 2);
}

#[test]
fn z09_senders_that_come_one_after_the_other_are_waited_for_when_their_number_is_given() {
    let serve = Serve::listening(&Folder::new(), "--senders 3");
    let address = serve.address("findings");
    for n in 1..=3 {
        let mut diagnoser = Peer::connect(&address, "PUSH");
        diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], n)]);
        diagnoser.send(&[END, b""]);
        serve.wait_for("the end", |e| {
            e["event"] == "optimizer.ended" && e["ended"] == n
        });
        diagnoser.close();
    }
    let served = serve.ends().in_order();
    assert_eq!((served.count("ends"), served.count("findings")), (3, 3));
}

#[test]
fn a_connection_that_ends_is_no_end_of_stream() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json");
    let address = serve.address("findings");
    for _ in 0..5 {
        Peer::connect(&address, "PUSH").close();
    }
    let mut diagnoser = Peer::connect(&address, "PUSH");
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    serve.wait_for("a plan", is_plan);
    let served = serve.stop().in_order();
    assert_eq!(
        (served.count("ends"), served.count("disconnections")),
        (0, 5)
    );
}

#[test]
fn findings_behind_the_end_of_their_stream_are_not_lost_in_silence() {
    let here = folder(1);
    let serve = Serve::listening(&here, "--knobs knobs.json --senders 2");
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    diagnoser.send(&[END, b""]);
    diagnoser.send(&[BESIDE, &finding("app", vec!["k0"], 1)]);
    diagnoser.send(&[END, b""]);
    let served = serve.ends().in_order();
    assert_eq!((served.count("findings"), served.plans()), (1, 1));
}
