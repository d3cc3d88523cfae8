//! How near each database is to running out of transaction numbers.

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// Ages of the oldest rows that are not frozen. Databases that nobody can connect to are always frozen.
pub const WRAPAROUND: Query = Query::new(
    "database_wraparound",
    "SELECT datname, age(datfrozenxid) AS xids, mxid_age(datminmxid) AS mxids FROM pg_database WHERE datallowconn",
    read,
)
.slow();

/// The exporter calls them seconds; they are counts of transactions.
static COLUMNS: [Column; 2] = [
    Column::new(
        "xids",
        Family::gauge(
            "pg_database_wraparound_age_datfrozenxid_seconds",
            "Age of the oldest transaction number that is not frozen, in transactions despite the name.",
        ),
    ),
    Column::new(
        "mxids",
        Family::gauge(
            "pg_database_wraparound_age_datminmxid_seconds",
            "Age of the oldest multixact number, in multixacts despite the name.",
        ),
    ),
];

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, &COLUMNS, &row.labels(&["datname"]), row);
    }
}
