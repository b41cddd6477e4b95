//! What a crate pulls in, with all that its dependencies pull in.
//!
//! Asked of `cargo tree`, which resolves the features of one package; the metadata's graph has the
//! features of the whole workspace, xtask's among them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Project, Violation};

/// Crates that decide and describe: no I/O, clock, thread or randomness comes in with them.
pub const PURE: [&str; 2] = ["dfo-model", "dfo-planner"];

/// What the pure crates may pull in: serde, what it and its JSON stand on, and small containers.
const LITTLE: [&str; 19] = [
    "dfo-model",
    "dfo-planner",
    "equivalent",
    "foldhash",
    "hashbrown",
    "indexmap",
    "itoa",
    "memchr",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "smallvec",
    "smol_str",
    "syn",
    "unicode-ident",
    "zmij",
];

/// Crates that find or compile C and C++.
const C_TOOLS: [&str; 10] = [
    "autotools",
    "bindgen",
    "cc",
    "cmake",
    "cxx-build",
    "meson",
    "nasm-rs",
    "pkg-config",
    "system-deps",
    "vcpkg",
];

/// What the crates that have rules about it pull in.
pub struct Closures {
    /// Of each pure crate, by normal dependencies.
    pure: Vec<(&'static str, BTreeSet<Package>)>,
    /// Of the command with its default features, building it included.
    command: BTreeSet<Package>,
}

/// A package, as `cargo tree` names it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
}

impl Closures {
    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Self> {
        let pure = PURE.map(|name| Ok((name, closure(root, name, "normal")?)));
        Ok(Closures {
            pure: pure.into_iter().collect::<Result<_>>()?,
            command: closure(root, "dfo-cli", "normal,build")?,
        })
    }
}

/// The pure crates pull in nothing but what is listed.
pub fn little(project: &Project) -> Vec<Violation> {
    let pure = project.closures.pure.iter();
    pure.flat_map(|(name, closure)| too_much(name, closure))
        .collect()
}

/// The command with its default features links and compiles no C.
pub fn no_c(project: &Project) -> Vec<Violation> {
    c_in(&project.closures.command, |package| {
        let known = &project.metadata.packages;
        let same = known.iter().find(|known| {
            known.name.as_str() == package.name && known.version.to_string() == package.version
        });
        same.and_then(|same| same.links.clone())
    })
}

fn too_much(name: &str, closure: &BTreeSet<Package>) -> Vec<Violation> {
    let extra = closure
        .iter()
        .filter(|package| !LITTLE.contains(&package.name.as_str()));
    let what = |extra: &Package| {
        format!(
            "pulls in {extra}: do without it, or allow it in xtask/src/tidy/closure.rs; see \
             `cargo tree -p {name} -e normal -i {extra}`",
            extra = extra.name
        )
    };
    extra
        .map(|extra| Violation::new(name, what(extra)))
        .collect()
}

fn c_in(closure: &BTreeSet<Package>, links: impl Fn(&Package) -> Option<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in closure {
        let name = &package.name;
        let see = format!("see `cargo tree -p dfo-cli -e normal,build -i {name}`");
        if let Some(library) = links(package) {
            violations.push(Violation::new(
                name,
                format!("links the library `{library}`; {see}"),
            ));
        }
        if C_TOOLS.contains(&name.as_str()) {
            violations.push(Violation::new(name, format!("finds or compiles C; {see}")));
        }
    }
    violations
}

/// A package and all that it depends on here, by these kinds of dependency.
fn closure(root: &Path, package: &str, edges: &str) -> Result<BTreeSet<Package>> {
    let tree = Command::new("cargo")
        .args(["tree", "--locked", "--package", package, "--edges", edges])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .context("cargo tree")?;
    if !tree.status.success() {
        bail!(
            "cargo tree -p {package}: {}",
            String::from_utf8_lossy(&tree.stderr).trim()
        );
    }
    packages(&String::from_utf8_lossy(&tree.stdout))
}

/// Reads lines such as `serde v1.0.229` and `dfo-model v0.1.0 (…)`.
fn packages(tree: &str) -> Result<BTreeSet<Package>> {
    let package = |line: &str| {
        let mut parts = line.split_whitespace();
        let name = parts.next()?.to_owned();
        let version = parts.next()?.strip_prefix('v')?.to_owned();
        Some(Package { name, version })
    };
    let lines = tree.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| package(line).with_context(|| format!("cargo tree printed `{line}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_the_tree() {
        let tree =
            "dfo-planner v0.1.0 (crates)\nserde_derive v1.0.2 (proc-macro)\n\nserde v1.0.2 (*)\n";
        let names: Vec<_> = packages(tree)
            .unwrap()
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, ["dfo-planner", "serde", "serde_derive"]);
        assert!(packages("what?").is_err());
    }

    #[test]
    fn an_unlisted_dependency_of_a_pure_crate_is_found() {
        let found = too_much(
            "dfo-planner",
            &packages("serde v1.0.2\ntokio v1.0.0").unwrap(),
        );
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .to_string()
                .starts_with("dfo-planner: pulls in tokio"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_linked_library_and_a_c_compiler_are_found() {
        let closure = packages("cc v1.0.0\nzmq-sys v0.12.0\nserde v1.0.2").unwrap();
        let links = |package: &Package| (package.name == "zmq-sys").then(|| "zmq".to_owned());
        let places: Vec<_> = c_in(&closure, links).into_iter().map(|v| v.place).collect();
        assert_eq!(places, ["cc", "zmq-sys"]);
    }
}
