//! The Rust sources: their code, and which of it only tests see.

use std::ops::Range;

use super::Violation;
use super::rust_text::{code, end_of_block, words};
use super::tracked::TextFile;

const GATE: &str = "#[cfg(test)]";

/// A Rust file as rules look at it.
#[derive(Debug)]
pub struct Source {
    pub path: String,
    /// With comments and the insides of literals blanked.
    pub code: String,
    tests: Tests,
}

/// The code that only tests see.
#[derive(Debug)]
enum Tests {
    All,
    In(Vec<Range<usize>>),
}

/// The Rust files among these.
pub fn sources(texts: &[TextFile]) -> Vec<Source> {
    let files = texts.iter().filter(|file| file.has_extension("rs"));
    let mut sources: Vec<Source> = files
        .map(|file| Source::new(&file.path, &file.text))
        .collect();
    let gated: Vec<String> = sources.iter().flat_map(Source::gated_files).collect();
    for source in &mut sources {
        let in_gated = |module: &String| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        if gated.iter().any(in_gated) {
            source.tests = Tests::All;
        }
    }
    sources
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = code(text);
        let all_tests = path.split('/').any(|part| part == "tests");
        let tests = match all_tests {
            true => Tests::All,
            false => Tests::In(test_modules(&code)),
        };
        Source {
            path: path.to_owned(),
            code,
            tests,
        }
    }

    /// Is this code that only tests see?
    pub fn is_test(&self, at: usize) -> bool {
        match &self.tests {
            Tests::All => true,
            Tests::In(modules) => modules.iter().any(|module| module.contains(&at)),
        }
    }

    /// Is this a file that only tests see?
    pub fn is_all_tests(&self) -> bool {
        matches!(self.tests, Tests::All)
    }

    /// Where a whole word stands in the code.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }

    pub fn violation(&self, at: usize, what: impl Into<String>) -> Violation {
        Violation::at(&self.path, &self.code, at, what)
    }

    /// The modules in files of their own that this file lets only tests see, as paths without `.rs`.
    fn gated_files(&self) -> Vec<String> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let folder = match name {
            "lib" | "main" | "mod" => folder,
            _ => stem,
        };
        let declared = gated_modules(&self.code).filter_map(|at| {
            let name = self.code[at..].strip_prefix("mod ")?;
            let (name, _) = name.split_once(';')?;
            let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
            plain.then(|| format!("{folder}/{name}"))
        });
        declared.collect()
    }
}

fn test_modules(code: &str) -> Vec<Range<usize>> {
    gated_modules(code)
        .map(|at| at..end_of_block(code, at))
        .collect()
}

/// Where modules and impls begin that only tests see.
fn gated_modules(code: &str) -> impl Iterator<Item = usize> + '_ {
    code.match_indices(GATE).filter_map(|(at, gate)| {
        let rest = code[at + gate.len()..].trim_start();
        let begins = rest.starts_with("mod ") || rest.starts_with("impl ");
        begins.then(|| code.len() - rest.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn is_test(source: &Source, word: &str) -> bool {
        source.is_test(source.words(word).next().unwrap())
    }

    #[test]
    fn a_test_module_ends_at_its_brace() {
        let source = Source::new(
            "a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}",
        );
        assert!(!is_test(&source, "a"));
        assert!(is_test(&source, "b"));
        assert!(!is_test(&source, "c"));
    }

    #[test]
    fn a_gate_on_a_use_is_not_a_module() {
        let source = Source::new("a.rs", "#[cfg(test)]\nuse x; mod real { fn b() {} }");
        assert!(!is_test(&source, "b"));
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_tests() {
        let files = [
            text(
                "crates/a/src/lib.rs",
                "#[cfg(test)]\nmod scenes;\nmod real;",
            ),
            text("crates/a/src/scenes.rs", "f"),
            text("crates/a/src/scenes/small.rs", "f"),
            text("crates/a/src/real.rs", "#[cfg(test)]\nmod checks; mod f {}"),
            text("crates/a/src/real/checks.rs", "f"),
            text("crates/a/tests/all.rs", "f"),
        ];
        let found: Vec<bool> = sources(&files)[1..]
            .iter()
            .map(|source| is_test(source, "f"))
            .collect();
        assert_eq!(found, [true, true, false, true, true]);
    }
}
