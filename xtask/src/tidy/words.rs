//! Words that have no place in a file.
//!
//! The words are kept in parts, or looked for in code only, so that this file does not trip over
//! itself.

use std::path::Path;

use super::rust_text::words;
use super::sources::Source;
use super::tracked::TextFile;
use super::{Project, Violation};

/// Folders at the root of a machine in which people and builds live.
const MACHINE_ROOTS: [&str; 3] = ["home", "root", "work"];

/// Hosts of package registries and mirrors, by subdomain and domain. Lock files name them.
const REGISTRIES: [(&str, &str); 6] = [
    ("index", "crates.io"),
    ("static", "crates.io"),
    ("pypi", "org"),
    ("files", "pythonhosted.org"),
    ("registry", "npmjs.org"),
    ("deb", "debian.org"),
];

/// No file names a folder of the machine it was written on.
pub fn machine_paths(project: &Project) -> Vec<Violation> {
    in_texts(project, machine_paths_in)
}

/// No file but a lock file says where packages are fetched from.
pub fn registry_hosts(project: &Project) -> Vec<Violation> {
    in_texts(project, registry_hosts_in)
}

/// No unfinished code, and no marks for later.
pub fn left_to_do(project: &Project) -> Vec<Violation> {
    let mut violations = in_texts(project, marks_in);
    violations.extend(project.sources.iter().flat_map(unfinished_in));
    violations
}

/// How a comment begins that says why a test sleeps all the same.
const SLEEPS: &str = "// Sleeps";

/// Tests wait for what they test, not for a time. Where one has to sleep (it plays someone slow; it
/// looks again and again, up to a deadline) the line above says why.
pub fn sleeping_tests(project: &Project) -> Vec<Violation> {
    let texts = project.tracked.texts.iter();
    let of_texts = texts.filter_map(|file| {
        let source = project.sources.iter().find(|s| s.path == file.path)?;
        Some(sleeps_in(source, &file.text))
    });
    of_texts.flatten().collect()
}

fn in_texts(project: &Project, check: fn(&TextFile) -> Vec<Violation>) -> Vec<Violation> {
    project.tracked.texts.iter().flat_map(check).collect()
}

fn machine_paths_in(file: &TextFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    for root in MACHINE_ROOTS {
        let root = format!("/{root}/");
        for (at, _) in file.text.match_indices(&root) {
            // After a name it is a folder of something else: `examples/work/`, `$HOME/work/`.
            let before = file.text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || "_-.~})>*".contains(c)) {
                let what = format!(
                    "names {root}, which is of one machine; say it relative to the project"
                );
                violations.push(Violation::at(&file.path, &file.text, at, what));
            }
        }
    }
    violations
}

fn registry_hosts_in(file: &TextFile) -> Vec<Violation> {
    let name = Path::new(&file.path).file_name().unwrap_or_default();
    if file.has_extension("lock") || name == "package-lock.json" {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (subdomain, domain) in REGISTRIES {
        let host = format!("{subdomain}.{domain}");
        for (at, _) in file.text.match_indices(&host) {
            let what = format!("names {host}; where packages come from is each site's own setting");
            violations.push(Violation::at(&file.path, &file.text, at, what));
        }
    }
    violations
}

fn marks_in(file: &TextFile) -> Vec<Violation> {
    let mark = ["FIX", "ME"].concat();
    let marks = words(&file.text, &mark);
    marks
        .map(|at| {
            Violation::at(
                &file.path,
                &file.text,
                at,
                format!("{mark}: do it or open an issue"),
            )
        })
        .collect()
}

fn unfinished_in(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in ["todo", "unimplemented"] {
        let called = |at: &usize| source.code[at + name.len()..].starts_with('!');
        let calls = source.words(name).filter(called);
        let what = format!("{name}! is unfinished code");
        violations.extend(calls.map(|at| source.violation(at, &what)));
    }
    violations
}

fn sleeps_in(source: &Source, text: &str) -> Vec<Violation> {
    let says_why = |at: usize| {
        let above = text[..at].rsplit('\n').nth(1);
        above.is_some_and(|line| line.trim_start().starts_with(SLEEPS))
    };
    let sleeps = source
        .words("thread::sleep")
        .filter(|&at| source.is_test(at) && !says_why(at));
    let what = format!(
        "a test sleeps: wait for the event, or pass the time in, or say why above (`{SLEEPS}: …`)"
    );
    sleeps.map(|at| source.violation(at, &what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: impl Into<String>) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.into(),
        }
    }

    fn unfinished(path: &str, text: &str) -> Vec<Violation> {
        unfinished_in(&Source::new(path, text))
    }

    fn sleeps(path: &str, text: &str) -> Vec<Violation> {
        sleeps_in(&Source::new(path, text), text)
    }

    #[test]
    fn a_path_of_this_machine_is_found_with_its_line() {
        let text = format!("a\nb {}x", ["", "home", "me", ""].join("/"));
        let found = machine_paths_in(&file("a.md", text));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "a.md:2");
    }

    #[test]
    fn folders_inside_something_else_are_fine() {
        for text in [
            "examples/work/a",
            "$HOME/work/a",
            "${DIR}/home/a",
            "../root/a",
            "homework",
        ] {
            assert_eq!(machine_paths_in(&file("a", text)), [], "{text}");
        }
    }

    #[test]
    fn registry_hosts_are_found_outside_lock_files() {
        let text = format!("https://{}/x", ["index", "crates.io"].join("."));
        assert_eq!(registry_hosts_in(&file("README.md", text.clone())).len(), 1);
        assert_eq!(registry_hosts_in(&file("fuzz/Cargo.lock", text)), []);
        assert_eq!(
            registry_hosts_in(&file("a", "https://crates.io/crates/serde")),
            []
        );
    }

    #[test]
    fn unfinished_code_and_marks_are_found() {
        assert_eq!(unfinished("a.rs", "fn f() { todo!() }").len(), 1);
        assert_eq!(unfinished("a.rs", "fn todo() { my_todo!() }"), []);
        assert_eq!(
            marks_in(&file("a.sh", ["# FIX", "ME: x"].concat())).len(),
            1
        );
    }

    #[test]
    fn only_tests_must_not_sleep() {
        let sleep = "std::thread::sleep(a);";
        assert_eq!(sleeps("crates/a/src/lib.rs", sleep), []);
        assert_eq!(sleeps("crates/a/tests/b.rs", sleep).len(), 1);
        let module = format!("#[cfg(test)]\nmod tests {{ fn f() {{ {sleep} }} }}");
        assert_eq!(sleeps("crates/a/src/lib.rs", &module).len(), 1);
    }

    #[test]
    fn a_test_may_sleep_that_says_why() {
        let sleep = "std::thread::sleep(a);";
        let said = format!("    // Sleeps: it plays someone slow.\n    {sleep}\n");
        assert_eq!(sleeps("crates/a/tests/b.rs", &said), []);
        assert_eq!(sleeps("a/tests/b.rs", &format!("{said}{sleep}")).len(), 1);
        assert_eq!(
            sleeps("a/tests/b.rs", &format!("// Slow\n{sleep}")).len(),
            1
        );
    }
}
