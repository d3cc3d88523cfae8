//! What the server does beside queries: background writer, archive, write-ahead log, old transactions.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, Labels, Suffix};

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// The background writer; before 17 also the checkpoints.
pub const WRITER: Query = Query::new(
    "stat_bgwriter",
    "SELECT *, coalesce(extract(epoch FROM stats_reset), 0) AS reset_at FROM pg_stat_bgwriter",
    |table, _, look| only_row(table, look, &WRITER_COLUMNS),
);

/// The archive of write-ahead log.
pub const ARCHIVER: Query = Query::new(
    "stat_archiver",
    "SELECT archived_count, failed_count, extract(epoch FROM now() - last_archived_time) AS age FROM pg_stat_archiver",
    read_archiver,
);

/// The write-ahead log on disk; needs `pg_monitor`.
pub const WAL: Query = Query::new(
    "wal",
    "SELECT count(*) AS segments, sum(size) AS size FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
    |table, _, look| only_row(table, look, &WAL_COLUMNS),
);

/// Where the write-ahead log ends; on a standby, what of it was replayed. The exporter asks only servers before 10, which
/// called it xlog; its name stays.
pub const LOCATION: Query = Query::new(
    "xlog_location",
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END \
        - '0/0'::pg_lsn) % (2^52)::bigint AS location",
    |table, _, look| only_row(table, look, &LOCATION_COLUMNS),
);

/// Open transactions that do something or hold something, and the age of the oldest: 0 when there is none.
pub const LONG_TRANSACTIONS: Query = Query::new(
    "long_running_transactions",
    "SELECT count(*) AS transactions, coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) AS oldest \
        FROM pg_stat_activity \
        WHERE state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%' AND xact_start IS NOT NULL \
        AND pid <> pg_backend_pid()",
    |table, _, look| only_row(table, look, &LONG_TRANSACTION_COLUMNS),
)
.about_others();

static WRITER_COLUMNS: [Column; 11] = [
    Column::new(
        "checkpoints_timed",
        Family::counter("pg_stat_bgwriter_checkpoints_timed_total", "Checkpoints that were due."),
    ),
    Column::new(
        "checkpoints_req",
        Family::counter("pg_stat_bgwriter_checkpoints_req_total", "Checkpoints that were asked for."),
    ),
    Column::new(
        "checkpoint_write_time",
        Family::counter("pg_stat_bgwriter_checkpoint_write_time_total", "Time writing checkpoints, in milliseconds."),
    ),
    Column::new(
        "checkpoint_sync_time",
        Family::counter("pg_stat_bgwriter_checkpoint_sync_time_total", "Time syncing checkpoints, in milliseconds."),
    ),
    Column::new(
        "buffers_checkpoint",
        Family::counter("pg_stat_bgwriter_buffers_checkpoint_total", "Buffers written by checkpoints."),
    ),
    Column::new(
        "buffers_clean",
        Family::counter("pg_stat_bgwriter_buffers_clean_total", "Buffers written by the background writer."),
    ),
    Column::new(
        "maxwritten_clean",
        Family::counter("pg_stat_bgwriter_maxwritten_clean_total", "Cleaning scans that stopped at their limit."),
    ),
    Column::new(
        "buffers_backend",
        Family::counter("pg_stat_bgwriter_buffers_backend_total", "Buffers that sessions had to write themselves."),
    ),
    Column::new(
        "buffers_backend_fsync",
        Family::counter("pg_stat_bgwriter_buffers_backend_fsync_total", "Syncs that sessions had to do themselves."),
    ),
    Column::new("buffers_alloc", Family::counter("pg_stat_bgwriter_buffers_alloc_total", "Buffers allocated.")),
    Column::new(
        "reset_at",
        Family::counter("pg_stat_bgwriter_stats_reset_total", "When this was reset, in seconds since the epoch."),
    ),
];

static ARCHIVER_COLUMNS: [Column; 2] = [
    Column::new("archived_count", Family::counter("pg_stat_archiver_archived_count", "Log files archived.")),
    Column::new("failed_count", Family::counter("pg_stat_archiver_failed_count", "Failed attempts to archive.")),
];

static ARCHIVE_AGE: Family = Family::gauge(
    "pg_stat_archiver_last_archive_age",
    "Seconds since a log file was archived; NaN when none was since the statistics began.",
);

static WAL_COLUMNS: [Column; 2] = [
    Column::new("segments", Family::gauge("pg_wal_segments", "Files of write-ahead log.")),
    Column::new("size", Family::gauge("pg_wal_size_bytes", "Size of the write-ahead log, in bytes.")),
];

static LOCATION_COLUMNS: [Column; 1] = [Column::new(
    "location",
    Family::gauge("pg_xlog_location_bytes", "Where the write-ahead log ends, in bytes; the rest after 4 PiB."),
)];

static LONG_TRANSACTION_COLUMNS: [Column; 2] = [
    Column::new("transactions", Family::gauge("pg_long_running_transactions", "Open transactions that are not idle.")),
    Column::new(
        "oldest",
        Family::gauge(
            "pg_long_running_transactions_oldest_timestamp_seconds",
            "How long the oldest of them has been open, in seconds: an age despite the name.",
        ),
    ),
];

fn only_row(table: &Table, look: &mut Look, columns: &[Column]) {
    if let Some(row) = table.first() {
        add_columns(look, columns, &Labels::empty(), row);
    }
}

fn read_archiver(table: &Table, settings: &Settings, look: &mut Look) {
    let labels = Labels::new([("server", settings.instance())]);
    if let Some(row) = table.first() {
        add_columns(look, &ARCHIVER_COLUMNS, &labels, row);
        look.point(&ARCHIVE_AGE, Suffix::None, labels, row.number("age").unwrap_or(f64::NAN));
    }
}
