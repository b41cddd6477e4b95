//! `dfo replay`: what it shows, for eyes and for programs.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use std::collections::BTreeMap;

use dfo::{Folder, README_EXAMPLE, Ran, SESSION, example, finding, gzip, json, lines};
use serde_json::{Map, Value as Json};

fn replay_example(name: &str, args: &str) -> Ran {
    let findings = example(name);
    Folder::new().replay(&format!("{findings} {args}"))
}

/// Knob, old value, new value, window and nodes of each plan.
fn changes(ran: &Ran) -> Vec<Json> {
    let plans = ran.events_named("optimizer.plan");
    let change = |p: &Map<String, Json>| {
        json!([
            p["knob_id"],
            p["old_value"],
            p["new_value"],
            p["window_index"],
            p["target_nodes"]
        ])
    };
    plans.iter().map(change).collect()
}

fn keys(event: &Map<String, Json>) -> Vec<&str> {
    event.keys().map(String::as_str).collect()
}

// ── The example of the README ──────────────────────────────────────────────────────────────────

#[test]
fn the_shipped_example_gives_two_plans_with_the_originals_rationale_and_what_is_assumed() {
    let ran = replay_example(README_EXAMPLE, "").succeeds();
    insta::assert_snapshot!(ran.out, @r"
    window    9  dlio.prefetch_size  2 → 3         all nodes  fetch_pressure: persistent_pressure (severity=1.000, persistence=10, trend=stable, scope=app:epoch) -> dataloader_prefetch; old value assumed
    window    9  dlio.read_threads   1 → 8         all nodes  fetch_pressure: persistent_pressure (severity=1.000, persistence=10, trend=stable, scope=app:epoch) -> reader_parallelism; old value assumed

    1 finding, 2 plans, 0 holds
    notices   applied 2
    in force  dlio.prefetch_size  3
              dlio.read_threads   8
    ");
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let ran = replay_example(README_EXAMPLE, "").succeeds();
    assert!(
        readme.contains(&format!("```text\n{}```", ran.out)),
        "{ran}"
    );
}

#[test]
fn a_plan_in_json_has_the_originals_fields_and_ours_beside_them() {
    let ran = replay_example(README_EXAMPLE, "--format json").succeeds();
    let plans = ran.events_named("optimizer.plan");
    let [prefetch, threads] = &plans[..] else {
        unreachable!("two plans: {ran}");
    };
    for (plan, knob, old, new, tag) in [
        (prefetch, "dlio.prefetch_size", 2, 3, "dataloader_prefetch"),
        (threads, "dlio.read_threads", 1, 8, "reader_parallelism"),
    ] {
        let rationale = "fetch_pressure: persistent_pressure (severity=1.000, persistence=10, \
                         trend=stable, scope=app:epoch) -> ";
        let expected = json!({
            "event": "optimizer.plan",
            "level": "info",
            "logger": plan["logger"],
            "timestamp": plan["timestamp"],
            "format_version": 1,
            "plan_id": plan["plan_id"],
            "knob_id": knob,
            "old_value": old,
            "new_value": new,
            "target_function": "DLIOBenchmark.make_loader",
            "rationale": format!("{rationale}{tag}; old value assumed"),
            "apply_when": "window_boundary",
            "finding_type": "fetch_pressure",
            "severity": 1.0,
            "opportunity_tag": tag,
            "window_index": 9,
            "target_nodes": [],
        });
        assert_eq!(Json::Object(plan.clone()), expected);
        assert!(plan["logger"].is_string());
        assert!(plan["severity"].is_f64(), "a float stays a float: {ran}");
    }
    // 128 bits or more, and another one for each plan.
    let id = |plan: &Map<String, Json>| plan["plan_id"].as_str().unwrap().to_owned();
    let hex = id(prefetch).chars().filter(char::is_ascii_hexdigit).count();
    assert!(hex >= 32, "{ran}");
    assert_ne!(id(prefetch), id(threads));
}

#[test]
fn a_value_is_assumed_until_a_plan_for_its_knob_was_applied() {
    let assumed = |args: &str| {
        let ran = replay_example(SESSION, args).succeeds();
        let plans = ran.events_named("optimizer.plan");
        let is_assumed = |plan: &&Map<String, Json>| {
            let rationale = plan["rationale"].as_str().unwrap();
            rationale.ends_with("; old value assumed")
        };
        (plans.iter().filter(is_assumed).count(), plans.len())
    };
    let (of_ours, all) = assumed("--format json");
    assert!((2..6).contains(&of_ours), "{of_ours}");
    assert!(all > 30, "{all}");
    assert_eq!(assumed("--format json --settings original").0, 0);
}

#[test]
fn the_last_event_has_the_originals_counts_and_values_and_ours_beside_them() {
    let ran = replay_example(README_EXAMPLE, "--format json").succeeds();
    let done = ran.done();
    assert_eq!(
        keys(&done)[..8],
        [
            "event",
            "level",
            "timestamp",
            "logger",
            "format_version",
            "findings",
            "plan_count",
            "knob_state"
        ]
    );
    assert_eq!(done["findings"], 1);
    assert_eq!(done["plan_count"], 2);
    assert_eq!(
        done["knob_state"],
        json!({"dlio.prefetch_size": 3, "dlio.read_threads": 8})
    );
    assert_eq!(done["bad_records"], 0);
    assert_eq!(done["open_plans"], 0);
    assert_eq!(ran.events().len(), 3, "two plans and the end: {ran}");
}

// ── The same input gives the same output ───────────────────────────────────────────────────────

#[test]
fn source_date_epoch_makes_the_output_reproducible_byte_for_byte() {
    let once = || {
        let args = format!(
            "replay {} --bootstrap dlio --explain --format json",
            example(SESSION)
        );
        let dfo = Folder::new().dfo(&args).env("SOURCE_DATE_EPOCH", "86400");
        dfo.run().succeeds()
    };
    let ran = once();
    assert!(ran == once(), "two runs differ");
    assert!(
        ran.events()
            .iter()
            .all(|e| e["timestamp"] == "1970-01-02T00:00:00.000000Z")
    );
}

#[test]
fn a_source_date_epoch_that_is_no_time_is_an_error() {
    let args = format!("replay {} --bootstrap dlio --format json", example(SESSION));
    for wrong in ["yesterday", "-1", "99999999999999999999"] {
        let dfo = Folder::new().dfo(&args).env("SOURCE_DATE_EPOCH", wrong);
        dfo.run().exits(2).complains("SOURCE_DATE_EPOCH: expected ");
    }
}

#[test]
fn standard_input_is_not_read_twice() {
    let folder = Folder::new();
    let dfo = folder.dfo("replay - --knobs -").stdin("{}");
    dfo.run().exits(2).complains("`-`");
}

#[test]
fn plan_ids_are_the_same_each_time_and_all_different() {
    let ids = || {
        let ran = replay_example(SESSION, "--format json").succeeds();
        let plans = ran.events_named("optimizer.plan");
        plans
            .into_iter()
            .map(|p| p["plan_id"].to_string())
            .collect::<Vec<_>>()
    };
    let first = ids();
    assert_eq!(first, ids());
    let mut different = first.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), first.len());
}

