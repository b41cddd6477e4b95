//! The control socket itself: whose it is, and what is said over it by who is no `dfo ctl`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::{Value as Json, json};

use super::dfo::Folder;
use super::folder;
use super::live::findings::{BESIDE, finding};
use super::live::peer::Peer;
use super::live::{DEADLINE, Serve, until};

const LISTENING: &str = "--bind --address tcp://127.0.0.1:*";

fn serve(here: &Folder) -> Serve {
    Serve::zmq(here, &format!("{LISTENING} --control-socket s"))
}

/// A client that speaks by hand.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(here: &Folder) -> Self {
        Self::at(&here.path("s"))
    }

    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next answer; `None` where it hangs up.
    fn hear(&mut self) -> Option<Json> {
        let mut line = String::new();
        // Cut off where it had not read all.
        let read = self.0.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn ask(&mut self, line: &str) -> Json {
        self.say(format!("{line}\n").as_bytes());
        self.hear().expect("an answer")
    }
}

#[test]
fn it_is_its_owners_alone_and_goes_with_the_service() {
    let here = folder();
    let serve = serve(&here);
    let told = serve.wait_for("where", |e| e["event"] == "optimizer.control");
    assert_eq!(told["path"], "s");
    let metadata = std::fs::metadata(here.path("s")).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    serve.stop().in_order();
    assert!(!here.path("s").exists());
}

#[test]
fn one_that_a_killed_service_left_is_replaced() {
    let here = folder();
    serve(&here).kill();
    assert!(here.path("s").exists());
    let again = serve(&here);
    here.run("ctl --control s status").succeeds();
    again.stop().in_order();
}

#[test]
fn one_at_which_a_service_listens_is_left_alone_and_said() {
    let here = folder();
    let first = serve(&here);
    let ran = here.run(&format!("serve zmq {LISTENING} --control-socket s"));
    ran.exits(3)
        .complains("s: another service listens there; name another path, or stop it");
    here.run("ctl --control s status").succeeds();
    first.stop().in_order();
}

#[test]
fn what_is_no_socket_and_what_cannot_be_opened_is_said() {
    let here = folder().file("s", "mine");
    let run = |socket: &str| here.run(&format!("serve zmq {LISTENING} --control-socket {socket}"));
    run("s").exits(3).complains("s: is there, and is no socket");
    assert_eq!(std::fs::read(here.path("s")).unwrap(), b"mine");
    run("nowhere/s").exits(3).complains("nowhere/s: ");
    let long = "x".repeat(200);
    run(&long).exits(3).complains("cannot listen");
}

#[test]
fn a_socket_of_another_service_is_not_removed_at_the_end() {
    let here = folder();
    let serve = serve(&here);
    std::fs::remove_file(here.path("s")).unwrap();
    let _other = UnixListener::bind(here.path("s")).unwrap();
    serve.stop().in_order();
    assert!(here.path("s").exists());
}

#[test]
fn services_that_start_at_once_do_not_take_it_from_each_other() {
    let here = folder();
    serve(&here).kill();
    let start = || {
        let args = format!("serve zmq --format json {LISTENING} --control-socket s");
        Serve::spawn(here.dfo(&args))
    };
    let mut services: Vec<_> = (0..4).map(|_| start()).collect();
    until("all but one have ended", || {
        services.retain_mut(|s| s.process.is_alive());
        services.len() == 1
    });
    let one = services.remove(0);
    one.wait_for("its start", |e| e["event"] == "optimizer.started");
    here.run("ctl --control s status").succeeds();
}

