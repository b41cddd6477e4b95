//! From bytes to messages: everything that is wrong is found and named, nothing is guessed.
//!
//! A message is read as a tree first ([`read`]), then field by field ([`fields::Fields`]), so that
//! one wrong field does not hide the next. [`crate::FindingView`] has a faster way for the findings
//! that are in order, and comes here with the others.

pub(crate) mod fields;
mod named;
mod python;

use std::fmt;
use std::marker::PhantomData;

pub(crate) use fields::Tree;
use fields::{Fields, Problems};
pub(crate) use named::Shape;
use serde::de::DeserializeSeed;

/// What decoding made of some bytes: the message, if there is one, and all that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<T> {
    /// The message. `None` if it cannot be used. A registration is usable without its wrong knobs.
    pub message: Option<T>,
    /// Everything wrong, in the order of reading; unknown fields too.
    pub problems: Vec<Problem>,
}

/// One thing wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the path of the field, such as `knobs.readers.range[1]`; empty for the whole message.
    pub path: String,
    /// What is wrong, and what was expected.
    pub what: String,
    /// Whether it matters on the wire.
    pub kind: ProblemKind,
}

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The field is passed over on the wire. In a file written by a person it is likely a typing error.
    UnknownField,
    /// The field, and what hangs on it, cannot be used.
    Wrong,
}

impl<T> Decoded<T> {
    /// The message, or the first thing that is wrong with it. Unknown fields are no obstacle.
    ///
    /// # Errors
    /// The first problem, if there is no message.
    pub fn into_result(self) -> Result<T, Problem> {
        let whole = || Problem::wrong("", "not a message");
        self.message.ok_or_else(|| {
            let mut wrong = self.problems.into_iter();
            wrong
                .find(|p| p.kind == ProblemKind::Wrong)
                .unwrap_or_else(whole)
        })
    }
}

impl Problem {
    /// A wrong field.
    pub(crate) fn wrong(path: impl Into<String>, what: impl Into<String>) -> Self {
        let (path, what) = (path.into(), what.into());
        Problem {
            path,
            what,
            kind: ProblemKind::Wrong,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

/// Reads one JSON object with `read`, which says whether what it read can be used.
pub(crate) fn read<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Fields<'_, '_>) -> Option<T>,
) -> Decoded<T> {
    let mut problems = Problems::default();
    let message = match tree(bytes) {
        Ok(tree) => Fields::of(&tree, String::new(), &mut problems).and_then(|mut fields| {
            let message = read(&mut fields);
            fields.report_unknown();
            message
        }),
        Err(problem) => {
            problems.all.push(problem);
            None
        }
    };
    Decoded {
        message,
        problems: problems.all,
    }
}

/// A message in which every field counts: any wrong one spoils it.
pub(crate) fn read_strict<T>(
    bytes: &[u8],
    reader: impl FnOnce(&mut Fields<'_, '_>) -> Option<T>,
) -> Decoded<T> {
    let mut decoded = read(bytes, reader);
    let spoilt = |p: &Problem| p.kind == ProblemKind::Wrong;
    if decoded.problems.iter().any(spoilt) {
        decoded.message = None;
    }
    decoded
}

/// The same for a message of which only the named fields are asked for: the others are not held.
pub(crate) fn read_named<T>(
    bytes: &[u8],
    fields: &[(&str, Shape)],
    read: impl FnOnce(&mut Fields<'_, '_>) -> T,
) -> Result<T, Problem> {
    let tree = parse(bytes, named::Named(fields))?;
    let mut problems = Problems::default();
    let message = Fields::of(&tree, String::new(), &mut problems).map(|mut f| read(&mut f));
    let wrong = problems.all.into_iter().next();
    message
        .filter(|_| wrong.is_none())
        .ok_or_else(|| wrong.unwrap_or_else(|| Problem::wrong("", "not a message")))
}

pub(crate) fn tree(bytes: &[u8]) -> Result<Tree, Problem> {
    parse(bytes, PhantomData)
}

fn parse<S>(bytes: &[u8], seed: S) -> Result<Tree, Problem>
where
    S: for<'de> DeserializeSeed<'de, Value = Tree>,
{
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        Problem::wrong("", format!("not UTF-8: a wrong byte at {at}"))
    })?;
    if text.trim().is_empty() {
        return Err(Problem::wrong("", "empty: expected a JSON object"));
    }
    let text = python::to_strict_json(text);
    let mut json = serde_json::Deserializer::from_str(&text);
    let tree = seed.deserialize(&mut json);
    let tree = tree.and_then(|tree| json.end().map(|()| tree));
    tree.map_err(|e| not_json(&e))
}

/// The error without its line where there is only one, since the caller knows the line better.
fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let place = match (error.line(), error.column()) {
        (0, _) => String::new(),
        (1, column) => format!(" at column {column}"),
        (line, column) => format!(" at its line {line}, column {column}"),
    };
    Problem::wrong("", format!("not JSON: {what}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        tree(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        assert_eq!(problem(b""), "empty: expected a JSON object");
        assert_eq!(
            problem(b"{\"a\": \"\xff\"}"),
            "not UTF-8: a wrong byte at 7"
        );
        assert_eq!(
            problem(b"{\"a\": \"x"),
            "not JSON: EOF while parsing a string at column 8"
        );
        assert_eq!(
            problem(b"{\n\"a\": x}"),
            "not JSON: expected value at its line 2, column 6"
        );
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        assert_eq!(
            problem(&deep),
            "not JSON: recursion limit exceeded at column 128"
        );
    }

    #[test]
    fn a_message_is_an_object() {
        for (text, found) in [
            ("[1]", "a list"),
            ("null", "null"),
            ("3", "3"),
            ("\"x\"", "\"x\""),
            ("NaN", "NaN"),
        ] {
            let decoded = read(text.as_bytes(), |_| Some(()));
            assert_eq!(decoded.message, None);
            assert_eq!(
                decoded.problems[0].to_string(),
                format!("expected an object, found {found}")
            );
        }
    }

    #[test]
    fn into_result_passes_over_unknown_fields() {
        let decoded = read(br#"{"a": 1}"#, |_| Some(5));
        assert_eq!(decoded.problems[0].to_string(), "a: unknown field");
        assert_eq!(decoded.into_result(), Ok(5));
    }
}
