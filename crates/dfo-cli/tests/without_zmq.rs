//! The command without the feature `zmq`: it says how to get it.

#![cfg(not(feature = "zmq"))]

mod dfo;

use dfo::Folder;

const HOW: &str = "--features zmq";

#[test]
fn who_asks_for_zmq_is_told_how_to_get_it() {
    let here = Folder::new();
    for args in [
        "serve zmq",
        "serve zmq --address tcp://127.0.0.1:5555 --plans pub --anything",
        "send zmq findings.jsonl --address tcp://127.0.0.1:5555 --end",
        "tail zmq --plans-address tcp://127.0.0.1:5555 --count 3",
    ] {
        let ran = here.run(args).exits(2).complains(HOW);
        assert_eq!(ran.out, "", "{args}: {ran}");
        assert_eq!(ran.err.lines().count(), 1, "{args}: {ran}");
    }
}

#[test]
fn the_environment_and_a_file_may_ask_for_it_too() {
    let here = Folder::with("dfo.toml", "transport = \"zmq\"\n[options]\nbind = true\n");
    here.run("serve --config dfo.toml").exits(2).complains(HOW);
    let dfo = here.dfo("serve").env("DFOPTIMIZER_TRANSPORT", "zmq");
    dfo.run().exits(2).complains(HOW);
}

#[test]
fn help_names_it_as_not_in_this_build() {
    let here = Folder::new();
    for command in ["serve", "send", "tail"] {
        let ran = here.run(&format!("{command} --help")).succeeds();
        ran.says("not in this build").says(HOW);
        let ran = here.run(&format!("{command} zmq --help")).succeeds();
        assert!(ran.out.contains("not in this build"), "{ran}");
    }
}

#[test]
fn another_transport_is_unknown() {
    let here = Folder::new();
    let dfo = here.dfo("serve").env("DFOPTIMIZER_TRANSPORT", "mofka");
    dfo.run()
        .exits(2)
        .complains("mofka")
        .complains("there is: file");
    here.run("serve mofka").exits(2).complains("mofka");
}
