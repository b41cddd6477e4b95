//! Well-formed input, in every layout.

use super::*;

#[test]
fn each_line_is_a_record() {
    assert_eq!(
        texts("{\"a\":1}\n{\"b\":2}\n"),
        [r#"{"a":1}"#, r#"{"b":2}"#]
    );
    assert_eq!(texts("1\n\"x\"\nnull\n[2]"), ["1", "\"x\"", "null", "[2]"]);
}

#[test]
fn the_last_line_needs_no_line_end() {
    assert_eq!(texts("{\"a\":1}\n{\"b\":2}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
}

#[test]
fn carriage_returns_and_blanks_around_a_record_are_not_part_of_it() {
    assert_eq!(
        texts("{\"a\":1}\r\n \t{\"b\":2} \r\n"),
        [r#"{"a":1}"#, r#"{"b":2}"#]
    );
    assert_eq!(texts("[\r\n  1 ,\r\n  2\r\n]\r\n"), ["1", "2"]);
}

#[test]
fn only_a_newline_ends_a_line() {
    let text = "{\"a\":\"x\u{2028}y\u{2029}z\u{85}\"}\n{\"b\":\u{c}2}\n1\r2\n";
    assert_eq!(
        texts(text),
        [
            "{\"a\":\"x\u{2028}y\u{2029}z\u{85}\"}",
            "{\"b\":\u{c}2}",
            "1\r2"
        ]
    );
}

#[test]
fn blank_lines_are_passed_over_and_counted() {
    assert_eq!(lines("\n{\"a\":1}\n\n \t\r\n{\"b\":2}\n\n"), [2, 5]);
    assert_eq!(lines("\n[\n1,\n\n2, 3\n]\n\n4"), [3, 5, 5, 8]);
}

#[test]
fn nothing_holds_no_records() {
    for empty in [
        "",
        "\n",
        " \r\n\t\n",
        "\u{feff}",
        "\u{feff}\n",
        "[]",
        "[ \n ]\n",
        "[",
    ] {
        assert!(texts(empty).is_empty(), "{empty:?}");
    }
}

#[test]
fn a_byte_order_mark_at_the_start_is_skipped() {
    assert_eq!(texts("\u{feff}{\"a\":1}"), [r#"{"a":1}"#]);
    assert_eq!(texts("\u{feff}[1]"), ["1"]);
    let bytewise = Script::pieces("\u{feff}1\n".as_bytes(), &[1]);
    assert_eq!(texts_of(&mut Records::from_reader("f", bytewise)), ["1"]);
}

#[test]
fn half_a_byte_order_mark_is_text() {
    assert_eq!(
        all(&mut reading(b"\xef\xbb")).unwrap(),
        [Found::Text(1, b"\xef\xbb".to_vec())]
    );
}

#[test]
fn the_elements_of_an_array_are_records() {
    let elements = [r#"{"a":1}"#, "2", r#""x""#, "[3,[4]]", "null"];
    assert_eq!(texts(r#"[{"a":1},2,"x",[3,[4]],null]"#), elements);
    assert_eq!(
        texts("[\n{\"a\":1},\n2\n,\"x\" ,\n\n[3,[4]], null\n]\n"),
        elements
    );
}

#[test]
fn an_element_is_the_exact_text() {
    assert_eq!(
        texts("[\n  {\n    \"a\": 1\n  },\n  {}\n]"),
        ["{\n    \"a\": 1\n  }", "{}"]
    );
    assert_eq!(lines("[\n  {\n    \"a\": 1\n  },\n  {}\n]"), [2, 5]);
}

#[test]
fn what_follows_an_array_is_read_as_lines() {
    assert_eq!(
        texts("[1]\n{\"a\":1}\n{\"b\":2}\n"),
        ["1", r#"{"a":1}"#, r#"{"b":2}"#]
    );
    assert_eq!(texts("[1] [2]\n[3]"), ["1", "[2]", "[3]"]);
    assert_eq!(texts("[1]]\n2"), ["1", "]", "2"]);
}

#[test]
fn an_object_goes_on_over_lines_until_its_brackets_close() {
    let object =
        "{\n  \"a\": {\n    \"b\": [\n      1,\n      {\n        \"c\": {}\n      }\n    ]\n  }\n}";
    assert_eq!(texts(object), [object]);
    assert_eq!(texts(format!("{object}\n{object}\n")), [object, object]);
    assert_eq!(lines(format!("{object}\n\n{object}\n1")), [1, 12, 22]);
}

#[test]
fn lines_and_printed_objects_mix() {
    let text = "{\"a\":1}\n{\n  \"b\": 2\n}\n{\"c\":3}\n";
    assert_eq!(
        texts(text),
        [r#"{"a":1}"#, "{\n  \"b\": 2\n}", r#"{"c":3}"#]
    );
}

#[test]
fn printed_objects_may_touch() {
    assert_eq!(
        texts("{\n\"a\": 1\n}{\n\"b\": 2\n}"),
        ["{\n\"a\": 1\n}", "{\n\"b\": 2\n}"]
    );
}

#[test]
fn an_object_may_be_printed_without_indentation() {
    let object = "{\n\"a\": [\n{\n\"b\":\n{\n\"c\": 1\n}\n},\n{\n\"d\": 2\n}\n]\n}";
    assert_eq!(texts(object), [object]);
    assert_eq!(
        texts(format!("[\n{object},\n{object}\n]")),
        [object, object]
    );
}

#[test]
fn an_object_may_be_written_by_hand() {
    let object = "{\"knobs\": [\n  {\"name\": \"a\"},\n  {\"name\": \"b\"}\n]}";
    assert_eq!(texts(object), [object]);
    let object = "{ \"name\": \"a\",\n\n  \"range\": [0,\n 16] }";
    assert_eq!(texts(object), [object]);
}

#[test]
fn brackets_and_quotes_in_strings_do_not_count() {
    let object = "{\n\"}]\\\"}\": \"\\\\\", \"b\": \"{[\\\\\\\"{\"\n}";
    assert_eq!(texts(format!("{object}\n1")), [object, "1"]);
    assert_eq!(
        texts(format!("[{object},\"],\\\"\",1]")),
        [object, "\"],\\\"\"", "1"]
    );
}

#[test]
fn brackets_nest_to_any_depth() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(texts(format!("[{deep},1]")), [deep.as_str(), "1"]);
    let object = format!("{{\n\"a\":{deep}\n}}");
    assert_eq!(texts(format!("{object}\n1")), [object.as_str(), "1"]);
}
