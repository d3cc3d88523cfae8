//! Vacuums under way.

use crate::collect::Look;
use crate::model::{Family, Suffix};

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// How far each has come, in all databases. Only a table of the session's own database can be named; others keep their
/// number.
///
/// From 17 on the memory for dead rows is counted in bytes: there is no number of rows that fit then.
pub const PROGRESS: Query = Query::by_version(
    "stat_progress_vacuum",
    &[
        (
            90_600,
            "SELECT datname, CASE WHEN datname = current_database() THEN relid::regclass::text ELSE relid::text END \
                AS relname, phase, heap_blks_total, heap_blks_scanned, heap_blks_vacuumed, index_vacuum_count, \
                max_dead_tuples, num_dead_tuples FROM pg_stat_progress_vacuum",
        ),
        (
            170_000,
            "SELECT datname, CASE WHEN datname = current_database() THEN relid::regclass::text ELSE relid::text END \
                AS relname, phase, heap_blks_total, heap_blks_scanned, heap_blks_vacuumed, index_vacuum_count, \
                num_dead_item_ids AS num_dead_tuples FROM pg_stat_progress_vacuum",
        ),
    ],
    read_progress,
)
.about_others();

/// When the automatic ones began. The table's name is in the words that the worker shows as its query; two tables of one
/// name are one series, of the older vacuum.
pub const AUTOMATIC: Query = Query::new(
    "stat_activity_autovacuum",
    "SELECT split_part(query, '.', 2) AS relname, extract(epoch FROM min(xact_start)) AS began FROM pg_stat_activity \
        WHERE query LIKE 'autovacuum:%' GROUP BY 1 LIMIT 100",
    read_automatic,
)
.about_others();

const LABELS: [&str; 2] = ["datname", "relname"];

const fn gauge(name: &'static str, column: &'static str, help: &'static str) -> Column {
    Column::new(column, Family::gauge(name, help))
}

static PROGRESS_COLUMNS: [Column; 6] = [
    gauge("pg_stat_progress_vacuum_heap_blks", "heap_blks_total", "Table blocks to vacuum."),
    gauge("pg_stat_progress_vacuum_heap_blks_scanned", "heap_blks_scanned", "Table blocks scanned."),
    gauge("pg_stat_progress_vacuum_heap_blks_vacuumed", "heap_blks_vacuumed", "Table blocks vacuumed."),
    gauge("pg_stat_progress_vacuum_index_vacuums", "index_vacuum_count", "Index vacuum cycles completed."),
    gauge("pg_stat_progress_vacuum_max_dead_tuples", "max_dead_tuples", "Dead rows that fit before an index vacuum."),
    gauge("pg_stat_progress_vacuum_num_dead_tuples", "num_dead_tuples", "Dead rows found since the last index vacuum."),
];

static PHASE: Family =
    Family::gauge("pg_stat_progress_vacuum_phase", "Whether the vacuum is in the phase of the label (1) or not (0).");

/// The phases of `PostgreSQL`'s manual, in the order in which they come.
const PHASES: [&str; 7] = [
    "initializing",
    "scanning heap",
    "vacuuming indexes",
    "vacuuming heap",
    "cleaning up indexes",
    "truncating heap",
    "performing final cleanup",
];

static BEGAN: Family = Family::gauge(
    "pg_stat_activity_autovacuum_timestamp_seconds",
    "When the automatic vacuum of the table began, in seconds since the epoch.",
);

fn read_progress(table: &Table, settings: &Settings, look: &mut Look) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, &PROGRESS_COLUMNS, &row.labels(&LABELS), row);
        for phase in PHASES {
            let labels = [("datname", row.label("datname")), ("phase", phase), ("relname", row.label("relname"))];
            look.labeled(&PHASE, labels, f64::from(u8::from(row.label("phase") == phase)));
        }
    }
}

fn read_automatic(table: &Table, _: &Settings, look: &mut Look) {
    for row in table.rows() {
        if let Some(began) = row.number("began") {
            look.point(&BEGAN, Suffix::None, row.labels(&["relname"]), began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::settings::example;

    #[test]
    fn a_vacuum_is_in_one_phase_of_all() {
        let table = Table::of(
            &["datname", "relname", "phase", "heap_blks_total", "num_dead_tuples"],
            &[&["orders", "items", "vacuuming heap", "417", "5280"]],
        );
        let mut look = Look::new();
        read_progress(&table, &example(), &mut look);
        let in_phase = |phase| {
            let labels = [("datname", "orders"), ("phase", phase), ("relname", "items")];
            look.get("pg_stat_progress_vacuum_phase", &labels)
        };
        assert_eq!(PHASES.map(in_phase), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0].map(Some));
        let labels = [("datname", "orders"), ("relname", "items")];
        assert_eq!(look.get("pg_stat_progress_vacuum_heap_blks", &labels), Some(417.0));
        assert_eq!(look.get("pg_stat_progress_vacuum_max_dead_tuples", &labels), None, "17 has none");
    }
}
