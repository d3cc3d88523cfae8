//! Figures per database: statistics, recovery conflicts, sizes, limits.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, MetricKind, Suffix};

use super::query::Query;
use super::rows::{Column, Table, add_columns, say_dropped};
use super::settings::Settings;

/// All columns of the view; times as seconds. Statistics that were never reset have 0 there, as in the exporter.
pub const STATISTICS: Query = Query::new(
    "stat_database",
    "SELECT *, coalesce(extract(epoch FROM stats_reset), 0) AS reset_at, \
        extract(epoch FROM checksum_last_failure) AS checksum_failed_at FROM pg_stat_database WHERE datname IS NOT NULL",
    read_statistics,
);

/// Queries that a standby had to cancel.
pub const CONFLICTS: Query = Query::new(
    "stat_database_conflicts",
    "SELECT * FROM pg_stat_database_conflicts WHERE datname IS NOT NULL",
    read_conflicts,
);

/// Roles beyond this many are left out, the youngest first, and said so: some applications have one for each customer.
const MOST_ROLES: usize = 1000;

/// Connection limits of roles.
pub const ROLES: Query =
    Query::new("roles", "SELECT rolname, rolconnlimit FROM pg_roles ORDER BY oid LIMIT 1001", read_roles).slow();

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
.rare();

static SIZE: Family = Family::gauge("pg_database_size_bytes", "Disk space used by the database, in bytes.");
static CONNECTION_LIMIT: Family =
    Family::gauge("pg_database_connection_limit", "Connections the database allows; -1 for no limit of its own.");
static ROLE_LIMIT: Family =
    Family::gauge("pg_roles_connection_limit", "Connections the role may have; -1 for no limit of its own.");

const LABELS: [&str; 2] = ["datid", "datname"];

const fn total(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::counter(name, help))
}

/// A family to which exporters gave no type.
const fn old(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::new(name, MetricKind::Unknown, help))
}

static STATISTIC_COLUMNS: [Column; 18] = [
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
];

/// What exporters up to 0.11 had beside, with their label.
static OLD_STATISTIC_COLUMNS: [Column; 7] = [
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
];

/// As exporters up to 0.11 had them: NaN where checksums are off or never failed.
static CHECKSUM_FAILURES: Family = Family::new(
    "pg_stat_database_checksum_failures",
    MetricKind::Unknown,
    "Data pages whose checksum was wrong; NaN without checksums.",
);
static CHECKSUM_FAILED: Family = Family::new(
    "pg_stat_database_checksum_last_failure",
    MetricKind::Unknown,
    "When a checksum was wrong last, in seconds since the epoch; NaN for never.",
);

static CONFLICT_COLUMNS: [Column; 6] = [
    total("pg_stat_database_conflicts_confl_tablespace", "confl_tablespace", "Cancelled for dropped tablespaces."),
    total("pg_stat_database_conflicts_confl_lock", "confl_lock", "Cancelled for lock time-outs."),
    total("pg_stat_database_conflicts_confl_snapshot", "confl_snapshot", "Cancelled for old snapshots."),
    total("pg_stat_database_conflicts_confl_bufferpin", "confl_bufferpin", "Cancelled for pinned buffers."),
    total("pg_stat_database_conflicts_confl_deadlock", "confl_deadlock", "Cancelled for deadlocks."),
    // From 16 on; the exporter knows it only by the view.
    old(
        "pg_stat_database_conflicts_confl_active_logicalslot",
        "confl_active_logicalslot",
        "Cancelled for logical replication slots.",
    ),
];

fn read_statistics(table: &Table, settings: &Settings, look: &mut Look) {
    let server = settings.instance();
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, &STATISTIC_COLUMNS, &row.labels(&LABELS), row);
        let labels = row.labels_at(&server, &LABELS);
        add_columns(look, &OLD_STATISTIC_COLUMNS, &labels, row);
        for (family, column) in [(&CHECKSUM_FAILURES, "checksum_failures"), (&CHECKSUM_FAILED, "checksum_failed_at")] {
            look.point(family, Suffix::None, labels.clone(), row.number(column).unwrap_or(f64::NAN));
        }
    }
}

fn read_conflicts(table: &Table, settings: &Settings, look: &mut Look) {
    let server = settings.instance();
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, &CONFLICT_COLUMNS, &row.labels_at(&server, &LABELS), row);
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
    say_dropped(table, MOST_ROLES, "the oldest roles", look);
    for row in table.rows().take(MOST_ROLES) {
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
        read_statistics(&table, &crate::collect::postgres::settings::example(), &mut look);
        let labels = [("datid", "5"), ("datname", "orders")];
        assert_eq!(look.get("pg_stat_database_xact_commit", &labels), Some(12.0));
        assert_eq!(look.get("pg_stat_database_active_time_seconds_total", &labels), Some(1.5));
        assert_eq!(look.get("pg_stat_database_stats_reset", &labels), None);
        let old = [("datid", "5"), ("datname", "orders"), ("server", "db:5432")];
        assert_eq!(look.get("pg_stat_database_active_time", &old), Some(1500.0), "as exporters up to 0.11 had it");
        let failures = look.get("pg_stat_database_checksum_failures", &old);
        assert!(failures.is_some_and(f64::is_nan), "checksums are off: {failures:?}");
        assert_eq!(look.len(), 6);
    }
}
