//! The metadata part of a record: what a message is, and where a stream ends.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::decode::fields::plain_text;
use crate::decode::{Problem, Tree, tree};
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
    /// The end of the sender's stream. Of an application: it leaves, and its knobs with it.
    Stop {
        /// The process that ends.
        instance: &'a str,
        /// The node it ran on.
        node: &'a str,
    },
}

/// What the metadata of a record says, as far as a receiver asks. It may say nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// The record ends the stream of its sender: its `name` is `end`, or its `type` is `stop`.
    pub ends_stream: bool,
    /// What the payload is.
    pub kind: Option<Kind>,
    /// For whom a finding is: over ZeroMQ the diagnoser says it here and not in the payload.
    pub publish_mode: Option<PublishMode>,
    /// The process that speaks; empty if it does not say.
    pub instance: Cow<'a, str>,
    /// The node it runs on; empty if it does not say.
    pub node: Cow<'a, str>,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An [`ActionPlan`](crate::ActionPlan).
    ActionPlan,
    /// An [`Ack`](crate::Ack).
    ActionAck,
    /// A [`Registration`](crate::Registration).
    KnobRegistration,
}

impl<'a> Envelope<'a> {
    /// Reads metadata. What is no JSON at all, such as the topic of another program, says nothing,
    /// and so does a field that is no text.
    ///
    /// # Errors
    /// It is JSON but not an object.
    ///
    /// ```
    /// use dfo_model::Envelope;
    /// assert!(Envelope::decode(br#"{"name": "end"}"#)?.ends_stream);
    /// assert!(!Envelope::decode(b"")?.ends_stream);
    /// assert!(Envelope::decode(br#"["end"]"#).is_err());
    /// # Ok::<(), dfo_model::Problem>(())
    /// ```
    pub fn decode(metadata: &'a [u8]) -> Result<Self, Problem> {
        if metadata.is_empty() {
            return Ok(Self::default());
        }
        // serde would take a list for a struct.
        if metadata.starts_with(b"{")
            && let Ok(said) = serde_json::from_slice::<Said<'_>>(metadata)
        {
            return Ok(Self::of(said));
        }
        match tree(metadata) {
            Err(_) => Ok(Self::default()),
            Ok(tree) if !tree.is_object() => {
                let what =
                    "expected an object, found other JSON; send {} where there is nothing to say";
                Err(Problem::wrong("metadata", what))
            }
            Ok(tree) => Ok(Self::of(Said::of(&tree))),
        }
    }

    fn of(said: Said<'a>) -> Self {
        let is = |field: &Option<Cow<'_, str>>, word| field.as_deref() == Some(word);
        Envelope {
            ends_stream: is(&said.name, "end") || is(&said.kind, "stop"),
            kind: match said.kind.as_deref() {
                Some("action_plan") => Some(Kind::ActionPlan),
                Some("action_ack") => Some(Kind::ActionAck),
                Some("knob_registration") => Some(Kind::KnobRegistration),
                _ => None,
            },
            publish_mode: said.publish_mode.as_deref().map(PublishMode::from_word),
            instance: said.instance.unwrap_or_default(),
            node: said.node.unwrap_or_default(),
        }
    }
}

/// The fields of metadata that anyone asks for. Everything odd fails to decode into this, and is
/// read from a tree.
#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    publish_mode: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instance: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
}

impl Said<'_> {
    fn of(tree: &Tree) -> Self {
        let text = |key: &str| {
            tree.get(key)
                .and_then(plain_text)
                .map(|t| t.to_owned().into())
        };
        Said {
            name: text("name"),
            kind: text("type"),
            publish_mode: text("publish_mode"),
            instance: text("instance"),
            node: text("node"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Envelope<'_> {
        Envelope::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_two_sentinels_end_a_stream() {
        for (metadata, ends) in [
            (r#"{"name": "end"}"#, true),
            (r#"{"name": "end", "x": NaN}"#, true),
            (r#"{"name": "x", "name": "end"}"#, true),
            (r#"{"type": "stop"}"#, true),
            (r#" {"type": "stop", "name": 5}"#, true),
            (r#"{"type": "end"}"#, false),
            ("", false),
            ("{", false),
            ("findings", false),
        ] {
            assert_eq!(decode(metadata).ends_stream, ends, "{metadata}");
        }
    }

    #[test]
    fn json_that_is_no_object_is_wrong() {
        for metadata in [r#"["x"]"#, "3", "null", r#""end""#] {
            let problem = Envelope::decode(metadata.as_bytes()).unwrap_err();
            assert!(
                problem
                    .to_string()
                    .starts_with("metadata: expected an object")
            );
        }
    }

    #[test]
    fn the_publish_mode_may_stand_in_the_metadata() {
        let summary = decode(r#"{"publish_mode": "summary"}"#);
        assert_eq!(summary.publish_mode, Some(PublishMode::Summary));
        assert_eq!(decode(r#"{"type": "finding"}"#).publish_mode, None);
    }

    #[test]
    fn what_we_write_reads_back() {
        let stop = Metadata::Stop {
            instance: "n1-7",
            node: "n1",
        };
        let text = serde_json::to_string(&stop).unwrap();
        assert_eq!(text, r#"{"type":"stop","instance":"n1-7","node":"n1"}"#);
        let envelope = decode(&text);
        assert!(envelope.ends_stream);
        assert_eq!((&*envelope.instance, &*envelope.node), ("n1-7", "n1"));
        let ack = serde_json::to_string(&Metadata::ActionAck { plan_id: "p" }).unwrap();
        assert_eq!(decode(&ack).kind, Some(Kind::ActionAck));
    }
}
