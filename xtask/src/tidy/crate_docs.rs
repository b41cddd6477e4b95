//! Crates are explained, on their own front page and on the map, and none is left out of the workspace.

use std::collections::BTreeSet;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::{Project, Violation};

const MAP: &str = "ARCHITECTURE.md";

/// The main source of every library and program begins with what it is for.
pub fn front_pages(project: &Project) -> Vec<Violation> {
    let packages = project.metadata.workspace_packages();
    let targets = packages.iter().flat_map(|package| &package.targets);
    let mains = targets.filter(|target| target.is_lib() || target.is_bin());
    let mut violations = Vec::new();
    for source in mains.map(|target| &target.src_path) {
        let root = &project.metadata.workspace_root;
        let path = source.strip_prefix(root).unwrap_or(source).as_str();
        let file = project.tracked.texts.iter().find(|file| file.path == path);
        let what = match file {
            None => "not tracked by git",
            Some(file) if begins_with_docs(&file.text) => continue,
            Some(_) => "begin with `//!` and what this is for",
        };
        violations.push(Violation::new(path, what));
    }
    violations
}

/// Every crate in `examples/` is a member of the workspace, so that CI builds and tests it.
pub fn examples_are_members(project: &Project) -> Vec<Violation> {
    let root = &project.metadata.workspace_root;
    let packages = project.metadata.workspace_packages();
    let manifests = packages.iter().filter_map(|package| {
        let inside = package.manifest_path.strip_prefix(root);
        inside.ok().map(Utf8Path::as_str)
    });
    not_members(&project.tracked.paths, &manifests.collect())
}

fn not_members(tracked: &BTreeSet<String>, members: &BTreeSet<&str>) -> Vec<Violation> {
    let manifests = tracked
        .iter()
        .filter(|path| path.starts_with("examples/") && path.ends_with("/Cargo.toml"));
    let left_out = manifests.filter(|path| !members.contains(path.as_str()));
    left_out
        .map(|path| Violation::new(path, "not a member: add its folder to the root Cargo.toml"))
        .collect()
}

/// Every crate in `crates/` and in `examples/` is named in the map of the project.
pub fn on_the_map(project: &Project) -> Vec<Violation> {
    let Some(map) = project.tracked.texts.iter().find(|file| file.path == MAP) else {
        return vec![Violation::new(MAP, "missing, or not tracked by git")];
    };
    let root = &project.metadata.workspace_root;
    let folders = ["crates", "examples"].map(|folder| root.join(folder));
    let packages = project.metadata.workspace_packages();
    let is_inside = |path: &Utf8PathBuf| folders.iter().any(|folder| path.starts_with(folder));
    let inside = packages
        .iter()
        .filter(|package| is_inside(&package.manifest_path));
    let missing = inside.filter(|package| !names(&map.text, &package.name));
    missing
        .map(|package| Violation::new(MAP, format!("does not name {}", package.name)))
        .collect()
}

fn begins_with_docs(source: &str) -> bool {
    source
        .strip_prefix("//!")
        .is_some_and(|rest| !rest.lines().next().unwrap_or_default().trim().is_empty())
}

/// Is the crate named, and not only one whose name is longer?
fn names(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_page_is_the_first_thing() {
        assert!(begins_with_docs("//! Decides.\n"));
        for source in [
            "",
            "//!\n//! Decides.",
            "use x;\n//! Decides.",
            "// Decides.",
        ] {
            assert!(!begins_with_docs(source), "{source}");
        }
    }

    #[test]
    fn an_example_crate_that_is_no_member_is_found() {
        let tracked = [
            "examples/a/Cargo.toml",
            "examples/b/Cargo.toml",
            "examples/b/src/main.rs",
            "fuzz/Cargo.toml",
        ];
        let tracked = tracked.map(str::to_owned).into();
        let found = not_members(&tracked, &["examples/a/Cargo.toml"].into());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "examples/b/Cargo.toml");
    }

    #[test]
    fn a_longer_name_is_another_crate() {
        assert!(names("the `dfo-transport` crate", "dfo-transport"));
        assert!(names("crates/dfo-transport/", "dfo-transport"));
        assert!(!names("dfo-transport-zmq", "dfo-transport"));
    }
}
