//! Sidewatch: one sidecar that watches an AI application, its database, cache, containers, tokens and money.
//!
//! The code map and what must stay true are in `ARCHITECTURE.md`.

pub mod collect;
pub mod model;
pub mod promql;
pub mod rules;
pub mod runtime;
pub mod store;
pub mod yaml;
