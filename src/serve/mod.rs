//! Answers over HTTP: metrics, health, ingest, reload, the page.
//!
//! In: read handles of the parts. Out: answers, at once, whatever the targets do; nothing here looks at a target.

pub mod access;
mod alertmanager_api;
mod events;
mod health;
pub mod listen;
mod metrics;
mod page;
pub mod prometheus_api;
mod router;
pub mod settings;
mod usage;

pub use prometheus_api::Asking;
pub use router::{Door, router};
pub use settings::Settings;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::collect::{Board, Happenings};
use crate::notify::Notifier;
use crate::rules::runner::Rules;
use crate::runtime::own_metrics::{Own, ServeMetrics, WriteMetrics};
use crate::store::{Limits, Store};
use crate::usage::Meter;

/// Loads the configuration anew; the error is what the user reads.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What the answers are made from.
#[derive(Clone)]
pub struct Parts {
    /// The section `server:`.
    pub settings: Arc<Settings>,
    /// History and the current pictures.
    pub store: Store,
    /// The verdicts on the targets.
    pub board: Board,
    /// What happened to containers.
    pub happenings: Happenings,
    /// The agent's own metrics.
    pub own: Own,
    /// Takes usage and knows the totals.
    pub meter: Meter,
    /// Groups, rules and active alerts.
    pub rules: Rules,
    /// What was told to whom.
    pub notifier: Notifier,
    /// Loads the configuration anew.
    pub reload: Reload,
    /// How answers are timed.
    pub metrics: ServeMetrics,
    /// What the store may hold.
    pub limits: Limits,
    /// The queue of questions to the store.
    pub asking: Asking,
    /// How remote write goes.
    pub writes: WriteMetrics,
}