#[test]
fn a_timestamp_is_the_time_now() {
    let ran = replay_example(README_EXAMPLE, "--format json").succeeds();
    let timestamp = ran.done()["timestamp"].as_str().unwrap().to_owned();
    assert!(timestamp.as_str() > "2024", "{timestamp}");
    let digits_as_0: String = timestamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(digits_as_0, "0000-00-00T00:00:00.000000Z");
}

// ── Why nothing happened ───────────────────────────────────────────────────────────────────────

/// A finding for each way of being held, and those that lead to it.
fn all_kinds_of_holds() -> String {
    let mut n = 0;
    let mut with = |fields: Json| {
        n += 1;
        let mut finding = finding(n);
        finding["opportunity_tags"] = json!(["reader_contention"]);
        let fields = fields.as_object().unwrap().clone();
        finding.as_object_mut().unwrap().extend(fields);
        finding
    };
    lines([
        with(json!({"scope": "global", "suppresses_tags": ["x"], "severity_score": 0.4})),
        with(json!({"trend_direction": "improving"})),
        with(json!({"opportunity_tags": []})),
        with(json!({"opportunity_tags": ["nobody_cares"]})),
        with(json!({"severity_score": 0.1})),
        with(json!({"persistence": 1, "scope": "node:n1:app:window"})),
        with(json!({"scope": "global", "suppresses_tags": ["y"], "opportunity_tags": []})),
        with(json!({"opportunity_tags": ["y"]})),
        with(json!({"opportunity_tags": ["reader_parallelism"], "scope": "node:n2"})),
        with(json!({"opportunity_tags": ["reader_parallelism"], "scope": "node:n2"})),
        with(json!({"opportunity_tags": ["dataloader_prefetch"], "scope": "node:n3"})),
        with(json!({"opportunity_tags": ["dataloader_prefetch"], "scope": "node:n3"})),
        with(
            json!({"opportunity_tags": ["reader_parallelism"], "scope": "node:n4",
            "key_metrics": {"fetch_frac": 0.01}}),
        ),
    ])
}

