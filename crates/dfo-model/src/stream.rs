//! The metadata part of a record: what a message is, and where a stream ends.

use serde::Serialize;

use crate::decode::fields::plain_text;
use crate::decode::tree;
use crate::finding::PublishMode;

/// The metadata that travels beside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Metadata<'a> {
    /// Beside an action plan.
    ActionPlan {
        /// The plan.
        plan_id: &'a str,
        /// Its knob.
        knob_id: &'a str,
        /// The function that applies it.
        target_function: &'a str,
        /// The nodes it is for; left out where it is for all.
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        target_nodes: &'a [String],
    },
    /// Beside an acknowledgement.
    ActionAck {
        /// The plan it is about.
        plan_id: &'a str,
    },
    /// Beside a registration.
    KnobRegistration {
        /// The application's prefix of knob names.
        namespace: &'a str,
        /// The function that owns the knobs.
        function: &'a str,
    },
}

/// Whether this metadata ends the stream of its sender: an object whose `name` is `end` or whose
/// `type` is `stop`.
///
/// ```
/// use dfo_model::is_end_of_stream;
/// assert!(is_end_of_stream(br#"{"name": "end"}"#));
/// assert!(!is_end_of_stream(br#"["end"]"#));
/// ```
pub fn is_end_of_stream(metadata: &[u8]) -> bool {
    let is = |key: &str, word: &str| text_of(metadata, key).is_some_and(|text| text == word);
    is("name", "end") || is("type", "stop")
}

impl PublishMode {
    /// What the metadata beside a finding says of it, if it says anything: over ZeroMQ the
    /// diagnoser puts the mode there and not in the payload.
    pub fn of_metadata(metadata: &[u8]) -> Option<Self> {
        text_of(metadata, "publish_mode").map(|word| PublishMode::from_word(&word))
    }
}

fn text_of(metadata: &[u8], key: &str) -> Option<String> {
    let tree = tree(metadata).ok()?;
    plain_text(tree.get(key)?).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_sentinels_end_a_stream() {
        for (metadata, ends) in [
            (r#"{"name": "end"}"#, true),
            (r#"{"name": "end", "x": NaN}"#, true),
            (r#"{"type": "stop"}"#, true),
            (r#"{"type": "end"}"#, false),
            (r#"["x"]"#, false),
            ("", false),
            ("{", false),
        ] {
            assert_eq!(is_end_of_stream(metadata.as_bytes()), ends, "{metadata}");
        }
    }

    #[test]
    fn the_publish_mode_may_stand_in_the_metadata() {
        let mode = |text: &str| PublishMode::of_metadata(text.as_bytes());
        assert_eq!(
            mode(r#"{"publish_mode": "summary"}"#),
            Some(PublishMode::Summary)
        );
        assert_eq!(mode(r#"{"type": "finding"}"#), None);
    }
}
