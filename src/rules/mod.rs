//! Decides which alerts are firing, and records what recording rules compute.
//!
//! In: rule files as Prometheus reads them, and the store. Out: [`Transition`](crate::model::Transition)s for `notify`,
//! and pictures of recorded series, `ALERTS` and `ALERTS_FOR_STATE` for the store.
//!
//! Invariant: evaluation does no I/O and reads no clock. `now` is an argument, so a test replays a day at once.
//! A rule that cannot be evaluated changes no alert.

mod file;
mod group;
mod hold;
mod lint;
mod missing;
mod restore;
pub mod runner;
mod set;
mod state;
pub mod template;
pub mod unit_test;
mod view;

pub use file::{GroupSpec, RuleKind, RuleSpec, load, read_file};
pub use group::{Evaluation, Failure, Group};
pub use hold::{FailingTargets, HoldMissing};
pub use lint::{RuleIdentity, duplicates};
pub use missing::Missing;
pub use set::{RuleSet, Succession};
pub use state::AlertState;
pub use template::Externals;
pub use view::{ActiveAlert, GroupHandle, GroupView, Health, RuleView};