/// The same text, whatever the ids of plans are.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("plan_");
    let first = parts.next().unwrap().to_owned();
    let rest = parts.map(|p| p.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    rest.fold(first, |text, part| text + "plan_1d" + part)
}

#[test]
fn explain_in_text_shows_gate_value_threshold_knob_tag_and_node_of_each_hold() {
    let ran = Folder::with("f.jsonl", all_kinds_of_holds()).replay("f.jsonl --explain");
    insta::assert_snapshot!(without_ids(&ran.succeeds().out), @r"
    window    1  -                   weak_suppression  all nodes  too weak to suppress: severity 0.400 of at least 0.5, persistence 9 of at least 2
    window    1  dlio.read_threads   severity      all nodes  severity 0.400, needs at least 0.5 [reader_contention]
    window    2  -                   trend         all nodes  improving: the last action is working
    window    3  -                   no_tags       all nodes  the finding names no opportunity tag
    window    4  -                   no_response   all nodes  no knob responds to this tag [nobody_cares]
    window    5  dlio.read_threads   severity      all nodes  severity 0.100, needs at least 0.5 [reader_contention]
    window    6  dlio.read_threads   persistence   n1         persistence 1, needs at least 2 [reader_contention]
    window    7  -                   suppression_started  -          y is suppressed by fetch_pressure (severity 0.900)
    window    8  -                   suppressed    all nodes  suppressed by fetch_pressure: severity 0.900, needs a node's above 0.900 [y]
    window    9  dlio.read_threads   1 → 4         n2         fetch_pressure: unclassified (severity=0.900, persistence=9, trend=worsening, scope=node:n2) -> reader_parallelism; old value assumed
    window    9  -                   applied       -          plan_1d applied: dlio.read_threads on n2 is at 4
    window   10  dlio.read_threads   ineffective   n2         severity fell by 0.0 % from 0.900, needs 10.0 %; 1 window since, tries again after 5 [reader_parallelism]
    window   11  dlio.prefetch_size  2 → 3         n3         fetch_pressure: unclassified (severity=0.900, persistence=9, trend=worsening, scope=node:n3) -> dataloader_prefetch; old value assumed
    window   11  -                   applied       -          plan_1d applied: dlio.prefetch_size on n3 is at 3
    window   12  dlio.prefetch_size  cooldown      n3         1 window since the last action, rests 2 [dataloader_prefetch]
    window   13  dlio.read_threads   no_change     n4         stays at 1 [reader_parallelism]

    13 findings, 2 plans, 11 holds
    held by   weak_suppression 1, trend 1, no_tags 1, suppressed 1, no_response 1, severity 2, persistence 1, cooldown 1, ineffective 1, no_change 1
    notices   applied 2, suppression_started 1
    in force  dlio.prefetch_size  2; n3 3
              dlio.read_threads   1; n2 4
    ");
}

#[test]
fn explain_in_json_shows_gate_value_threshold_knob_tag_and_node_of_each_hold() {
    let here = Folder::with("f.jsonl", all_kinds_of_holds());
    let ran = here.replay("f.jsonl --explain --format json").succeeds();
    let holds = ran.events_named("optimizer.hold");
    let told = |h: &Map<String, Json>| {
        let fields = [
            "window_index",
            "gate",
            "value",
            "threshold",
            "knob_id",
            "opportunity_tag",
            "node",
        ];
        fields.map(|f| h[f].to_string()).join(" ")
    };
    let told: Vec<String> = holds.iter().map(told).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    1 "weak_suppression" 0.4 0.5 null null null
    1 "severity" 0.4 0.5 "dlio.read_threads" "reader_contention" null
    2 "trend" null null null null null
    3 "no_tags" null null null null null
    4 "no_response" null null null "nobody_cares" null
    5 "severity" 0.1 0.5 "dlio.read_threads" "reader_contention" null
    6 "persistence" 1 2 "dlio.read_threads" "reader_contention" "n1"
    8 "suppressed" 0.9 0.9 null "y" null
    10 "ineffective" 0.0 0.1 "dlio.read_threads" "reader_parallelism" "n2"
    12 "cooldown" 1 2 "dlio.prefetch_size" "dataloader_prefetch" "n3"
    13 "no_change" 1 null "dlio.read_threads" "reader_parallelism" "n4"
    "#);
    assert!(holds.iter().all(|h| h["level"] == "debug"));
    assert!(
        holds
            .iter()
            .all(|h| !h["reason"].as_str().unwrap().is_empty())
    );
}

#[test]
fn without_explain_nothing_but_plans_and_the_summary_is_shown() {
    let ran = replay_example(SESSION, "--format json").succeeds();
    let names: Vec<Json> = ran.events().iter().map(|e| e["event"].clone()).collect();
    let is_expected = |n: &Json| n == "optimizer.plan" || n == "optimizer.file.done";
    assert!(names.iter().all(is_expected), "{names:?}");
}

#[test]
fn holds_are_counted_by_gate_as_they_are_listed() {
    for acks in ["immediate", "never", "delay=3"] {
        let args = format!("--explain --format json --acks {acks}");
        let ran = replay_example(SESSION, &args).succeeds();
        let mut listed = BTreeMap::<String, u64>::new();
        for hold in ran.events_named("optimizer.hold") {
            let gate = hold["gate"].as_str().unwrap().to_owned();
            *listed.entry(gate).or_default() += 1;
        }
        let done = ran.done();
        assert_eq!(json!(listed), sorted(&done["holds"]), "{acks}");
        assert_eq!(
            done["plan_count"],
            ran.events_named("optimizer.plan").len(),
            "{acks}"
        );
        assert_eq!(done["findings"], 1669, "{acks}");
    }
}

#[test]
fn the_text_summary_counts_what_json_counts() {
    let text = replay_example(SESSION, "--explain").succeeds();
    let done = replay_example(SESSION, "--format json").succeeds().done();
    let by_gate = done["holds"].as_object().unwrap();
    let all: u64 = by_gate.values().filter_map(Json::as_u64).sum();
    assert_eq!(text.count("finding"), 1669);
    assert_eq!(text.count("plan"), done["plan_count"].as_u64().unwrap());
    assert_eq!(text.count("hold"), all);
    let counts: Vec<String> = by_gate.iter().map(|(g, n)| format!("{g} {n}")).collect();
    let text = text.says(&format!("held by   {}", counts.join(", ")));

    let listed = |gate: &str| {
        let lines = text.out.lines().filter(|l| l.starts_with("window"));
        let gate_of = |l: &&str| l.split_whitespace().nth(3) == Some(gate);
        lines.filter(gate_of).count()
    };
    for (gate, count) in by_gate {
        assert_eq!(json!(listed(gate)), *count, "{gate}");
    }
}

fn sorted(map: &Json) -> Json {
    let map: BTreeMap<_, _> = map.as_object().unwrap().iter().collect();
    json!(map)
}

// ── When the application answers ───────────────────────────────────────────────────────────────

#[test]
fn without_acknowledgements_each_knob_is_planned_once_as_the_original_showed() {
    let ran = replay_example(SESSION, "--acks never --format json").succeeds();
    let done = ran.done();
    assert_eq!(done["plan_count"], 10);
    assert_eq!(done["open_plans"], 10);
    let once: std::collections::BTreeSet<String> = changes(&ran)
        .iter()
        .map(|c| format!("{} {}", c[0], c[4]))
        .collect();
    assert_eq!(once.len(), 10, "each knob once on each node: {once:?}");
}

#[test]
fn a_perfect_application_is_given_far_more_plans() {
    let never = replay_example(SESSION, "--acks never").succeeds();
    let immediate = replay_example(SESSION, "--acks immediate").succeeds();
    assert!(immediate.count("plan") > 5 * never.count("plan"));
    let default = replay_example(SESSION, "").succeeds();
    assert_eq!(default, immediate);
    assert!(!immediate.out.contains("awaiting"), "{immediate}");
}

#[test]
fn a_delay_of_no_windows_is_immediate() {
    let of = |acks: &str| replay_example(SESSION, &format!("--format json --acks {acks}"));
    assert_eq!(changes(&of("delay=0")), changes(&of("immediate")));
}

#[test]
fn a_plan_is_pending_until_its_delayed_acknowledgement() {
    let here = Folder::with("f.jsonl", lines((1..=6).map(finding)));
    let ran = here.replay("f.jsonl --acks delay=3 --explain --format json");
    let of_threads: Vec<String> = ran
        .succeeds()
        .events()
        .iter()
        .filter(|e| e.get("opportunity_tag") == Some(&json!("reader_parallelism")))
        .map(|e| {
            format!(
                "{} {}",
                e["window_index"],
                e.get("gate").unwrap_or(&e["event"])
            )
        })
        .collect();
    assert_eq!(
        of_threads[..4],
        [
            "1 \"optimizer.plan\"",
            "2 \"pending\"",
            "3 \"pending\"",
            // Applied in window 4, where it rests.
            "4 \"cooldown\"",
        ]
    );
}

#[test]
fn an_acknowledgement_that_is_due_after_the_last_finding_leaves_its_plan_open() {
    let here = Folder::with("f.jsonl", lines((1..=3).map(finding)));
    let ran = here.replay("f.jsonl --acks delay=3").succeeds();
    ran.says("2 plans still awaiting acknowledgement");
}

#[test]
fn acknowledgements_that_come_too_late_change_nothing() {
    let here = Folder::with("f.jsonl", lines((1..=30).map(finding)));
    let ran = here
        .replay("f.jsonl --acks delay=20 --format json")
        .succeeds();
    let notices = &ran.done()["notices"];
    assert!(notices["plan_expired"].as_u64() > Some(0), "{ran}");
    assert!(notices.get("applied").is_none(), "{ran}");
}

// ── Where findings come from ───────────────────────────────────────────────────────────────────

#[test]
fn every_way_of_writing_the_same_findings_gives_the_same_result() {
    let findings: Vec<Json> = (1..=12).map(finding).collect();
    let pretty = |f: &Json| serde_json::to_string_pretty(f).unwrap();
    let plain = lines(&findings);
    let array = json!(findings).to_string();
    let here = Folder::new()
        .file("plain.jsonl", &plain)
        .file("array.json", &array)
        .file("pretty_array.json", pretty(&json!(findings)))
        .file("pretty.json", lines(findings.iter().map(pretty)))
        .file("no_last_newline.jsonl", plain.trim_end())
        .file("blank_lines.jsonl", plain.replace('\n', "\n\n \n"))
        .file("plain.gz", gzip(&plain))
        .file("gzip_with_any_name", gzip(&array))
        .file("first.jsonl", lines(&findings[..5]))
        .file("rest.jsonl", lines(&findings[5..]));
    let members = [gzip(lines(&findings[..5])), gzip(lines(&findings[5..]))].concat();
    let here = here.file("two_members.gz", members);

    let expected = here.replay("plain.jsonl").succeeds();
    assert!(expected.count("plan") > 2, "{expected}");
    for files in [
        "array.json",
        "pretty_array.json",
        "pretty.json",
        "no_last_newline.jsonl",
        "blank_lines.jsonl",
        "plain.gz",
        "gzip_with_any_name",
        "two_members.gz",
        "first.jsonl rest.jsonl",
        "./plain.jsonl",
    ] {
        assert_eq!(here.replay(files), expected, "{files}");
    }
    for stdin in [plain.clone().into_bytes(), array.into_bytes(), gzip(&plain)] {
        let ran = here.dfo("replay - --bootstrap dlio").stdin(stdin).run();
        assert_eq!(ran, expected);
    }
    let rest = lines(&findings[5..]);
    let mixed = here
        .dfo("replay first.jsonl - --bootstrap dlio")
        .stdin(rest);
    assert_eq!(mixed.run(), expected);
}

#[test]
fn one_object_is_one_finding() {
    let ran = Folder::with("one.json", finding(1).to_string()).replay("one.json");
    assert_eq!(ran.succeeds().count("finding"), 1);
}

#[test]
fn the_same_file_twice_is_a_new_run_and_says_so() {
    let here = Folder::with("f.jsonl", lines((1..=30).map(finding)));
    let done = here.replay("f.jsonl f.jsonl --format json").done();
    assert_eq!(done["findings"], 60);
    assert_eq!(done["notices"]["new_run"], 1);
}

#[test]
#[cfg(unix)]
fn a_symbolic_link_is_followed() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    std::os::unix::fs::symlink("f.jsonl", here.path("link")).unwrap();
    assert_eq!(here.replay("link"), here.replay("f.jsonl").succeeds());
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf8_is_a_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let here = Folder::new();
    let name = OsStr::from_bytes(b"f\xff.jsonl");
    std::fs::write(here.path("x").with_file_name(name), lines([finding(1)])).unwrap();
    let ran = here.dfo("replay --bootstrap dlio").arg(name).run();
    assert_eq!(ran.succeeds().count("finding"), 1);
}

