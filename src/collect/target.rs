//! A target: what to look at, how often, and how its series are labelled.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Labels;

use super::Kind;

/// One thing to look at, as configured and checked. Equal targets keep their connections over a reload.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Unique among the targets; `/health` and the logs use it.
    pub name: Arc<str>,
    /// From one look to the next.
    pub interval: Duration,
    /// The longest that one look may take; never more than `interval`.
    pub timeout: Duration,
    /// `job`, `instance` and the user's own labels: they go on every series of the target.
    pub labels: Labels,
    /// What it is, with the settings of its kind.
    pub kind: Kind,
}
