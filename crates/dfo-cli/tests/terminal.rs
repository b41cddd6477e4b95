//! Among pipes and terminals: who reads, who stops reading, and what never reaches them.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use dfo::{DFO, Folder, README_EXAMPLE, SESSION, example, finding, json, lines};

/// The commands that print something, with their exit code.
fn commands() -> Vec<(String, i32)> {
    let (findings, knobs) = (example(README_EXAMPLE), example("knobs/loader.toml"));
    vec![
        (format!("replay {findings} --bootstrap dlio"), 0),
        (
            format!("replay {} --bootstrap dlio --explain", example(SESSION)),
            0,
        ),
        (
            format!(
                "replay {} --bootstrap dlio --explain --format json",
                example(SESSION)
            ),
            0,
        ),
        (format!("check {findings} {knobs}"), 0),
        (format!("knobs --knobs {knobs}"), 0),
        ("--help".to_owned(), 0),
        ("--version".to_owned(), 0),
        ("replay --help".to_owned(), 0),
    ]
}

// ── Help ───────────────────────────────────────────────────────────────────────────────────────

#[test]
fn help_and_version_are_no_errors() {
    for args in [
        "--help",
        "-h",
        "help",
        "replay --help",
        "check -h",
        "help knobs",
    ] {
        Folder::new().run(args).succeeds().says("Usage: dfo");
    }
    let version = Folder::new().run("--version").succeeds().out;
    assert_eq!(version, format!("dfo {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_names_the_exit_codes() {
    let help = Folder::new().run("--help").succeeds();
    insta::assert_snapshot!(help.out, @r"
    Turns findings of a diagnoser into changes of knobs, and says why

    Usage: dfo <COMMAND>

    Commands:
      replay   Show what would be changed for saved findings, and why everything else would not
      verify   Do the same decisions come out of a journal again, byte for byte?
      explain  Why was this changed, and why was that not? From a journal
      check    Is this a valid file of findings, knobs, plans or acknowledgements?
      knobs    Show knobs: type, range, live value, and what each responds to
      ctl      Stop and go on, take changes back, ask how it is: to a running `dfo serve`
      serve    Run beside a job: findings in, plans out, acknowledgements back in
      send     Send saved findings as a diagnoser would
      tail     Show plans as an application would receive them
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes:
      0  done
      1  done, but records, definitions or a journal were bad; or a command was refused
      2  the command line or the environment makes no sense
      3  something could not be read or written
    ");
}

#[test]
fn help_of_the_replay_names_every_choice() {
    let help = Folder::new().run("replay --help").succeeds();
    for word in [
        "immediate",
        "never",
        "delay=N",
        "--bootstrap",
        "--knobs",
        "--explain",
        "--strict",
        "json",
    ] {
        assert!(help.out.contains(word), "{word}: {help}");
    }
}

#[test]
fn help_fits_a_terminal() {
    for args in ["--help", "replay --help", "check --help", "knobs --help"] {
        let help = Folder::new().run(args).succeeds();
        let longest = help.out.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(longest <= 100, "{args}: a line of {longest}");
    }
}

// ── Those who stop reading ─────────────────────────────────────────────────────────────────────

#[test]
#[cfg(unix)]
fn a_closed_pipe_is_no_error() {
    for (args, code) in commands() {
        // `:` reads nothing; the exit code is that of `dfo`, as with `pipefail`.
        let line = format!("{{ $DFO {args}; echo $? >&3; }} 3>code | :; cat code >&2");
        let ran = Folder::new().shell(&line).run();
        assert_eq!(ran.err, format!("{code}\n"), "{args}");
    }
}

#[test]
#[cfg(unix)]
fn a_reader_that_has_seen_enough_gets_what_it_wanted() {
    let args = format!("replay {} --bootstrap dlio --explain", example(SESSION));
    let line = format!("{{ $DFO {args}; echo $? >&3; }} 3>code | head -n 1; cat code >&2");
    let ran = Folder::new().shell(&line).run();
    assert_eq!(ran.out.lines().count(), 1, "{ran}");
    assert_eq!(ran.err, "0\n");
}

#[test]
#[cfg(unix)]
fn closed_streams_end_no_process() {
    let here = Folder::with("f", lines([finding(1)]) + "oops\n");
    for (streams, code) in [
        (">&-", 1),
        ("2>&-", 1),
        (">&- 2>&-", 1),
        ("<&- >&- 2>&-", 1),
    ] {
        let line = format!("$DFO replay f --bootstrap dlio {streams}");
        here.shell(&line).run().exits(code);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_and_ends_with_3() {
    for (args, _) in commands() {
        let ran = Folder::new()
            .shell(&format!("$DFO {args} > /dev/full"))
            .run();
        let ran = ran.exits(3).complains("dfo: cannot write: ");
        assert_eq!(ran.err.lines().count(), 1, "{args}: {ran}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn where_errors_cannot_be_written_the_exit_code_still_tells() {
    let here = Folder::with("f", "oops\n");
    here.shell("$DFO replay f --bootstrap dlio 2> /dev/full")
        .run()
        .exits(1);
    here.shell("$DFO replay missing 2> /dev/full")
        .run()
        .exits(3);
    here.shell("$DFO replay 2> /dev/full").run().exits(2);
    here.shell("$DFO --help > /dev/full 2> /dev/full")
        .run()
        .exits(3);
}

#[test]
#[cfg(unix)]
fn a_pipe_with_a_slow_writer_is_read_to_its_end() {
    // The writer of the last part starts only when the first has been taken.
    let here = Folder::new()
        .file("first", lines([finding(1), finding(2)]))
        .file("rest", lines([finding(3)]));
    let line = "mkfifo p && { { cat first; cat first >/dev/null; cat rest; } > p & } && \
                $DFO replay p --bootstrap dlio";
    assert_eq!(here.shell(line).run().succeeds().count("finding"), 3);
}

// ── Colour ─────────────────────────────────────────────────────────────────────────────────────

const ESC: char = '\u{1b}';

#[test]
fn there_is_no_colour_in_a_pipe() {
    for (args, _) in commands() {
        let ran = Folder::new().dfo(&args).env("TERM", "xterm-256color").run();
        assert!(!ran.succeeds().out.contains(ESC), "{args}");
    }
    let usage = Folder::new()
        .dfo("replay")
        .env("TERM", "xterm-256color")
        .run();
    assert!(!usage.exits(2).err.contains(ESC));
}

/// Runs it on a terminal that `script` makes.
#[cfg(target_os = "linux")]
fn on_a_terminal(variables: &str) -> Option<String> {
    let here = Folder::new();
    let is_there = here.shell("command -v script").run().code == 0;
    if !dfo::has("the program `script`, which makes a terminal", is_there) {
        return None;
    }
    let findings = example(README_EXAMPLE);
    let command = format!("{variables} {DFO} replay {findings} --bootstrap dlio --explain");
    let script = here
        .program("script")
        .arg("-qec")
        .arg(command)
        .arg("/dev/null");
    Some(script.env("TERM", "xterm-256color").run().exits(0).out)
}

#[test]
#[cfg(target_os = "linux")]
fn there_is_colour_on_a_terminal_unless_no_color_is_set() {
    let (Some(plain), Some(coloured)) = (on_a_terminal("NO_COLOR=1"), on_a_terminal("")) else {
        return;
    };
    assert!(plain.contains("dlio.read_threads"), "{plain}");
    assert!(!plain.contains(ESC), "{plain:?}");
    assert!(coloured.contains("dlio.read_threads"), "{coloured}");
    assert!(coloured.contains(ESC), "{coloured:?}");
}

#[test]
fn no_color_changes_nothing_in_a_pipe() {
    let args = format!("replay {} --bootstrap dlio", example(README_EXAMPLE));
    let plain = Folder::new().dfo(&args).env("NO_COLOR", "1").run();
    assert_eq!(plain, Folder::new().run(&args).succeeds());
}

// ── What a terminal would take for a command ───────────────────────────────────────────────────

/// Moves the cursor, sets the title, rings: ESC, BEL, CR, backspace, DEL, and CSI as one character.
const NASTY: &str = "\u{1b}[31m\u{1b}]0;x\u{7}\r\u{8}\u{7f}\u{9b}31m";

fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control())
}

#[test]
fn control_characters_in_findings_are_shown_not_obeyed() {
    let mut odd = finding(1);
    for field in ["scope", "finding_type", "motif", "trend_direction"] {
        odd[field] = json!(format!("{field}{NASTY}"));
    }
    odd["opportunity_tags"] = json!(["reader_parallelism", format!("tag{NASTY}")]);
    let mut of_node = odd.clone();
    of_node["scope"] = json!(format!("node:n{NASTY}\n:app"));
    let mut global = odd.clone();
    global["scope"] = json!("global");
    global["suppresses_tags"] = json!([format!("tag{NASTY}")]);
    let mut bad = odd.clone();
    bad["persistence"] = json!(format!("x{NASTY}"));
    bad[format!("field{NASTY}")] = json!(1);
    let here = Folder::with("f", lines([odd, of_node, global, bad]));
    for args in [
        "replay f --bootstrap dlio",
        "replay f --bootstrap dlio --explain",
        "replay f --bootstrap dlio --explain --acks delay=1",
        "check f",
    ] {
        let ran = here.run(args).exits(1);
        assert!(is_harmless(&ran.out), "{args}: {:?}", ran.out);
        assert!(is_harmless(&ran.err), "{args}: {:?}", ran.err);
    }
    let json = here
        .run("replay f --bootstrap dlio --explain --format json")
        .exits(1);
    assert!(!json.out.contains(ESC), "{:?}", json.out);
    assert_eq!(
        json.events_named("optimizer.plan")[0]["finding_type"],
        json!(format!("finding_type{NASTY}"))
    );
}

#[test]
fn control_characters_in_knobs_are_shown_not_obeyed() {
    let word = |name: &str| format!("{name}{NASTY}");
    let response = json!({"direction": "set", "set_to": word("new"), "apply_when": word("when"),
        word("field"): 1});
    let knob = json!({"type": "str", "default": word("old"), "responds_to":
        {"reader_parallelism": response, word("tag"): {"direction": word("up")}}});
    let registration = json!({"namespace": word("space"), "knobs": {word("knob"): knob,
        word("bad"): {"default": 1, "type": word("type"), word("field"): 1}}});
    let here = Folder::with("f", lines([finding(1)])).file("k.json", registration.to_string());
    for args in [
        "knobs --knobs k.json",
        "check k.json",
        "replay f --knobs k.json",
        "replay f --knobs k.json --explain",
    ] {
        let ran = here.run(args).exits(1);
        assert!(is_harmless(&ran.out), "{args}: {:?}", ran.out);
        assert!(is_harmless(&ran.err), "{args}: {:?}", ran.err);
        assert!(
            ran.out.contains("31m") || ran.err.contains("31m"),
            "it is shown: {ran}"
        );
    }
    let json = here
        .run("replay f --knobs k.json --explain --format json")
        .exits(1);
    assert!(!json.out.contains(ESC), "{:?}", json.out);
}

#[test]
fn control_characters_in_arguments_and_the_environment_are_shown_not_obeyed() {
    for option in ["--bootstrap", "--knobs", "--acks", "--format"] {
        let ran = Folder::new().dfo("replay f").arg(option).arg(NASTY).run();
        assert!(is_harmless(&ran.err), "{option}: {:?}", ran.err);
        assert!(ran.code == 2 || ran.code == 3, "{option}: {ran}");
    }
    let ran = Folder::new().dfo("replay").arg(NASTY).run().exits(3);
    assert!(is_harmless(&ran.err), "{:?}", ran.err);
    let dfo = Folder::new().dfo("knobs --bootstrap dlio");
    let ran = dfo.env("DLIO_KNOB_MAX_THREADS", NASTY).run().exits(2);
    assert!(is_harmless(&ran.err), "{:?}", ran.err);
}

// ── Odd command lines ──────────────────────────────────────────────────────────────────────────

#[test]
fn a_file_may_be_called_anything() {
    let here = Folder::new();
    for name in ["-f.jsonl", "--help", "a b.jsonl", "ünï.jsonl", "-"] {
        let here = Folder::with(name, lines([finding(1)]));
        let path = if name == "-" { "./-" } else { name };
        let ran = here.dfo("replay --bootstrap dlio --").arg(path).run();
        assert_eq!(ran.succeeds().count("finding"), 1, "{name}");
    }
    here.dfo("replay").arg("").run().exits(2);
}

#[test]
fn options_may_stand_anywhere_and_be_joined() {
    let here = Folder::with("f", lines([finding(1), finding(2)]));
    let expected = here
        .run("replay f --bootstrap dlio --acks delay=1 --explain")
        .succeeds();
    for args in [
        "replay --bootstrap=dlio --acks=delay=1 --explain f",
        "replay --explain --acks delay=01 f --bootstrap dlio",
    ] {
        assert_eq!(here.run(args), expected, "{args}");
    }
}

#[test]
fn an_option_given_twice_is_a_usage_error_where_it_has_one_value() {
    let here = Folder::with("f", lines([finding(1)]));
    here.replay("f --acks never --acks immediate").exits(2);
    here.replay("f --format json --format text").exits(2);
}
