//! The pure crates know no I/O, no clock, no thread and no randomness, in their code either.
//!
//! Other crates cannot bring these in ([`super::closure`]); what is left is the standard library.

use super::closure::PURE;
use super::sources::Source;
use super::{Project, Violation};

/// Modules of `std` that reach outside, or whose results differ from run to run.
const OUTSIDE: [&str; 8] = ["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// Hash maps made in these ways draw their order at random: a fixed hasher is named, or `default` used.
const RANDOM: [&str; 5] = [
    "RandomState",
    "HashMap::new",
    "HashMap::with_capacity",
    "HashSet::new",
    "HashSet::with_capacity",
];

/// Sources of the pure crates use none of these outside their tests.
pub fn pure(project: &Project) -> Vec<Violation> {
    let folders = PURE.map(|name| format!("crates/{name}/src/"));
    let inside = |source: &&Source| folders.iter().any(|folder| source.path.starts_with(folder));
    let sources = project.sources.iter().filter(inside);
    sources.flat_map(reaching_outside).collect()
}

fn reaching_outside(source: &Source) -> Vec<Violation> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for at in source.words("std") {
        let named = std_modules(&source.code[at..]).into_iter();
        let outside = named.filter(|name| OUTSIDE.contains(name));
        found.extend(outside.map(|name| (at, format!("uses std::{name}: this crate is pure"))));
    }
    for name in RANDOM {
        let what = || format!("uses {name}, whose order is random: use a fixed hasher");
        found.extend(source.words(name).map(|at| (at, what())));
    }
    found.retain(|(at, _)| !source.is_test(*at));
    found.sort();
    let violation = |(at, what)| source.violation(at, what);
    found.into_iter().map(violation).collect()
}

/// The modules named by a path that begins `std::`, one or a group.
fn std_modules(path: &str) -> Vec<&str> {
    let Some(rest) = path["std".len()..].trim_start().strip_prefix("::") else {
        return Vec::new();
    };
    let Some(group) = rest.trim_start().strip_prefix('{') else {
        return vec![first_identifier(rest)];
    };
    let mut depth = 0_usize;
    let mut start = 0;
    let mut modules = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                modules.push(first_identifier(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    modules
}

fn first_identifier(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        reaching_outside(&Source::new("a.rs", code))
            .into_iter()
            .map(|v| v.to_string())
            .collect()
    }

    #[test]
    fn each_way_to_name_a_module_is_found() {
        for code in [
            "use std::time::Instant;",
            "use ::std::time;",
            "let t = std :: time::Instant::now();",
            "use std::{fmt, time::{Duration, Instant}};",
            "use std::{\n    collections::{BTreeMap, HashMap},\n    time,\n};",
        ] {
            assert_eq!(
                found(code),
                ["a.rs:1: uses std::time: this crate is pure"],
                "{code}"
            );
        }
    }

    #[test]
    fn what_stays_inside_is_fine() {
        assert!(
            found("use std::{fmt, sync::Arc}; std::mem::take(x); let std = 1; time::x").is_empty()
        );
        assert!(found("let m: HashMap<_, _, FixedState> = HashMap::default();").is_empty());
    }

    #[test]
    fn tests_may_reach_outside() {
        assert!(found("#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
        assert_eq!(found("#[cfg(test)]\nmod tests { }\nuse std::fs;").len(), 1);
    }

    #[test]
    fn random_order_is_found() {
        assert_eq!(found("let m = HashMap::new();").len(), 1);
        assert_eq!(found("let m = IndexMap::new();").len(), 0);
    }
}
