//! Who uses up the connections: pool pressure by application, against what the server can still give.
//!
//! Not in `postgres_exporter`, whose `pg_stat_activity_count` splits by wait event, too, and says nothing of the slots
//! that are set aside.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::query::Query;
use super::rows::{Column, Row, Table, add_columns};
use super::settings::Settings;

/// Combinations of application, database, role and state that are shown, those with most connections first.
const MOST: usize = 100;
/// What the others are summed under.
const OTHER: &str = "other";

/// Connections by who holds them. `clock_timestamp()`, so that no age is negative.
pub const CONNECTIONS: Query = Query::new(
    "connections",
    "SELECT application_name, datname, usename, state, count(*) AS count, \
        max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE state LIKE 'idle in transaction%') \
        AS idle_in_transaction \
        FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4",
    read,
)
.about_others();

/// Slots. Walsenders and background workers have their own since version 12, so only client backends count.
pub const SLOTS: Query = Query::new(
    "connections",
    "SELECT reserved, greatest(0, current_setting('max_connections')::int - reserved - used) AS available FROM \
        (SELECT current_setting('superuser_reserved_connections')::int \
        + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved, \
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used) s",
    |table, _, look| {
        if let Some(row) = table.first() {
            add_columns(look, &SLOT_COLUMNS, &Labels::empty(), row);
        }
    },
)
.about_others();

static CONNECTED: Family = Family::gauge("pg_connections", "Client connections, by who holds them and what they do.");
static IDLE_IN_TRANSACTION: Family = Family::gauge(
    "pg_connections_idle_in_transaction_max_seconds",
    "How long the longest of these sessions has been idle in a transaction, in seconds.",
);
static SLOT_COLUMNS: [Column; 2] = [
    Column::new(
        "reserved",
        Family::gauge("pg_connections_reserved", "Connection slots that ordinary roles do not get."),
    ),
    Column::new(
        "available",
        Family::gauge(
            "pg_connections_available",
            "Connections that ordinary roles can still open before the server refuses.",
        ),
    ),
];

const LABELS: [&str; 4] = ["application_name", "datname", "usename", "state"];

fn read(table: &Table, _: &Settings, look: &mut Look) {
    let mut others: Vec<(&str, f64)> = Vec::new();
    for (number, row) in table.rows().enumerate() {
        let Some(count) = row.number("count") else { continue };
        if number < MOST {
            show(row, count, look);
            continue;
        }
        let state = row.label("state");
        match others.iter_mut().find(|(known, _)| *known == state) {
            Some((_, sum)) => *sum += count,
            None => others.push((state, count)),
        }
    }
    for (state, count) in others {
        look.labeled(&CONNECTED, [("application_name", OTHER), ("state", state)], count);
    }
}

fn show(row: Row<'_>, count: f64, look: &mut Look) {
    let labels = row.labels(&LABELS);
    if let Some(age) = row.number("idle_in_transaction") {
        look.point(&IDLE_IN_TRANSACTION, Suffix::None, labels.clone(), age);
    }
    look.point(&CONNECTED, Suffix::None, labels, count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_are_shown_and_the_rest_is_summed() {
        let names: Vec<String> = (0..MOST + 5).map(|number| format!("app-{number:03}")).collect();
        let rows: Vec<[&str; 6]> = names.iter().map(|name| [name.as_str(), "orders", "app", "idle", "2", ""]).collect();
        let rows: Vec<&[&str]> = rows.iter().map(<[_; 6]>::as_slice).collect();
        let columns = ["application_name", "datname", "usename", "state", "count", "idle_in_transaction"];
        let mut look = Look::new();
        read(&Table::of(&columns, &rows), &crate::collect::postgres::settings::example(), &mut look);
        assert_eq!(look.len(), MOST + 1);
        assert_eq!(look.get("pg_connections", &[("application_name", OTHER), ("state", "idle")]), Some(10.0));
    }

    #[test]
    fn only_sessions_idle_in_a_transaction_have_an_age() {
        let columns = ["application_name", "datname", "usename", "state", "count", "idle_in_transaction"];
        let rows: [&[&str]; 2] =
            [&["web", "d", "u", "idle in transaction", "1", "12.5"], &["web", "d", "u", "active", "3", ""]];
        let mut look = Look::new();
        read(&Table::of(&columns, &rows), &crate::collect::postgres::settings::example(), &mut look);
        let labels = |state| [("application_name", "web"), ("datname", "d"), ("usename", "u"), ("state", state)];
        let age = |state| look.get("pg_connections_idle_in_transaction_max_seconds", &labels(state));
        assert_eq!((age("idle in transaction"), age("active")), (Some(12.5), None));
        assert_eq!(look.get("pg_connections", &labels("active")), Some(3.0));
    }
}
