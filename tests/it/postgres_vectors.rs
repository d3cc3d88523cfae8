//! What a vector store's indexes and settings look like on the newest PostgreSQL with pgvector.

use std::time::Duration;

use crate::support::{Agent, Page, PostgresSetup, RealPostgres, wait_until};

const ROWS: f64 = 500.0;

fn start_store() -> RealPostgres {
    let postgres = RealPostgres::with(PostgresSetup { newest: true, ..PostgresSetup::default() });
    postgres.sql(&format!(
        "create extension vector; \
         create table docs (id int primary key, embedding vector(3)); \
         insert into docs select n, format('[%s,%s,1]', n, n % 7)::vector from generate_series(1, {ROWS}) n; \
         create index by_graph on docs using hnsw (embedding vector_cosine_ops) with (m = 12, ef_construction = 80); \
         create index by_lists on docs using ivfflat (embedding vector_l2_ops) with (lists = 400); \
         alter role app set hnsw.ef_search = 90; \
         alter role app in database postgres set hnsw.ef_search = 100; \
         alter role sidewatch set hnsw.ef_search = 7; alter role sidewatch set ivfflat.probes = 9; \
         alter database postgres set hnsw.ef_search = 60; alter role all set hnsw.ef_search = 50"
    ));
    for _ in 0..3 {
        postgres.sql("set enable_seqscan = off; select id from docs order by embedding <=> '[1,2,3]' limit 5");
    }
    postgres
}

fn look_at(postgres: &RealPostgres) -> (Agent, Page) {
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{{name: rag, url: \"{}\"}}]",
        postgres.url()
    ));
    let page = wait_until("the agent has looked thrice", Duration::from_secs(20), || {
        let page = agent.metrics();
        page.value("pg_exporter_scrapes_total", &[]).filter(|looks| *looks >= 3.0).map(|_| page)
    });
    (agent, page)
}

#[test]
fn vector_indexes_show_what_they_are_built_with_and_whether_they_are_used() {
    let postgres = start_store();
    let (agent, page) = look_at(&postgres);
    let failed: Vec<_> = page.find("pg_scrape_collector_success", &[]).filter(|line| line.value < 1.0).collect();
    assert!(failed.is_empty(), "{failed:?}: {}", agent.log());
    for (index, kind, opclass) in [("by_graph", "hnsw", "vector_cosine_ops"), ("by_lists", "ivfflat", "vector_l2_ops")]
    {
        let labels = [("datname", "postgres"), ("indexrelname", index), ("kind", kind), ("opclass", opclass)];
        assert_eq!(page.value("pg_vector_index_info", &labels), Some(1.0), "{index}");
    }
    let of = |index, figure: &str| page.value(&format!("pg_vector_index_{figure}"), &[("indexrelname", index)]);
    assert_eq!((of("by_graph", "m"), of("by_graph", "ef_construction")), (Some(12.0), Some(80.0)));
    assert_eq!((of("by_graph", "lists"), of("by_lists", "lists"), of("by_lists", "m")), (None, Some(400.0), None));
    assert_eq!((of("by_graph", "dimensions"), of("by_graph", "valid")), (Some(3.0), Some(1.0)));
    assert_eq!((of("by_graph", "scans_total"), of("by_lists", "scans_total")), (Some(3.0), Some(0.0)));
    assert_eq!(of("by_graph", "table_rows"), Some(ROWS));
    assert!(of("by_graph", "size_bytes").is_some_and(|bytes| bytes > 8192.0));
    assert!(page.find("pg_vector_extension_info", &[("datname", "postgres")]).count() == 1);
}

#[test]
fn what_searches_use_is_shown_and_what_does_not_suit_is_told_in_words() {
    let postgres = start_store();
    let (_agent, page) = look_at(&postgres);
    let setting =
        |labels: &[(&str, &str)]| page.find("pg_vector_setting", labels).map(|line| line.value).collect::<Vec<_>>();
    let probes = [("setting", "ivfflat.probes")];
    assert_eq!(setting(&[probes[0], ("usename", "sidewatch")]), [9.0]);
    assert!(setting(&probes).contains(&1.0), "what our own role sets for itself is not the server's default");
    assert_eq!(setting(&probes).len(), 2);
    assert_eq!(setting(&[("setting", "hnsw.ef_search"), ("usename", "app")]), [100.0]);
    let mut all = setting(&[("setting", "hnsw.ef_search")]);
    all.sort_by(f64::total_cmp);
    assert_eq!(all, [7.0, 60.0, 100.0], "the database's before that of all; each once");
    let advice = |labels: &[(&str, &str)]| {
        let lines: Vec<_> = page.find("pg_setting_advice_info", labels).collect();
        lines.first().map(|line| line.labels["advice"].clone())
    };
    let of_server = advice(&[("setting", "shared_preload_libraries")]).expect("advice for the server");
    assert!(of_server.contains("pg_stat_statements"), "{of_server}");
    let of_index = advice(&[("setting", "lists"), ("indexrelname", "by_lists")]).expect("advice for the index");
    assert!(of_index.contains("about 10 lists"), "{of_index}");
    assert_eq!(
        advice(&[("setting", "fsync")]).map(|words| words.contains("crash")),
        Some(true),
        "the tests switch it off"
    );
    assert_eq!(advice(&[("setting", "autovacuum")]), None);
}
