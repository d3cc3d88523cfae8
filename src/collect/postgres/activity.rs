//! Who is connected and what they are doing: `pg_stat_activity`.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, Suffix};

use super::query::Query;
use super::rows::Table;
use super::settings::Settings;

static COUNT: Family = Family::gauge("pg_stat_activity_count", "Connections in this state.");
static LONGEST: Family = Family::gauge(
    "pg_stat_activity_max_tx_duration",
    "Longest time, in seconds, that a transaction in this state has been open.",
);

/// Every state of every database, also those that nobody is in: a rule on a state then has a 0 to compare with. The
/// session that asks is not counted, as in the exporter.
///
/// Only for a role that sees the sessions of others: their state is NULL for any other, and the 0 would be a lie.
///
/// Not limited by `databases`: the connections of all of them fill the server.
pub const ACTIVITY: Query = Query::new(
    "stat_activity",
    "SELECT d.datname, s.state, a.usename, a.application_name, a.backend_type, a.wait_event_type, a.wait_event, \
        coalesce(a.count, 0) AS count, coalesce(a.longest, 0) AS longest \
        FROM (VALUES ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)'), \
        ('fastpath function call'), ('disabled')) AS s(state) CROSS JOIN pg_database d \
        LEFT JOIN (SELECT datname, state, usename, application_name, backend_type, \
        wait_event_type, wait_event, count(*) AS count, max(extract(epoch FROM now() - xact_start)) AS longest \
        FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5, 6, 7) a \
        ON a.state = s.state AND a.datname = d.datname",
    read,
)
.about_others();

const LABELS: [&str; 7] =
    ["datname", "state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event"];

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    let server = settings.instance();
    for row in table.rows() {
        let labels = row.labels_at(&server, &LABELS);
        for (column, family) in [("count", &COUNT), ("longest", &LONGEST)] {
            if let Some(value) = row.number(column) {
                look.point(family, Suffix::None, labels.clone(), value);
            }
        }
    }
}