// ── Where knobs come from ──────────────────────────────────────────────────────────────────────

#[test]
fn the_environment_bootstraps_like_the_option() {
    let args = format!("replay {}", example(README_EXAMPLE));
    let by_variable = Folder::new()
        .dfo(&args)
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "1");
    let by_option = replay_example(README_EXAMPLE, "").succeeds();
    assert_eq!(by_variable.run(), by_option);

    let args = format!("{args} --bootstrap dlio");
    let by_both = Folder::new()
        .dfo(&args)
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "1");
    assert_eq!(by_both.run(), by_option);
}

#[test]
fn the_pack_torch_acts_on_the_same_findings() {
    let args = format!("replay {} --bootstrap torch", example(README_EXAMPLE));
    let dfo = Folder::new()
        .dfo(&args)
        .env("TORCH_KNOB_MAX_WORKERS", "8")
        .env("DFOPTIMIZER_BOOTSTRAP_NUM_WORKERS", "2");
    insta::assert_snapshot!(dfo.run().succeeds().out, @r"
    window    9  torch.prefetch_factor  2 → 3         all nodes  fetch_pressure: persistent_pressure (severity=1.000, persistence=10, trend=stable, scope=app:epoch) -> dataloader_prefetch; old value assumed
    window    9  torch.num_workers      2 → 8         all nodes  fetch_pressure: persistent_pressure (severity=1.000, persistence=10, trend=stable, scope=app:epoch) -> reader_parallelism; old value assumed

    1 finding, 2 plans, 0 holds
    notices   applied 2
    in force  torch.num_workers      8
              torch.prefetch_factor  3
    ");
}

#[test]
fn two_packs_are_two_programs_knobs() {
    let args = format!("replay {} --bootstrap torch", example(README_EXAMPLE));
    let dfo = Folder::new()
        .dfo(&args)
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "1");
    let ran = dfo.env("TORCH_KNOB_MAX_WORKERS", "8").run().succeeds();
    for knob in [
        "dlio.prefetch_size",
        "dlio.read_threads",
        "torch.num_workers",
        "torch.prefetch_factor",
    ] {
        let lines = ran.out.lines().filter(|line| line.contains(knob));
        assert_eq!(
            lines.count(),
            2,
            "its plan, and its value in force: {knob}: {ran}"
        );
    }
}

