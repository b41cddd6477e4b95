//! How much of what is told: a level for each target.

use crate::report::{Level, Target};

/// What is told of each target: this level, and what weighs more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels([Level; Target::ALL.len()]);

impl Default for Levels {
    fn default() -> Self {
        Levels([Level::Info; Target::ALL.len()])
    }
}

impl Levels {
    /// Reads `LEVEL`, `TARGET=LEVEL`, or several of these with commas between them. A level without a
    /// target is for all targets that are not named.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut for_all = None;
        let mut for_one = [None; Target::ALL.len()];
        for part in text.split(',').map(str::trim) {
            let (place, what, level) = match part.split_once('=') {
                None => (&mut for_all, "all targets", level(part)?),
                Some((name, text)) => {
                    let target = target(name.trim())?;
                    let place = &mut for_one[target as usize];
                    (place, target.name(), level(text.trim())?)
                }
            };
            if place.replace(level).is_some() {
                return Err(format!("two levels for {what}; leave one of them"));
            }
        }
        let for_all = for_all.unwrap_or(Level::Info);
        Ok(Levels(for_one.map(|level| level.unwrap_or(for_all))))
    }

    /// Decisions, and what becomes of plans, down to the last one.
    #[must_use]
    pub(crate) fn explaining(mut self) -> Self {
        for target in [Target::Decisions, Target::Plans] {
            self.0[target as usize] = Level::Debug;
        }
        self
    }

    pub(crate) fn tell(&self, target: Target, level: Level) -> bool {
        level >= self.0[target as usize]
    }
}

fn level(text: &str) -> Result<Level, String> {
    let level = Level::ALL.into_iter().find(|level| level.name() == text);
    level.ok_or_else(|| {
        let known = Level::ALL.map(Level::name).join(", ");
        format!("no level {text:?}; there is: {known}")
    })
}

fn target(text: &str) -> Result<Target, String> {
    let target = Target::ALL.into_iter().find(|target| target.name() == text);
    target.ok_or_else(|| {
        let known = Target::ALL.map(Target::name).join(", ");
        format!("no target {text:?}; there is: {known}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_all_targets_that_are_not_named() {
        let levels = Levels::read("plans=info, warning ,links=debug").unwrap();
        assert!(levels.tell(Target::Plans, Level::Info));
        assert!(!levels.tell(Target::Plans, Level::Debug));
        assert!(levels.tell(Target::Links, Level::Debug));
        assert!(!levels.tell(Target::Service, Level::Info));
        assert!(levels.tell(Target::Service, Level::Warning));
        assert!(levels.tell(Target::Service, Level::Error));
        assert_eq!(Levels::read("info"), Ok(Levels::default()));
        assert_eq!(Levels::read("plans=info"), Ok(Levels::default()));
    }

    #[test]
    fn to_explain_is_to_tell_decisions_down_to_debug() {
        let levels = Levels::read("error").unwrap().explaining();
        assert!(levels.tell(Target::Decisions, Level::Debug));
        assert!(!levels.tell(Target::Links, Level::Warning));
    }

    #[test]
    fn what_is_not_known_is_named_with_what_is() {
        for (text, wrong, known) in [
            ("loud", "loud", "debug, info, warning, error"),
            ("", "", "debug, info"),
            ("plans=", "", "debug, info"),
            ("plan=info", "plan", "plans, decisions"),
        ] {
            let error = Levels::read(text).unwrap_err();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
            assert!(error.contains(known), "{error}");
        }
        assert!(Levels::read("info,debug").unwrap_err().contains("all"));
        assert!(Levels::read("links=info,links=info").is_err());
    }
}
