//! Packs: knob definitions that come as a crate.
//!
//! A pack knows the knobs of one program (DLIO, PyTorch, MPI-IO hints), for the time before an
//! application registers its own, and for replays. It is a value that implements [`KnobPack`]; the
//! command takes a list of them.

use std::fmt;

use crate::Registration;

/// The knobs of one program.
pub trait KnobPack: Sync {
    /// Its name, as in `--bootstrap NAME`.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn about(&self) -> &'static str;

    /// The registration that an application would send.
    ///
    /// `variable` looks up an environment variable, so that a pack can be configured by values and
    /// tested without an environment.
    ///
    /// # Errors
    /// A variable whose text makes no sense.
    fn bootstrap(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bootstrap, InvalidVariable>;
}

/// What a pack starts with.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The knobs, with the values in force.
    pub registration: Registration,
    /// What was put right or assumed, a sentence each.
    pub notes: Vec<String>,
}

/// An environment variable whose text makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidVariable {
    /// The variable.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for InvalidVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidVariable {
            name,
            text,
            expected,
        } = self;
        write!(
            f,
            "{name}: expected {expected}, found {text:?}; correct it or unset it"
        )
    }
}

impl std::error::Error for InvalidVariable {}
