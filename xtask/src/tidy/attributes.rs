//! Attributes that switch something off say why.

use std::ops::Range;

use super::rust_text::words;
use super::sources::Source;
use super::{Project, Violation};

/// Lints are expected, which ends when it is no longer true, and with a reason.
pub fn lints(project: &Project) -> Vec<Violation> {
    project.sources.iter().flat_map(lints_in).collect()
}

/// A test that is not run says why.
pub fn ignored_tests(project: &Project) -> Vec<Violation> {
    project.sources.iter().flat_map(ignored_in).collect()
}

fn lints_in(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for attribute in attributes(&source.code) {
        let body = &source.code[attribute.clone()];
        let reason = words(body, "reason").next().is_some();
        // What several test programs share is unused in some of them, and expected in none.
        let shared_by_tests = source.is_all_tests() && reason;
        let what = if sets(body, "allow") && !shared_by_tests {
            "allow(…): write expect(…, reason = \"…\")"
        } else if sets(body, "expect") && !reason {
            "expect(…) without a reason"
        } else {
            continue;
        };
        violations.push(source.violation(attribute.start, what));
    }
    violations
}

fn ignored_in(source: &Source) -> Vec<Violation> {
    let without_reason = |body: &str| {
        let rest = body.trim().strip_prefix("ignore").map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest == "= \"\"" || rest == "=\"\"")
    };
    let found = attributes(&source.code)
        .into_iter()
        .filter(|at| without_reason(&source.code[at.clone()]));
    let what = "ignore without a reason: write ignore = \"…\"";
    found
        .map(|attribute| source.violation(attribute.start, what))
        .collect()
}

/// Does an attribute set this lint level, on a condition or without?
fn sets(body: &str, level: &str) -> bool {
    let name = body.trim_start();
    let here = name.starts_with(level) || name.starts_with("cfg_attr");
    here && words(body, level).any(|at| body[at + level.len()..].trim_start().starts_with('('))
}

/// What is between the brackets of each attribute.
fn attributes(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for open in ["#[", "#!["] {
        for (at, _) in code.match_indices(open) {
            let start = at + open.len();
            found.push(start..start + closing_bracket(&code[start..]));
        }
    }
    found.sort_by_key(|attribute| attribute.start);
    found
}

fn closing_bracket(body: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in body.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return at,
            ']' => depth -= 1,
            _ => {}
        }
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lints(text: &str) -> Vec<Violation> {
        lints_in(&Source::new("a.rs", text))
    }

    fn ignored(text: &str) -> Vec<Violation> {
        ignored_in(&Source::new("a.rs", text))
    }

    #[test]
    fn an_allowed_lint_is_found() {
        for code in [
            "#[allow(dead_code)] fn f() {}",
            "#![allow(\n    dead_code\n)]",
            "#[cfg_attr(test, allow(dead_code))]",
        ] {
            assert_eq!(lints(code).len(), 1, "{code}");
        }
        assert_eq!(
            lints("#[arg(allow_hyphen_values = true)] fn allow() {}"),
            []
        );
    }

    #[test]
    fn what_tests_share_may_allow_with_a_reason() {
        let shared = |text| lints_in(&Source::new("crates/a/tests/scene/mod.rs", text));
        assert_eq!(shared("#![allow(dead_code, reason = \"\")]"), []);
        assert_eq!(shared("#![allow(dead_code)]").len(), 1);
        assert_eq!(lints("#![allow(dead_code, reason = \"\")]").len(), 1);
    }

    #[test]
    fn an_expected_lint_needs_a_reason() {
        let found = lints("fn f() {}\n#[expect(dead_code)]");
        assert_eq!(
            found,
            [Violation::new("a.rs:2", "expect(…) without a reason")]
        );
        assert_eq!(lints("#[expect(\n  dead_code,\n  reason = \"\"\n)]"), []);
        assert_eq!(lints("#[cfg_attr(test, expect(a, reason = \"\"))]"), []);
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert_eq!(ignored("#[test] #[ignore] fn f() {}").len(), 1);
        assert_eq!(ignored("#[ignore = \"\"]").len(), 1);
        assert_eq!(ignored("#[ignore = \"    \"]"), []);
    }
}
