//! What one look saw, and what it could not see.

use std::collections::HashMap;

use crate::model::{Block, Family, Labels, Point, Suffix};

use super::CollectError;

/// The outcome of looking at a target once. Never empty: it always says whether the target is healthy.
#[derive(Debug, Clone)]
pub struct Look {
    /// `up`: whether the exporter stood in for would have answered. The target's own health is `healthy`.
    pub up: bool,
    /// Whether the target does its work; decides `/health`. When false, the first failure says why.
    pub healthy: bool,
    /// What could not be seen.
    pub failures: Vec<CollectError>,
    blocks: Vec<Block>,
    index: HashMap<Box<str>, usize>,
}

impl Look {
    /// A look that has seen nothing wrong yet.
    pub fn new() -> Self {
        Self { up: true, healthy: true, failures: Vec::new(), blocks: Vec::new(), index: HashMap::new() }
    }

    /// Adds a value of a family without labels.
    pub fn value(&mut self, family: &Family, value: f64) {
        self.point(family, Suffix::None, Labels::empty(), value);
    }

    /// Adds a value of a family with labels.
    pub fn labeled<const N: usize>(&mut self, family: &Family, labels: [(&str, &str); N], value: f64) {
        self.point(family, Suffix::None, Labels::new(labels), value);
    }

    /// Adds any point. The family's first mention decides its help and type.
    pub fn point(&mut self, family: &Family, suffix: Suffix, labels: Labels, value: f64) {
        let point = Point { suffix, labels, value };
        if let Some(block) = self.blocks.last_mut().filter(|last| last.family.name == family.name) {
            block.points.push(point);
            return;
        }
        if let Some(at) = self.index.get(&*family.name) {
            self.blocks[*at].points.push(point);
            return;
        }
        self.index.insert(family.name.as_ref().into(), self.blocks.len());
        self.blocks.push(Block { family: family.clone(), points: vec![point] });
    }

    /// Notes something that could not be seen; what was seen stays, and so does the verdict.
    pub fn missed(&mut self, error: CollectError) {
        self.failures.push(error);
    }

    /// Notes why the target is not healthy. The reason is put first, for `/health`.
    pub fn unhealthy(&mut self, error: CollectError) {
        let at = if self.healthy { 0 } else { self.failures.len() };
        self.healthy = false;
        self.failures.insert(at, error);
    }

    /// What was seen.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// What was seen, for whoever keeps it.
    pub fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    /// How many points were seen.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.points.len()).sum()
    }

    /// Whether no point was seen.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The value of a point by family name and labels, for tests and `probe`.
    pub fn get(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let block = &self.blocks[*self.index.get(family)?];
        let wanted = Labels::new(labels.iter().copied());
        block.points.iter().find(|point| point.labels == wanted).map(|point| point.value)
    }
}

impl Default for Look {
    fn default() -> Self {
        Self::new()
    }
}
