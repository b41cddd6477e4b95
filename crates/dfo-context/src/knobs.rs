//! What an application hands over when it registers, and what it is told of wrong definitions.

use std::fmt;

use dfo_model::{Knob, KnobType, Value};

/// A knob of a function, and the value that it has now.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveKnob {
    /// The name by which the function knows it.
    pub parameter: String,
    /// What it is. Without an `id` it becomes `<namespace>.<parameter>`, without a
    /// `target_function` it is the function's that it is registered for.
    pub knob: Knob,
    /// The value now.
    pub value: Value,
}

impl LiveKnob {
    /// A knob whose value now is its default.
    pub fn new(parameter: impl Into<String>, knob: Knob) -> Self {
        LiveKnob {
            parameter: parameter.into(),
            value: knob.default.clone(),
            knob,
        }
    }

    /// With this value now.
    #[must_use]
    pub fn with_value(self, value: impl Into<Value>) -> Self {
        let value = value.into();
        LiveKnob { value, ..self }
    }
}

/// Knobs that cannot be registered; nothing was, then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnobsRefused {
    /// Each with what is wrong; at least one.
    pub refused: Vec<KnobRefused>,
}

/// A knob that cannot be registered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnobRefused {
    /// The function's name for it.
    pub parameter: String,
    /// Its id.
    pub knob_id: String,
    /// The field that is wrong.
    pub field: String,
    /// What is wrong, and what to write in its place.
    pub what: String,
}

impl fmt::Display for KnobsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was registered: ")?;
        for (i, refused) in self.refused.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{refused}")?;
        }
        Ok(())
    }
}

impl fmt::Display for KnobRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KnobRefused {
            parameter,
            field,
            what,
            ..
        } = self;
        write!(f, "knob `{parameter}`: {field}: {what}")
    }
}

impl std::error::Error for KnobsRefused {}

/// A value that was not taken; the one before stays.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueRefused {
    /// The function has no such knob.
    #[error("function `{function}` has no knob `{parameter}`; register it first")]
    UnknownParameter {
        /// The function.
        function: String,
        /// What was asked for.
        parameter: String,
    },
    /// The value is not of the knob's type.
    #[error("knob `{knob_id}`: {what}")]
    WrongType {
        /// The knob.
        knob_id: String,
        /// Its type.
        kind: KnobType,
        /// What is wrong.
        what: String,
    },
}
