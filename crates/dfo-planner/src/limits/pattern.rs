//! Which knobs: `dlio.*`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern of knob ids: `*` is any text, also none; every other character is itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern, as it is written.
    pub fn new(text: impl Into<String>) -> Self {
        Pattern(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an id is of this pattern.
    pub fn matches(&self, id: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` gives one part at least: what is before the first star.
        let Some(mut rest) = id.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The first place that fits leaves the most for what follows.
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, id, fits) in [
            ("dlio.*", "dlio.prefetch_size", true),
            ("dlio.*", "dlio.", true),
            ("dlio.*", "torch.dlio.x", false),
            ("*", "", true),
            ("*_threads", "dlio.read_threads", true),
            ("a*b*c", "a_b_b_c", true),
            ("a*b*c", "a_c_b", false),
            ("a*a", "a", false),
            ("dlio.read_threads", "dlio.read_threads", true),
            ("dlio.read_threads", "dlio.read_threads2", false),
            ("ä*", "äö", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(id), fits, "{pattern} {id}");
        }
    }
}
