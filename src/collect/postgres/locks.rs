//! Locks held and waited for: `pg_locks`.

use crate::collect::Look;
use crate::model::{Family, Suffix};

use super::query::Query;
use super::rows::Table;
use super::settings::Settings;

static COUNT: Family = Family::gauge("pg_locks_count", "Locks of this mode, held or waited for.");

/// Every mode of every database, also those without a lock. What asking itself locks, two dozen views of the catalog, is
/// not counted.
pub const LOCKS: Query = Query::new(
    "locks",
    "SELECT d.datname, m.mode, coalesce(l.count, 0) AS count \
        FROM (VALUES ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'), \
        ('sharelock'), ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'), ('sireadlock')) \
        AS m(mode) CROSS JOIN pg_database d \
        LEFT JOIN (SELECT database, lower(mode) AS mode, count(*) AS count FROM pg_locks \
        WHERE database IS NOT NULL AND pid IS DISTINCT FROM pg_backend_pid() GROUP BY 1, 2) l ON l.mode = m.mode AND l.database = d.oid",
    read,
);

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        if let Some(count) = row.number("count") {
            look.point(&COUNT, Suffix::None, row.labels(&["datname", "mode"]), count);
        }
    }
}