#[test]
fn a_bad_question_is_answered_with_what_is_wrong_and_the_next_one_is_heard() {
    let here = folder();
    let serve = serve(&here);
    let mut client = Client::connect(&here);
    for (line, what) in [
        ("", "not a question"),
        ("dance", "not a question"),
        ("{\"ask\":\"status\"}", "no version"),
        ("{\"version\":7,\"ask\":\"status\"}", "version 7"),
        ("{\"version\":1,\"ask\":\"dance\"}", "dance"),
        (
            "{\"version\":1,\"ask\":{\"command\":{\"freeze\":{}}},\"x\":1}",
            "x",
        ),
    ] {
        let answer = client.ask(line);
        assert_eq!(answer["version"], 1);
        let bad = answer["answer"]["bad"].as_str().unwrap();
        assert!(bad.contains(what), "{line}: {bad}");
    }
    let answer = client.ask("{\"version\":1,\"ask\":{\"command\":{\"freeze\":{\"knob\":null}}}}");
    assert_eq!(answer["answer"]["done"]["notices"][0]["notice"], "frozen");
    let answer = client.ask("{\"version\":1,\"ask\":\"status\"}");
    assert_eq!(answer["answer"]["status"]["is_frozen"], true);
    let not_text = Client::connect(&here)
        .tap(|c| c.say(b"\xff\xfe{}\n"))
        .hear();
    assert!(not_text.unwrap()["answer"]["bad"].is_string());
    serve.stop().in_order();
}

impl Client {
    fn tap(mut self, act: impl FnOnce(&mut Self)) -> Self {
        act(&mut self);
        self
    }
}

#[test]
fn a_question_without_end_is_not_kept() {
    let here = folder();
    let serve = serve(&here);
    let mut client = Client::connect(&here);
    let stream = client.0.get_mut();
    let flood = vec![b'x'; 1 << 16];
    // It is cut off: whether this sees it while it writes depends on who is faster.
    while stream.write_all(&flood).is_ok() {}
    if let Some(answer) = client.hear() {
        assert!(answer["answer"]["bad"].as_str().unwrap().contains("longer"));
    }
    assert!(serve.memory_peak() < 200, "{} MiB", serve.memory_peak());
    here.run("ctl --control s status").succeeds();
}

#[test]
fn half_a_question_is_none() {
    let here = folder();
    let serve = serve(&here);
    let mut client = Client::connect(&here);
    client.say(b"{\"version\":1,\"ask\":{\"command\":{\"freeze\":{\"knob\":null}}}}");
    client
        .0
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    let answer = client.hear().unwrap();
    assert!(
        answer["answer"]["bad"]
            .as_str()
            .unwrap()
            .contains("end of line")
    );
    assert_eq!(serve.stop().in_order().notices("frozen"), 0);
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_out() {
    let here = folder();
    let serve = serve(&here);
    // More than are let in at once: those who ask nothing are let go after a while.
    let silent: Vec<_> = (0..20).map(|_| Client::connect(&here)).collect();
    here.run("ctl --control s freeze").succeeds();
    drop(silent);
    assert_eq!(serve.stop().in_order().notices("frozen"), 1);
}

#[test]
fn many_ask_at_once_while_findings_flood_in() {
    let here = folder();
    let args = format!("{LISTENING} --knobs knobs.json --control-socket s");
    let serve = Serve::zmq(&here, &args);
    let mut diagnoser = Peer::connect(&serve.address("findings"), "PUSH");
    let flood = std::thread::spawn(move || {
        let finding = finding("app", json!(["k0", "k1"]), 1);
        let mut sent = 0_u64;
        while diagnoser.try_put(&[BESIDE, &finding]).is_ok() {
            sent += 1;
        }
        sent
    });
    let path = &here.path("s");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::at(path);
                for _ in 0..50 {
                    let answer = client.ask("{\"version\":1,\"ask\":\"status\"}");
                    assert!(answer["answer"]["status"].is_object(), "{answer}");
                }
            });
        }
    });
    here.run("ctl --control s freeze").succeeds();
    let served = serve.stop().in_order();
    assert!(flood.join().unwrap() >= served.count("findings"));
    assert_eq!(served.notices("frozen"), 1);
}

#[test]
fn a_client_that_waits_while_the_service_ends_is_told() {
    let here = folder();
    let serve = serve(&here);
    let mut client = Client::connect(&here);
    client.ask("{\"version\":1,\"ask\":\"status\"}");
    serve.stop().in_order();
    assert_eq!(client.hear(), None);
    assert!(!Path::new(&here.path("s")).exists());
}
