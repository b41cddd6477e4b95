//! Bad input: a message that says where and what, an exit code that tells, and the good records
//! replayed.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod dfo;

use std::fs;

use dfo::{Folder, Ran, SCREEN, finding, finding_with, gzip, json, lines};
use serde_json::Value as Json;

/// Replays a bad text between two good lines: it is named with its line, and costs no other.
#[track_caller]
fn between_good_lines(bad: impl AsRef<[u8]>, complaint: &str) -> Ran {
    let (first, last) = (lines([finding(1)]), lines([finding(2)]));
    let content = [first.as_bytes(), bad.as_ref(), b"\n", last.as_bytes()].concat();
    let ran = Folder::with("f.jsonl", content).replay("f.jsonl").exits(1);
    let ran = ran.complains(&format!("f.jsonl:2: {complaint}"));
    let ran = ran
        .complains("record skipped")
        .says("bad       1 record skipped");
    assert_eq!(ran.count("finding"), 2, "{ran}");
    assert_eq!(ran.err.lines().count(), 1, "{ran}");
    ran
}

// ── Nothing there ──────────────────────────────────────────────────────────────────────────────

#[test]
fn an_empty_file_holds_no_findings_and_that_is_said() {
    let blank = "\n \r\n\t\n";
    let contents: [&[u8]; 5] = [b"", blank.as_bytes(), b"\xef\xbb\xbf", b"[]", &gzip("")];
    for content in contents {
        let here = Folder::with("empty.jsonl", content).file("good.jsonl", lines([finding(1)]));
        let ran = here.replay("empty.jsonl good.jsonl").exits(0);
        assert_eq!(ran.err, "dfo: empty.jsonl: no findings in it\n");
        assert_eq!(ran.count("finding"), 1);
    }
}

#[test]
fn an_empty_standard_input_holds_no_findings_and_that_is_said() {
    let ran = Folder::new().replay("-").exits(0);
    assert_eq!(ran.err, "dfo: stdin: no findings in it\n");
}

#[test]
#[cfg(unix)]
fn a_closed_standard_input_holds_no_findings_and_that_is_said() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    let ran = here
        .shell("$DFO replay - f.jsonl --bootstrap dlio <&-")
        .run();
    assert_eq!(ran.err, "dfo: stdin: no findings in it\n", "{ran}");
    assert_eq!(ran.exits(0).count("finding"), 1);
}

#[test]
fn a_missing_file_is_said_and_the_others_are_replayed() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    let ran = here.replay("missing.jsonl f.jsonl missing_too.gz").exits(3);
    let ran = ran.complains("missing.jsonl: cannot open: no such file");
    let ran = ran.complains("missing_too.gz: cannot open: no such file");
    assert_eq!(ran.count("finding"), 1);
}

