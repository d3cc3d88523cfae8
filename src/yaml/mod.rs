//! YAML with positions: every value knows its file, line and column, so that every complaint can name its place.
//!
//! [`parse`] makes a tree of [`Node`]s; [`Fields`] takes a mapping apart key by key, collecting all that is wrong
//! in [`Problems`](crate::model::Problems) instead of stopping at the first. Each part of the agent reads its own section with it.

mod fields;
pub mod glob;
mod node;
mod substitute;

pub use fields::Fields;
pub use node::{Node, Value, parse};
pub use substitute::{Environment, substitute};
