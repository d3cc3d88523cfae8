//! Checkpoints of servers from 17 on, which count them apart from the background writer.
//!
//! The same facts also stand under the names that older servers had them by (`pg_stat_bgwriter_*`): a dashboard or rule
//! made for those goes on after an upgrade. The exporter does not do so.

use crate::collect::Look;
use crate::model::{Family, Labels};

use super::query::Query;
use super::rows::{Column, Table, add_columns};

/// The first version that has the view.
const SINCE: u32 = 170_000;

/// The checkpointer's own figures.
pub const CHECKPOINTER: Query = Query::new(
    "stat_checkpointer",
    "SELECT *, coalesce(extract(epoch FROM stats_reset), 0) AS reset_at FROM pg_stat_checkpointer",
    |table, _, look| {
        only_row(table, look, &COLUMNS);
        only_row(table, look, &OLD_COLUMNS);
    },
)
.since(SINCE);

/// What sessions had to write themselves: everything that neither the checkpointer nor the background writer wrote. 18
/// counts it in bytes, for one write may be of several blocks.
pub const BY_SESSIONS: Query = Query::by_version(
    "stat_io",
    &[
        (
            SINCE,
            "SELECT sum(coalesce(writes, 0) + coalesce(extends, 0)) AS blocks, sum(fsyncs) AS fsyncs FROM pg_stat_io \
                WHERE object = 'relation' AND backend_type NOT IN ('checkpointer', 'background writer')",
        ),
        (
            180_000,
            "SELECT sum(coalesce(write_bytes, 0) + coalesce(extend_bytes, 0)) \
                / current_setting('block_size')::numeric AS blocks, sum(fsyncs) AS fsyncs FROM pg_stat_io \
                WHERE object = 'relation' AND backend_type NOT IN ('checkpointer', 'background writer')",
        ),
    ],
    |table, _, look| only_row(table, look, &SESSION_COLUMNS),
)
.slow();

const fn total(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::counter(name, help))
}

static COLUMNS: [Column; 9] = [
    total("pg_stat_checkpointer_num_timed_total", "num_timed", "Checkpoints that were due."),
    total("pg_stat_checkpointer_num_requested_total", "num_requested", "Checkpoints that were asked for."),
    total("pg_stat_checkpointer_restartpoints_timed_total", "restartpoints_timed", "Restartpoints that were due."),
    total("pg_stat_checkpointer_restartpoints_req_total", "restartpoints_req", "Restartpoints that were asked for."),
    total("pg_stat_checkpointer_restartpoints_done_total", "restartpoints_done", "Restartpoints performed."),
    total("pg_stat_checkpointer_write_time_total", "write_time", "Time writing checkpoints, in milliseconds."),
    total("pg_stat_checkpointer_sync_time_total", "sync_time", "Time syncing checkpoints, in milliseconds."),
    total("pg_stat_checkpointer_buffers_written_total", "buffers_written", "Buffers written by checkpoints."),
    total(
        "pg_stat_checkpointer_stats_reset_total",
        "reset_at",
        "When this was reset, in seconds since the epoch; 0 for never.",
    ),
];

static OLD_COLUMNS: [Column; 5] = [
    total("pg_stat_bgwriter_checkpoints_timed_total", "num_timed", "Checkpoints that were due."),
    total("pg_stat_bgwriter_checkpoints_req_total", "num_requested", "Checkpoints that were asked for."),
    total("pg_stat_bgwriter_checkpoint_write_time_total", "write_time", "Time writing checkpoints, in milliseconds."),
    total("pg_stat_bgwriter_checkpoint_sync_time_total", "sync_time", "Time syncing checkpoints, in milliseconds."),
    total("pg_stat_bgwriter_buffers_checkpoint_total", "buffers_written", "Buffers written by checkpoints."),
];

static SESSION_COLUMNS: [Column; 2] = [
    total("pg_stat_bgwriter_buffers_backend_total", "blocks", "Buffers that sessions had to write themselves."),
    total("pg_stat_bgwriter_buffers_backend_fsync_total", "fsyncs", "Syncs that sessions had to do themselves."),
];

fn only_row(table: &Table, look: &mut Look, columns: &[Column]) {
    if let Some(row) = table.first() {
        add_columns(look, columns, &Labels::empty(), row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::settings::example;

    #[test]
    fn checkpoints_keep_their_older_names() {
        let table = Table::of(&["num_timed", "num_requested", "write_time"], &[&["7", "2", "1500"]]);
        let mut look = Look::new();
        (CHECKPOINTER.read)(&table, &example(), &mut look);
        for (name, value) in [
            ("pg_stat_checkpointer_num_timed_total", 7.0),
            ("pg_stat_bgwriter_checkpoints_timed_total", 7.0),
            ("pg_stat_bgwriter_checkpoints_req_total", 2.0),
            ("pg_stat_bgwriter_checkpoint_write_time_total", 1500.0),
        ] {
            assert_eq!(look.get(name, &[]), Some(value), "{name}");
        }
    }
}
