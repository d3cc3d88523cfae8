//! The commands whose rows become series: SHOW POOLS, DATABASES and `STATS_TOTALS`.
//!
//! Known columns are taken, unknown ones passed over; one that a version lacks, or a NULL, is an absent value.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::console::Row;

/// Rows taken of one answer. PgBouncer has a pool for each pair of database and user that ever met.
pub const MOST_ROWS: usize = 1000;

/// One command and what its columns mean.
pub struct Sheet {
    /// The command.
    pub command: &'static str,
    /// The labels, named as the columns they come from.
    labels: &'static [&'static str],
    values: &'static [Value],
}

/// A column that is a family's value.
struct Value {
    column: &'static str,
    family: Family,
    /// What a unit of the column is in the family's unit.
    scale: f64,
}

/// A value as it stands.
const fn plain(column: &'static str, family: Family) -> Value {
    Value { column, family, scale: 1.0 }
}

/// A value in microseconds for a family in seconds.
const fn micros(column: &'static str, family: Family) -> Value {
    Value { column, family, scale: 1e-6 }
}

impl Sheet {
    /// All of them, in the order in which they are asked for.
    pub const ALL: [&'static Self; 3] = [&POOLS, &DATABASES, &TOTALS];

    /// The columns to ask the answer for: first the labels, then the values.
    pub fn columns(&self) -> Vec<&'static str> {
        self.labels.iter().copied().chain(self.values.iter().map(|value| value.column)).collect()
    }

    /// Adds a row's values. Gives whether it did: a row whose name cannot be read would be nobody's, and two of them one.
    pub fn read(&self, row: Row<'_>, look: &mut Look) -> bool {
        if (0..self.labels.len()).any(|at| row.is_unreadable(at)) {
            return false;
        }
        let pairs = self.labels.iter().enumerate().map(|(at, name)| (*name, row.text(at).unwrap_or_default()));
        let labels = Labels::new(pairs);
        for (at, value) in self.values.iter().enumerate() {
            if let Some(number) = row.number(self.labels.len() + at) {
                look.point(&value.family, Suffix::None, labels.clone(), number * value.scale);
            }
        }
        true
    }
}

static POOLS: Sheet = Sheet {
    command: "SHOW POOLS",
    labels: &["database", "user"],
    values: &[
        plain(
            "cl_active",
            Family::gauge("pgbouncer_pools_client_active_connections", "Clients that have a server or need none now."),
        ),
        plain(
            "cl_active_cancel_req",
            Family::gauge(
                "pgbouncer_pools_client_active_cancel_connections",
                "Clients whose cancel request is with the server, waiting for its answer.",
            ),
        ),
        plain(
            "cl_waiting",
            Family::gauge("pgbouncer_pools_client_waiting_connections", "Clients waiting for a server."),
        ),
        plain(
            "cl_waiting_cancel_req",
            Family::gauge(
                "pgbouncer_pools_client_waiting_cancel_connections",
                "Clients whose cancel request was not yet passed on.",
            ),
        ),
        plain(
            "sv_active",
            Family::gauge("pgbouncer_pools_server_active_connections", "Server connections that serve a client."),
        ),
        plain(
            "sv_active_cancel",
            Family::gauge(
                "pgbouncer_pools_server_active_cancel_connections",
                "Server connections passing on a cancel request.",
            ),
        ),
        plain(
            "sv_being_canceled",
            Family::gauge(
                "pgbouncer_pools_server_being_canceled_connections",
                "Server connections that would be idle but for cancel requests still under way to them.",
            ),
        ),
        plain(
            "sv_idle",
            Family::gauge("pgbouncer_pools_server_idle_connections", "Server connections free for the next client."),
        ),
        plain(
            "sv_used",
            Family::gauge(
                "pgbouncer_pools_server_used_connections",
                "Server connections idle for longer than server_check_delay, to be checked before use.",
            ),
        ),
        plain(
            "sv_tested",
            Family::gauge(
                "pgbouncer_pools_server_testing_connections",
                "Server connections running server_reset_query or server_check_query.",
            ),
        ),
        plain("sv_login", Family::gauge("pgbouncer_pools_server_login_connections", "Server connections logging in.")),
        plain(
            "maxwait",
            Family::gauge(
                "pgbouncer_pools_client_maxwait_seconds",
                "How long the first client in the queue has waited, in whole seconds.",
            ),
        ),
    ],
};