#[test]
fn without_knobs_it_says_what_to_do() {
    let ran = Folder::new().run(&format!("replay {}", example(README_EXAMPLE)));
    let ran = ran.complains("no knobs").complains("--bootstrap dlio");
    ran.complains("--knobs FILE").says("held by   no_knobs 1");

    let args = format!("replay {}", example(README_EXAMPLE));
    let off = Folder::new()
        .dfo(&args)
        .env("DFOPTIMIZER_BOOTSTRAP_DLIO", "0");
    off.run().complains("no knobs");
}

/// One knob, written in each way there is.
#[test]
fn knobs_are_read_as_json_and_toml_as_a_map_and_as_a_list() {
    let here = Folder::new()
        .file("f.jsonl", lines([finding(1)]))
        .file(
            "map.json",
            r#"{"namespace": "io", "knobs": {"depth": {"default": 4, "range": [1, 64],
                "responds_to": {"reader_parallelism": {"step_mode": "multiply", "step": 2}}}},
                "current_values": {"depth": 8}}"#,
        )
        .file(
            "list.json",
            r#"{"knobs": [{"id": "io.depth", "default": 4, "range": [1, 64],
                "responds_to": {"reader_parallelism": {"step_mode": "multiply", "step": 2}}}],
                "current_values": {"io.depth": 8}}"#,
        )
        .file(
            "knobs.toml",
            r#"
            namespace = "io"
            current_values = { depth = 8 }
            [knobs.depth]
            default = 4
            range = [1, 64]
            [knobs.depth.responds_to.reader_parallelism]
            step_mode = "multiply"
            step = 2
            "#,
        );
    let expected = here.run("replay f.jsonl --knobs map.json").succeeds();
    let expected = expected.says("io.depth  8 → 16");
    for file in ["list.json", "knobs.toml"] {
        let ran = here.run(&format!("replay f.jsonl --knobs {file}"));
        assert_eq!(ran, expected, "{file}");
    }
    let map = std::fs::read(here.path("map.json")).unwrap();
    let here = here.file("map.gz", gzip(&map));
    assert_eq!(here.run("replay f.jsonl --knobs map.gz"), expected);
    let from_stdin = here.dfo("replay f.jsonl --knobs -").stdin(map);
    assert_eq!(from_stdin.run(), expected);
}

