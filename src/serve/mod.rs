//! Answers over HTTP: metrics, health, ingest, reload, the page.

pub mod access;
pub mod listen;
pub mod settings;

pub use settings::Settings;
