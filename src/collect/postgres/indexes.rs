//! Figures per index of the database that the session is in.

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::{Column, Table, add_columns, say_dropped};
use super::settings::Settings;

/// Indexes beyond this many are left out, the least used first, and said so.
const MOST: usize = 1000;

/// How indexes are used and where their blocks come from, as both views have it: the second one's columns are the same
/// functions, so that it need not be joined.
pub const INDEXES: Query = Query::new(
    "statio_user_indexes",
    "SELECT current_database() AS datname, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch, \
        pg_stat_get_blocks_fetched(indexrelid) - pg_stat_get_blocks_hit(indexrelid) AS idx_blks_read, \
        pg_stat_get_blocks_hit(indexrelid) AS idx_blks_hit \
        FROM pg_stat_user_indexes ORDER BY idx_scan DESC, indexrelid LIMIT 1001",
    read,
)
.per_database()
.slow();

const LABELS: [&str; 4] = ["datname", "indexrelname", "relname", "schemaname"];

static BLOCK_COLUMNS: [Column; 2] = [
    Column::new(
        "idx_blks_read",
        Family::counter("pg_statio_user_indexes_idx_blks_read_total", "Blocks of the index read from disk."),
    ),
    Column::new(
        "idx_blks_hit",
        Family::counter("pg_statio_user_indexes_idx_blks_hit_total", "Blocks of the index found in the buffer cache."),
    ),
];

static ACCESS_COLUMNS: [Column; 3] = [
    Column::new("idx_scan", Family::counter("pg_stat_user_indexes_idx_scan_total", "Scans of the index.")),
    Column::new(
        "idx_tup_read",
        Family::counter("pg_stat_user_indexes_idx_tup_read_total", "Entries that scans of the index returned."),
    ),
    Column::new(
        "idx_tup_fetch",
        Family::counter("pg_stat_user_indexes_idx_tup_fetch_total", "Live rows that simple scans of it fetched."),
    ),
];

/// The exporter's families name no database, since it knows but one; only the others that we see are named there.
fn read(table: &Table, settings: &Settings, look: &mut Look) {
    for row in table.rows().take(MOST) {
        let own = row.label("datname") == settings.database;
        add_columns(look, &BLOCK_COLUMNS, &row.labels(if own { &LABELS[1..] } else { &LABELS }), row);
        add_columns(look, &ACCESS_COLUMNS, &row.labels(&LABELS), row);
    }
    say_dropped(table, MOST, "the most used indexes", look);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::settings::example;

    #[test]
    fn only_indexes_of_other_databases_are_told_apart_by_database() {
        let columns = ["datname", "schemaname", "relname", "indexrelname", "idx_scan", "idx_blks_hit"];
        let table = Table::of(
            &columns,
            &[
                &["orders", "public", "items", "items_pkey", "3", "90"],
                &["vectors", "public", "items", "items_pkey", "4", "80"],
            ],
        );
        let mut look = Look::new();
        read(&table, &example(), &mut look);
        let index = [("indexrelname", "items_pkey"), ("relname", "items"), ("schemaname", "public")];
        let other = [&[("datname", "vectors")], &index[..]].concat();
        assert_eq!(look.get("pg_statio_user_indexes_idx_blks_hit_total", &index), Some(90.0));
        assert_eq!(look.get("pg_statio_user_indexes_idx_blks_hit_total", &other), Some(80.0));
        assert_eq!(look.get("pg_stat_user_indexes_idx_scan_total", &other), Some(4.0));
    }

    #[test]
    fn what_the_bound_drops_is_said() {
        let row: &[&str] = &["orders", "1"];
        let mut look = Look::new();
        read(&Table::of(&["datname", "idx_scan"], &vec![row; MOST + 1]), &example(), &mut look);
        assert_eq!((look.len(), look.failures.len()), (MOST, 1));
    }
}
