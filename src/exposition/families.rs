//! Gathers the blocks of all sources under their families' names, so that a page lists each family once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::model::{Block, Family, MetricKind, is_valid_metric_name};
use crate::store::Picture;

/// A family and where its points are.
pub(super) struct Gathered<'p> {
    /// The first source's words.
    pub(super) family: &'p Family,
    /// Each source's share.
    pub(super) shares: Vec<(&'p Picture, &'p Block)>,
}

impl Gathered<'_> {
    /// Whether two shares could hold the same series: not when each source has its own `job` and `instance`.
    pub(super) fn may_repeat(&self) -> bool {
        if self.shares.len() < 2 {
            return false;
        }
        let mut seen = HashSet::new();
        self.shares.iter().any(|(picture, _)| match (picture.labels.get("job"), picture.labels.get("instance")) {
            (Some(job), Some(instance)) => !seen.insert((job, instance)),
            _ => true,
        })
    }
}

/// All families by name. A name that the formats do not allow is left out: one such line would cost the whole page.
pub(super) fn gather<'p>(pictures: &'p [Arc<Picture>], job: Option<&str>) -> BTreeMap<&'p str, Gathered<'p>> {
    let mut families: BTreeMap<&str, Gathered<'p>> = BTreeMap::new();
    for picture in pictures {
        let of_other_job = picture.labels.get("job").is_some_and(|own| job.is_some_and(|wanted| wanted != own));
        if of_other_job {
            continue;
        }
        for block in picture.blocks.iter().filter(|block| !block.points.is_empty()) {
            let name = &*block.family.name;
            if let Some(known) = families.get_mut(name) {
                known.shares.push((picture, block));
            } else if is_valid_metric_name(name) {
                families.insert(name, Gathered { family: &block.family, shares: vec![(picture, block)] });
            }
        }
    }
    families
}

/// Name and type of a family in OpenMetrics, where a counter's family name lacks the samples' `_total`. A counter without
/// that ending, or whose shortened name another family has, is of type unknown.
pub(super) fn open_metrics_type<'f>(
    family: &'f Family,
    families: &BTreeMap<&str, Gathered<'_>>,
) -> (&'f str, &'static str) {
    let name = &*family.name;
    match family.kind {
        MetricKind::Counter => match name.strip_suffix("_total") {
            Some(short) if !short.is_empty() && !families.contains_key(short) => (short, "counter"),
            _ => (name, "unknown"),
        },
        MetricKind::Unknown => (name, "unknown"),
        kind => (name, kind.text_name()),
    }
}