#[test]
fn dftracers_knob_response_answers_io_bottleneck() {
    let mut slow = finding(1);
    slow["opportunity_tags"] = json!(["io_bottleneck"]);
    let here = Folder::with("f.jsonl", lines([slow])).file(
        "k.json",
        r#"{"knobs": [{"id": "df.buffer", "default": 4, "knob_response": {"step": 1}}]}"#,
    );
    let ran = here.run("replay f.jsonl --knobs k.json").succeeds();
    ran.says("df.buffer  4 → 5");
}

#[test]
fn several_registrations_and_several_files_add_up_and_the_last_one_counts() {
    let knob = |name: &str, default: i64| {
        let response = json!({"reader_parallelism": {"step": 1}});
        json!({"namespace": "io", "knobs":
            {name: {"default": default, "responds_to": response}}})
    };
    let here = Folder::with("f.jsonl", lines([finding(1)]))
        .file("two.jsonl", lines([knob("a", 1), knob("b", 10)]))
        .file(
            "array.json",
            json!([knob("c", 20), knob("a", 5)]).to_string(),
        );
    let args = "replay f.jsonl --knobs two.jsonl --knobs array.json --format json";
    let ran = here.run(args).succeeds();
    let changed: Vec<Json> = changes(&ran)
        .iter()
        .map(|c| json!([c[0], c[1], c[2]]))
        .collect();
    // `a` keeps its place, and the value that is there.
    assert_eq!(
        changed,
        [
            json!(["io.a", 1, 2]),
            json!(["io.b", 10, 11]),
            json!(["io.c", 20, 21])
        ]
    );
}

