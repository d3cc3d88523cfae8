//! Figures per database: statistics, recovery conflicts, sizes, limits.

use crate::collect::Look;
use crate::model::{Family, MetricKind, Suffix};

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// All columns of the view; times of reset as seconds.
pub const STATISTICS: Query = Query::new(
    "stat_database",
    "SELECT *, extract(epoch FROM stats_reset) AS reset_at FROM pg_stat_database WHERE datname IS NOT NULL",
    |table, settings, look| per_database(table, settings, look, &STATISTIC_COLUMNS),
);

/// Queries that a standby had to cancel.
pub const CONFLICTS: Query = Query::new(
    "stat_database_conflicts",
    "SELECT * FROM pg_stat_database_conflicts WHERE datname IS NOT NULL",
    |table, settings, look| per_database(table, settings, look, &CONFLICT_COLUMNS),
);

/// Connection limits of roles.
pub const ROLES: Query = Query::new("roles", "SELECT rolname, rolconnlimit FROM pg_roles", read_roles).slow();

/// Connection limits of databases. A limit of -2 marks one whose DROP was cut off.
pub const LIMITS: Query = Query::new(
    "database",
    "SELECT datname, datconnlimit FROM pg_database WHERE datconnlimit <> -2",
    |table, settings, look| {
        per_name(table, settings, look, "datconnlimit", &CONNECTION_LIMIT);
    },
)
.slow();

/// Sizes of databases: each walks a directory. One that the role may not connect to has no size for it.
pub const SIZES: Query = Query::new(
    "database",
    "SELECT datname, CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') \
        THEN pg_database_size(oid) END AS size FROM pg_database WHERE datconnlimit <> -2",
    |table, settings, look| per_name(table, settings, look, "size", &SIZE),
)
.slow();

static SIZE: Family = Family::gauge("pg_database_size_bytes", "Disk space used by the database, in bytes.");
static CONNECTION_LIMIT: Family =
    Family::gauge("pg_database_connection_limit", "Connections the database allows; -1 for no limit of its own.");
static ROLE_LIMIT: Family =
    Family::gauge("pg_roles_connection_limit", "Connections the role may have; -1 for no limit of its own.");

const fn total(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::counter(name, help))
}

/// A family that only exporters up to 0.11 had, under the type they gave it.
const fn old(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::new(name, MetricKind::Unknown, help))
}

static STATISTIC_COLUMNS: [Column; 26] = [
    Column::new("numbackends", Family::gauge("pg_stat_database_numbackends", "Connections to this database.")),
    total("pg_stat_database_xact_commit", "xact_commit", "Transactions committed."),
    total("pg_stat_database_xact_rollback", "xact_rollback", "Transactions rolled back."),
    total("pg_stat_database_blks_read", "blks_read", "Disk blocks read."),
    total("pg_stat_database_blks_hit", "blks_hit", "Disk blocks found in the buffer cache."),
    total("pg_stat_database_tup_returned", "tup_returned", "Rows returned by queries."),
    total("pg_stat_database_tup_fetched", "tup_fetched", "Rows fetched by queries."),
    total("pg_stat_database_tup_inserted", "tup_inserted", "Rows inserted."),
    total("pg_stat_database_tup_updated", "tup_updated", "Rows updated."),
    total("pg_stat_database_tup_deleted", "tup_deleted", "Rows deleted."),
    total("pg_stat_database_conflicts", "conflicts", "Queries cancelled for conflicts with recovery."),
    total("pg_stat_database_temp_files", "temp_files", "Temporary files created by queries."),
    total("pg_stat_database_temp_bytes", "temp_bytes", "Bytes written to temporary files."),
    total("pg_stat_database_deadlocks", "deadlocks", "Deadlocks detected."),
    total("pg_stat_database_blk_read_time", "blk_read_time", "Time spent reading blocks, in milliseconds."),
    total("pg_stat_database_blk_write_time", "blk_write_time", "Time spent writing blocks, in milliseconds."),
    total("pg_stat_database_stats_reset", "reset_at", "When the statistics were reset, in seconds since the epoch."),
    Column::millis(
        "active_time",
        Family::counter("pg_stat_database_active_time_seconds_total", "Time spent executing statements, in seconds."),
    ),
    old("pg_stat_database_active_time", "active_time", "Time spent executing statements, in milliseconds."),
    old("pg_stat_database_session_time", "session_time", "Time spent by sessions, in milliseconds."),
    old(
        "pg_stat_database_idle_in_transaction_time",
        "idle_in_transaction_time",
        "Time spent idle in a transaction, in milliseconds.",
    ),
    old("pg_stat_database_sessions", "sessions", "Sessions established."),
    old("pg_stat_database_sessions_abandoned", "sessions_abandoned", "Sessions whose client went away."),
    old("pg_stat_database_sessions_fatal", "sessions_fatal", "Sessions ended by fatal errors."),
    old("pg_stat_database_sessions_killed", "sessions_killed", "Sessions ended by an operator."),
    old("pg_stat_database_checksum_failures", "checksum_failures", "Data pages whose checksum was wrong."),
];

static CONFLICT_COLUMNS: [Column; 5] = [
    total("pg_stat_database_conflicts_confl_tablespace", "confl_tablespace", "Cancelled for dropped tablespaces."),
    total("pg_stat_database_conflicts_confl_lock", "confl_lock", "Cancelled for lock time-outs."),
    total("pg_stat_database_conflicts_confl_snapshot", "confl_snapshot", "Cancelled for old snapshots."),
    total("pg_stat_database_conflicts_confl_bufferpin", "confl_bufferpin", "Cancelled for pinned buffers."),
    total("pg_stat_database_conflicts_confl_deadlock", "confl_deadlock", "Cancelled for deadlocks."),
];

fn per_database(table: &Table, settings: &Settings, look: &mut Look, columns: &[Column]) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, columns, &row.labels(&["datid", "datname"]), row);
    }
}

fn per_name(table: &Table, settings: &Settings, look: &mut Look, column: &str, family: &Family) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        if let Some(value) = row.number(column) {
            look.point(family, Suffix::None, row.labels(&["datname"]), value);
        }
    }
}

fn read_roles(table: &Table, _: &Settings, look: &mut Look) {
    for row in table.rows() {
        if let Some(limit) = row.number("rolconnlimit") {
            look.point(&ROLE_LIMIT, Suffix::None, row.labels(&["rolname"]), limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_no_value_and_time_is_in_seconds() {
        let table = Table::of(
            &["datid", "datname", "numbackends", "xact_commit", "active_time", "reset_at", "brand_new"],
            &[&["5", "orders", "3", "12", "1500", "", "7"]],
        );
        let mut look = Look::new();
        per_database(&table, &crate::collect::postgres::settings::example(), &mut look, &STATISTIC_COLUMNS);
        let labels = [("datid", "5"), ("datname", "orders")];
        assert_eq!(look.get("pg_stat_database_xact_commit", &labels), Some(12.0));
        assert_eq!(look.get("pg_stat_database_active_time_seconds_total", &labels), Some(1.5));
        assert_eq!(look.get("pg_stat_database_stats_reset", &labels), None);
        assert_eq!(look.len(), 4);
    }
}
