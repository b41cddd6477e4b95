//! What Python's `json` writes and strict JSON has no place for.
//!
//! The bare tokens `NaN`, `Infinity` and `-Infinity`, floats beyond the range of 64 bits and ints
//! beyond 64 bits become *marked strings*: strings that begin with a character no message has
//! cause to use. The tree that is read from them keeps the knowledge of what stood there.

use std::borrow::Cow;

use memchr::memchr2;

/// The first character of a marked string.
const MARK: char = '\0';
/// The same, as it has to be written in JSON.
const MARK_IN_JSON: &str = "\\u0000";

/// A number that strict JSON, or 64 bits, cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd<'t> {
    /// `NaN`, `Infinity`, `-Infinity`: the token. A float that overflows is an infinity.
    NotFinite(&'t str),
    /// An int beyond 64 bits, with the int it saturates to.
    BigInt(i64),
}

/// Reads a marked string back.
pub(super) fn odd_number(text: &str) -> Option<Odd<'_>> {
    match text.strip_prefix(MARK)? {
        "int" => Some(Odd::BigInt(i64::MAX)),
        "-int" => Some(Odd::BigInt(i64::MIN)),
        token @ ("NaN" | "Infinity" | "-Infinity") => Some(Odd::NotFinite(token)),
        _ => None,
    }
}

/// A string that is no odd number, without the mark that kept it from looking like one.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// The same text with marked strings in place of odd numbers. Borrows when there are none.
pub(super) fn to_strict_json(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut strict = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => {
                let end = end_of_string(bytes, at + 1);
                // A real text that begins like a marked one is marked itself, and so is none.
                if text[at + 1..].starts_with(MARK_IN_JSON) && !is_name(&bytes[end..]) {
                    strict.push_str(&text[copied..=at]);
                    strict.push_str(MARK_IN_JSON);
                    copied = at + 1;
                }
                at = end;
                continue;
            }
            b'N' | b'I' | b'-' | b'0'..=b'9' => end_of_token(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        if let Some(mark) = mark_for(&text[at..end]) {
            strict.push_str(&text[copied..at]);
            strict.push('"');
            strict.push_str(MARK_IN_JSON);
            strict.push_str(mark);
            strict.push('"');
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    strict.push_str(&text[copied..]);
    Cow::Owned(strict)
}

fn mark_for(token: &str) -> Option<&'static str> {
    match token {
        "NaN" => return Some("NaN"),
        "Infinity" => return Some("Infinity"),
        "-Infinity" => return Some("-Infinity"),
        _ => {}
    }
    let negative = token.starts_with('-');
    let digits = &token[usize::from(negative)..];
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let fits = digits.is_empty() || token.parse::<i64>().is_ok();
        (!fits).then_some(if negative { "-int" } else { "int" })
    } else {
        let overflows = token.parse::<f64>().is_ok_and(f64::is_infinite);
        overflows.then_some(if negative { "-Infinity" } else { "Infinity" })
    }
}

/// Whether the string before `rest` names a field: names are never taken for numbers.
fn is_name(rest: &[u8]) -> bool {
    rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
}

/// The first byte after the string whose first character is at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn end_of_token(bytes: &[u8], start: usize) -> usize {
    let of_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let length = bytes[start..].iter().take_while(|b| of_token(b)).count();
    start + length.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_become_marked_strings() {
        for (text, strict) in [
            ("[NaN]", "[\"\\u0000NaN\"]"),
            (
                "[Infinity,-Infinity]",
                "[\"\\u0000Infinity\",\"\\u0000-Infinity\"]",
            ),
            (
                "[1e999,-1e999]",
                "[\"\\u0000Infinity\",\"\\u0000-Infinity\"]",
            ),
            (
                "[9223372036854775808,-9223372036854775809]",
                "[\"\\u0000int\",\"\\u0000-int\"]",
            ),
        ] {
            assert_eq!(to_strict_json(text), strict);
            assert!(serde_json::from_str::<serde_json::Value>(strict).is_ok());
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            r#"{"NaN": "Infinity", "a": "x \" NaN", "b": -1.5e-3}"#,
            "[9223372036854775807, -9223372036854775808, 0, -0.0, 1e308]",
            "NaNs",
            "-",
            "\"unterminated NaN",
            "\"ends in a backslash\\",
            "é NaNé",
        ] {
            let is_same = matches!(to_strict_json(text), Cow::Borrowed(t) if t == text);
            assert!(is_same || text.starts_with('é'), "{text}");
        }
    }

    #[test]
    fn a_real_string_is_never_a_number() {
        let text = "[\"\\u0000int\"]";
        let tree: serde_json::Value = serde_json::from_str(&to_strict_json(text)).unwrap();
        let text = tree[0].as_str().unwrap();
        assert_eq!((odd_number(text), unmarked(text)), (None, "\0int"));
        let names = "{\"\\u0000a\" : \"\\u0000b\"}";
        let tree: serde_json::Value = serde_json::from_str(&to_strict_json(names)).unwrap();
        assert_eq!(unmarked(tree["\0a"].as_str().unwrap()), "\0b");
    }

    #[test]
    fn marked_strings_are_read_back() {
        assert_eq!(odd_number("\0NaN"), Some(Odd::NotFinite("NaN")));
        assert_eq!(odd_number("\0-int"), Some(Odd::BigInt(i64::MIN)));
        assert_eq!(odd_number("NaN"), None);
        assert_eq!(odd_number("\0else"), None);
    }
}