static DATABASES: Sheet = Sheet {
    command: "SHOW DATABASES",
    labels: &["name", "host", "port", "database", "force_user", "pool_mode"],
    values: &[
        plain(
            "pool_size",
            Family::gauge("pgbouncer_databases_pool_size", "Server connections that one pool may have."),
        ),
        plain(
            "reserve_pool",
            Family::gauge("pgbouncer_databases_reserve_pool", "Server connections that one pool may have on top."),
        ),
        plain(
            "max_connections",
            Family::gauge(
                "pgbouncer_databases_max_connections",
                "Server connections that all pools of the database may have; 0 for no limit.",
            ),
        ),
        plain(
            "current_connections",
            Family::gauge("pgbouncer_databases_current_connections", "Server connections of the database's pools."),
        ),
        plain(
            "paused",
            Family::gauge("pgbouncer_databases_paused", "Whether PAUSE holds the database (1) or not (0)."),
        ),
        plain(
            "disabled",
            Family::gauge("pgbouncer_databases_disabled", "Whether DISABLE refuses new clients (1) or not (0)."),
        ),
    ],
};

/// Each column by the newest name and by the one that it had until `pgbouncer_exporter` 0.5 (`pgbouncer_stats_…`).
static TOTALS: Sheet = Sheet {
    command: "SHOW STATS_TOTALS",
    labels: &["database"],
    values: &[
        plain("query_count", Family::counter("pgbouncer_stats_totals_queries_pooled_total", QUERIES)),
        plain("query_count", Family::counter("pgbouncer_stats_queries_pooled_total", QUERIES)),
        plain("xact_count", Family::counter("pgbouncer_stats_totals_sql_transactions_pooled_total", TRANSACTIONS)),
        plain("xact_count", Family::counter("pgbouncer_stats_sql_transactions_pooled_total", TRANSACTIONS)),
        plain("bytes_received", Family::counter("pgbouncer_stats_totals_received_bytes_total", RECEIVED)),
        plain("bytes_received", Family::counter("pgbouncer_stats_received_bytes_total", RECEIVED)),
        plain("bytes_sent", Family::counter("pgbouncer_stats_totals_sent_bytes_total", SENT)),
        plain("bytes_sent", Family::counter("pgbouncer_stats_sent_bytes_total", SENT)),
        micros("query_time", Family::counter("pgbouncer_stats_totals_queries_duration_seconds_total", QUERYING)),
        micros("query_time", Family::counter("pgbouncer_stats_queries_duration_seconds_total", QUERYING)),
        micros(
            "xact_time",
            Family::counter("pgbouncer_stats_totals_server_in_transaction_seconds_total", IN_TRANSACTION),
        ),
        micros("xact_time", Family::counter("pgbouncer_stats_server_in_transaction_seconds_total", IN_TRANSACTION)),
        micros("wait_time", Family::counter("pgbouncer_stats_totals_client_wait_seconds_total", WAITING)),
        micros("wait_time", Family::counter("pgbouncer_stats_client_wait_seconds_total", WAITING)),
        // Since PgBouncer 1.23 and 1.24.
        plain("server_assignment_count", Family::counter("pgbouncer_stats_totals_server_assignments_total", ASSIGNED)),
        plain("client_parse_count", Family::counter("pgbouncer_stats_totals_client_parses_total", CLIENT_PARSES)),
        plain("server_parse_count", Family::counter("pgbouncer_stats_totals_server_parses_total", SERVER_PARSES)),
        plain("bind_count", Family::counter("pgbouncer_stats_totals_binds_total", BINDS)),
    ],
};

const QUERIES: &str = "SQL commands that went through the pools.";
const TRANSACTIONS: &str = "SQL transactions that went through the pools.";
const RECEIVED: &str = "Bytes received from clients and servers.";
const SENT: &str = "Bytes sent to clients and servers.";
const QUERYING: &str = "Seconds that servers spent on queries.";
const IN_TRANSACTION: &str = "Seconds that servers spent in transactions, idle ones included.";
const WAITING: &str = "Seconds that clients waited for a server.";
const ASSIGNED: &str = "How often a server was given to a client.";
const CLIENT_PARSES: &str = "Prepared statements that clients asked to be parsed.";
const SERVER_PARSES: &str = "Prepared statements that servers were asked to parse.";
const BINDS: &str = "Prepared statements bound for execution.";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_family_stands_once() {
        let names: Vec<_> = Sheet::ALL.iter().flat_map(|sheet| sheet.values).map(|value| &value.family.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn both_spellings_come_from_one_column() {
        for newest in TOTALS.values.iter().filter(|value| value.column.ends_with("_time")) {
            let old = newest.family.name.replace("stats_totals_", "stats_");
            let also = TOTALS.values.iter().find(|value| value.family.name == old);
            assert!(also.is_some_and(|also| also.column == newest.column && also.scale < 1.0), "{old}");
        }
    }
}
