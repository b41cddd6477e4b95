//! The project's rules, proved by looking.
//!
//! A rule is a function from what there is (the tracked files, the dependency graph) to its
//! violations. All violations of all rules are listed before the task fails. Rules are about the
//! repository as a clone has it: a file that is not tracked is not there.

mod arrows;
mod attributes;
mod closure;
mod crate_docs;
mod links;
mod purity;
mod python;
mod rust_text;
mod sources;
mod tracked;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use closure::Closures;
use sources::Source;
use tracked::Tracked;

/// Finds what breaks a rule.
type Rule = fn(&Project) -> Vec<Violation>;

/// Each rule, after the sentence it proves.
const RULES: [(&str, Rule); 16] = [
    ("workspace crates depend one way", arrows::one_way),
    ("the pure crates pull in little", closure::little),
    ("the default command compiles no C", closure::no_c),
    ("the pure crates touch nothing outside", purity::pure),
    ("no path of someone's machine", words::machine_paths),
    ("no registry host", words::registry_hosts),
    ("nothing is left to do", words::left_to_do),
    (
        "lints are expected with a reason, not allowed",
        attributes::lints,
    ),
    (
        "a test is ignored only with a reason",
        attributes::ignored_tests,
    ),
    ("tests do not sleep", words::sleeping_tests),
    ("tests in Python do not either", python::sleeping_tests),
    ("each Python module says what it is for", python::documented),
    ("each crate says what it is for", crate_docs::front_pages),
    ("each crate is on the map", crate_docs::on_the_map),
    (
        "each example crate is a member",
        crate_docs::examples_are_members,
    ),
    ("links lead somewhere", links::lead_somewhere),
];

/// What the rules look at.
struct Project {
    tracked: Tracked,
    sources: Vec<Source>,
    metadata: Metadata,
    closures: Closures,
}

impl Project {
    fn read(root: &Path) -> Result<Self> {
        let mut metadata = MetadataCommand::new();
        metadata
            .current_dir(root)
            .other_options(["--locked".into()]);
        let tracked = Tracked::read(root)?;
        Ok(Project {
            sources: sources::sources(&tracked.texts),
            tracked,
            metadata: metadata.exec().context("tidy reads the dependency graph")?,
            closures: Closures::read(root)?,
        })
    }
}

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// `path`, `path:line` or a crate.
    place: String,
    what: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Violation {
            place: place.into(),
            what: what.into(),
        }
    }

    /// At a byte of a file.
    fn at(path: &str, text: &str, offset: usize, what: impl Into<String>) -> Self {
        let line = 1 + text[..offset].matches('\n').count();
        Violation::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Lists every violation of every rule; fails if there is one.
pub fn run(root: &Path) -> Result<()> {
    let project = Project::read(root)?;
    let mut count = 0;
    for (sentence, rule) in RULES {
        let violations = rule(&project);
        if violations.is_empty() {
            println!("ok      {sentence}");
        } else {
            println!("BROKEN  {sentence}");
        }
        for violation in &violations {
            println!("        {violation}");
        }
        count += violations.len();
    }
    if count > 0 {
        bail!("tidy: {count} violations, listed above");
    }
    println!(
        "tidy: {} rules hold in {} files",
        RULES.len(),
        project.tracked.paths.len()
    );
    Ok(())
}
