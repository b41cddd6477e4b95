//! What makes no sense, or cannot be had, is said before anything is done.

use super::dfo::Folder;
use super::live::Serve;
use super::live::peer::listen;

/// A file in a folder that is not there, or that cannot be written.
const CANNOT_BE_OPENED: &str = "no/such/folder/dead.jsonl";

#[test]
fn z11_a_missing_address_is_a_usage_error_that_says_what_to_give() {
    let here = Folder::new();
    for (command, option, variable) in [
        ("serve zmq", "--address", "DFOPTIMIZER_ZMQ_FINDINGS"),
        ("send zmq f.jsonl", "--address", "DFOPTIMIZER_ZMQ_FINDINGS"),
        ("tail zmq", "--plans-address", "DFOPTIMIZER_ZMQ_PLANS"),
    ] {
        let ran = here.run(command).exits(2).complains(option);
        let ran = ran.complains(variable);
        assert_eq!(ran.err.lines().count(), 1, "{ran}");
    }
}

#[test]
fn z11_an_address_that_makes_no_sense_is_a_usage_error_that_names_it() {
    let here = Folder::new();
    let mut taken = Vec::new();
    for address in [
        "nonsense",
        "127.0.0.1:5555",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:port",
        "tcp://127.0.0.1:99999",
        "tcp://:5555",
        "udp://127.0.0.1:5555",
        "inproc://here",
        "ipc://",
    ] {
        for side in ["", "--bind"] {
            let args = format!("serve zmq --idle-timeout 0.2 --address {address} {side}");
            let ran = here.run(&args);
            let is_named = ran.err.contains(address) && ran.err.lines().count() == 1;
            if ran.code != 2 || !is_named {
                taken.push(ran.err);
            }
        }
    }
    assert_eq!(taken, Vec::<String>::new());
}

#[test]
fn to_connect_one_needs_a_place_and_not_a_wildcard() {
    let here = Folder::new();
    let mut taken = Vec::new();
    for address in ["tcp://*:5555", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"] {
        let ran = here.run(&format!("serve zmq --idle-timeout 0.2 --address {address}"));
        if ran.code != 2 || !ran.err.contains(address) {
            taken.push(ran.err);
        }
    }
    assert_eq!(taken, Vec::<String>::new());
}

#[test]
fn what_is_wrong_on_the_command_line_is_a_usage_error() {
    let here = Folder::new();
    for (args, complaint) in [
        ("", "which transport?"),
        ("nosuch", "nosuch"),
        ("zmq --acks never", "add --dry-run"),
        ("zmq --acks sometimes --dry-run", "delay=N"),
        ("zmq --plans pub", "plans-address"),
        (
            "zmq --plans-address tcp://127.0.0.1:* --plans push --plans pub",
            "plans-address",
        ),
        (
            "zmq --plans-address tcp://127.0.0.1:* --plans sub",
            "push or pub",
        ),
        ("zmq --option speed=high", "high-water-mark"),
        ("zmq --option speed", "KEY=VALUE"),
        ("zmq --option =high", "KEY=VALUE"),
        ("zmq --high-water-mark 0", "from 1"),
        ("zmq --high-water-mark many", "many"),
        ("zmq --linger-ms 99999999999", "whole number"),
        ("zmq --option bind=maybe", "true or false"),
        ("zmq --option bind=true --bind", "twice"),
        ("zmq --idle-timeout soon", "number of seconds"),
        ("zmq --idle-timeout=-1", "number of seconds"),
        ("zmq --idle-timeout nan", "number of seconds"),
        ("zmq --idle-timeout inf", "number of seconds"),
        ("zmq --heartbeat=-1", "number of seconds"),
        ("zmq --plan-queue few", "few"),
        ("zmq --senders some", "some"),
        ("zmq --bootstrap pytorch", "dlio"),
        ("zmq --format yaml", "yaml"),
        ("zmq --settings theirs", "theirs"),
        ("zmq --bnid", "bnid"),
        (
            "zmq --control-address tcp://a:1 --control-address tcp://a:2",
            "control-address",
        ),
    ] {
        let dfo = here.dfo(&format!("serve {args}"));
        let dfo = dfo.env("DFOPTIMIZER_ZMQ_FINDINGS", "tcp://127.0.0.1:9");
        dfo.run().exits(2).complains(complaint);
    }
}

#[test]
fn an_address_in_use_is_said_with_what_to_do() {
    let here = Folder::new();
    let serve = Serve::listening(&here, "");
    let free = "--bind --address tcp://127.0.0.1:*";
    for channel in ["findings", "control", "plans"] {
        let taken = serve.address(channel);
        let args = match channel {
            "findings" => format!("serve zmq --bind --address {taken}"),
            "control" => format!("serve zmq {free} --control-address {taken}"),
            _ => format!("serve zmq {free} --plans-address {taken}"),
        };
        let ran = here.run(&args).exits(3).complains(&taken);
        let ran = ran.complains("name another address");
        assert_eq!(ran.err.lines().count(), 1, "{ran}");
    }
    // A second diagnoser at the address of the first.
    let taken = serve.address("findings");
    let here = Folder::with("f.jsonl", "{}\n");
    let ran = here.run(&format!("send zmq --address {taken} f.jsonl"));
    ran.exits(3).complains(&taken);
    serve.stop().in_order();
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_at() {
    let ran = Folder::new().run("serve zmq --bind --address tcp://192.0.2.1:5555");
    ran.exits(2).complains("192.0.2.1").complains("interface");
}

#[test]
fn a_file_of_dead_letters_that_cannot_be_opened_ends_it_before_it_begins() {
    let here = Folder::new();
    let findings = listen().address();
    let args = format!("serve zmq --address {findings} --dead-letter {CANNOT_BE_OPENED}");
    let ran = here.run(&args).exits(3).complains(CANNOT_BE_OPENED);
    ran.complains("name a file that can be written");
    let args = format!("serve zmq --address {findings} --dead-letter .");
    here.run(&args).exits(3).complains("dead letters");
}

#[test]
fn a_file_of_knobs_that_cannot_be_read_ends_it_before_it_begins() {
    let here = Folder::new();
    let args = "serve zmq --address tcp://127.0.0.1:9 --knobs nothing.json";
    here.run(args).exits(3).complains("nothing.json");
}