#[test]
fn a_directory_is_said_and_the_others_are_replayed() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    fs::create_dir(here.path("runs")).unwrap();
    let ran = here.replay("runs f.jsonl").exits(3);
    let ran = ran.complains("runs: cannot open: it is a directory");
    assert_eq!(ran.count("finding"), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_as_standard_input_is_said() {
    let ran = Folder::new()
        .shell("$DFO replay - --bootstrap dlio < .")
        .run();
    ran.exits(3).complains("stdin: cannot read: ");
}

#[test]
#[cfg(unix)]
fn a_file_without_permission_is_said_and_the_others_are_replayed() {
    use std::os::unix::fs::PermissionsExt;

    let here = Folder::with("f.jsonl", lines([finding(1)])).file("secret.jsonl", "{}");
    let set_mode = |name, mode| {
        fs::set_permissions(here.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("secret.jsonl", 0o000);
    set_mode(".", 0o755);
    let args = "replay secret.jsonl f.jsonl --bootstrap dlio";
    let mut ran = here.run(args);
    if fs::read(here.path("secret.jsonl")).is_ok() {
        // Root may read everything; so be nobody. Where the command is built, nobody may not look.
        fs::copy(dfo::DFO, here.path("dfo")).unwrap();
        set_mode("dfo", 0o755);
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
        let is_there = here.shell(&format!("{nobody} true 2>&1")).run().code == 0;
        if !dfo::has("a user who may not read everything", is_there) {
            return;
        }
        ran = here.shell(&format!("{nobody} ./dfo {args}")).run();
    }
    let ran = ran
        .exits(3)
        .complains("secret.jsonl: cannot open: permission denied");
    assert_eq!(ran.count("finding"), 1);
}

#[test]
#[cfg(unix)]
fn a_loop_of_links_is_said() {
    let here = Folder::new();
    std::os::unix::fs::symlink("loop", here.path("loop")).unwrap();
    here.replay("loop")
        .exits(3)
        .complains("loop: cannot open: ");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_fails_while_it_is_read_is_said() {
    let here = Folder::with("f.jsonl", lines([finding(1)]));
    let ran = here.replay("/proc/self/mem f.jsonl").exits(3);
    let ran = ran.complains("/proc/self/mem: cannot read: ");
    assert_eq!(ran.count("finding"), 1);
}

// ── Damaged on the way ─────────────────────────────────────────────────────────────────────────

#[test]
fn a_truncated_last_line_is_named_and_the_lines_before_it_are_replayed() {
    let whole = lines((1..=3).map(finding));
    let here = Folder::with("f.jsonl", &whole[..whole.len() - 40]);
    let ran = here.replay("f.jsonl").exits(1);
    let ran = ran.complains("f.jsonl:3: not JSON: ");
    assert_eq!(ran.count("finding"), 2);
}

#[test]
fn a_truncated_array_is_named_and_the_elements_before_the_cut_are_replayed() {
    let whole = serde_json::to_string_pretty(&json!([finding(1), finding(2), finding(3)])).unwrap();
    let here = Folder::with("f.json", &whole[..whole.len() - 40]);
    let ran = here.replay("f.json").exits(1).complains("f.json:");
    assert_eq!(ran.count("finding"), 2);
}

#[test]
fn a_truncated_gzip_file_is_named_and_what_could_be_unpacked_is_replayed() {
    let whole = gzip(lines((1..=200).map(finding)));
    for cut in [9, whole.len() / 2] {
        let here = Folder::with("f.gz", &whole[..whole.len() - cut]);
        let ran = here.replay("f.gz").exits(3);
        let ran = ran.complains("f.gz: cannot read: the gzip data is cut off");
        assert!(ran.count("finding") > 0, "{ran}");
    }
}

#[test]
fn a_damaged_gzip_file_is_named_and_what_could_be_unpacked_is_replayed() {
    let whole = gzip(lines([finding(1), finding(2)]));
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 0xff;
    let garbage = [&whole[..], b"garbage, and more than ten bytes of it"].concat();
    for content in [damaged, garbage] {
        let ran = Folder::with("f.gz", content).replay("f.gz").exits(3);
        let ran = ran.complains("f.gz: cannot read: the gzip data is damaged");
        assert_eq!(ran.count("finding"), 2);
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = lines([finding(1), finding(2)]);
    let marked = format!("\u{feff}{text}");
    let array = format!("\u{feff}{}", json!([finding(1), finding(2)]));
    let expected = Folder::with("f", &text).replay("f").succeeds();
    for content in [marked.as_bytes(), array.as_bytes(), &gzip(&marked)] {
        assert_eq!(Folder::with("f", content).replay("f"), expected);
    }
}

#[test]
fn carriage_returns_are_passed_over_and_lines_are_counted_the_same() {
    let good = lines([finding(1), finding(2)]);
    let expected = Folder::with("f", &good).replay("f").succeeds();
    let crlf = good.replace('\n', "\r\n");
    assert_eq!(Folder::with("f", &crlf).replay("f"), expected);

    let bad_third_line = crlf + "\r\n{\r\n";
    let ran = Folder::with("f", bad_third_line).replay("f").exits(1);
    ran.complains("f:4: not JSON: ");
}

#[test]
fn text_that_is_not_utf8_is_a_bad_record() {
    let latin1 = b"{\"scope\": \"\xe9poque\"}";
    between_good_lines(latin1, "not UTF-8: ");
    let ran = Folder::with("f", b"\xff\xfe{\0}\0\n\0")
        .replay("f")
        .exits(1);
    ran.complains("f:1: not UTF-8: ");
}

#[test]
fn a_line_separator_inside_a_string_ends_no_record() {
    for separator in ["\u{2028}", "\u{2029}", "\u{85}"] {
        let scope = format!("app:{separator}window");
        let text = lines([finding_with("scope", json!(scope)), finding(2)]);
        assert!(text.contains(separator), "it stands there as it is");
        let ran = Folder::with("f", text).replay("f").succeeds();
        assert_eq!(ran.count("finding"), 2);
    }
}

#[test]
fn bytes_of_zero_are_a_bad_record() {
    between_good_lines([0; 100], "not JSON: ");
}

// ── Too much of it ─────────────────────────────────────────────────────────────────────────────

/// A shell line under which a process may have 64 MiB of memory, code and all.
#[cfg(target_os = "linux")]
const IN_64_MIB: &str = "ulimit -v 65536 && exec $DFO replay big --bootstrap dlio";

#[test]
#[cfg(target_os = "linux")]
fn a_record_over_16_mib_is_passed_over_without_being_held() {
    let huge = format!("{{\"summary\": \"{}\"}}", "x".repeat(70 << 20));
    let text = format!("{}\n{huge}\n{}\n", finding(1), finding(2));
    let ran = Folder::with("big", text).shell(IN_64_MIB).run().exits(1);
    let what = format!("big:2: too large: {} bytes", huge.len());
    let ran = ran.complains(&what).complains("record skipped");
    assert_eq!(ran.count("finding"), 2, "{ran}");
}

#[test]
#[cfg(target_os = "linux")]
fn an_element_over_16_mib_is_passed_over_without_being_held() {
    let huge = format!("{{\n\"summary\": \"{}\"}}", "x".repeat(70 << 20));
    let text = format!("[{},\n{huge},\n{}]", finding(1), finding(2));
    let ran = Folder::with("big", text).shell(IN_64_MIB).run().exits(1);
    let ran = ran.complains("big:2: too large: ");
    assert_eq!(ran.count("finding"), 2, "{ran}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_over_16_mib_that_is_no_json_is_passed_over_without_being_held() {
    let text = format!("{}\n{}\n", "x".repeat(70 << 20), finding(1));
    let ran = Folder::with("big", text).shell(IN_64_MIB).run().exits(1);
    let ran = ran.complains("big:1: too large: ");
    assert_eq!(ran.count("finding"), 1, "{ran}");
}

#[test]
fn a_small_file_that_unpacks_to_a_record_over_16_mib_is_one_too() {
    let huge = format!("{{\"summary\": \"{}\"}}", "x".repeat(17 << 20));
    let text = format!("{}\n{huge}\n{}\n", finding(1), finding(2));
    let ran = Folder::with("small.gz", gzip(text))
        .replay("small.gz")
        .exits(1);
    let ran = ran.complains("small.gz:2: too large: ");
    assert_eq!(ran.count("finding"), 2, "{ran}");
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_file() {
    // Nothing but the length is big: 70 MiB of text in as many findings.
    let mut padded = finding(1);
    padded["summary"] = json!("x".repeat(1 << 20));
    padded["trend_direction"] = json!("improving");
    let here = Folder::with("big", lines(vec![padded; 70]));
    let ran = here.shell(IN_64_MIB).run().succeeds();
    assert_eq!(ran.count("finding"), 70);
}

#[test]
fn a_record_just_under_16_mib_is_replayed() {
    let mut large = finding(1);
    large["summary"] = json!("x".repeat((16 << 20) - 1000));
    let ran = Folder::with("f", lines([large])).replay("f").succeeds();
    assert_eq!(ran.count("plan"), 2);
}

#[test]
fn a_large_record_may_be_odd_like_any_other() {
    let mut large = finding(1);
    large["summary"] = json!("x".repeat(3 << 20));
    large["key_metrics"] = json!({"fetch_frac": "TOKEN"});
    let nan = large.to_string().replace("\"TOKEN\"", "NaN");
    let ran = Folder::with("f", nan).replay("f").succeeds();
    assert_eq!(ran.count("plan"), 2);

    large["persistence"] = json!("five");
    between_good_lines(large.to_string(), "persistence: expected a whole number");
}

#[test]
fn ten_thousand_nested_brackets_are_a_bad_record() {
    let deep = |open: &str, close: &str| open.repeat(10_000) + &close.repeat(10_000);
    between_good_lines(deep("[", "]"), "");
    between_good_lines(deep("[", ""), "");
    between_good_lines(deep("{\"a\":", ""), "not JSON: ");
    between_good_lines(deep("]", ""), "not JSON: ");
}

#[test]
fn ten_thousand_nested_brackets_in_the_first_line_cost_no_other() {
    for closed in [10_000, 0] {
        let deep = "[".repeat(10_000) + &"]".repeat(closed);
        let text = format!("{deep}\n{}", lines([finding(1), finding(2)]));
        let ran = Folder::with("f.jsonl", text).replay("f.jsonl").exits(1);
        let ran = ran.complains("f.jsonl:1: ");
        assert_eq!(ran.count("finding"), 2, "{closed} closed: {ran}");
    }
}

#[test]
fn nesting_inside_a_field_that_planning_passes_over_does_not_matter() {
    let mut odd = finding(1).to_string();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    odd.insert_str(1, &format!("\"odd\": {deep}, "));
    let ran = Folder::with("f", odd).replay("f").succeeds();
    assert_eq!(ran.count("plan"), 2);
}

#[test]
fn nesting_over_many_lines_is_a_bad_record() {
    let deep = format!(
        "{{\"a\":\n{}1{}\n}}\n",
        "[\n".repeat(10_000),
        "]\n".repeat(10_000)
    );
    let text = lines([finding(1)]) + &deep + &lines([finding(2)]);
    let ran = Folder::with("f.jsonl", text).replay("f.jsonl").exits(1);
    let ran = ran.complains("f.jsonl:2: not JSON: ");
    assert_eq!(ran.count("finding"), 2, "{ran}");
}

#[test]
fn more_than_a_screenful_of_bad_records_is_cut_with_a_count() {
    let bad = lines((0..500).map(|n| json!({"persistence": "x", "window_index": n})));
    let here = Folder::with("f", bad + &lines([finding(1)]));
    let ran = here.replay("f").exits(1).complains("f:1: persistence: ");
    let shown = ran.err.lines().filter(|l| l.starts_with("f:")).count();
    assert!(ran.err.lines().count() <= SCREEN, "{ran}");
    let ran = ran.complains(&format!("{} more", 500 - shown));
    assert_eq!(ran.count("finding"), 1);
    ran.says("bad       500 records skipped");

    let many_files: Vec<&str> = std::iter::repeat_n("f", 20).collect();
    let ran = here.replay(&many_files.join(" ")).exits(1);
    assert!(ran.err.lines().count() <= SCREEN, "{ran}");
}

// ── Not what it should be ──────────────────────────────────────────────────────────────────────

#[test]
fn a_record_that_is_no_object_is_a_bad_record() {
    for (text, found) in [
        ("[1]", "a list"),
        ("null", "null"),
        ("3", "3"),
        ("\"x\"", "\"x\""),
        ("true", "true"),
        ("NaN", "NaN"),
    ] {
        between_good_lines(text, &format!("expected an object, found {found}"));
    }
    for text in [
        "x",
        "{",
        "}",
        "{}}",
        "{\"a\"}",
        "{\"a\": 1,}",
        "// no",
        "\"",
        "{} {}",
    ] {
        between_good_lines(text, "not JSON: ");
    }
}

/// Every field that planning uses, and what it must be.
const FIELDS: [(&str, &str); 12] = [
    ("finding_type", "a string"),
    ("scope", "a string"),
    ("view_type", "a string"),
    ("motif", "a string"),
    ("severity_score", "a finite number"),
    ("persistence", "a whole number"),
    ("trend_direction", "a string"),
    ("window_index", "a whole number"),
    ("opportunity_tags", "a list of strings"),
    ("suppresses_tags", "a list of strings"),
    ("publish_mode", "a string"),
    ("key_metrics", "an object of numbers"),
];

#[test]
fn a_wrong_type_in_every_field_is_named_with_file_line_field_and_what() {
    for wrong in [
        json!([[1]]),
        json!(true),
        json!("five"),
        json!(1.5),
        json!({"a": []}),
    ] {
        let is_right = |what: &str| match what {
            "a string" => wrong.is_string(),
            "a finite number" => wrong.is_number(),
            "an object of numbers" => wrong.is_object(),
            _ => false,
        };
        let wrong_fields = FIELDS.iter().filter(|(_, what)| !is_right(what));
        let mut records = Vec::new();
        let mut complaints = Vec::new();
        for (field, what) in wrong_fields {
            records.extend([finding(1), finding_with(field, wrong.clone())]);
            complaints.push(match (*what, wrong.is_array()) {
                ("a list of strings", true) => {
                    format!("{field}[0]: expected a string, found a list")
                }
                _ => format!("{field}: expected {what}, found "),
            });
        }
        let ran = Folder::with("f.jsonl", lines(&records))
            .replay("f.jsonl")
            .exits(1);
        let told: Vec<&str> = ran.err.lines().collect();
        assert_eq!(told.len(), complaints.len(), "{ran}");
        for (i, (told, complaint)) in told.iter().zip(&complaints).enumerate() {
            let line = 2 * (i + 1);
            let expected = format!("f.jsonl:{line}: {complaint}");
            assert!(told.starts_with(&expected), "{expected:?} in {told:?}");
            assert!(told.ends_with("; record skipped"), "{told}");
        }
        assert_eq!(ran.count("finding"), complaints.len() as u64, "{ran}");
    }
}

#[test]
fn wrong_types_in_fields_that_planning_does_not_use_do_not_matter() {
    let mut odd = finding(1);
    for field in [
        "layer",
        "severity",
        "confidence",
        "support_windows",
        "summary",
        "hostname",
    ] {
        odd[field] = json!([{"x": [1]}]);
    }
    odd["contributing_facts"] = json!(7);
    let ran = Folder::with("f", lines([odd])).replay("f").succeeds();
    assert_eq!(ran.count("plan"), 2);
}

#[test]
fn a_null_field_counts_as_missing() {
    let nulls: Vec<Json> = FIELDS
        .map(|(field, _)| finding_with(field, Json::Null))
        .into();
    let ran = Folder::with("f", lines(&nulls)).replay("f").succeeds();
    assert_eq!(ran.count("finding"), FIELDS.len() as u64);

    let of_nulls = json!({"opportunity_tags": null, "scope": null}).to_string();
    let absent = Folder::with("f", "{}\n").replay("f --explain").succeeds();
    assert_eq!(Folder::with("f", of_nulls).replay("f --explain"), absent);
}

#[test]
fn a_string_is_not_a_list_of_tags() {
    let bad = finding_with("opportunity_tags", json!("tttt")).to_string();
    between_good_lines(
        bad,
        "opportunity_tags: expected a list of strings, found \"tttt\"",
    );
}

/// The finding, with a token in place of a field's value that strict JSON has no place for.
fn with_token(field: &str, token: &str) -> String {
    finding_with(field, json!("TOKEN"))
        .to_string()
        .replace("\"TOKEN\"", token)
}

#[test]
fn pythons_tokens_are_read_and_a_severity_must_be_finite() {
    for token in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let bad = with_token("severity_score", token);
        between_good_lines(bad, "severity_score: expected a finite number, found ");
        let bad = with_token("persistence", token);
        between_good_lines(bad, "persistence: expected a whole number, found ");
        let good = with_token("confidence", token);
        let ran = Folder::with("f", good).replay("f").succeeds();
        assert_eq!(ran.count("plan"), 2);
    }
}

#[test]
fn a_metric_that_is_not_a_finite_number_counts_as_missing() {
    let without = finding_with("key_metrics", json!({}));
    let expected = Folder::with("f", lines([without])).replay("f").succeeds();
    let big = "99999999999999999999";
    for odd in [
        "NaN",
        "Infinity",
        "-Infinity",
        "null",
        "true",
        "\"0.9\"",
        "[1]",
        "1e999",
        big,
    ] {
        let metrics = format!("{{\"fetch_frac\": {odd}}}");
        let ran = Folder::with("f", with_token("key_metrics", &metrics)).replay("f");
        assert_eq!(ran, expected, "{odd}");
    }
}

#[test]
fn of_a_duplicate_key_the_last_one_wins() {
    let twice = |first: &str, last: &str| {
        with_token("persistence", &format!("{first}, \"persistence\": {last}"))
    };
    let ran = Folder::with("f", twice("\"x\"", "9"))
        .replay("f")
        .succeeds();
    assert_eq!(ran.count("plan"), 2);
    between_good_lines(
        twice("9", "\"x\""),
        "persistence: expected a whole number, found \"x\"",
    );
}

#[test]
fn ints_beyond_64_bits_saturate() {
    let ran = Folder::with("f", with_token("persistence", &"9".repeat(1000))).replay("f");
    ran.succeeds().says("persistence=9223372036854775807");
    let windows = [
        "9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
    ];
    let findings = windows.map(|w| with_token("window_index", w));
    for acks in ["immediate", "never", "delay=1", "delay=9223372036854775807"] {
        let here = Folder::with("f", lines(&findings));
        let ran = here
            .replay(&format!("f --explain --acks {acks}"))
            .succeeds();
        assert_eq!(ran.count("finding"), 3, "{acks}");
    }
}

#[test]
fn a_whole_float_is_a_whole_number() {
    let ran = Folder::with("f", with_token("persistence", "9.0"))
        .replay("f")
        .succeeds();
    ran.says("persistence=9,");
}

#[test]
fn the_empty_name_of_a_node_is_an_invalid_finding() {
    for scope in ["node:", "node::app:window"] {
        let bad = finding_with("scope", json!(scope)).to_string();
        between_good_lines(bad, "scope: ");
    }
    // Not a node's, but the whole job's.
    let job_wide = lines([finding_with("scope", json!("node"))]);
    let ran = Folder::with("f", job_wide).replay("f").succeeds();
    ran.says("all nodes");
}

// ── How it is told ─────────────────────────────────────────────────────────────────────────────

#[test]
fn strict_stops_at_the_first_bad_record() {
    let bad = json!({"persistence": "five"});
    let here = Folder::new()
        .file("f.jsonl", lines([finding(1), bad.clone(), finding(2), bad]))
        .file("next.jsonl", lines([finding(3)]));
    let ran = here.replay("f.jsonl next.jsonl --strict").exits(1);
    assert_eq!(
        ran.err,
        "f.jsonl:2: persistence: expected a whole number, found \"five\"; stopped (--strict)\n"
    );
    assert_eq!(
        ran.count("finding"),
        1,
        "what came before was decided: {ran}"
    );
    assert_eq!(ran.count("plan"), 2);
}

#[test]
fn strict_has_nothing_against_good_records() {
    let here = Folder::with("f", lines([finding(1), finding(2)]));
    assert_eq!(here.replay("f --strict"), here.replay("f").succeeds());
}

#[test]
fn records_that_share_a_line_are_told_apart_by_their_number() {
    let array = json!([finding(1), 5, finding(2), "x"]).to_string();
    let ran = Folder::with("f.json", array).replay("f.json").exits(1);
    let ran = ran.complains("f.json:1 (record 2): expected an object, found 5");
    let ran = ran.complains("f.json:1 (record 4): expected an object, found \"x\"");
    assert_eq!(ran.count("finding"), 2);
}

#[test]
fn in_a_printed_array_the_line_is_the_one_where_the_record_begins() {
    let text = "[\n  {\n    \"persistence\": 9\n  },\n  {\n    \"persistence\": \"x\"\n  }\n]\n";
    let ran = Folder::with("f.json", text).replay("f.json").exits(1);
    ran.complains("f.json:5: persistence: ");
}

#[test]
fn bad_records_are_counted_in_json_too() {
    let here = Folder::with("f", lines([finding(1), json!(5), json!("x")]));
    let done = here.replay("f --format json").exits(1).done();
    assert_eq!(done["bad_records"], 2);
    assert_eq!(done["findings"], 1);
}

#[test]
fn a_complaint_is_one_line_however_much_it_complains_of() {
    let bad = finding_with("persistence", json!("x\n".repeat(100_000))).to_string();
    let ran = between_good_lines(bad, "persistence: expected a whole number, found ");
    assert!(ran.err.len() < 200, "{} bytes", ran.err.len());
}

#[test]
fn what_cannot_be_read_counts_for_more_than_what_is_bad() {
    let here = Folder::with("bad", "5\n");
    here.replay("bad missing").exits(3);
    here.replay("missing bad").exits(3);
}
