//! `dfo check`: is this a valid file, and what is wrong with it where?

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use dfo::{Folder, Ran, example, finding, gzip, json, lines};
use serde_json::Value as Json;

const EXAMPLES: [&str; 8] = [
    "findings/diagnoser_bundle.jsonl",
    "findings/original_example.jsonl",
    "findings/real_trace.jsonl",
    "findings/real_trace_untagged.jsonl",
    "findings/session_control.jsonl.gz",
    "findings/session_instant.jsonl.gz",
    "findings/session_summary.jsonl.gz",
    "knobs/loader.toml",
];

fn check(name: &str, content: impl AsRef<[u8]>) -> Ran {
    Folder::with(name, content).run(&format!("check {name}"))
}

fn plan() -> Json {
    json!({"plan_id": "p", "knob_id": "k", "target_function": "f", "old_value": 2, "new_value": 3,
        "apply_when": "epoch_boundary", "rationale": "r", "finding_type": "t", "severity": 0.5,
        "opportunity_tag": "o", "window_index": 1, "target_nodes": []})
}

fn ack() -> Json {
    json!({"plan_id": "p", "knob_id": "k", "status": "applied", "old_value": 2, "new_value": 3,
        "reason": ""})
}

fn registration() -> Json {
    json!({"namespace": "n", "function_name": "f", "knobs": {"a": {"default": 1}},
        "current_values": {"a": 2}})
}

// ── What it takes a file for ───────────────────────────────────────────────────────────────────

#[test]
fn every_file_that_comes_with_the_project_is_valid() {
    let paths = EXAMPLES.map(example);
    let ran = Folder::new()
        .run(&format!("check {}", paths.join(" ")))
        .succeeds();
    assert_eq!(ran.out.lines().count(), EXAMPLES.len(), "{ran}");
    assert!(ran.out.lines().all(|l| l.ends_with("no problems")), "{ran}");
}

#[test]
fn it_says_which_kind_it_took_a_file_for() {
    for (message, kind) in [
        (finding(1), "findings"),
        (json!({}), "findings"),
        (plan(), "plans"),
        (ack(), "acks"),
        (registration(), "knobs"),
        (json!({"knobs": []}), "knobs"),
        (json!({"current_values": {}}), "knobs"),
    ] {
        let taken = format!("f: taken for {kind}: ");
        let ran = check("f", lines([&message, &message])).succeeds();
        ran.says(&format!("{taken}2 records, no problems"));
        for text in [
            json!([message]).to_string().into_bytes(),
            gzip(message.to_string()),
        ] {
            check("f", text)
                .succeeds()
                .says(&format!("{taken}1 record, "));
        }
    }
    check("f.toml", "[knobs.a]\ndefault = 1\n")
        .succeeds()
        .says("f.toml: taken for knobs: ");
}

#[test]
fn the_kind_can_be_said() {
    let here = Folder::with("f", lines([json!({"plan_id": "p"})]));
    let as_acks = here.run("check f --kind acks").exits(1);
    as_acks
        .says("f: taken for acks: ")
        .says("f:1: status: missing");
    let as_plans = here.run("check f --kind plans").exits(1);
    as_plans
        .says("f: taken for plans: ")
        .says("f:1: new_value: missing");
    let as_findings = here.run("check f --kind findings").exits(1);
    as_findings
        .says("f: taken for findings: ")
        .says("f:1: plan_id: unknown field");
    let as_knobs = here.run("check f --kind knobs").exits(1);
    as_knobs
        .says("f: taken for knobs: ")
        .says("f:1: plan_id: unknown field");
}

#[test]
fn toml_holds_knobs_and_nothing_else() {
    let here = Folder::with("f.toml", "[knobs.a]\ndefault = 1\n");
    here.run("check f.toml --kind knobs").succeeds();
    let ran = here.run("check f.toml --kind findings").exits(2);
    ran.complains("f.toml: a TOML file holds knobs");
}

#[test]
fn standard_input_can_be_checked() {
    let ran = Folder::new().dfo("check -").stdin(lines([ack()])).run();
    ran.succeeds()
        .says("stdin: taken for acks: 1 record, no problems");
}

// ── What is wrong, and where ───────────────────────────────────────────────────────────────────

