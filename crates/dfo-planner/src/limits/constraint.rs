//! What knobs may come to together: `dlio.read_threads * dlio.prefetch_size <= 64`.
//!
//! An expression of numbers, knob ids, `+ - * /` and brackets on each side of one comparison. An id
//! that holds other characters than letters, digits, `_` and `.` stands in backquotes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decision::Name;

/// What must hold of the values in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    text: Name,
    left: Term,
    comparison: Comparison,
    right: Term,
    knobs: Vec<Name>,
}

/// A constraint that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintError {
    text: String,
    /// The place, in characters from 1.
    column: usize,
    expected: &'static str,
}

/// What both sides come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sides {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) holds: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Number(f64),
    /// A knob, by its place in the list of all that are named.
    Knob(usize),
    Negated(Box<Term>),
    Both(Box<Term>, Operator, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Divided,
}

impl Constraint {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn text(&self) -> &Name {
        &self.text
    }

    /// The knobs that it names, each once.
    pub fn knobs(&self) -> impl Iterator<Item = &str> {
        self.knobs.iter().map(Name::as_str)
    }

    pub(crate) fn names(&self, knob: &str) -> bool {
        self.knobs.iter().any(|name| name == knob)
    }

    /// Computes both sides; `value` gives a knob's value. The first knob that has none that is a number
    /// is the error.
    pub(crate) fn sides(&self, value: impl Fn(&str) -> Option<f64>) -> Result<Sides, &Name> {
        let mut values = Vec::with_capacity(self.knobs.len());
        for knob in &self.knobs {
            values.push(value(knob).ok_or(knob)?);
        }
        let (left, right) = (self.left.value(&values), self.right.value(&values));
        // What is no number (0 ÷ 0) holds nothing.
        let holds = match self.comparison {
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Greater => left > right,
            Comparison::AtLeast => left >= right,
        };
        Ok(Sides { left, right, holds })
    }

    /// By how much the sides miss the comparison; more is worse.
    pub(crate) fn miss(&self, sides: Sides) -> f64 {
        match self.comparison {
            Comparison::Less | Comparison::AtMost => sides.left - sides.right,
            Comparison::Greater | Comparison::AtLeast => sides.right - sides.left,
        }
    }
}

impl Term {
    fn value(&self, knobs: &[f64]) -> f64 {
        match self {
            Term::Number(number) => *number,
            Term::Knob(at) => knobs.get(*at).copied().unwrap_or(f64::NAN),
            Term::Negated(term) => -term.value(knobs),
            Term::Both(left, operator, right) => {
                let (left, right) = (left.value(knobs), right.value(knobs));
                match operator {
                    Operator::Plus => left + right,
                    Operator::Minus => left - right,
                    Operator::Times => left * right,
                    Operator::Divided => left / right,
                }
            }
        }
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let mut parser = Parser {
            text,
            at: 0,
            knobs: Vec::new(),
            depth: 0,
        };
        let left = parser.sum()?;
        let comparison = parser.comparison()?;
        let right = parser.sum()?;
        if parser.peek().is_some() {
            return Err(parser.expected("the end, or + - * /"));
        }
        if parser.knobs.is_empty() {
            return Err(parser.expected("a knob on one side at least"));
        }
        Ok(Constraint {
            text: text.trim().into(),
            left,
            comparison,
            right,
            knobs: parser.knobs,
        })
    }
}

/// Reads an expression from left to right.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    knobs: Vec<Name>,
    /// Brackets and signs within which it reads.
    depth: usize,
}

/// Nobody nests deeper; the stack is not for the text to choose.
const DEEPEST: usize = 64;

