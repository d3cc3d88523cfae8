//! Label sets in files: each text once, then sets of numbers of texts.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::{Reader, put_number, put_text};
use crate::model::Labels;

/// Gathers label sets until they are written.
#[derive(Debug, Default)]
pub(super) struct NameWriter {
    known: HashMap<Arc<str>, u64>,
    texts: Vec<u8>,
    sets: Vec<u8>,
}

impl NameWriter {
    /// Appends a set; what else is to be said of it goes into `sets` behind it.
    pub(super) fn put(&mut self, labels: &Labels) -> &mut Vec<u8> {
        put_number(&mut self.sets, labels.len() as u64);
        for (name, value) in labels.pairs() {
            for text in [name, value] {
                let number = self.number(text);
                put_number(&mut self.sets, number);
            }
        }
        &mut self.sets
    }

    fn number(&mut self, text: &Arc<str>) -> u64 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = self.known.len() as u64;
        self.known.insert(Arc::clone(text), number);
        put_text(&mut self.texts, text);
        number
    }

    /// About how many bytes it takes when written.
    pub(super) fn size(&self) -> usize {
        self.texts.len() + self.sets.len()
    }

    /// The texts, then the sets with what was put behind each.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        put_number(out, self.known.len() as u64);
        out.extend_from_slice(&self.texts);
        out.extend_from_slice(&self.sets);
    }
}

/// The texts of what [`NameWriter`] wrote; sets are read one by one.
#[derive(Debug)]
pub(super) struct NameReader(Vec<Arc<str>>);

impl NameReader {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.count()?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(Arc::from(reader.text()?));
        }
        Some(Self(texts))
    }

    pub(super) fn set(&self, reader: &mut Reader<'_>) -> Option<Labels> {
        let count = reader.count()?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let mut text = || self.0.get(usize::try_from(reader.number()?).ok()?).cloned();
            pairs.push((text()?, text()?));
        }
        Some(Labels::new(pairs))
    }
}
