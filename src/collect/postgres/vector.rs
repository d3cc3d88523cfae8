//! pgvector: its indexes, whether they are used, and what they were built and are searched with.
//!
//! Not in `postgres_exporter`. Parameters and defaults: pgvector's README.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::advice;
use super::query::Query;
use super::rows::{Column, Row, Table, add_columns};
use super::settings::Settings;

/// The oldest pgvector that is asked: the first with HNSW was 0.5, and 0.4 has the same catalogs.
const SINCE: (u32, u32) = (0, 4);

/// Its indexes. Options that were not given are NULL there and have pgvector's defaults. A size needs a lock on the index;
/// one that somebody holds or wants exclusively is left out rather than waited for.
pub const INDEXES: Query = Query::new(
    "vector",
    "SELECT current_database() AS datname, n.nspname AS schemaname, t.relname, i.relname AS indexrelname, \
        am.amname AS kind, o.opcname AS opclass, x.indisvalid AS valid, \
        CASE WHEN a.atttypmod > 0 THEN a.atttypmod END AS dimensions, \
        CASE am.amname WHEN 'ivfflat' THEN coalesce(given.lists, 100) END AS lists, \
        CASE am.amname WHEN 'hnsw' THEN coalesce(given.m, 16) END AS m, \
        CASE am.amname WHEN 'hnsw' THEN coalesce(given.ef_construction, 64) END AS ef_construction, \
        pg_stat_get_numscans(i.oid) AS scans, pg_stat_get_numscans(t.oid) AS seq_scans, \
        pg_stat_get_live_tuples(t.oid) AS rows, pg_relation_size(i.oid) AS size, \
        pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers \
        FROM pg_class i JOIN pg_am am ON am.oid = i.relam AND am.amname IN ('ivfflat', 'hnsw') \
        JOIN pg_index x ON x.indexrelid = i.oid JOIN pg_class t ON t.oid = x.indrelid \
        JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_opclass o ON o.oid = x.indclass[0] \
        JOIN pg_attribute a ON a.attrelid = i.oid AND a.attnum = 1 \
        LEFT JOIN LATERAL (SELECT max(option_value) FILTER (WHERE option_name = 'lists')::int AS lists, \
        max(option_value) FILTER (WHERE option_name = 'm')::int AS m, \
        max(option_value) FILTER (WHERE option_name = 'ef_construction')::int AS ef_construction \
        FROM pg_options_to_table(i.reloptions)) given ON true \
        WHERE i.relkind = 'i' AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation IN (i.oid, t.oid) \
        AND l.mode = 'AccessExclusiveLock' \
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) \
        ORDER BY size DESC, i.oid LIMIT 201",
    read_indexes,
)
.extension("vector", SINCE)
.per_database()
.rare()
.locks_tables();

/// What searches use unless a session says otherwise: what the database sets, all databases, or the server; and what roles
/// say otherwise for themselves, in this database before everywhere. Our own role's are among these, so `pg_settings`, which
/// has them too, only tells what the server's configuration says. The cast loads pgvector into the session: before, the
/// server does not know its parameters.
pub const SEARCH: Query = Query::new(
    "vector",
    "WITH set AS (SELECT DISTINCT ON (d.setrole, c.name) d.setrole, c.name, c.value \
        FROM pg_db_role_setting d, LATERAL (SELECT split_part(line, '=', 1) AS name, split_part(line, '=', 2) AS value \
        FROM unnest(d.setconfig) AS line) c WHERE c.name IN ('hnsw.ef_search', 'ivfflat.probes') \
        AND (d.setdatabase = 0 OR d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())) \
        ORDER BY d.setrole, c.name, d.setdatabase = 0) \
        SELECT current_database() AS datname, e.extversion AS version, NULL AS usename, s.name AS setting, \
        coalesce(set.value, CASE WHEN s.source IN ('default', 'configuration file', 'command line', \
        'environment variable') THEN s.setting ELSE s.boot_val END) AS value \
        FROM pg_extension e CROSS JOIN pg_settings s LEFT JOIN set ON set.setrole = 0 AND set.name = s.name \
        WHERE e.extname = 'vector' AND '[1]'::{schema}.vector IS NOT NULL \
        AND s.name IN ('hnsw.ef_search', 'ivfflat.probes') \
        UNION ALL SELECT current_database(), NULL, r.rolname, set.name, set.value \
        FROM set JOIN pg_roles r ON r.oid = set.setrole",
    read_search,
)
.extension("vector", SINCE)
.per_database()
.slow();

