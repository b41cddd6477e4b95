//! Crates are explained: on their own front page, and on the map.

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

/// Every crate in `crates/` is named in the map of the project.
pub fn on_the_map(project: &Project) -> Vec<Violation> {
    let Some(map) = project.tracked.texts.iter().find(|file| file.path == MAP) else {
        return vec![Violation::new(MAP, "missing, or not tracked by git")];
    };
    let crates = project.metadata.workspace_root.join("crates");
    let packages = project.metadata.workspace_packages();
    let inside = packages
        .iter()
        .filter(|package| package.manifest_path.starts_with(&crates));
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
    fn a_longer_name_is_another_crate() {
        assert!(names("the `dfo-transport` crate", "dfo-transport"));
        assert!(names("crates/dfo-transport/", "dfo-transport"));
        assert!(!names("dfo-transport-zmq", "dfo-transport"));
    }
}
