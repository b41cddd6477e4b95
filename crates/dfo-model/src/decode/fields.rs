//! Reading an object field by field, collecting what is wrong.

use indexmap::IndexMap;

use super::Problem;
use super::python::{Odd, odd_number, unmarked};
use crate::ProblemKind;
use crate::value::{Number, Value};

/// A JSON value in memory. A string in it may be a marked one (see `python`).
pub(crate) type Tree = serde_json::Value;

/// The fields of one object. Each is asked for by name; at the end, those nobody asked for are
/// [reported](Fields::report_unknown).
pub(crate) struct Fields<'t, 'p> {
    map: &'t serde_json::Map<String, Tree>,
    path: String,
    asked: Vec<&'static str>,
    problems: &'p mut Problems,
}

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Problems {
    pub(crate) all: Vec<Problem>,
    /// How many of them are more than an unknown field.
    wrong: usize,
}

impl Problems {
    fn push(&mut self, problem: Problem) {
        self.wrong += usize::from(problem.kind == ProblemKind::Wrong);
        self.all.push(problem);
    }
}

impl<'t, 'p> Fields<'t, 'p> {
    /// The fields of a tree that should be an object.
    pub(crate) fn of(tree: &'t Tree, path: String, problems: &'p mut Problems) -> Option<Self> {
        if let Tree::Object(map) = tree {
            let asked = Vec::new();
            return Some(Fields {
                map,
                path,
                asked,
                problems,
            });
        }
        problems.push(expected("an object", tree, path));
        None
    }

    /// A text, or the default.
    pub(crate) fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional_text(name)
            .unwrap_or_else(|| default.to_owned())
    }

    /// A text, if there is one.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.read(name, "a string", |tree| plain_text(tree).map(str::to_owned))
    }

    /// A finite number, or the default.
    pub(crate) fn float(&mut self, name: &'static str, default: f64) -> f64 {
        self.number(name).map_or(default, Number::as_f64)
    }

    /// A finite number as it was written, if there is one. An int beyond 64 bits saturates.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<Number> {
        self.read(name, "a finite number", number)
    }

    /// A whole number, or the default. A float that is whole counts; beyond 64 bits it saturates.
    pub(crate) fn whole(&mut self, name: &'static str, default: i64) -> i64 {
        self.read(name, "a whole number", whole).unwrap_or(default)
    }

    /// A whole number, if there is one.
    pub(crate) fn optional_whole(&mut self, name: &'static str) -> Option<i64> {
        self.read(name, "a whole number", whole)
    }

    /// A knob's value, if there is one.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.read(name, VALUE, value)
    }

    /// A list of texts; empty if missing.
    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.list(name, "a list of strings", "a string", |tree| {
            plain_text(tree).map(str::to_owned)
        })
        .unwrap_or_default()
    }

    /// A list of values, if there is one.
    pub(crate) fn values(&mut self, name: &'static str) -> Option<Vec<Value>> {
        self.list(name, "a list of values", VALUE, value)
    }

    /// A list whose items all have to be right, if there is one.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        what: &str,
        what_item: &str,
        item: impl Fn(&Tree) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.read(name, what, Tree::as_array)?;
        let mut good = Vec::with_capacity(items.len());
        for (i, tree) in items.iter().enumerate() {
            match item(tree) {
                Some(t) => good.push(t),
                None => self.problems.push(expected(
                    what_item,
                    tree,
                    format!("{}{name}[{i}]", self.prefix()),
                )),
            }
        }
        (good.len() == items.len()).then_some(good)
    }

    /// The numbers in an object of metrics. What is null, not finite, beyond 64 bits, or no number
    /// at all counts as missing.
    pub(crate) fn metrics(&mut self, name: &'static str) -> IndexMap<String, Number> {
        let Some(map) = self.read(name, "an object of numbers", Tree::as_object) else {
            return IndexMap::new();
        };
        let metrics = map.iter();
        metrics
            .filter_map(|(k, tree)| Some((k.clone(), metric(tree)?)))
            .collect()
    }

    /// One of several words. `None` if it is missing; if it is none of them that is a problem.
    pub(crate) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.optional_text(name)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let known = known.join(", ");
            let found = shortened(&text);
            self.wrong(name, format!("unknown word {found}; one of: {known}"));
        }
        found.map(|(_, value)| *value)
    }

    /// The tree of a field, as it is, if it is there and not null.
    pub(crate) fn tree(&mut self, name: &'static str) -> Option<&'t Tree> {
        self.asked.push(name);
        self.map.get(name).filter(|tree| !tree.is_null())
    }

    /// The fields of an object within this one, to be read by `read`.
    pub(crate) fn within<T>(
        &mut self,
        tree: &'t Tree,
        name: &str,
        read: impl FnOnce(&mut Fields<'t, '_>) -> Option<T>,
    ) -> Option<T> {
        let path = format!("{}{}", self.prefix(), short_name(name));
        let mut fields = Fields::of(tree, path, self.problems)?;
        let result = read(&mut fields);
        fields.report_unknown();
        result
    }

    /// Says that a field is wrong.
    pub(crate) fn wrong(&mut self, name: &str, what: impl Into<String>) {
        let path = format!("{}{}", self.prefix(), short_name(name));
        self.problems.push(Problem::wrong(path, what));
    }

    /// Says that a field should have been something else.
    pub(crate) fn expected(&mut self, what: &str, found: &Tree, name: &str) {
        let path = format!("{}{}", self.prefix(), short_name(name));
        self.problems.push(expected(what, found, path));
    }

    /// How many problems there are so far: a reader that sees more afterwards has met one.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.wrong
    }

    /// Says which fields nobody has asked for.
    pub(crate) fn report_unknown(&mut self) {
        for name in self.map.keys() {
            if !self.asked.contains(&name.as_str()) {
                self.problems.push(Problem {
                    path: format!("{}{}", self.prefix(), short_name(name)),
                    what: "unknown field".to_owned(),
                    kind: ProblemKind::UnknownField,
                });
            }
        }
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&'t Tree) -> Option<T>,
    ) -> Option<T> {
        let tree = self.tree(name)?;
        let result = read(tree);
        if result.is_none() {
            self.expected(what, tree, name);
        }
        result
    }

    fn prefix(&self) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        format!("{}.", self.path)
    }
}