/// Indexes that are shown, the largest first.
const MOST: usize = 200;

static EXTENSION: Family =
    Family::gauge("pg_vector_extension_info", "The version of pgvector in this database, in a label; always 1.");
static SETTING: Family = Family::gauge(
    "pg_vector_setting",
    "What searches use: hnsw.ef_search or ivfflat.probes; with usename, what a role has of its own.",
);
static INDEX: Family =
    Family::gauge("pg_vector_index_info", "The kind and operator class of a vector index, in labels; always 1.");
static COLUMNS: [Column; 9] = [
    Column::new("size", Family::gauge("pg_vector_index_size_bytes", "Disk space used by the index, in bytes.")),
    Column::new("scans", Family::counter("pg_vector_index_scans_total", "Searches that used the index.")),
    Column::new(
        "seq_scans",
        Family::counter("pg_vector_index_table_seq_scans_total", "Sequential scans of the index's table."),
    ),
    Column::new("rows", Family::gauge("pg_vector_index_table_rows", "Live rows of the index's table, estimated.")),
    Column::new("valid", Family::gauge("pg_vector_index_valid", "Whether searches can use the index.")),
    Column::new("dimensions", Family::gauge("pg_vector_index_dimensions", "Dimensions of the vectors.")),
    Column::new("lists", Family::gauge("pg_vector_index_lists", "Lists of an IVFFlat index.")),
    Column::new("m", Family::gauge("pg_vector_index_m", "Connections per layer of an HNSW index.")),
    Column::new(
        "ef_construction",
        Family::gauge("pg_vector_index_ef_construction", "Candidates that an HNSW index was built with."),
    ),
];

const LABELS: [&str; 4] = ["datname", "indexrelname", "relname", "schemaname"];

fn read_indexes(table: &Table, _: &Settings, look: &mut Look) {
    for row in table.rows().take(MOST) {
        add_columns(look, &COLUMNS, &row.labels(&LABELS), row);
        let info = ["datname", "indexrelname", "kind", "opclass", "relname", "schemaname"];
        look.point(&INDEX, Suffix::None, row.labels(&info), 1.0);
        advise(row, look);
    }
    super::rows::say_dropped(table, MOST, "the largest vector indexes", look);
}

fn advise(row: Row<'_>, look: &mut Look) {
    let index = advice::VectorIndex {
        lists: row.number("lists"),
        rows: row.number("rows"),
        size: row.number("size"),
        shared_buffers: row.number("shared_buffers"),
    };
    for found in advice::of_index(&index) {
        found.show(&row.labels(&LABELS), look);
    }
}

fn read_search(table: &Table, _: &Settings, look: &mut Look) {
    if let Some(row) = table.first() {
        look.point(&EXTENSION, Suffix::None, row.labels(&["datname", "version"]), 1.0);
    }
    for row in table.rows() {
        if let Some(value) = row.number("value") {
            let labels: Labels = row.labels(&["datname", "setting", "usename"]);
            look.point(&SETTING, Suffix::None, labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_the_figures_of_its_kind() {
        let columns = [
            "datname",
            "schemaname",
            "relname",
            "indexrelname",
            "kind",
            "opclass",
            "valid",
            "dimensions",
            "lists",
            "m",
            "ef_construction",
            "scans",
            "seq_scans",
            "rows",
            "size",
            "shared_buffers",
        ];
        let rows: [&[&str]; 1] = [&[
            "rag",
            "public",
            "docs",
            "docs_hnsw",
            "hnsw",
            "vector_cosine_ops",
            "t",
            "1536",
            "",
            "16",
            "64",
            "12",
            "3",
            "5000",
            "8192",
            "134217728",
        ]];
        let mut look = Look::new();
        read_indexes(&Table::of(&columns, &rows), &crate::collect::postgres::settings::example(), &mut look);
        let labels = [("datname", "rag"), ("indexrelname", "docs_hnsw"), ("relname", "docs"), ("schemaname", "public")];
        for (family, value) in [
            ("pg_vector_index_m", Some(16.0)),
            ("pg_vector_index_lists", None),
            ("pg_vector_index_scans_total", Some(12.0)),
            ("pg_vector_index_table_seq_scans_total", Some(3.0)),
            ("pg_vector_index_size_bytes", Some(8192.0)),
        ] {
            assert_eq!(look.get(family, &labels), value, "{family}");
        }
    }
}
