//! Where in its work an application can take a change.

use std::fmt;

/// A place in the application's work at which it can take a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Between two passes over the data. Every change can be taken there.
    Epoch,
    /// Between two windows, within an epoch.
    Window,
}

impl Boundary {
    /// The boundary that a plan's or a response's `apply_when` means: `epoch_boundary`,
    /// `window_boundary`, or `next_window`, which is the same as `window_boundary`.
    ///
    /// ```
    /// use dfo_context::Boundary;
    /// assert_eq!(Boundary::from_apply_when("next_window"), Some(Boundary::Window));
    /// assert_eq!(Boundary::from_apply_when("tomorrow"), None);
    /// ```
    pub fn from_apply_when(word: &str) -> Option<Self> {
        match word {
            "epoch_boundary" => Some(Boundary::Epoch),
            "window_boundary" | "next_window" => Some(Boundary::Window),
            _ => None,
        }
    }

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Boundary::Epoch => "epoch_boundary",
            Boundary::Window => "window_boundary",
        }
    }

    /// Whether a change that waits for `wanted` can be taken here.
    pub(crate) fn takes(self, wanted: Boundary) -> bool {
        self == Boundary::Epoch || wanted == Boundary::Window
    }
}

/// What a wrong `apply_when` is told.
pub(crate) fn unknown_boundary(word: &str) -> String {
    let word = crate::domain::shortened(word);
    format!("unknown boundary {word:?}; one of: epoch_boundary, window_boundary, next_window")
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