impl Parser<'_> {
    fn sum(&mut self) -> Result<Term, ConstraintError> {
        let mut term = self.product()?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Plus,
                Some('-') => Operator::Minus,
                _ => return Ok(term),
            };
            self.at += 1;
            let next = self.product()?;
            term = Term::Both(Box::new(term), operator, Box::new(next));
        }
    }

    fn product(&mut self) -> Result<Term, ConstraintError> {
        let mut term = self.factor()?;
        loop {
            let operator = match self.peek() {
                Some('*') => Operator::Times,
                Some('/') => Operator::Divided,
                _ => return Ok(term),
            };
            self.at += 1;
            let next = self.factor()?;
            term = Term::Both(Box::new(term), operator, Box::new(next));
        }
    }

    fn factor(&mut self) -> Result<Term, ConstraintError> {
        if self.depth == DEEPEST {
            return Err(self.expected("fewer brackets and signs"));
        }
        self.depth += 1;
        let term = match self.peek() {
            Some('-') => {
                self.at += 1;
                Term::Negated(Box::new(self.factor()?))
            }
            Some('(') => {
                self.at += 1;
                let term = self.sum()?;
                if self.peek() != Some(')') {
                    return Err(self.expected(")"));
                }
                self.at += 1;
                term
            }
            Some('`') => self.quoted_knob()?,
            Some(c) if c.is_ascii_digit() || c == '.' => self.number()?,
            Some(c) if is_of_name(c) => self.knob(),
            _ => return Err(self.expected("a number, a knob or (")),
        };
        self.depth -= 1;
        Ok(term)
    }

    fn number(&mut self) -> Result<Term, ConstraintError> {
        let rest = &self.text[self.at..];
        // A sign belongs to a number only behind its exponent.
        let mut before = ' ';
        let length = rest.find(|c: char| {
            let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
            before = c;
            !(is_sign || c.is_ascii_alphanumeric() || c == '.' || c == '_')
        });
        let text = &rest[..length.unwrap_or(rest.len())];
        let number = text.replace('_', "").parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite());
        let number = number.ok_or_else(|| self.expected("a number"))?;
        self.at += text.len();
        Ok(Term::Number(number))
    }

    fn knob(&mut self) -> Term {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !is_of_name(c));
        let name = &rest[..length.unwrap_or(rest.len())];
        self.at += name.len();
        self.named(name.into())
    }

    fn quoted_knob(&mut self) -> Result<Term, ConstraintError> {
        let rest = &self.text[self.at + 1..];
        let end = rest.find('`').filter(|end| *end > 0);
        let end = end.ok_or_else(|| self.expected("a knob's id and a closing `"))?;
        let name = rest[..end].into();
        self.at += end + 2;
        Ok(self.named(name))
    }

    fn named(&mut self, name: Name) -> Term {
        let known = self.knobs.iter().position(|knob| *knob == name);
        Term::Knob(known.unwrap_or_else(|| {
            self.knobs.push(name);
            self.knobs.len() - 1
        }))
    }

    fn comparison(&mut self) -> Result<Comparison, ConstraintError> {
        let first = self.peek();
        let is_or_equal = self.text[self.at..].chars().nth(1) == Some('=');
        let comparison = match (first, is_or_equal) {
            (Some('<'), true) => Comparison::AtMost,
            (Some('<'), false) => Comparison::Less,
            (Some('>'), true) => Comparison::AtLeast,
            (Some('>'), false) => Comparison::Greater,
            _ => return Err(self.expected("<= < >= > or + - * /")),
        };
        self.at += if is_or_equal { 2 } else { 1 };
        Ok(comparison)
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn expected(&self, expected: &'static str) -> ConstraintError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        ConstraintError {
            text: self.text.to_owned(),
            column: before.chars().count() + 1,
            expected,
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConstraintError {
            text,
            column,
            expected,
        } = self;
        write!(
            f,
            "constraint {text:?}: expected {expected} at character {column}; write it as in \
             \"dlio.read_threads * dlio.prefetch_size <= 64\""
        )
    }
}

impl std::error::Error for ConstraintError {}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let values = |knob: &str| match knob {
            "a.x" => Some(4.0),
            "b_2" => Some(3.0),
            "odd-name" => Some(0.5),
            _ => None,
        };
        text.parse::<Constraint>()
            .unwrap()
            .sides(values)
            .unwrap()
            .holds
    }

    #[test]
    fn arithmetic_is_the_usual() {
        for (text, expected) in [
            ("a.x * b_2 <= 12", true),
            ("a.x*b_2<12", false),
            ("a.x + b_2 * 2 >= 10", true),
            ("(a.x + b_2) * 2 > 14", false),
            ("a.x - b_2 - 1 <= 0", true),
            ("a.x / b_2 / 2 < 0.7", true),
            ("-a.x < -3.5", true),
            ("--a.x >= 4", true),
            ("1e3 > a.x * 2.5e+2 - 1", true),
            ("1_000 >= a.x", true),
            ("`odd-name` * 2 <= 1", true),
            ("a.x / (b_2 - 3) <= 1", false),
            ("(a.x - 4) / (b_2 - 3) <= 1", false),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_knob_without_a_number_is_named() {
        let constraint: Constraint = "a.x + other * other <= 1".parse().unwrap();
        assert_eq!(constraint.knobs().collect::<Vec<_>>(), ["a.x", "other"]);
        let told = constraint.sides(|knob| (knob == "a.x").then_some(1.0));
        assert_eq!(told.unwrap_err(), "other");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, column, expected) in [
            ("", 1, "a number, a knob or ("),
            ("a <= ", 6, "a number, a knob or ("),
            ("a * <= 3", 5, "a number, a knob or ("),
            ("a b <= 3", 3, "<= < >= > or + - * /"),
            ("(a <= 3", 4, ")"),
            ("a <= 3 <= 4", 8, "the end, or + - * /"),
            ("1 <= 3", 7, "a knob on one side at least"),
            ("a <= 1.2.3", 6, "a number"),
            ("a <= 12x", 6, "a number"),
            ("a <= 1e999", 6, "a number"),
            ("`a <= 3", 1, "a knob's id and a closing `"),
            ("`` <= 3", 1, "a knob's id and a closing `"),
            ("ä ? 3", 3, "<= < >= > or + - * /"),
            ("a == 3", 3, "<= < >= > or + - * /"),
        ] {
            let error = text.parse::<Constraint>().unwrap_err();
            assert_eq!((error.column, error.expected), (column, expected), "{text}");
        }
        let deep = format!("{}a <= 3", "-".repeat(1000));
        assert!(deep.parse::<Constraint>().is_err());
    }
}
