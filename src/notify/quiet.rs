//! What of a batch is kept quiet: inhibited alerts, everything outside a route's hours, silenced alerts; in this order, as
//! in Alertmanager.
//!
//! A quiet alert keeps its place in its group, and is told when nothing keeps it quiet any more and it still fires. One that
//! ends while it is quiet is forgotten untold. Alertmanager's log then still has it as firing, so that it would not be told
//! when it fires again; ours forgets it ([`Quiet::ended`]).
//!
//! Invariant: pure, the time is an argument.

use std::sync::Arc;

use crate::model::{Labels, Millis};

use super::group::Batch;
use super::inhibit::Inhibitor;
use super::silence::Silences;

/// Knows the silences.
pub trait Silencer: Send + Sync {
    /// Whether a silence is on alerts with these labels at a time of the wall clock.
    fn is_silenced(&self, labels: &Labels, wall: Millis) -> bool;
}

impl Silencer for Silences {
    fn is_silenced(&self, labels: &Labels, wall: Millis) -> bool {
        !self.silencing(labels, wall).is_empty()
    }
}

/// What was taken out of a batch.
#[derive(Debug, Default, PartialEq)]
pub struct Quiet {
    /// The time intervals that keep the whole of it quiet.
    pub muted_by: Vec<Arc<str>>,
    /// The fingerprints of alerts that have ended and whose end is not told.
    pub ended: Vec<u64>,
}

/// Takes what is kept quiet out of a batch.
pub fn hush(batch: &mut Batch, inhibitor: &Inhibitor, silencer: &dyn Silencer, wall: Millis) -> Quiet {
    let muted_by = batch.hours.silent(wall);
    let mut ended = Vec::new();
    batch.alerts.retain(|(id, alert)| {
        let quiet = !muted_by.is_empty()
            || inhibitor.inhibiting(&alert.labels, wall).is_some()
            || silencer.is_silenced(&alert.labels, wall);
        if quiet && alert.ends_at.is_some() {
            ended.push(*id);
        }
        !quiet
    });
    Quiet { muted_by, ended }
}

#[cfg(test)]
#[path = "quiet_tests.rs"]
mod tests;
