//! Looks at targets: one file or folder per kind. [`runner`] owns the time: intervals, time-outs, `up`.
//!
//! In: a target's settings. Out: a [`Look`] into the store.
//!
//! A new kind is its own file with settings ([`TargetSettings`]) and [`Collect`], and one line in [`Kind`]'s registry.

mod board;
pub mod dial;
pub mod dns;
pub mod docker;
mod error;
pub mod grpc;
mod happenings;
pub mod host;
pub mod http;
pub mod icmp;
mod kind;
pub mod llm;
mod look;
pub mod mcp;
pub mod oidc;
mod paced;
pub mod pgbouncer;
pub mod postgres;
pub mod probe;
pub mod prometheus;
pub mod redis;
pub mod runner;
pub mod simulated;
pub mod smtp;
mod target;
pub mod tcp;
#[cfg(test)]
mod test_target;
mod web;
pub mod websocket;

pub use board::{Board, State};
pub use error::{CollectError, Reason};
pub use happenings::{Complaint, Happenings};
pub use kind::{Kind, TargetSettings};
pub use look::Look;
pub use target::Target;

use async_trait::async_trait;
use tokio::time::Instant;

/// Looks at one target once. Timing, retries and bookkeeping belong to the runner.
#[async_trait]
pub trait Collect: Send + Sync {
    /// Looks, and comes back by `deadline` with whatever was seen until then.
    ///
    /// The runner drops the future a moment after the deadline, so it must be safe to drop at any `await`:
    /// a connection that was in the middle of an answer is thrown away, not used again.
    async fn look(&self, deadline: Instant) -> Look;

    /// What to show for a look that never came back: the health metrics at 0 (`pg_up`, `redis_up`, `probe_success`).
    fn unanswered(&self, error: CollectError) -> Look;

    /// What is followed beside the looks, for a target that is an engine of containers.
    fn containers(&self) -> Option<docker::Containers> {
        None
    }
}