/// What is said of a file that has something wrong; its last line is the verdict.
fn problems(name: &str, content: impl AsRef<[u8]>) -> String {
    let ran = check(name, content).exits(1);
    assert_eq!(ran.err, "", "what is found is the product: {ran}");
    ran.out
}

#[test]
fn all_that_is_wrong_with_findings_is_listed() {
    let mut bad = finding(2);
    bad["persistence"] = json!("five");
    bad["confidence"] = json!([]);
    bad["opportunity_tags"] = json!(["a", 1, "b", null]);
    bad["hostname"] = json!("n1");
    let mut nameless = finding(3);
    nameless["scope"] = json!("node::app");
    let text = lines([finding(1), bad, nameless]) + "oops\n5\n";
    insta::assert_snapshot!(problems("f.jsonl", text), @r#"
    f.jsonl:2: persistence: expected a whole number, found "five"
    f.jsonl:2: opportunity_tags[1]: expected a string, found 1
    f.jsonl:2: opportunity_tags[3]: expected a string, found null
    f.jsonl:2: confidence: expected a finite number, found a list
    f.jsonl:2: hostname: unknown field
    f.jsonl:3: scope: "node::app" names no node; write `node:<name>`
    f.jsonl:4: not JSON: expected value at column 1
    f.jsonl:5: expected an object, found 5
    f.jsonl: taken for findings: 5 records, 8 problems
    "#);
}

#[test]
fn all_that_is_wrong_with_plans_and_acks_is_listed() {
    let plans = [
        json!({"plan_id": 1, "knob_id": "k", "severity": "high", "target_nodes": "n1", "extra": 1}),
        json!({"plan_id": "p", "new_value": [1]}),
    ];
    insta::assert_snapshot!(problems("plans.jsonl", lines(plans)), @r#"
    plans.jsonl:1: new_value: missing: a plan needs a value
    plans.jsonl:1: plan_id: expected a string, found 1
    plans.jsonl:1: severity: expected a finite number, found "high"
    plans.jsonl:1: target_nodes: expected a list of strings, found "n1"
    plans.jsonl:1: extra: unknown field
    plans.jsonl:2: new_value: expected a bool, a finite number or a string, found a list
    plans.jsonl:2: knob_id: missing: a plan needs a knob
    plans.jsonl: taken for plans: 2 records, 7 problems
    "#);
    let acks = [
        json!({"plan_id": "p", "status": "done", "window_index": "now", "extra": 1}),
        json!({"plan_id": "p", "knob_id": 5}),
    ];
    insta::assert_snapshot!(problems("acks.jsonl", lines(acks)), @r#"
    acks.jsonl:1: status: unknown word "done"; one of: applied, rejected, deferred
    acks.jsonl:1: window_index: expected a whole number, found "now"
    acks.jsonl:1: extra: unknown field
    acks.jsonl:2: status: missing: applied, rejected or deferred
    acks.jsonl:2: knob_id: expected a string, found 5
    acks.jsonl: taken for acks: 2 records, 5 problems
    "#);
}

#[test]
fn in_a_printed_finding_each_field_has_its_own_line() {
    let text = r#"
{
  "finding_type": "x",
  "persistence": "five",
  "opportunity_tags": [
    "a",
    1
  ],

  "scope": "node:",
  "confidnce": 1
}
"#;
    // A scope is only looked at in a finding that can be used.
    insta::assert_snapshot!(problems("f.json", text), @r#"
    f.json:4: persistence: expected a whole number, found "five"
    f.json:7: opportunity_tags[1]: expected a string, found 1
    f.json:11: confidnce: unknown field
    f.json: taken for findings: 1 record, 3 problems
    "#);
    let text = text.replace("\"five\"", "5").replace('1', "\"b\"");
    let ran = check("f.json", text).exits(1);
    ran.says("f.json:10: scope: ")
        .says("f.json:11: confidnce: unknown field");
}

#[test]
fn in_a_printed_array_too() {
    let text = "[\n  {\n    \"persistence\": 1\n  },\n  {\n    \"motif\": \"m\",\n    \"persistence\": \"x\"\n  }\n]\n";
    check("f.json", text)
        .exits(1)
        .says("f.json:7: persistence: ");
    check("f.json", text.replace('\n', "\r\n"))
        .exits(1)
        .says("f.json:7: persistence: ");
}

#[test]
fn in_printed_knobs_each_field_has_its_own_line() {
    let text = r#"{
  "namespace": "n",
  "knobs": {
    "a": {
      "default": 1,
      "range": [
        9,
        1
      ]
    },
    "b.c": {
      "default": 2,
      "responds_to": {
        "t": {
          "step": -1
        },
        "u.v": {
          "step": 1,
          "direction": "up"
        }
      },
      "typ": "int"
    },
    "d": {
      "default": NaN
    }
  },
  "current_values": {
    "b.c": [1],
    "nobody": 1
  },
  "nspace": 1
}"#;
    insta::assert_snapshot!(problems("k.json", text), @r#"
    k.json:19: knobs.b.c.responds_to.u.v.direction: unknown word "up"; one of: increase, decrease, set
    k.json:22: knobs.b.c.typ: unknown field
    k.json:25: knobs.d.default: expected a bool, a finite number or a string, found NaN
    k.json:29: current_values.b.c: expected a value, found a list
    k.json:32: nspace: unknown field
    k.json:6: knobs.a.range: [9, 1] is reversed; write it as [1, 9]; not registered
    k.json:15: knobs.b.c.responds_to.t.step: -1 is not above 0; the direction says which way; not registered
    k.json: taken for knobs: 1 record, 7 problems
    "#);
}

#[test]
fn in_a_printed_list_of_knobs_each_field_has_its_own_line() {
    let text = r#"{
  "knobs": [
    {"id": "a",
     "default": 1,
     "range": [9, 1]},
    {"default": 1},
    {"id": "b",
     "default": 1,
     "responds_to": {"t":
       {"step": 0}},
     "rnage": [1, 9]}
  ]
}"#;
    let ran = check("k.json", text).exits(1);
    let ran = ran
        .says("k.json:5: ")
        .says("k.json:6: knobs[1].id: missing");
    ran.says("k.json:10: ")
        .says("k.json:11: knobs[2].rnage: unknown field");
}

#[test]
fn in_toml_each_field_has_its_own_line() {
    let text = r#"
namespace = "n"

[knobs.a]
default = 1
range = [
  9,
  1,
]

[knobs."b.c"]
default = "x"

[knobs.d]
default = 1
typ = "int"
responds_to.t = { step = 0 }
[knobs.d.responds_to."u.v"]
step = 1
direction = "up"
min_severty = 1

[current_values]
d = []
"#;
    insta::assert_snapshot!(problems("k.toml", text), @r#"
    k.toml:20: knobs.d.responds_to.u.v.direction: unknown word "up"; one of: increase, decrease, set
    k.toml:21: knobs.d.responds_to.u.v.min_severty: unknown field
    k.toml:16: knobs.d.typ: unknown field
    k.toml:24: current_values.d: expected a value, found a list
    k.toml:6: knobs.a.range: [9, 1] is reversed; write it as [1, 9]; not registered
    k.toml:12: knobs.b.c.default: x is not of type int; not registered
    k.toml:17: knobs.d.responds_to.t.step: 0 is not above 0; the direction says which way; not registered
    k.toml: taken for knobs: 1 record, 7 problems
    "#);
}

#[test]
fn in_a_toml_list_of_knobs_each_field_has_its_own_line() {
    let text = "[[knobs]]\nid = \"a\"\ndefault = 1\n\n[[knobs]]\nid = \"b\"\ndefault = 1\nrange = [9, 1]\nrnage = 1\n";
    let ran = check("k.toml", text).exits(1);
    ran.says("k.toml:8: ")
        .says("k.toml:9: knobs[1].rnage: unknown field");
}

#[test]
fn text_that_cannot_be_parsed_has_its_line_too() {
    check("k.toml", "a = 1\n\n[b\n")
        .exits(1)
        .says("k.toml:3: not TOML: ");
    check("f.jsonl", "{}\n{}\n\n{oops}\n{}\n")
        .exits(1)
        .says("f.jsonl:4: not JSON: ");
    let latin1: &[u8] = b"{}\n{\"scope\": \"\xe9\"}\n";
    check("f.jsonl", latin1)
        .exits(1)
        .says("f.jsonl:2: not UTF-8");
}

#[test]
fn all_problems_are_listed_however_many() {
    let bad = lines((0..300).map(|_| json!({"persistence": "x"})));
    let out = problems("f", bad);
    assert_eq!(out.lines().count(), 301);
    assert!(out.ends_with("f: taken for findings: 300 records, 300 problems\n"));
}

#[test]
fn a_live_value_outside_the_range_is_told() {
    let text = "{\"knobs\": {\"a\": {\"default\": 1, \"range\": [0, 4]}},\n\"current_values\":\n{\"a\": 40}}";
    let ran = check("k.json", text);
    ran.says("k.json:3: current_values.a: ");
}

#[test]
fn python_writes_valid_files() {
    let text = r#"{"finding_type": "x", "key_metrics": {"a": NaN, "b": -Infinity}, "layer": null}"#;
    check("f", text).succeeds();
    let bad = r#"{"severity_score": NaN, "confidence": Infinity}"#;
    let ran = check("f", bad).exits(1);
    ran.says("f:1: severity_score: expected a finite number, found NaN")
        .says("f:1: confidence: expected a finite number, found Infinity");
}

// ── How it ends ────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_empty_file_is_not_a_valid_one() {
    for content in ["", "\n\n", "[]"] {
        check("f", content).exits(1).says("f: empty");
    }
}

#[test]
fn the_worst_file_tells_the_exit_code_and_all_are_checked() {
    let here = Folder::with("good", "{}").file("bad", "5");
    std::fs::create_dir(here.path("dir")).unwrap();
    here.run("check good").exits(0);
    here.run("check good bad")
        .exits(1)
        .says("good: ")
        .says("bad: ");
    here.run("check bad good")
        .exits(1)
        .says("good: ")
        .says("bad: ");
    for args in [
        "check missing bad good",
        "check bad good missing",
        "check dir missing.toml bad good",
    ] {
        let ran = here.run(args).exits(3).says("good: ").says("bad: ");
        ran.complains("missing");
    }
}

#[test]
fn a_truncated_gzip_file_is_checked_as_far_as_it_goes() {
    let whole = gzip(lines((0..100).map(|_| json!({"persistence": "x"}))));
    let ran = check("f.gz", &whole[..whole.len() - 9]).exits(3);
    ran.complains("f.gz: cannot read: the gzip data is cut off")
        .says("f.gz:1: persistence: ");
}

#[test]
fn what_json_replays_print_can_be_checked_for_plans() {
    let here = Folder::with("f", lines([finding(1)]));
    let plans = here.replay("f --format json").succeeds();
    let first = plans.out.lines().next().unwrap();
    let ran = here.dfo("check -").stdin(first).run();
    ran.says("taken for plans");
}

#[test]
fn a_record_over_16_mib_is_passed_over() {
    let huge = format!("{{\"summary\": \"{}\"}}", "x".repeat(17 << 20));
    let ran = check("f", format!("{{}}\n{huge}\n{{}}\n")).exits(1);
    ran.says("f:2: too large: ").says("3 records, 1 problem");
}

#[test]
fn deep_nesting_ends_no_process() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for text in [
        deep.clone(),
        format!("{{\"a\":\n{deep}}}"),
        format!(
            "{{\"a\":\n{}1{}}}",
            "{\"a\":".repeat(10_000),
            "}".repeat(10_000)
        ),
    ] {
        check("f.json", text).exits(1).says("not JSON: ");
    }
    check("k.toml", format!("a = {deep}\n"))
        .exits(1)
        .says("k.toml:1: not TOML: ");
    let tables = vec!["a"; 10_000].join(".");
    check("k.toml", format!("[{tables}]\n"))
        .exits(1)
        .says("k.toml:1: not TOML: ");
}

#[test]
fn nested_lists_of_things_with_ids_take_no_time() {
    let depth = 40;
    let (open, close) = ("[{\"id\": \"a\", \"x\": ".repeat(depth), "}]".repeat(depth));
    check("f.json", format!("{{\n\"x\": {open}1{close}}}"))
        .exits(1)
        .says("x: unknown field");
    let (open, close) = ("[{id = \"a\", x = ".repeat(depth), "}]".repeat(depth));
    check("k.toml", format!("x = {open}1{close}\n"))
        .exits(1)
        .says("x: unknown field");
}

#[test]
fn many_problems_in_one_record_take_no_time() {
    let fields: Vec<String> = (0..5000).map(|i| format!("\"f{i}\": 1")).collect();
    let text = format!("{{\n{}\n}}\n", fields.join(",\n"));
    check("f.json", text)
        .exits(1)
        .says("f.json:5001: f4999: unknown field");
}
