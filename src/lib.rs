//! Sidewatch: one sidecar that watches an AI application, its database, cache, containers, tokens and money.
//!
//! The code map and what must stay true are in `ARCHITECTURE.md`.

pub mod app;
pub mod cli;
pub mod collect;
pub mod config;
pub mod exposition;
pub mod ingest;
pub mod model;
pub mod notify;
pub mod promql;
pub mod rules;
pub mod runtime;
pub mod serve;
pub mod store;
pub mod template;
pub mod usage;
pub mod yaml;

/// The worked example of `CONTRIBUTING.md`, which must go on to work.
#[cfg(doctest)]
#[doc = include_str!("../CONTRIBUTING.md")]
mod contributing {}
