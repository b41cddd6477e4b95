//! Whom a finding speaks of: the grammar of its scope.

/// Whom a finding speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FindingScope<'s> {
    /// The whole job, seen from above: such a finding can suppress. `global`, `global:…`.
    Global,
    /// One node: `node:<name>`, `node:<name>:…`. The name ends at the next colon.
    Node(&'s str),
    /// The job: everything else, a plain `node` too.
    Job,
}

impl<'s> FindingScope<'s> {
    /// `None` where a node is meant and not named.
    pub(crate) fn parse(scope: &'s str) -> Option<Self> {
        if scope == "global" || scope.starts_with("global:") {
            return Some(FindingScope::Global);
        }
        let Some(rest) = scope.strip_prefix("node:") else {
            return Some(FindingScope::Job);
        };
        let name = rest.split(':').next().unwrap_or_default();
        (!name.is_empty()).then_some(FindingScope::Node(name))
    }
}

#[cfg(test)]
mod tests {
    use super::FindingScope::{self, Global, Job, Node};

    #[test]
    fn scopes_are_global_of_a_node_or_job_wide() {
        for (scope, expected) in [
            ("global", Some(Global)),
            ("global:global", Some(Global)),
            ("global:window", Some(Global)),
            ("globally", Some(Job)),
            ("app:epoch", Some(Job)),
            ("", Some(Job)),
            ("node", Some(Job)),
            ("nodes:n1", Some(Job)),
            ("node:n1", Some(Node("n1"))),
            ("node:n1:app:window", Some(Node("n1"))),
            ("node:", None),
            ("node::app:epoch", None),
        ] {
            assert_eq!(FindingScope::parse(scope), expected, "{scope:?}");
        }
    }
}
