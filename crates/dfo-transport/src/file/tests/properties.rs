//! What holds for any bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use super::*;

/// Text made of what matters to the search, so that every state meets every byte.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "\n",
        "\n",
        "\"",
        "\"",
        "\\",
        ",",
        ":",
        " ",
        "\r",
        "\t",
        "1",
        "xy",
        "{\"a\":1}",
        "\"a\":",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "\n  {",
        "{\n",
    ]);
    vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => jsonish(), 1 => vec(any::<u8>(), 0..200)]
        .prop_filter("gzip is another matter", |bytes| {
            !bytes.starts_with(&[0x1f, 0x8b])
        })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            object_of(inner)
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    object_of(value())
}

fn object_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((string(), value), 0..5).prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into())
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"}],{["\"#.to_owned()),
        Just("\u{2028}\n\\".to_owned()),
        "\\PC{0,6}"
    ]
}

fn pretty(value: &Value, indent: &str) -> String {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    serde::Serialize::serialize(value, &mut Serializer::with_formatter(&mut text, formatter))
        .unwrap();
    String::from_utf8(text).unwrap()
}

fn parsed(text: &str) -> Vec<Value> {
    texts(text)
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

fn joined<'a>(values: &'a [Value], with: &str, print: impl Fn(&'a Value) -> String) -> String {
    values.iter().map(print).collect::<Vec<_>>().join(with)
}

fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .filter(|&byte| !is_blank(byte))
        .collect()
}

proptest! {
    #[test]
    fn every_byte_ends_up_in_one_record(input in any_bytes()) {
        let text = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&input);
        let mut kept = Vec::new();
        for found in all(&mut reading(&input)).unwrap() {
            let Found::Text(_, text) = found else { panic!("too large") };
            prop_assert!(text.first().is_some_and(|&byte| !is_blank(byte)));
            prop_assert!(text.last().is_some_and(|&byte| !is_blank(byte)));
            kept.extend(without_blanks(&text));
        }
        let text = without_blanks(text);
        if text.first() == Some(&b'[') {
            // In an array commas and two brackets are dropped; nothing else, and nothing moves.
            let mut kept = kept.into_iter().peekable();
            let dropped: Vec<u8> = text.into_iter().filter(|byte| kept.next_if_eq(byte).is_none()).collect();
            prop_assert_eq!(kept.next(), None);
            prop_assert!(dropped.iter().all(|byte| b"[],".contains(byte)), "{:?}", dropped);
            prop_assert_eq!(memchr_iter(b'[', &dropped).count(), 1);
            prop_assert!(memchr_iter(b']', &dropped).count() <= 1);
        } else {
            prop_assert_eq!(kept, text);
        }
    }

    #[test]
    fn a_record_begins_on_the_line_it_says(input in any_bytes()) {
        let lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
        for found in all(&mut reading(&input)).unwrap() {
            let Found::Text(line, text) = found else { panic!("too large") };
            let first = text.split(|&byte| byte == b'\n').next().unwrap();
            let first = &first[..trimmed_length(first)];
            let line = lines[usize::try_from(line).unwrap() - 1];
            prop_assert!(line.windows(first.len()).any(|part| part == first));
        }
    }

    #[test]
    fn how_the_bytes_arrive_makes_no_difference(
        input in any_bytes(),
        pieces in vec(1_usize..20, 1..5),
        chunk in 3_usize..30,
        limit in 0_usize..40,
    ) {
        let whole = all(&mut reading(&input).with_limit(limit)).unwrap();
        let mut pieced = Records::from_reader("f", Script::pieces(&input, &pieces)).with_limit(limit);
        prop_assert_eq!(&all(&mut pieced).unwrap(), &whole);
        let mut chunked = reading(&input).with_limit(limit);
        chunked.window = chunked.window.with_chunk(chunk);
        prop_assert_eq!(&all(&mut chunked).unwrap(), &whole);
        prop_assert!(chunked.window.capacity() <= limit + chunk);
        let mut bytewise = Records::from_reader("f", Script::pieces(&input, &[1])).with_limit(limit);
        prop_assert_eq!(&all(&mut bytewise).unwrap(), &whole);
    }

    #[test]
    fn the_limit_changes_nothing_but_what_is_held(input in any_bytes(), limit in 0_usize..40) {
        let expected: Vec<Found> = all(&mut reading(&input)).unwrap().into_iter().map(|found| match found {
            Found::Text(line, text) if text.len() > limit => Found::TooLarge(line, text.len() as u64),
            found => found,
        }).collect();
        prop_assert_eq!(all(&mut reading(&input).with_limit(limit)).unwrap(), expected);
    }

    #[test]
    fn gzip_of_a_text_reads_as_the_text(input in any_bytes(), cut in any::<prop::sample::Index>()) {
        let plain = all(&mut reading(&input)).unwrap();
        prop_assert_eq!(&all(&mut reading(gzip(&input))).unwrap(), &plain);
        let (one, two) = input.split_at(cut.index(input.len() + 1));
        prop_assert_eq!(&all(&mut reading([gzip(one), gzip(two)].concat())).unwrap(), &plain);
    }

    #[test]
    fn damaged_gzip_ends(input in any_bytes(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut damaged = gzip(input);
        let at = at.index(damaged.len());
        damaged[at] ^= 1_u8 << bit;
        let mut records = reading(damaged);
        let _ = all(&mut records);
        prop_assert!(records.next_record().unwrap().is_none());
    }

    #[test]
    fn lines_and_printed_objects_hold_the_same_objects(objects in vec(object(), 0..6)) {
        for end in ["\n", "\r\n", "\n\n"] {
            prop_assert_eq!(&parsed(&joined(&objects, end, Value::to_string)), &objects);
        }
        for indent in ["", "  ", "\t"] {
            prop_assert_eq!(&parsed(&joined(&objects, "\n", |value| pretty(value, indent))), &objects);
        }
    }

    #[test]
    fn an_array_holds_its_values_however_it_is_printed(values in vec(value(), 0..6)) {
        let array = Value::from(values.clone());
        prop_assert_eq!(&parsed(&array.to_string()), &values);
        for indent in ["", "  ", "\t"] {
            prop_assert_eq!(&parsed(&pretty(&array, indent)), &values);
        }
        let element_by_line = format!("[\n{}\n]\n", joined(&values, ",\n", Value::to_string));
        prop_assert_eq!(&parsed(&element_by_line), &values);
    }

    #[test]
    fn a_cut_line_among_objects_costs_only_itself(
        before in vec(object(), 0..3),
        cut in object(),
        at in any::<prop::sample::Index>(),
        after in vec(object(), 1..3),
    ) {
        let cut = cut.to_string();
        let length = (1..=at.index(cut.len()).max(1)).rev().find(|&length| cut.is_char_boundary(length));
        let cut = &cut[..length.unwrap()];
        let text = [joined(&before, "\n", Value::to_string), cut.to_owned(), joined(&after, "\n", Value::to_string)];
        let found = texts(text.join("\n"));
        let expected: Vec<String> = before.iter().map(Value::to_string)
            .chain([cut[..trimmed_length(cut.as_bytes())].to_owned()])
            .chain(after.iter().map(Value::to_string))
            .collect();
        prop_assert_eq!(found, expected);
    }
}
