//! Which workspace crate may depend on which.

use cargo_metadata::{DependencyKind, Metadata};

use super::{Project, Violation};

/// Each crate, and the workspace crates that it may name. A new crate needs a row here.
///
/// Nothing names the planner but what decides: an application links `dfo-context`, not the
/// optimizer. Only a site's own command names ours; nothing names xtask.
const ARROWS: &[(&str, &[&str])] = &[
    ("dfo-model", &[]),
    ("dfo-planner", &["dfo-model"]),
    ("dfo-knobs", &["dfo-model"]),
    ("dfo-knobs-dlio", &["dfo-knobs", "dfo-model"]),
    ("dfo-knobs-torch", &["dfo-knobs", "dfo-model"]),
    ("dfo-transport", &["dfo-model"]),
    ("dfo-transport-zmq", &["dfo-model", "dfo-transport"]),
    (
        "dfo-transport-mofka",
        &["dfo-model", "dfo-transport", "mofka-sys"],
    ),
    ("mofka-sys", &[]),
    ("dfo-journal", &["dfo-model", "dfo-planner"]),
    ("dfo-context", &["dfo-model", "dfo-transport"]),
    ("dfo-python", &["dfo-context", "dfo-transport-zmq"]),
    (
        "dfo-service",
        &["dfo-journal", "dfo-model", "dfo-planner", "dfo-transport"],
    ),
    (
        "dfo-cli",
        &[
            "dfo-journal",
            "dfo-knobs-dlio",
            "dfo-knobs-torch",
            "dfo-model",
            "dfo-planner",
            "dfo-service",
            "dfo-transport",
            "dfo-transport-mofka",
            "dfo-transport-zmq",
        ],
    ),
    (
        "site-transport",
        &["dfo-cli", "dfo-knobs-dlio", "dfo-transport"],
    ),
    (
        "tuned-reader",
        &[
            "dfo-context",
            "dfo-model",
            "dfo-transport",
            "dfo-transport-zmq",
        ],
    ),
    (
        "xtask",
        &[
            "dfo-cli",
            "dfo-context",
            "dfo-journal",
            "dfo-knobs-dlio",
            "dfo-knobs-torch",
            "dfo-model",
            "dfo-planner",
            "dfo-service",
            "dfo-transport",
            "dfo-transport-zmq",
        ],
    ),
];

/// Every dependency among workspace crates is in the table. Tests may depend as they like.
pub fn one_way(project: &Project) -> Vec<Violation> {
    let members = project.metadata.workspace_packages();
    let members: Vec<&str> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    check(ARROWS, &members, &arrows(&project.metadata))
}

/// The dependencies among workspace crates, optional ones too: who, on whom.
fn arrows(metadata: &Metadata) -> Vec<(&str, &str)> {
    let members = metadata.workspace_packages();
    let mut arrows = Vec::new();
    for package in &members {
        for dependency in &package.dependencies {
            let inside = members
                .iter()
                .any(|member| member.name.as_str() == dependency.name);
            if inside && dependency.kind != DependencyKind::Development {
                arrows.push((package.name.as_str(), dependency.name.as_str()));
            }
        }
    }
    arrows
}

fn check(table: &[(&str, &[&str])], members: &[&str], arrows: &[(&str, &str)]) -> Vec<Violation> {
    let row = |name: &str| table.iter().find(|(from, _)| *from == name);
    let unknown = members
        .iter()
        .filter(|member| row(member).is_none())
        .map(|member| {
            let what = "a new crate: say which workspace crates it may depend on, in \
                    xtask/src/tidy/arrows.rs";
            Violation::new(*member, what)
        });
    let forbidden = arrows.iter().filter_map(|(from, to)| {
        let (_, allowed) = row(from)?;
        let what = || match *allowed {
            [] => format!("depends on {to}; it may depend on no workspace crate"),
            allowed => format!("depends on {to}; it may depend on {}", allowed.join(", ")),
        };
        (!allowed.contains(to)).then(|| Violation::new(*from, what()))
    });
    unknown.chain(forbidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, &[&str])] = &[("model", &[]), ("planner", &["model"])];

    #[test]
    fn arrows_of_the_table_are_allowed() {
        assert_eq!(
            check(TABLE, &["model", "planner"], &[("planner", "model")]),
            []
        );
    }

    #[test]
    fn an_arrow_against_the_table_is_found() {
        let found = check(TABLE, &["model", "planner"], &[("model", "planner")]);
        let what = "depends on planner; it may depend on no workspace crate";
        assert_eq!(found, [Violation::new("model", what)]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = check(TABLE, &["model", "extra"], &[("extra", "model")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "extra");
    }

    #[test]
    fn the_table_has_no_way_back() {
        // Rows can be ordered so that each names only earlier ones.
        let mut placed: Vec<&str> = Vec::new();
        while let Some((name, _)) = ARROWS.iter().find(|(name, allowed)| {
            !placed.contains(name) && allowed.iter().all(|to| placed.contains(to))
        }) {
            placed.push(name);
        }
        assert_eq!(placed.len(), ARROWS.len());
    }
}
