//! All groups together, and how one set follows another at a reload.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Millis, Transition};

use super::file::GroupSpec;
use super::group::Group;
use super::template::Externals;
use super::view::GroupHandle;

/// Every group of every rule file.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// In the order of files and groups.
    pub groups: Vec<Group>,
}

/// What a reload makes of the rules that are no longer there.
#[derive(Debug, Default)]
pub struct Succession {
    /// Sources whose series end: hand each to `Store::end`.
    pub gone: Vec<Arc<str>>,
    /// Firing alerts whose rules are gone, as resolved.
    pub transitions: Vec<Transition>,
}

impl RuleSet {
    /// A set that knows no alerts yet.
    pub fn new(specs: Vec<GroupSpec>, externals: &Externals) -> Self {
        Self { groups: specs.into_iter().map(|spec| Group::new(spec, externals.clone())).collect() }
    }

    /// Handles for readers, in the order of the groups.
    pub fn handles(&self) -> Vec<GroupHandle> {
        self.groups.iter().map(Group::handle).collect()
    }

    /// Takes over the state of every rule that goes on; what does not go on ends.
    pub fn succeed(&mut self, previous: Self, now: Millis) -> Succession {
        let mut succession = Succession::default();
        let mut before: HashMap<(Arc<str>, Arc<str>), Group> =
            previous.groups.into_iter().map(|group| (group.key(), group)).collect();
        for group in &mut self.groups {
            if let Some(old) = before.remove(&group.key()) {
                let sources = group.sources();
                succession.gone.extend(old.sources().into_iter().filter(|source| !sources.contains(source)));
                succession.transitions.extend(group.adopt(old, now));
            }
        }
        for old in before.into_values() {
            succession.gone.extend(old.sources());
            succession.transitions.extend(old.end(now));
        }
        succession
    }
}
