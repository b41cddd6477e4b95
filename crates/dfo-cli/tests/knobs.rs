//! `dfo knobs`: a table for people.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use dfo::{Folder, SCREEN, example, json};
use serde_json::{Map, Value as Json};

#[test]
fn a_pack_is_shown_as_a_table() {
    let ran = Folder::new().run("knobs --bootstrap dlio");
    insta::assert_snapshot!(ran.succeeds().out, @r"
    knob                type  allowed  now  responds to          how                      if
    dlio.prefetch_size  int   1 to 16  2    dataloader_prefetch  increase by a step of 2  severity ≥ 0.5, persistence ≥ 1, 2 windows of rest
    dlio.read_threads   int   0 to 8   1    reader_parallelism   increase by evidence     severity ≥ 0.5, persistence ≥ 1, 1 window of rest
                                            reader_contention    decrease by a step of 1  severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    ");
}

#[test]
fn the_pack_torch_is_shown_as_a_table() {
    let mut dfo = Folder::new().dfo("knobs --bootstrap torch");
    dfo = dfo.env("TORCH_KNOB_MAX_WORKERS", "8");
    insta::assert_snapshot!(dfo.run().succeeds().out, @r"
    knob                   type  allowed  now  responds to          how                      if
    torch.num_workers      int   0 to 8   0    reader_parallelism   increase by evidence     severity ≥ 0.5, persistence ≥ 1, 1 window of rest
                                               reader_contention    decrease by a step of 1  severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    torch.prefetch_factor  int   1 to 16  2    dataloader_prefetch  increase by a step of 2  severity ≥ 0.5, persistence ≥ 1, 2 windows of rest
    ");
}

#[test]
fn a_file_is_shown_as_a_table() {
    let ran = Folder::new().run(&format!("knobs --knobs {}", example("knobs/loader.toml")));
    insta::assert_snapshot!(ran.succeeds().out, @r"
    knob                    type  allowed         now    responds to          how                        if
    loader.num_workers      int   0 to 16         4      reader_parallelism   increase by evidence       severity ≥ 0.5, persistence ≥ 1, 1 window of rest
                                                         reader_contention    decrease by a step of 1    severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    loader.prefetch_factor  int   1, 2, 4, 8, 16  2      dataloader_prefetch  increase by a factor of 2  severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    loader.storage          str   posix, mpiio    posix  metadata_caching     set to mpiio               severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    ");
}

/// Everything a knob can be.
#[test]
fn every_type_and_every_response_has_its_words() {
    let knobs = r#"
        namespace = "k"
        [knobs.float]
        type = "double"
        default = 0.5
        range = [0.1, 2]
        responds_to.a = { direction = "decrease", step = 0.25, min_severity = 0.75, cooldown_windows = 1 }
        [knobs.free]
        default = 7
        [knobs.flag]
        type = "boolean"
        default = false
        responds_to.a = { direction = "set", set_to = true, min_persistence = 10 }
        [knobs.word]
        type = "string"
        default = "none"
        values = ["none", "all of it"]
        responds_to.b = { direction = "set", set_to = "all of it" }
    "#;
    let here = Folder::with("k.toml", knobs);
    insta::assert_snapshot!(here.run("knobs --knobs k.toml").succeeds().out, @r"
    knob     type   allowed          now    responds to  how                         if
    k.float  float  0.1 to 2         0.5    a            decrease by a step of 0.25  severity ≥ 0.75, persistence ≥ 2, 1 window of rest
    k.free   int    anything         7      nothing
    k.flag   bool   anything         false  a            set to true                 severity ≥ 0.5, persistence ≥ 10, 3 windows of rest
    k.word   str    none, all of it  none   b            set to all of it            severity ≥ 0.5, persistence ≥ 2, 3 windows of rest
    ");
}

#[test]
fn sources_add_up_packs_first() {
    let ran = Folder::new().run(&format!(
        "knobs --knobs {} --bootstrap dlio",
        example("knobs/loader.toml")
    ));
    let names = ran.succeeds().out;
    let names: Vec<&str> = names
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert_eq!(
        names[..3],
        ["knob", "dlio.prefetch_size", "dlio.read_threads"]
    );
    assert!(names.contains(&"loader.storage"));
}

#[test]
fn the_environment_bootstraps_here_too() {
    let dfo = Folder::new()
        .dfo("knobs")
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "1");
    assert_eq!(
        dfo.run(),
        Folder::new().run("knobs --bootstrap dlio").succeeds()
    );
}

#[test]
fn a_pack_named_twice_is_one() {
    let once = Folder::new().run("knobs --bootstrap dlio").succeeds();
    let twice = Folder::new().run("knobs --bootstrap dlio --bootstrap dlio");
    assert_eq!(twice, once);
}

#[test]
fn a_live_value_outside_the_range_is_kept_with_a_notice() {
    let here = Folder::with(
        "k.json",
        "{\"knobs\": {\"a\": {\"default\": 1, \"range\": [0, 4]}},\n\"current_values\": {\n\"a\": 40}}",
    );
    let ran = here.run("knobs --knobs k.json").exits(0);
    let ran = ran
        .complains("k.json:3: current_values.a: ")
        .complains("is at 40");
    ran.says("app.a  int   0 to 4   40");
}

#[test]
fn a_live_value_of_another_type_is_refused_and_the_default_counts() {
    let here = Folder::with(
        "k.json",
        r#"{"knobs": {"a": {"default": 1}}, "current_values": {"a": "lots"}}"#,
    );
    let ran = here.run("knobs --knobs k.json").exits(1);
    let ran = ran.complains("k.json:1: current_values.a: ");
    ran.says("app.a  int   anything  1");
}

/// What is wrong with a knob, and the field that is named.
#[test]
fn a_knob_that_makes_no_sense_is_refused_and_the_others_are_shown() {
    for (knob, field) in [
        ("{}", "default"),
        (r#"{"default": null}"#, "default"),
        (r#"{"default": "x"}"#, "default"),
        (r#"{"default": 1, "type": "complex"}"#, "type"),
        (r#"{"default": 1, "type": 3}"#, "type"),
        (r#"{"default": 1, "range": [5, 1]}"#, "range"),
        (r#"{"default": 1, "range": []}"#, "range"),
        (r#"{"default": 1, "range": [1]}"#, "range"),
        (r#"{"default": 1, "range": 5}"#, "range"),
        (r#"{"default": 1, "range": [0, null]}"#, "range[1]"),
        (r#"{"default": 1, "range": [0, Infinity]}"#, "range[1]"),
        (r#"{"default": 1, "values": 3}"#, "values"),
        (r#"{"default": 1, "values": []}"#, "values"),
        (r#"{"default": 1, "values": [1, "x"]}"#, "values"),
        (r#"{"default": 1, "scope": "rack"}"#, "scope"),
        ("5", "bad"),
    ] {
        let text = format!(
            r#"{{"namespace": "n", "knobs": {{"bad": {knob}, "good": {{"default": 1}}}}}}"#
        );
        let ran = Folder::with("k.json", text)
            .run("knobs --knobs k.json")
            .exits(1);
        let path = if field == "bad" {
            "knobs.bad"
        } else {
            &format!("knobs.bad.{field}")
        };
        let ran = ran.complains(&format!("k.json:1: {path}"));
        assert!(!ran.out.contains("n.bad"), "{knob}: {ran}");
        ran.says("n.good");
    }
}

#[test]
fn a_response_that_makes_no_sense_is_refused_and_its_knob_is_shown() {
    for (knob, response, field) in [
        (
            r#""default": 1"#,
            r#"{"direction": "up", "step": 1}"#,
            "direction",
        ),
        (
            r#""default": 1"#,
            r#"{"step_mode": "plus", "step": 1}"#,
            "step_mode",
        ),
        (r#""default": 1"#, "{}", "step"),
        (r#""default": 1"#, r#"{"step": 0}"#, "step"),
        (r#""default": 1"#, r#"{"step": -2}"#, "step"),
        (r#""default": 1"#, r#"{"step": NaN}"#, "step"),
        (
            r#""default": 1"#,
            r#"{"step_mode": "multiply", "step": 0.5}"#,
            "step",
        ),
        (r#""default": 1"#, r#"{"direction": "set"}"#, "set_to"),
        (
            r#""default": 1"#,
            r#"{"direction": "set", "set_to": "x"}"#,
            "set_to",
        ),
        (
            r#""default": 1, "values": [1, 2]"#,
            r#"{"direction": "set", "set_to": 3}"#,
            "set_to",
        ),
        (r#""default": "x", "type": "str""#, r#"{"step": 1}"#, ""),
        (
            r#""default": 1"#,
            r#"{"step": 1, "min_severity": "high"}"#,
            "min_severity",
        ),
        (
            r#""default": 1"#,
            r#"{"step": 1, "cooldown_windows": 1.5}"#,
            "cooldown_windows",
        ),
        (r#""default": 1"#, "7", ""),
    ] {
        let text = format!(
            r#"{{"namespace": "n", "knobs": {{"k": {{{knob}, "responds_to": {{"tag.x": {response}}}}}}}}}"#
        );
        let ran = Folder::with("k.json", text)
            .run("knobs --knobs k.json")
            .exits(1);
        let path = format!("knobs.k.responds_to.tag.x.{field}");
        let ran = ran.complains(&format!("k.json:1: {}", path.trim_end_matches('.')));
        ran.says("n.k").says("nothing");
    }
}

#[test]
fn an_unknown_field_is_named_but_no_obstacle() {
    let here = Folder::with(
        "k.json",
        r#"{"namespce": "n", "knobs": {"a": {"default": 1, "defualt": 2}}}"#,
    );
    let ran = here.run("knobs --knobs k.json").exits(0);
    let ran = ran.complains("k.json:1: namespce: unknown field");
    ran.complains("k.json:1: knobs.a.defualt: unknown field")
        .says("app.a");
}

#[test]
fn a_knob_registered_twice_is_the_last_one_in_the_first_ones_place() {
    let here = Folder::with(
        "k.json",
        "{\"knobs\": {\"a\": {\"default\": 1}, \"b\": {\"default\": 2}}}\n\
         {\"knobs\": [{\"id\": \"app.a\", \"default\": 3, \"range\": [0, 9]}]}\n",
    );
    let ran = here.run("knobs --knobs k.json").succeeds();
    let rows: Vec<&str> = ran.out.lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{ran}");
    assert!(rows[0].starts_with("app.a  int   0 to 9"), "{ran}");
}

#[test]
fn a_file_whose_every_knob_is_refused_is_bad_definitions_not_bad_usage() {
    let here = Folder::with(
        "k.json",
        r#"{"knobs": {"a": {"default": 1, "range": [9, 1]}}}"#,
    );
    let ran = here.run("knobs --knobs k.json").exits(1);
    ran.complains("k.json:1: knobs.a.range: ");
}

#[test]
fn more_than_a_screenful_of_bad_knobs_is_cut_with_a_count() {
    let bad = |n: usize| (format!("k{n}"), json!({"default": 1, "range": [9, 1]}));
    let knobs: Map<String, Json> = (0..200).map(bad).collect();
    let here = Folder::with("k.json", json!({"knobs": knobs}).to_string());
    for args in [
        "knobs --knobs k.json",
        "replay - --knobs k.json --bootstrap dlio",
    ] {
        let ran = here.run(args).complains("k.json:1: knobs.k0.range: ");
        assert!(
            ran.err.lines().count() <= SCREEN,
            "{args}: {} lines",
            ran.err.lines().count()
        );
        ran.complains(" more");
    }
}

#[test]
fn a_complaint_is_short_however_long_the_word() {
    let long = "x".repeat(100_000);
    for registration in [
        json!({"knobs": {"a": {"default": 1, "type": long}}}),
        json!({"knobs": {"a": {"default": 1, "scope": long}}}),
        json!({"knobs": {"a": {"default": 1, "range": long}}}),
        json!({"knobs": {"a": {"default": long}}}),
    ] {
        let here = Folder::with("k.json", registration.to_string());
        let ran = here
            .run("knobs --knobs k.json")
            .complains("k.json:1: knobs.a.");
        assert!(ran.err.len() < 1000, "{} bytes", ran.err.len());
    }
}

#[test]
fn a_file_that_is_no_registration_is_named() {
    for (name, text, what) in [
        (
            "k.json",
            "{\"knobs\": {\"a\": {\"default\": 1}}",
            "k.json:1: not JSON: ",
        ),
        ("k.json", "5", "k.json:1: expected an object, found 5"),
        (
            "k.json",
            "{\"knobs\": 5}",
            "k.json:1: knobs: expected an object",
        ),
        (
            "k.toml",
            "namespace = \"n\"\n[knobs.a\ndefault = 1\n",
            "k.toml:2: not TOML: ",
        ),
        (
            "k.toml",
            "\n\n[knobs.a]\ndefault = 1\ndefault = 2\n",
            "k.toml:5: not TOML: ",
        ),
        ("k.TOML", "a = 1\na = 2\n", "k.TOML:2: not TOML: "),
    ] {
        let here = Folder::with(name, text);
        let ran = here
            .run(&format!("knobs --knobs {name} --bootstrap dlio"))
            .exits(1);
        ran.complains(what).says("dlio.read_threads");
    }
    let latin1: &[u8] = b"namespace = \"\xe9\"\n";
    let ran = Folder::with("k.toml", latin1).run("knobs --knobs k.toml --bootstrap dlio");
    ran.exits(1).complains("k.toml:1: not UTF-8");
}

#[test]
fn what_cannot_be_opened_is_said() {
    let here = Folder::new();
    std::fs::create_dir(here.path("d")).unwrap();
    std::fs::create_dir(here.path("d.toml")).unwrap();
    for name in ["missing.json", "missing.toml", "d", "d.toml"] {
        let ran = here.run(&format!("knobs --knobs {name}")).exits(3);
        assert_eq!(ran.out, "");
        ran.complains(&format!("{name}: cannot open: "));
    }
}

#[test]
#[cfg(unix)]
fn a_toml_file_that_is_a_pipe_is_read_once() {
    let toml = "namespace = \"n\"\n[knobs.a]\ndefault = 1\n";
    let here = Folder::with("text", toml);
    let line = "mkfifo k.toml && { cat text > k.toml & } && $DFO knobs --knobs k.toml";
    here.shell(line).run().succeeds().says("n.a");
}

#[test]
fn toml_is_read_whatever_the_platform_it_was_written_on() {
    let text = "\u{feff}namespace = \"n\"\n[knobs.a]\ndefault = 1\nrange = [9, 1]\n[knobs.b]\ndefault = 1\n";
    let here = Folder::with("k.toml", text.replace('\n', "\r\n"));
    let ran = here.run("knobs --knobs k.toml").exits(1);
    ran.complains("k.toml:4: knobs.a.range: ").says("n.b");
}

#[test]
fn numbers_that_are_no_numbers_in_toml_are_named() {
    let text = "[knobs.a]\ndefault = nan\n[knobs.b]\ndefault = 1\nrange = [0, inf]\n[knobs.c]\ndefault = 1979-05-27\n";
    let ran = Folder::with("k.toml", text).run("knobs --knobs k.toml --bootstrap dlio");
    let ran = ran.exits(1).complains("k.toml:2: knobs.a.default: ");
    ran.complains("k.toml:5: knobs.b.range[1]: ")
        .complains("k.toml:7: knobs.c.default: ");
}

#[test]
fn huge_numbers_make_no_row_longer_than_they_are_written() {
    let here = Folder::with(
        "k.json",
        r#"{"knobs": {"a": {"type": "float", "default": 1e300, "range": [-1e300, 1e300]},
            "b": {"default": 99999999999999999999}}}"#,
    );
    let ran = here.run("knobs --knobs k.json").succeeds();
    let longest = ran.out.lines().map(str::len).max().unwrap();
    assert!(longest < 200, "a row of {longest} bytes");
    ran.says("app.b").says("9223372036854775807");
}
