//! What others may read of the rules while they are evaluated: a picture of each group after its last evaluation.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::{Labels, Millis};

use super::file::GroupSpec;
use super::state::AlertState;

/// A group as it was after its last evaluation.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// As it is written.
    pub spec: Arc<GroupSpec>,
    /// The last evaluation's time, if there was one.
    pub last_evaluation: Option<Millis>,
    /// How long the last evaluation took, as its caller measured it.
    pub took: Duration,
    /// One for each rule of the spec, in the same order.
    pub rules: Vec<RuleView>,
}

/// A rule as it was after its last evaluation.
#[derive(Debug, Clone, Default)]
pub struct RuleView {
    /// Whether it could be evaluated.
    pub health: Health,
    /// Why not; of a rule that could be, that metrics it needs do not exist.
    pub last_error: Option<String>,
    /// The last evaluation's time, if there was one.
    pub last_evaluation: Option<Millis>,
    /// Pending and firing alerts; none for recording rules.
    pub alerts: Vec<ActiveAlert>,
}

/// Whether a rule could be evaluated, as Prometheus' API calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It could.
    Ok,
    /// It could not.
    Err,
}

impl Health {
    /// `unknown`, `ok`, `err`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveAlert {
    /// With `alertname`, without external labels.
    pub labels: Labels,
    /// Expanded.
    pub annotations: Labels,
    /// Pending or firing.
    pub state: AlertState,
    /// Since when the condition has held.
    pub active_at: Millis,
    /// Since when it has been kept firing although the condition has ended.
    pub keep_firing_since: Option<Millis>,
    /// The expression's value when it was last true.
    pub value: f64,
}

/// A reader's handle on a group. Cheap to clone; always shows the newest picture.
#[derive(Debug, Clone)]
pub struct GroupHandle(pub(super) Arc<ArcSwap<GroupView>>);

impl GroupHandle {
    /// The newest picture.
    pub fn load(&self) -> Arc<GroupView> {
        self.0.load_full()
    }
}
