//! Figures per table of the database that the session is in.
//!
//! Statistics are read without touching the tables. Sizes need a lock on each table, so those that somebody holds or
//! wants exclusively are left out, rather than waited for: an `ALTER TABLE` then costs its own sizes and nothing else.

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::{Column, Table, add_columns, say_dropped};
use super::settings::Settings;

/// Tables beyond this many are left out, the smallest first, and said so: a table is two dozen series.
const MOST: usize = 1000;

/// How tables are used and looked after. As in the exporter, a table without an index had 0 index scans, and what never
/// happened happened at 0.
pub const ACCESS: Query = Query::new(
    "stat_user_tables",
    "SELECT current_database() AS datname, schemaname, relname, seq_scan, seq_tup_read, \
        coalesce(idx_scan, 0) AS idx_scan, coalesce(idx_tup_fetch, 0) AS idx_tup_fetch, \
        n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, \
        vacuum_count, autovacuum_count, analyze_count, autoanalyze_count, \
        coalesce(extract(epoch FROM last_vacuum), 0) AS vacuum_at, \
        coalesce(extract(epoch FROM last_autovacuum), 0) AS autovacuum_at, \
        coalesce(extract(epoch FROM last_analyze), 0) AS analyze_at, \
        coalesce(extract(epoch FROM last_autoanalyze), 0) AS autoanalyze_at \
        FROM pg_stat_user_tables ORDER BY n_live_tup DESC, relid LIMIT 1001",
    |table, settings, look| per_table(table, settings, look, &ACCESS_COLUMNS),
)
.per_database()
.slow();

/// Where their blocks come from; 0 for indexes and TOAST tables that a table does not have.
pub const BLOCKS: Query = Query::new(
    "statio_user_tables",
    "SELECT current_database() AS datname, schemaname, relname, heap_blks_read, heap_blks_hit, \
        coalesce(idx_blks_read, 0) AS idx_blks_read, coalesce(idx_blks_hit, 0) AS idx_blks_hit, \
        coalesce(toast_blks_read, 0) AS toast_blks_read, coalesce(toast_blks_hit, 0) AS toast_blks_hit, \
        coalesce(tidx_blks_read, 0) AS tidx_blks_read, coalesce(tidx_blks_hit, 0) AS tidx_blks_hit \
        FROM pg_statio_user_tables \
        ORDER BY heap_blks_read + heap_blks_hit DESC, relid LIMIT 1001",
    |table, settings, look| per_table(table, settings, look, &BLOCK_COLUMNS),
)
.per_database()
.slow();

/// How large they are. Sums over no index are 0, as `pg_indexes_size` has it.
pub const SIZES: Query = Query::new(
    "stat_user_tables_size",
    "SELECT current_database() AS datname, schemaname, relname, pg_table_size(relid) AS table_size, \
        pg_indexes_size(relid) AS index_size \
        FROM (SELECT * FROM pg_stat_user_tables t WHERE NOT EXISTS (SELECT FROM pg_locks l \
        WHERE l.relation = t.relid AND l.mode = 'AccessExclusiveLock' \
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) \
        ORDER BY n_live_tup DESC, relid LIMIT 1001) t",
    |table, settings, look| per_table(table, settings, look, &SIZE_COLUMNS),
)
.per_database()
.rare()
.locks_tables();

const LABELS: [&str; 3] = ["datname", "relname", "schemaname"];

const fn total(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::counter(name, help))
}

const fn gauge(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::gauge(name, help))
}

static ACCESS_COLUMNS: [Column; 19] = [
    total("pg_stat_user_tables_seq_scan", "seq_scan", "Sequential scans."),
    total("pg_stat_user_tables_seq_tup_read", "seq_tup_read", "Rows read by sequential scans."),
    total("pg_stat_user_tables_idx_scan", "idx_scan", "Index scans."),
    total("pg_stat_user_tables_idx_tup_fetch", "idx_tup_fetch", "Rows fetched by index scans."),
    total("pg_stat_user_tables_n_tup_ins", "n_tup_ins", "Rows inserted."),
    total("pg_stat_user_tables_n_tup_upd", "n_tup_upd", "Rows updated."),
    total("pg_stat_user_tables_n_tup_del", "n_tup_del", "Rows deleted."),
    total("pg_stat_user_tables_n_tup_hot_upd", "n_tup_hot_upd", "Rows updated without touching an index."),
    gauge("pg_stat_user_tables_n_live_tup", "n_live_tup", "Live rows, estimated."),
    gauge("pg_stat_user_tables_n_dead_tup", "n_dead_tup", "Dead rows, estimated."),
    gauge(
        "pg_stat_user_tables_n_mod_since_analyze",
        "n_mod_since_analyze",
        "Rows changed since the last ANALYZE, estimated.",
    ),
    total("pg_stat_user_tables_vacuum_count", "vacuum_count", "Manual VACUUMs."),
    total("pg_stat_user_tables_autovacuum_count", "autovacuum_count", "Automatic VACUUMs."),
    total("pg_stat_user_tables_analyze_count", "analyze_count", "Manual ANALYZEs."),
    total("pg_stat_user_tables_autoanalyze_count", "autoanalyze_count", "Automatic ANALYZEs."),
    gauge(
        "pg_stat_user_tables_last_vacuum",
        "vacuum_at",
        "When the last manual VACUUM was, in seconds since the epoch.",
    ),
    gauge(
        "pg_stat_user_tables_last_autovacuum",
        "autovacuum_at",
        "When the last automatic VACUUM was, in seconds since the epoch.",
    ),
    gauge(
        "pg_stat_user_tables_last_analyze",
        "analyze_at",
        "When the last manual ANALYZE was, in seconds since the epoch.",
    ),
    gauge(
        "pg_stat_user_tables_last_autoanalyze",
        "autoanalyze_at",
        "When the last automatic ANALYZE was, in seconds since the epoch.",
    ),
];

static BLOCK_COLUMNS: [Column; 8] = [
    total("pg_statio_user_tables_heap_blocks_read", "heap_blks_read", "Table blocks read from disk."),
    total("pg_statio_user_tables_heap_blocks_hit", "heap_blks_hit", "Table blocks found in the buffer cache."),
    total("pg_statio_user_tables_idx_blocks_read", "idx_blks_read", "Index blocks read from disk."),
    total("pg_statio_user_tables_idx_blocks_hit", "idx_blks_hit", "Index blocks found in the buffer cache."),
    total("pg_statio_user_tables_toast_blocks_read", "toast_blks_read", "TOAST blocks read from disk."),
    total("pg_statio_user_tables_toast_blocks_hit", "toast_blks_hit", "TOAST blocks found in the buffer cache."),
    total("pg_statio_user_tables_tidx_blocks_read", "tidx_blks_read", "TOAST index blocks read from disk."),
    total("pg_statio_user_tables_tidx_blocks_hit", "tidx_blks_hit", "TOAST index blocks found in the buffer cache."),
];

static SIZE_COLUMNS: [Column; 2] = [
    gauge("pg_stat_user_tables_table_size_bytes", "table_size", "Disk space used by the table, in bytes."),
    gauge("pg_stat_user_tables_index_size_bytes", "index_size", "Disk space used by its indexes, in bytes."),
];

fn per_table(table: &Table, _: &Settings, look: &mut Look, columns: &[Column]) {
    for row in table.rows().take(MOST) {
        add_columns(look, columns, &row.labels(&LABELS), row);
    }
    say_dropped(table, MOST, "the largest tables", look);
}