#[test]
fn own_knobs_stand_beside_a_pack() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    let ran = here.replay(&format!("f.jsonl --knobs {}", example("knobs/loader.toml")));
    let ran = ran.succeeds().says("dlio.read_threads");
    ran.says("loader.num_workers");
}

#[test]
fn a_problem_in_a_knobs_file_is_named_with_file_line_and_field() {
    let here = Folder::with("f.jsonl", lines([finding(1)])).file(
        "k.toml",
        "namespace = \"io\"\n[knobs.good]\ndefault = 1\n\n[knobs.bad]\ndefault = 1\nrange = [9, 1]\n\n\
         [knobs.worse]\ndefault = 1\ntype = \"complex\"\n[knobs.typo]\ndefault = 1\nrnage = [1, 2]\n",
    );
    let ran = here.run("replay f.jsonl --knobs k.toml").exits(1);
    let ran = ran.complains("k.toml:7: knobs.bad.range: ");
    let ran = ran.complains("k.toml:11: knobs.worse.type: ");
    let ran = ran.complains("k.toml:14: knobs.typo.rnage: unknown field");
    let ran = ran.says("io.good").says("io.typo");
    assert!(!ran.out.contains("io.bad"), "{ran}");
    assert_eq!(ran.count("finding"), 1, "the findings are replayed");
}

#[test]
fn strict_stops_at_a_bad_knob_too() {
    let here = Folder::with("f.jsonl", lines([finding(1)]))
        .file("k.json", r#"{"knobs": {"a": {"default": 1, "range": []}}}"#);
    let ran = here.run("replay f.jsonl --knobs k.json --strict").exits(1);
    assert_eq!(ran.out, "");
    ran.complains("k.json:1: knobs.a.range: ")
        .complains("--strict");
}

#[test]
fn a_knobs_file_that_is_not_there_ends_it_before_anything_is_decided() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    for name in ["missing.json", "missing.toml"] {
        let ran = here.replay(&format!("f.jsonl --knobs {name}")).exits(3);
        let ran = ran.complains(&format!("{name}: cannot open: no such file"));
        assert_eq!(ran.out, "");
    }
}
