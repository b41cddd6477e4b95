//! Names of nodes.

/// Whether two names mean the same node: they are equal, or one is the short form of the other
/// (`n1` and `n1.cluster.site`). Two long names must be equal. An empty name is no node.
///
/// ```
/// use dfo_model::node_names_match;
/// assert!(node_names_match("n1", "n1.cluster.site"));
/// assert!(!node_names_match("n1.a", "n1.b"));
/// assert!(!node_names_match("n1", "n10"));
/// ```
pub fn node_names_match(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return false;
    }
    match long.strip_prefix(short) {
        Some("") => true,
        Some(rest) => rest.starts_with('.') && !short.contains('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::node_names_match;

    #[test]
    fn short_and_long_names_match_and_nothing_else() {
        for (a, b, same) in [
            ("n1", "n1", true),
            ("n1.site", "n1", true),
            ("n1.site", "n1.site", true),
            ("n1.site", "n1.site.org", false),
            ("n1", "n2.site", false),
            ("", "", false),
            ("", "n1", false),
            ("[fe80", "[fe80", true),
        ] {
            assert_eq!(node_names_match(a, b), same, "{a:?} {b:?}");
            assert_eq!(node_names_match(b, a), same, "{b:?} {a:?}");
        }
    }
}
