//! What `dfo ctl` and a service say to each other over the control socket: a JSON object a line, each
//! way.
//!
//! ```text
//! {"version":1,"ask":{"command":{"freeze":{"knob":"app.k"}}}}
//! {"version":1,"answer":{"done":{"notices":[{"notice":"frozen","text":"…"}],"changes":[]}}}
//! {"version":1,"ask":"status"}
//! {"version":1,"answer":{"status":{"uptime_s":12.5, …}}}
//! ```

use dfo_planner::Command;
use serde::{Deserialize, Serialize};

/// The one version that is spoken.
pub(crate) const VERSION: u32 = 1;

/// A question is not longer than this, in bytes.
pub(crate) const LONGEST_QUESTION: usize = 64 * 1024;

/// An answer is not longer than this: a line for every knob and node, at most.
pub(crate) const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;

/// What is asked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) version: u32,
    pub(crate) ask: Ask,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Do this.
    Command(Command),
    /// How are you? For programs.
    Status,
    /// How are you? For eyes.
    StatusText,
}

/// What is answered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) version: u32,
    pub(crate) answer: Answer,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The command was carried out.
    Done(Done),
    /// It was not, or not in full.
    Refused {
        why: String,
        /// What was done all the same; nothing, mostly.
        done: Done,
    },
    /// How the service is.
    Status(serde_json::Value),
    /// The same, for eyes.
    StatusText(String),
    /// The question makes no sense: what is wrong with it.
    Bad(String),
    /// The service gave no answer: what is known.
    Silence(String),
}

/// What came of a command.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) notices: Vec<ToldNotice>,
    /// Plans that were made.
    pub(crate) changes: Vec<Change>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToldNotice {
    /// Its name.
    pub(crate) notice: String,
    pub(crate) text: String,
}

/// A plan, in short.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) plan_id: String,
    pub(crate) knob: String,
    /// The nodes; none is all.
    pub(crate) nodes: Vec<String>,
    pub(crate) value: String,
}

impl Question {
    pub(crate) fn new(ask: Ask) -> Self {
        let version = VERSION;
        Question { version, ask }
    }

    /// Reads a line. What is wrong with it, if it cannot be used.
    pub(crate) fn read(line: &[u8]) -> Result<Self, String> {
        /// Of any version.
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<u64>,
        }
        let wrong = |error: serde_json::Error| format!("not a question: {error}");
        let Versioned { version } = serde_json::from_slice(line).map_err(wrong)?;
        match version {
            Some(version) if version == u64::from(VERSION) => {
                serde_json::from_slice(line).map_err(wrong)
            }
            Some(version) => Err(format!(
                "version {version} is not spoken here; version {VERSION} is"
            )),
            None => Err(format!("not a question: no version; say {VERSION}")),
        }
    }
}

impl Reply {
    pub(crate) fn new(answer: Answer) -> Self {
        let version = VERSION;
        Reply { version, answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_written_as_the_page_says() {
        let knob = Some("app.k".to_owned());
        let freeze = Question::new(Ask::Command(Command::Freeze { knob }));
        for (question, text) in [
            (
                freeze,
                r#"{"version":1,"ask":{"command":{"freeze":{"knob":"app.k"}}}}"#,
            ),
            (
                Question::new(Ask::Command(Command::RevertAll)),
                r#"{"version":1,"ask":{"command":"revert_all"}}"#,
            ),
            (
                Question::new(Ask::Status),
                r#"{"version":1,"ask":"status"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&question).unwrap(), text);
            assert_eq!(Question::read(text.as_bytes()), Ok(question));
        }
    }

    #[test]
    fn a_bad_question_says_what_is_wrong_with_it() {
        for (text, what) in [
            ("", "not a question"),
            ("[]", "not a question"),
            (r#"{"ask":"status"}"#, "no version"),
            (r#"{"version":2,"ask":{"dance":3}}"#, "version 2"),
            (r#"{"version":1,"ask":"dance"}"#, "dance"),
            (r#"{"version":1,"ask":"status","more":1}"#, "more"),
            (
                r#"{"version":1,"ask":{"command":{"freeze":{"knobs":"k"}}}}"#,
                "knobs",
            ),
        ] {
            let wrong = Question::read(text.as_bytes()).unwrap_err();
            assert!(wrong.contains(what), "{text}: {wrong}");
        }
    }
}
