//! Who is counted under which labels.
//!
//! Invariant: bounded. A label takes a limited number of values of limited length, and so do all of them together;
//! what is beyond becomes `other`, the finest labels first. The ledger keeps the names as they were told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;

use crate::usage::event::{UsageEvent, cut};

/// How many values a label may take.
const MAX_VALUES: usize = 200;
/// How many label sets there may be before features and teams are no longer told apart in new ones.
const MAX_SETS: usize = 2000;
/// How many more there may be before models are not told apart either. Providers alone are bounded by their values.
const MAX_SETS_WITHOUT_TEAMS: usize = MAX_SETS + 500;
/// How long a label's value may be, in bytes.
const MAX_LENGTH: usize = 128;
/// Where values go that are beyond a limit.
pub const OTHER: &str = "other";

/// For whom a call was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Who {
    /// As the sender wrote it.
    pub provider: Arc<str>,
    /// As the sender wrote it.
    pub model: Arc<str>,
    /// Empty where none was told.
    pub feature: Arc<str>,
    /// Empty where none was told.
    pub team: Arc<str>,
}

/// The label sets in use.
#[derive(Debug, Default)]
pub struct Labels(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    values: HashMap<&'static str, HashSet<Arc<str>>>,
    sets: HashSet<Who>,
}

impl Labels {
    /// The labels for an event, and whether a limit had to change them.
    pub fn of(&self, event: &UsageEvent) -> (Who, bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut limited = false;
        let mut bound = |label, value: &str| {
            let (value, changed) = known.bound(label, value);
            limited |= changed;
            value
        };
        let who = Who {
            provider: bound("provider", &event.provider),
            model: bound("model", &event.model),
            feature: bound("feature", event.feature.as_deref().unwrap_or_default()),
            team: bound("team", event.team.as_deref().unwrap_or_default()),
        };
        let (who, changed) = known.admit(who);
        (who, limited || changed)
    }
}

impl Known {
    fn bound(&mut self, label: &'static str, value: &str) -> (Arc<str>, bool) {
        let short = cut(value, MAX_LENGTH);
        let values = self.values.entry(label).or_default();
        if let Some(known) = values.get(short) {
            return (Arc::clone(known), short.len() < value.len());
        }
        if values.len() >= MAX_VALUES {
            return (OTHER.into(), true);
        }
        let new: Arc<str> = short.into();
        values.insert(Arc::clone(&new));
        (new, short.len() < value.len())
    }

    /// The set itself while there is room, else a coarser one.
    fn admit(&mut self, who: Who) -> (Who, bool) {
        if self.has_room(&who, MAX_SETS) {
            return (who, false);
        }
        let other: Arc<str> = OTHER.into();
        let without_teams = Who { feature: Arc::clone(&other), team: Arc::clone(&other), ..who };
        if self.has_room(&without_teams, MAX_SETS_WITHOUT_TEAMS) {
            return (without_teams, true);
        }
        let without_models = Who { model: other, ..without_teams };
        self.sets.insert(without_models.clone());
        (without_models, true)
    }

    fn has_room(&mut self, who: &Who, limit: usize) -> bool {
        if self.sets.contains(who) {
            return true;
        }
        let room = self.sets.len() < limit;
        if room {
            self.sets.insert(who.clone());
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(provider: &str, model: &str, team: &str) -> Who {
        Who { provider: provider.into(), model: model.into(), feature: "".into(), team: team.into() }
    }

    #[test]
    fn a_label_beyond_its_limit_becomes_other() {
        let mut known = Known::default();
        for at in 0..MAX_VALUES {
            let name = format!("m{at}");
            assert_eq!(known.bound("model", &name), (name.as_str().into(), false));
        }
        assert_eq!(known.bound("model", "new"), (OTHER.into(), true));
        assert_eq!(known.bound("model", "m7"), ("m7".into(), false));
        assert_eq!(known.bound("team", "new"), ("new".into(), false));
        assert_eq!(known.bound("feature", &"ä".repeat(200)).0.len(), MAX_LENGTH);
    }

    #[test]
    fn all_combinations_together_have_a_limit_and_the_finest_labels_go_first() {
        let mut known = Known::default();
        for at in 0..MAX_SETS {
            assert!(!known.admit(who("openai", &format!("m{}", at % 20), &format!("t{}", at / 20))).1);
        }
        let (coarse, limited) = known.admit(who("openai", "m1", "new"));
        assert!(limited);
        assert_eq!((&*coarse.model, &*coarse.feature, &*coarse.team), ("m1", OTHER, OTHER));
        assert!(!known.admit(who("openai", "m1", "t1")).1, "what was there is still told apart");
        for at in 0..10 * MAX_SETS {
            known.admit(who(&format!("p{}", at % 200), &format!("m{}", at / 200), "new"));
        }
        assert_eq!(&*known.admit(who("p7", "newest", "")).0.model, OTHER);
        assert!(known.sets.len() <= MAX_SETS_WITHOUT_TEAMS + MAX_VALUES + 1, "{}", known.sets.len());
    }
}
