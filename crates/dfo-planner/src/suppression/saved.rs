//! How the suppressions are written down. The order of those of one tag, and of the tags of one
//! finding type, is that in which they began.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MOST, Suppression, Suppressions};
use crate::clock::Time;
use crate::decision::Name;
use crate::settings::Patience;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SavedSuppressions {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_tag: BTreeMap<Name, Vec<Suppression>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_type: BTreeMap<Name, Vec<Name>>,
}

impl Suppressions {
    pub(crate) fn saved(&self) -> SavedSuppressions {
        let by_tag = self.by_tag.iter();
        let by_type = self.by_type.iter();
        SavedSuppressions {
            by_tag: by_tag.map(|(t, all)| (t.clone(), all.clone())).collect(),
            by_type: by_type.map(|(t, all)| (t.clone(), all.clone())).collect(),
        }
    }

    pub(crate) fn restored(patience: Patience, saved: SavedSuppressions) -> Result<Self, String> {
        let all = saved.by_tag.iter();
        let mut pairs: Vec<(&Name, &Name)> = all
            .flat_map(|(tag, all)| all.iter().map(move |s| (tag, &s.by)))
            .collect();
        let all = saved.by_type.iter();
        let mut same_pairs: Vec<(&Name, &Name)> = all
            .flat_map(|(by, tags)| tags.iter().map(move |tag| (tag, by)))
            .collect();
        pairs.sort_unstable();
        same_pairs.sort_unstable();
        if pairs != same_pairs {
            return Err("by_tag and by_type do not say the same".to_owned());
        }
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0] == pair[1]) {
            let (tag, by) = twice[0];
            return Err(format!("{by:?} suppresses {tag:?} twice"));
        }
        let count = pairs.len();
        if count > MOST {
            return Err(format!("more than {MOST}"));
        }
        let nothing = |(name, is_empty): (&Name, bool)| is_empty.then(|| name.clone());
        let tags = saved.by_tag.iter().map(|(t, all)| (t, all.is_empty()));
        let types = saved.by_type.iter().map(|(t, all)| (t, all.is_empty()));
        if let Some(name) = tags.chain(types).find_map(nothing) {
            return Err(format!("{name:?} is there with nothing"));
        }
        let since = saved.by_tag.values().flatten().map(|s| s.since);
        Ok(Suppressions {
            oldest: since.min().unwrap_or(Time::MAX),
            by_tag: saved.by_tag.into_iter().collect(),
            by_type: saved.by_type.into_iter().collect(),
            patience,
            count,
        })
    }
}
