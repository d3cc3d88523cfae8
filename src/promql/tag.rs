//! What a series is called while it is worked on, and how it is put into a group.

use std::collections::HashMap;

use crate::model::{Labels, METRIC_NAME};

use super::plan::Grouping;

/// The labels of a series. The metric's name is dropped by a mark, so that it costs nothing where nobody looks.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    labels: Labels,
    nameless: bool,
}

impl Tag {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, nameless: false }
    }

    pub(super) fn without_name(self) -> Self {
        Self { nameless: true, ..self }
    }

    pub(super) fn labels(&self) -> Labels {
        if self.nameless && self.labels.get(METRIC_NAME).is_some() {
            return self.labels.without(|name| name == METRIC_NAME);
        }
        self.labels.clone()
    }

    /// Without the labels for which `drop` holds.
    pub(super) fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        self.labels.without(|name| drop(name) || (self.nameless && name == METRIC_NAME))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        if self.nameless && name == METRIC_NAME { None } else { self.labels.get(name) }
    }

    pub(super) fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().filter(|(name, _)| !self.nameless || *name != METRIC_NAME)
    }

    /// The labels by which two sides are compared, or by which a group is known.
    pub(super) fn signature(&self, grouping: &Grouping) -> Labels {
        match grouping {
            Grouping::Only(names) => self.without(|name| !names.iter().any(|wanted| wanted == name)),
            Grouping::Without(names) => {
                self.without(|name| name == METRIC_NAME || names.iter().any(|unwanted| unwanted == name))
            }
        }
    }
}

/// Numbers groups: series with the same signature get the same number, from 0 on.
pub(super) struct Groups<'g> {
    grouping: &'g Grouping,
    keep_name: bool,
    numbers: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
}

impl<'g> Groups<'g> {
    pub(super) fn new(grouping: &'g Grouping) -> Self {
        Self { grouping, keep_name: false, numbers: HashMap::new(), key: Vec::new() }
    }

    /// As [`Self::new`], but `Without` leaves the metric's name in.
    pub(super) fn with_name(grouping: &'g Grouping) -> Self {
        Self { keep_name: true, ..Self::new(grouping) }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of the series' group, a new one where there is none.
    pub(super) fn number(&mut self, tag: &Tag) -> usize {
        self.spell(tag);
        if let Some(number) = self.numbers.get(self.key.as_slice()) {
            return *number;
        }
        let number = self.numbers.len();
        self.numbers.insert(self.key.as_slice().into(), number);
        number
    }

    /// The number of the series' group, if it has one.
    pub(super) fn find(&mut self, tag: &Tag) -> Option<usize> {
        self.spell(tag);
        self.numbers.get(self.key.as_slice()).copied()
    }

    /// Texts are UTF-8, in which the bytes 0xFE and 0xFF never occur: they end names and values.
    fn spell(&mut self, tag: &Tag) {
        self.key.clear();
        match self.grouping {
            Grouping::Only(names) => {
                for name in names {
                    self.key.extend_from_slice(tag.get(name).unwrap_or_default().as_bytes());
                    self.key.push(0xFF);
                }
            }
            Grouping::Without(names) => {
                for (name, value) in tag.iter() {
                    if (name == METRIC_NAME && !self.keep_name) || names.iter().any(|unwanted| unwanted == name) {
                        continue;
                    }
                    self.key.extend_from_slice(name.as_bytes());
                    self.key.push(0xFE);
                    self.key.extend_from_slice(value.as_bytes());
                    self.key.push(0xFF);
                }
            }
        }
    }
}