const VALUE: &str = "a bool, a finite number or a string";

/// A string that is one, not an odd number in disguise.
pub(crate) fn plain_text(tree: &Tree) -> Option<&str> {
    let text = tree.as_str()?;
    odd_number(text).is_none().then(|| unmarked(text))
}

/// A finite number; an int beyond 64 bits saturates.
pub(crate) fn number(tree: &Tree) -> Option<Number> {
    match tree {
        Tree::Number(n) => {
            let int = n.as_i64().map(Number::Int);
            int.or_else(|| n.as_f64().map(Number::Float))
        }
        Tree::String(s) => match odd_number(s)? {
            Odd::BigInt(i) => Some(Number::Int(i)),
            Odd::NotFinite(_) => None,
        },
        _ => None,
    }
}

fn whole(tree: &Tree) -> Option<i64> {
    match number(tree)? {
        Number::Int(i) => Some(i),
        float @ Number::Float(f) => (f.fract() == 0.0).then(|| float.truncated()),
    }
}

/// A knob's value.
pub(crate) fn value(tree: &Tree) -> Option<Value> {
    match tree {
        Tree::Bool(b) => Some(Value::Bool(*b)),
        Tree::String(_) => plain_text(tree)
            .map(Value::from)
            .or_else(|| number(tree).map(Value::from)),
        _ => number(tree).map(Value::from),
    }
}

fn metric(tree: &Tree) -> Option<Number> {
    matches!(tree, Tree::Number(_))
        .then(|| number(tree))
        .flatten()
}

fn expected(what: &str, found: &Tree, path: String) -> Problem {
    let what = format!("expected {what}, found {}", describe(found));
    Problem::wrong(path, what)
}

/// A tree in a few words, for messages.
pub(crate) fn describe(tree: &Tree) -> String {
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Array(_) => "a list".to_owned(),
        Tree::Object(_) => "an object".to_owned(),
        Tree::Bool(_) | Tree::Number(_) => tree.to_string(),
        Tree::String(s) => match odd_number(s) {
            Some(Odd::NotFinite(token)) => token.to_owned(),
            Some(Odd::BigInt(_)) => "an int beyond 64 bits".to_owned(),
            None => shortened(unmarked(s)),
        },
    }
}

/// So many characters of a text from outside are enough to recognise it by.
const SHOWN: usize = 40;

/// A text in quotes, its beginning if it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A name as part of a path; a long one could not be found by it anyway.
fn short_name(name: &str) -> &str {
    const LONGEST: usize = 200;
    name.char_indices()
        .nth(LONGEST)
        .map_or(name, |(end, _)| &name[..end])
}
