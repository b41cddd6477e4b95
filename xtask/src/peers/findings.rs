//! Findings of 800 bytes, with all the fields that the diagnoser writes, and the knobs they are for.

use serde_json::{Map, Value as Json, json};

use super::Frames;

/// How large the payload of each finding is.
pub const BYTES: usize = 800;

/// A word in the metadata of marked findings and in that of the plans made from them, and of no others.
const MARK: &str = "marker";

/// What differs from finding to finding.
#[derive(Debug, Clone, Copy)]
pub struct Finding {
    pub node: Node,
    /// The knob that responds, by number.
    pub knob: usize,
    /// Severe enough for a plan, or held by the severity gate.
    pub severe: bool,
    pub window: usize,
}

/// A node, by number.
#[derive(Debug, Clone, Copy)]
pub enum Node {
    Plain(usize),
    /// Found again where its finding or its plan arrives.
    Marked(usize),
}

impl Finding {
    /// A finding that makes a plan for a knob on a node.
    pub fn severe(node: Node, knob: usize) -> Self {
        Finding {
            node,
            knob,
            severe: true,
            window: 1,
        }
    }

    /// A finding that is held.
    pub fn held(node: Node, knob: usize) -> Self {
        Finding {
            severe: false,
            ..Self::severe(node, knob)
        }
    }

    /// The finding as the diagnoser sends it.
    pub fn frames(&self) -> Frames {
        let scope = format!("node:{}:app:window", self.node.name());
        let (severity, number) = match self.severe {
            true => ("critical", 0.9),
            false => ("low", 0.3),
        };
        let Finding { knob, window, .. } = self;
        let begin = format!(
            "{{\"finding_type\": \"fetch_pressure\", \"scope\": \"{scope}\", \"layer\": \"node\", \
             \"view_type\": \"window\", \"motif\": \"persistent_pressure\", \"severity\": \"{severity}\", \
             \"severity_score\": {number:?}, \"confidence\": 0.75, \"prevalence\": 1.0, \"persistence\": 10, \
             \"support_windows\": 10, \"trend_direction\": \"stable\", \"last_seen_window\": {window}, \
             \"contributing_facts\": [[\"fetch_pressure\", \"{scope}\"]], \"recommendation_bundle\": \
             \"data_loading\", \"opportunity_tags\": [\"{tag}\"], \"suppresses_tags\": [], \"summary\": \
             \"fetch_pressure({scope})",
            tag = tag(*knob),
        );
        let end = format!(
            "\", \"window_index\": {window}, \"key_metrics\": {{\"fetch_frac\": 0.7125, \"compute_frac\": \
             0.2875, \"fetch_data_time_proc_max\": 0.6196}}}}"
        );
        let mut payload = begin.into_bytes();
        // The summary is for people, and as long as it happens to be.
        payload.resize((BYTES - end.len()).max(payload.len()), b'.');
        payload.extend_from_slice(end.as_bytes());
        let metadata = format!(
            "{{\"artifact_type\": \"diagnosis_finding\", \"publish_mode\": \"control\", \
             \"finding_type\": \"fetch_pressure\", \"scope\": \"{scope}\"}}"
        );
        Frames {
            metadata: metadata.into_bytes(),
            payload,
        }
    }
}

impl Node {
    /// Its name, as plans name it.
    pub fn name(self) -> String {
        match self {
            Node::Plain(number) => format!("node{number:07}"),
            Node::Marked(number) => format!("{MARK}{number:07}"),
        }
    }
}

/// Whether a finding, or a plan, is of a marked node.
pub fn is_marked(frames: &Frames) -> bool {
    let mark = MARK.as_bytes();
    frames.metadata.windows(mark.len()).any(|w| w == mark)
}

/// The end of the diagnoser's stream.
pub fn end() -> Frames {
    Frames {
        metadata: br#"{"name": "end"}"#.to_vec(),
        payload: Vec::new(),
    }
}

/// A registration of so many knobs, each of which responds to the tag of its own number at once, as
/// often as it is asked.
pub fn knobs(count: usize) -> Json {
    let knobs: Map<String, Json> = (0..count)
        .map(|knob| {
            let response = json!({
                "step": 1,
                "cooldown_windows": 0,
                // The severity may even have doubled: each action counts as one that helped.
                "effectiveness_threshold": -1.0,
                "apply_when": "window_boundary",
            });
            let definition = json!({
                "default": 1,
                "range": [0, 1_000_000_000],
                "scope": "node",
                "target_function": "read_files",
                "responds_to": {tag(knob): response},
            });
            (format!("knob{knob}"), definition)
        })
        .collect();
    json!({"namespace": "bench", "function_name": "read_files", "knobs": knobs})
}

fn tag(knob: usize) -> String {
    format!("opportunity{knob:03}")
}

#[cfg(test)]
mod tests {
    use dfo_model::{FindingView, Registration};

    use super::*;

    #[test]
    fn findings_have_their_size_and_decode() {
        for (node, knob, window) in [(0, 0, 0), (9_999_999, 999, 9_999_999)] {
            for node in [Node::Plain(node), Node::Marked(node)] {
                let finding = Finding {
                    window,
                    ..Finding::severe(node, knob)
                };
                let frames = finding.frames();
                assert_eq!(frames.payload.len(), BYTES);
                let view = FindingView::decode(&frames.payload).unwrap();
                assert_eq!(view.opportunity_tags, [tag(knob)]);
                assert_eq!(is_marked(&frames), matches!(node, Node::Marked(_)));
            }
        }
    }

    #[test]
    fn the_knobs_are_all_right() {
        let text = knobs(2).to_string();
        let registration = Registration::decode(text.as_bytes());
        assert!(registration.problems.is_empty());
        assert_eq!(registration.message.unwrap().knobs.len(), 2);
    }
}
