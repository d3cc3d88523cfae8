//! What looks have in common: label sets and families that are made once and shared from then on.
//!
//! A look has some six hundred points, and nearly all of them carry the labels that they carried before. Making those anew
//! each time would cost more than reading the kernel's files.

use std::collections::HashMap;

use crate::model::{Family, Labels};

/// Beyond this many, all are forgotten and made anew: devices have come and gone (containers' network devices do).
const MOST: usize = 4096;

/// Cannot stand in a label's value as the kernel writes it, nor in a file's name.
const BETWEEN: char = '\0';

/// Label sets and families by what they are made of.
#[derive(Debug, Default)]
pub(super) struct Shared {
    sets: HashMap<Box<str>, Labels>,
    families: HashMap<Box<str>, Family>,
    constants: HashMap<&'static str, Option<Labels>>,
    key: String,
}

impl Shared {
    /// The set of these pairs. They must come in the same order each time to be found again.
    pub(super) fn labels(&mut self, pairs: &[(&str, &str)]) -> Labels {
        self.key.clear();
        for (name, value) in pairs {
            self.key.push_str(name);
            self.key.push(BETWEEN);
            self.key.push_str(value);
            self.key.push(BETWEEN);
        }
        if let Some(labels) = self.sets.get(&*self.key) {
            return labels.clone();
        }
        if self.sets.len() >= MOST {
            self.sets.clear();
        }
        let labels = Labels::new(pairs.iter().copied());
        self.sets.insert(self.key.as_str().into(), labels.clone());
        labels
    }

    /// The family that only the kernel names: `make` tells it from the kernel's name at its first mention.
    /// `group` keeps apart what has the same name in two files.
    pub(super) fn family(&mut self, group: &str, name: &str, make: impl FnOnce(&str) -> Family) -> &Family {
        self.key.clear();
        self.key.push_str(group);
        self.key.push(BETWEEN);
        self.key.push_str(name);
        if !self.families.contains_key(&*self.key) {
            if self.families.len() >= MOST {
                self.families.clear();
            }
            self.families.insert(self.key.as_str().into(), make(name));
        }
        &self.families[&*self.key]
    }

    /// Labels that stay as they are while the machine runs (its firmware's version): read once.
    pub(super) fn constant(&mut self, what: &'static str, read: impl FnOnce() -> Option<Labels>) -> Option<Labels> {
        self.constants.entry(what).or_insert_with(read).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_made_once_and_never_mistaken_for_another() {
        let mut shared = Shared::default();
        let eth0 = shared.labels(&[("device", "eth0")]);
        assert_eq!(eth0.pairs().as_ptr(), shared.labels(&[("device", "eth0")]).pairs().as_ptr());
        assert_eq!(shared.labels(&[("a", "b"), ("c", "d")]).len(), 2);
        assert_eq!(shared.labels(&[("a", "bc"), ("d", "")]).to_string(), r#"{a="bc"}"#);
    }

    #[test]
    fn sets_are_bounded() {
        let mut shared = Shared::default();
        for device in 0..=MOST {
            shared.labels(&[("device", &device.to_string())]);
        }
        assert!(shared.sets.len() <= MOST);
    }

    #[test]
    fn a_constant_is_read_once() {
        let mut shared = Shared::default();
        assert_eq!(shared.constant("dmi", || None), None);
        assert_eq!(shared.constant("dmi", || panic!("read twice")), None);
    }
}
