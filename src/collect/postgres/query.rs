//! What a question to the server is.

use crate::collect::Look;

use super::rows::Table;
use super::settings::Settings;

/// One question and what its answer means.
pub struct Query {
    /// As `postgres_exporter` calls the collector, for `pg_scrape_collector_success{collector}`.
    pub collector: &'static str,
    /// The first server version that can answer it, as `server_version_num` counts (170000 is 17).
    pub since: u32,
    /// The question.
    pub sql: &'static str,
    /// Puts the answer into the look.
    pub read: fn(&Table, &Settings, &mut Look),
}
