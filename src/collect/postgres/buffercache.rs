//! What the shared buffers hold: `pg_buffercache`, where it is installed.

use crate::collect::Look;
use crate::model::{Family, Labels};

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// Sums over all shared buffers, made by the server without locking them; the extension has them from 1.4 on.
pub const SUMMARY: Query = Query::new(
    "buffercache_summary",
    "SELECT buffers_used, buffers_unused, buffers_dirty, buffers_pinned, usagecount_avg \
        FROM {schema}.pg_buffercache_summary()",
    read,
)
.extension("pg_buffercache", (1, 4))
.slow();

static COLUMNS: [Column; 5] = [
    Column::new("buffers_used", Family::gauge("pg_buffercache_summary_buffers_used", "Shared buffers in use.")),
    Column::new("buffers_unused", Family::gauge("pg_buffercache_summary_buffers_unused", "Shared buffers not in use.")),
    Column::new(
        "buffers_dirty",
        Family::gauge("pg_buffercache_summary_buffers_dirty", "Shared buffers still to be written."),
    ),
    Column::new(
        "buffers_pinned",
        Family::gauge("pg_buffercache_summary_buffers_pinned", "Shared buffers that somebody is reading or changing."),
    ),
    Column::new(
        "usagecount_avg",
        Family::gauge(
            "pg_buffercache_summary_usagecount_avg",
            "Mean usage count of the shared buffers in use, 0 to 5.",
        ),
    ),
];

fn read(table: &Table, _: &Settings, look: &mut Look) {
    if let Some(row) = table.first() {
        add_columns(look, &COLUMNS, &Labels::empty(), row);
    }
}
