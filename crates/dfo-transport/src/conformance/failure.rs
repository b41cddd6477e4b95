//! What came of the checks.

use std::error::Error;
use std::fmt;

use super::suite::Check;

/// A check that failed: what was expected, and what came.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which check.
    pub check: Check,
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            check,
            expected,
            found,
        } = self;
        write!(f, "{check}: expected {expected}; found {found}")
    }
}

impl Error for Failure {}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What it demands holds.
    Passed,
    /// It does not apply to this transport, because of this.
    LeftOut(&'static str),
}

/// Every check, and what came of it: none failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checks in their order.
    pub verdicts: Vec<(Check, Verdict)>,
}

impl Report {
    /// Of all checks; an error if one of them failed.
    pub(super) fn of(
        results: impl IntoIterator<Item = (Check, Result<Verdict, Failure>)>,
    ) -> Result<Self, Failures> {
        let mut verdicts = Vec::new();
        let mut failures = Vec::new();
        for (check, result) in results {
            match result {
                Ok(verdict) => verdicts.push((check, verdict)),
                Err(failure) => failures.push(failure),
            }
        }
        match failures.is_empty() {
            true => Ok(Self { verdicts }),
            false => Err(Failures { failures }),
        }
    }

    /// The checks that do not apply to this transport.
    pub fn left_out(&self) -> impl Iterator<Item = Check> {
        let left_out = |(_, verdict): &&(Check, Verdict)| *verdict != Verdict::Passed;
        self.verdicts
            .iter()
            .filter(left_out)
            .map(|(check, _)| *check)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => writeln!(f, "{check}: passed")?,
                Verdict::LeftOut(why) => writeln!(f, "{check}: left out, {why}")?,
            }
        }
        Ok(())
    }
}

/// The checks that failed, at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Failures {
    /// In the order of the checks.
    pub failures: Vec<Failure>,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks failed", self.failures.len())?;
        for failure in &self.failures {
            write!(f, "\n  {failure}")?;
        }
        Ok(())
    }
}

impl Error for Failures {}

// A test that unwraps shows what a person can read.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What went wrong within a check.
#[derive(Debug)]
pub(super) struct Fault {
    pub expected: String,
    pub found: String,
}

impl Fault {
    pub fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub fn of(self, check: Check) -> Failure {
        Failure {
            check,
            expected: self.expected,
            found: self.found,
        }
    }
}
