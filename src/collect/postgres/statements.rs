//! What statements cost: `pg_stat_statements`, where it is installed.

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::{Column, Table, add_columns};
use super::settings::Settings;

/// The hundred statements that took the most time, as many as the exporter shows by default; never their text.
///
/// The columns follow the extension's version, which may be older than the server. A name that this version lacks is
/// found in `absent` and is NULL: SQL looks for a name in the inner query first. A statement that is counted twice,
/// alone and within functions (`toplevel`), is one series.
pub const STATEMENTS: Query = Query::new(
    "stat_statements",
    "SELECT pg_get_userbyid(q.userid) AS \"user\", d.datname, q.* FROM (SELECT NULL::float8 AS total_time, \
        NULL::float8 AS total_exec_time, NULL::float8 AS blk_read_time, NULL::float8 AS blk_write_time, \
        NULL::float8 AS shared_blk_read_time, NULL::float8 AS shared_blk_write_time) absent \
        CROSS JOIN LATERAL (SELECT userid, dbid, queryid, sum(calls) AS calls, sum(rows) AS rows, \
        sum(coalesce(total_exec_time, total_time)) AS took, \
        sum(coalesce(shared_blk_read_time, blk_read_time)) AS reading, \
        sum(coalesce(shared_blk_write_time, blk_write_time)) AS writing \
        FROM {schema}.pg_stat_statements(false) WHERE queryid IS NOT NULL \
        GROUP BY userid, dbid, queryid ORDER BY took DESC LIMIT 100) q JOIN pg_database d ON d.oid = q.dbid",
    read,
)
.extension("pg_stat_statements", (1, 4))
.slow();

const LABELS: [&str; 3] = ["datname", "queryid", "user"];

static COLUMNS: [Column; 5] = [
    Column::new("calls", Family::counter("pg_stat_statements_calls_total", "How often the statement was executed.")),
    Column::new("rows", Family::counter("pg_stat_statements_rows_total", "Rows it returned or changed.")),
    Column::millis("took", Family::counter("pg_stat_statements_seconds_total", "Time spent executing it, in seconds.")),
    Column::millis(
        "reading",
        Family::counter(
            "pg_stat_statements_block_read_seconds_total",
            "Time it spent reading blocks, in seconds; 0 unless track_io_timing is on.",
        ),
    ),
    Column::millis(
        "writing",
        Family::counter(
            "pg_stat_statements_block_write_seconds_total",
            "Time it spent writing blocks, in seconds; 0 unless track_io_timing is on.",
        ),
    ),
];

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    for row in table.rows().filter(|row| settings.wants(row.label("datname"))) {
        add_columns(look, &COLUMNS, &row.labels(&LABELS), row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::settings::example;

    #[test]
    fn times_of_statements_are_seconds_and_their_text_is_no_label() {
        let table = Table::of(
            &["user", "datname", "queryid", "calls", "rows", "took", "reading", "writing"],
            &[&["app", "orders", "-42", "7", "14", "1500.5", "20", ""]],
        );
        let mut look = Look::new();
        read(&table, &example(), &mut look);
        let labels = [("datname", "orders"), ("queryid", "-42"), ("user", "app")];
        for (name, value) in [
            ("pg_stat_statements_calls_total", Some(7.0)),
            ("pg_stat_statements_rows_total", Some(14.0)),
            ("pg_stat_statements_seconds_total", Some(1.5005)),
            ("pg_stat_statements_block_read_seconds_total", Some(0.02)),
            ("pg_stat_statements_block_write_seconds_total", None),
        ] {
            assert_eq!(look.get(name, &labels), value, "{name}");
        }
    }
}
