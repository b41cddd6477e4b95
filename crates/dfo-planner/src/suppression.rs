//! Which tags are held, by whom, since when.
//!
//! A global finding names the tags that are not to be acted on while it lasts. A tag stays
//! suppressed while any finding type suppresses it. A suppression that its finding type does not
//! refresh ends when patience does.

mod saved;

use std::collections::HashMap;

use foldhash::fast::FixedState;
pub(crate) use saved::SavedSuppressions;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Time};
use crate::decision::{Decisions, Name};
use crate::notice::{Notice, SuppressionEnd};
use crate::settings::Patience;

/// Names come from outside: what goes beyond so many pairs of tag and finding type is refused.
const MOST: usize = 4096;

/// One finding type suppressing one tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppression {
    pub(crate) by: Name,
    pub(crate) severity: f64,
    since: Time,
}

#[derive(Debug)]
pub(crate) struct Suppressions {
    patience: Patience,
    by_tag: HashMap<Name, Vec<Suppression>, FixedState>,
    /// The tags of each type, so that clearing need not search.
    by_type: HashMap<Name, Vec<Name>, FixedState>,
    count: usize,
    /// Not later than the least recently refreshed one.
    oldest: Time,
}

impl Suppressions {
    pub(crate) fn new(patience: Patience) -> Self {
        Suppressions {
            patience,
            by_tag: HashMap::default(),
            by_type: HashMap::default(),
            count: 0,
            oldest: Time::MAX,
        }
    }

    /// The strongest suppression of a tag.
    pub(crate) fn of(&self, tag: &str) -> Option<&Suppression> {
        if self.by_tag.is_empty() {
            return None;
        }
        let all = self.by_tag.get(tag)?;
        all.iter().max_by(|a, b| a.severity.total_cmp(&b.severity))
    }

    /// The suppressed tags, sorted.
    pub(crate) fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = self.by_tag.keys().map(|tag| &**tag).collect();
        tags.sort_unstable();
        tags
    }

    /// From now on the finding type suppresses these tags and no others.
    pub(crate) fn set<'t>(
        &mut self,
        finding_type: &str,
        tags: impl Iterator<Item = &'t str> + Clone,
        severity: f64,
        since: Time,
        decisions: &mut Decisions,
    ) {
        let by: Name = finding_type.into();
        let before = self.by_type.remove(finding_type).unwrap_or_default();
        for tag in before {
            if tags.clone().any(|t| t == &*tag) {
                self.by_type.entry(by.clone()).or_default().push(tag);
            } else {
                self.remove(&tag, finding_type);
                decisions.notice(ended(&tag, &by, SuppressionEnd::Cleared));
            }
        }
        for tag in tags {
            self.refresh(tag, &by, severity, since, decisions);
        }
    }

    /// The finding type suppresses nothing from now on.
    pub(crate) fn clear(&mut self, finding_type: &str, decisions: &mut Decisions) {
        if !self.by_type.is_empty() {
            self.set(finding_type, std::iter::empty(), 0.0, 0, decisions);
        }
    }

    /// Ends what nobody has refreshed for too long.
    pub(crate) fn expire(&mut self, clock: &Clock, decisions: &mut Decisions) {
        let now = clock.now();
        let is_over = |since| self.patience.is_over(clock.waited_since(since, now));
        if self.count == 0 || !is_over(self.oldest) {
            return;
        }
        let mut over = Vec::new();
        let mut oldest = Time::MAX;
        for (tag, all) in &self.by_tag {
            for suppression in all {
                if is_over(suppression.since) {
                    over.push((tag.clone(), suppression.by.clone()));
                } else {
                    oldest = oldest.min(suppression.since);
                }
            }
        }
        over.sort_unstable();
        self.oldest = oldest;
        for (tag, by) in over {
            self.remove(&tag, &by);
            if let Some(tags) = self.by_type.get_mut(&by) {
                tags.retain(|t| *t != tag);
                if tags.is_empty() {
                    self.by_type.remove(&by);
                }
            }
            decisions.notice(ended(&tag, &by, SuppressionEnd::Expired));
        }
    }

    fn refresh(
        &mut self,
        tag: &str,
        by: &Name,
        severity: f64,
        since: Time,
        decisions: &mut Decisions,
    ) {
        let all = self.by_tag.get_mut(tag);
        let earlier = all.and_then(|all| all.iter_mut().find(|s| s.by == *by));
        if let Some(earlier) = earlier {
            earlier.severity = severity;
            earlier.since = earlier.since.max(since);
            return;
        }
        let name: Name = tag.into();
        if self.count == MOST {
            decisions.notice(Notice::SuppressionRefused {
                tag: name,
                limit: MOST,
            });
            return;
        }
        self.count += 1;
        self.oldest = self.oldest.min(since);
        self.by_type
            .entry(by.clone())
            .or_default()
            .push(name.clone());
        decisions.notice(Notice::SuppressionStarted {
            tag: name.clone(),
            finding_type: by.clone(),
            severity,
        });
        let suppression = Suppression {
            by: by.clone(),
            severity,
            since,
        };
        self.by_tag.entry(name).or_default().push(suppression);
    }

    /// Takes one out of `by_tag`; `by_type` is the caller's.
    fn remove(&mut self, tag: &str, by: &str) {
        let Some(all) = self.by_tag.get_mut(tag) else {
            return;
        };
        let before = all.len();
        all.retain(|s| *s.by != *by);
        self.count -= before - all.len();
        if all.is_empty() {
            self.by_tag.remove(tag);
        }
    }
}

fn ended(tag: &Name, by: &Name, why: SuppressionEnd) -> Notice {
    Notice::SuppressionEnded {
        tag: tag.clone(),
        finding_type: by.clone(),
        why,
    }
}
