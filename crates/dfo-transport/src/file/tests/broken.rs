//! Broken text: it becomes a record to report, and costs no neighbour.

use super::*;

#[test]
fn a_truncated_line_does_not_swallow_the_next() {
    for cut in [
        "{",
        r#"{"a"#,
        r#"{"a""#,
        r#"{"a":"#,
        r#"{"a": 1"#,
        r#"{"a": 1,"#,
        r#"{"a": "x"#,
        r#"{"a": "x\"#,
        r#"{"a": [1,"#,
        r#"{"a": ["#,
        r#"{"a": {"b": {"#,
        r#"{"a": {"b": [{}"#,
    ] {
        let next = [r#"{"b": 2}"#, r#"{"c": 3}"#];
        for between in ["\n", "\r\n", "\n\n \n"] {
            let text = format!("{cut}{between}{}\n{}\n", next[0], next[1]);
            assert_eq!(texts(&text), [cut, next[0], next[1]], "{text:?}");
        }
    }
}

#[test]
fn a_line_cut_inside_a_string_ends_there_whatever_follows() {
    assert_eq!(texts("{\"a\": \"x\n1\n"), ["{\"a\": \"x", "1"]);
}

#[test]
fn a_line_with_text_after_its_object_is_one_record() {
    assert_eq!(
        texts("{\"a\":1} x\n{\"b\":2},\n3"),
        ["{\"a\":1} x", "{\"b\":2},", "3"]
    );
    assert_eq!(texts("{\"a\":1} {\n3"), ["{\"a\":1} {", "3"]);
}

#[test]
fn a_printed_object_cut_by_the_end_of_file_is_one_record() {
    assert_eq!(
        texts("{\n  \"a\": 1,\n  \"b\": [\n"),
        ["{\n  \"a\": 1,\n  \"b\": ["]
    );
    assert_eq!(texts("{\n  \"a\": \"x"), ["{\n  \"a\": \"x"]);
}

#[test]
fn a_printed_object_that_is_cut_does_not_swallow_the_next() {
    let next = "{\n  \"b\": [\n    {\n      \"c\": 2\n    }\n  ]\n}";
    for cut in [
        "{\n  \"a\"",
        "{\n  \"a\": 1",
        "{\n  \"a\": 1,",
        "{\n  \"a\": \"x",
        "{\n  \"a\": {\n    \"b\": 1,",
        "{\n  \"a\": [\n    {\n      \"b\": 1,",
        "{\n  \"a\": [\n    1",
    ] {
        assert_eq!(texts(format!("{cut}\n{next}\n{next}\n")), [cut, next, next]);
    }
}

#[test]
fn a_printed_object_cut_inside_an_inner_array_takes_one_neighbour_at_most() {
    let next = "{\n  \"b\": 2\n}";
    let found = texts(format!("{{\n  \"a\": [\n{next}\n{next}\n{next}\n"));
    assert_eq!(found[1..], [next, next]);
}

#[test]
fn a_line_end_inside_a_string_does_not_take_a_printed_object_apart() {
    let object = "{\n  \"a\": \"x,\n  \"b\": {\n  }\n}";
    assert_eq!(texts(format!("{object}\n1")), [object, "1"]);
}

#[test]
fn a_backslash_before_a_line_end_does_not_reach_into_the_next_string() {
    let object = "{\n  \"a\": \"x\\\n  \"\": 1\n}";
    assert_eq!(texts(format!("{object}\n1")), [object, "1"]);
}

#[test]
fn an_element_ends_with_a_line_end_inside_a_string() {
    let text = "[\n{\"a\": \"x},\n{\"b\": 2},\n{\"c\": 3}\n]\n4";
    assert_eq!(
        texts(text),
        ["{\"a\": \"x},", "{\"b\": 2}", "{\"c\": 3}", "4"]
    );
    assert_eq!(texts("[\"x\n,\"y\\\n,\"z\"]"), ["\"x", "\"y\\", "\"z\""]);
}

#[test]
fn a_truncated_element_does_not_swallow_the_next() {
    for cut in [
        r#"{"a": 1,"#,
        r#"{"a": {"b": [1, 2}"#,
        r#"{"a": "x"#,
        r#"{"a""#,
        "[1",
        "{",
    ] {
        let text = format!("[\n{cut}\n{{\"b\": 2}},\n{{\"c\": 3}}\n]");
        assert_eq!(texts(text), [cut, "{\"b\": 2}", "{\"c\": 3}"]);
    }
}

#[test]
fn a_truncated_array_ends_with_the_incomplete_element() {
    assert_eq!(texts("[{\"a\":1},{\"b\":"), [r#"{"a":1}"#, r#"{"b":"#]);
    assert_eq!(texts("[\n1,\n\"x"), ["1", "\"x"]);
    assert_eq!(texts("[1,\n"), ["1"]);
}

#[test]
fn a_comma_too_many_in_an_array_is_passed_over() {
    assert_eq!(texts("[,1,,{\"a\":1},]"), ["1", r#"{"a":1}"#]);
}

#[test]
fn a_missing_comma_in_an_array_costs_no_element() {
    assert_eq!(
        texts(r#"[{"a":1} {"b":2}[3]4,5]"#),
        [r#"{"a":1}"#, r#"{"b":2}"#, "[3]", "4", "5"]
    );
    assert_eq!(
        texts("[1 {\"a\":1}\n\"x\"\n2]"),
        ["1", r#"{"a":1}"#, "\"x\"", "2"]
    );
    assert_eq!(texts("[1 2]"), ["1 2"]);
}

#[test]
fn odd_text_in_an_array_is_a_record_of_its_own() {
    assert_eq!(
        texts(r#"[{"a":1}x, {"b":2}}, y]"#),
        [r#"{"a":1}"#, "x", r#"{"b":2}"#, "}", "y"]
    );
}

#[test]
fn objects_with_commas_between_but_no_array_around_are_told_apart() {
    assert_eq!(
        texts("{\n\"a\": 1\n},\n{\n\"b\": 2\n}"),
        ["{\n\"a\": 1\n}", ",", "{\n\"b\": 2\n}"]
    );
}

#[test]
fn a_record_need_not_be_utf8() {
    let found = all(&mut reading(b"\xff\xfe{\n{\"\x80\"}\n\0\n")).unwrap();
    let expected = [(1, &b"\xff\xfe{"[..]), (2, b"{\"\x80\"}"), (3, b"\0")];
    assert_eq!(
        found,
        expected.map(|(line, text)| Found::Text(line, text.to_vec()))
    );
}
