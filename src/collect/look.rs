//! What one look saw, and what it could not see.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

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

/// When the work of a look ends, so that the look itself is back by `deadline`: a tenth of what is left earlier, but
/// never more than 50 ms.
pub fn come_back_by(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - (left / 10).min(Duration::from_millis(50))
}

impl Default for Look {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_short_look_keeps_most_of_its_time() {
        let now = Instant::now();
        for (left, work) in [(5000, 4950), (500, 450), (50, 45), (0, 0)] {
            let end = come_back_by(now + Duration::from_millis(left));
            assert_eq!(end - now, Duration::from_millis(work), "{left} ms");
        }
    }
}
