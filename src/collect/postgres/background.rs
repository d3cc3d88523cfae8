//! What the server does beside queries: background writer, checkpoints, archive, log segments, old transactions.

use crate::collect::Look;
use crate::model::{Family, Labels};

use super::query::Query;
use super::rows::{Column, Table, add_columns};

/// The background writer; before 17 also the checkpoints.
pub const WRITER: Query = Query::new(
    "stat_bgwriter",
    "SELECT *, extract(epoch FROM stats_reset) AS reset_at FROM pg_stat_bgwriter",
    |table, _, look| only_row(table, look, &WRITER_COLUMNS),
);

/// The checkpointer, from 17 on.
pub const CHECKPOINTER: Query = Query::new(
    "stat_checkpointer",
    "SELECT *, extract(epoch FROM stats_reset) AS reset_at FROM pg_stat_checkpointer",
    |table, _, look| only_row(table, look, &CHECKPOINTER_COLUMNS),
)
.since(170_000);

/// The archive of write-ahead log.
pub const ARCHIVER: Query = Query::new(
    "stat_archiver",
    "SELECT *, extract(epoch FROM now() - last_archived_time) AS age FROM pg_stat_archiver",
    |table, _, look| only_row(table, look, &ARCHIVER_COLUMNS),
);

/// The write-ahead log on disk; needs `pg_monitor`.
pub const WAL: Query = Query::new(
    "wal",
    "SELECT count(*) AS segments, sum(size) AS size FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
    |table, _, look| only_row(table, look, &WAL_COLUMNS),
);

/// Open transactions that do something or hold something.
pub const LONG_TRANSACTIONS: Query = Query::new(
    "long_running_transactions",
    "SELECT count(*) AS transactions, extract(epoch FROM min(xact_start)) AS oldest FROM pg_stat_activity \
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

static CHECKPOINTER_COLUMNS: [Column; 9] = [
    Column::new("num_timed", Family::counter("pg_stat_checkpointer_num_timed_total", "Checkpoints that were due.")),
    Column::new(
        "num_requested",
        Family::counter("pg_stat_checkpointer_num_requested_total", "Checkpoints that were asked for."),
    ),
    Column::new(
        "restartpoints_timed",
        Family::counter("pg_stat_checkpointer_restartpoints_timed_total", "Restartpoints that were due."),
    ),
    Column::new(
        "restartpoints_req",
        Family::counter("pg_stat_checkpointer_restartpoints_req_total", "Restartpoints that were asked for."),
    ),
    Column::new(
        "restartpoints_done",
        Family::counter("pg_stat_checkpointer_restartpoints_done_total", "Restartpoints performed."),
    ),
    Column::new(
        "write_time",
        Family::counter("pg_stat_checkpointer_write_time_total", "Time writing checkpoints, in milliseconds."),
    ),
    Column::new(
        "sync_time",
        Family::counter("pg_stat_checkpointer_sync_time_total", "Time syncing checkpoints, in milliseconds."),
    ),
    Column::new(
        "buffers_written",
        Family::counter("pg_stat_checkpointer_buffers_written_total", "Buffers written by checkpoints."),
    ),
    Column::new(
        "reset_at",
        Family::counter("pg_stat_checkpointer_stats_reset_total", "When this was reset, in seconds since the epoch."),
    ),
];

static ARCHIVER_COLUMNS: [Column; 3] = [
    Column::new("archived_count", Family::counter("pg_stat_archiver_archived_count", "Log files archived.")),
    Column::new("failed_count", Family::counter("pg_stat_archiver_failed_count", "Failed attempts to archive.")),
    Column::new("age", Family::gauge("pg_stat_archiver_last_archive_age", "Seconds since a log file was archived.")),
];

static WAL_COLUMNS: [Column; 2] = [
    Column::new("segments", Family::gauge("pg_wal_segments", "Files of write-ahead log.")),
    Column::new("size", Family::gauge("pg_wal_size_bytes", "Size of the write-ahead log, in bytes.")),
];

static LONG_TRANSACTION_COLUMNS: [Column; 2] = [
    Column::new("transactions", Family::gauge("pg_long_running_transactions", "Open transactions that are not idle.")),
    Column::new(
        "oldest",
        Family::gauge(
            "pg_long_running_transactions_oldest_timestamp_seconds",
            "When the oldest of them began, in seconds since the epoch.",
        ),
    ),
];

fn only_row(table: &Table, look: &mut Look, columns: &[Column]) {
    if let Some(row) = table.first() {
        add_columns(look, columns, &Labels::empty(), row);
    }
}
