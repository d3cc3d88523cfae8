//! Settings that do not suit the load of an AI application, and what would.
//!
//! Many clients with short queries, long idle sessions while a model answers, vectors that must be in memory to be found
//! fast, solid-state disks: the server's defaults are for none of these. Where a value is asked for, it is the one the
//! stacks that this agent is made for use, or the manual's (`PostgreSQL`, "Server Configuration"; pgvector's README).
//!
//! Not in `postgres_exporter`. Pure: parameters in, advice out. No moving number stands in a label, since each would be
//! a new series.

use std::collections::BTreeMap;

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::query::Query;
use super::rows::Table;
use super::settings::Settings;

const MIB: f64 = 1024.0 * 1024.0;

/// The parameters that [`of_server`] judges, in base units where they have one. The session's own time-outs are set by
/// us, so the value without them is taken. Parameters that some role or database sets for itself are not judged: the
/// server's value may be meant for the others.
pub const ADVICE: Query = Query::new(
    "setting_advice",
    "SELECT s.name, CASE s.source WHEN 'session' THEN s.reset_val ELSE s.setting END AS setting, s.unit, \
        EXISTS (SELECT FROM pg_db_role_setting d, unnest(d.setconfig) AS c(text) \
        WHERE split_part(c.text, '=', 1) = s.name) AS overridden, \
        EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') AS vectors \
        FROM pg_settings s WHERE s.name IN ('shared_buffers', 'effective_cache_size', 'work_mem', \
        'maintenance_work_mem', 'random_page_cost', 'effective_io_concurrency', 'checkpoint_completion_target', \
        'max_connections', 'idle_in_transaction_session_timeout', 'statement_timeout', 'shared_preload_libraries', \
        'autovacuum', 'fsync', 'full_page_writes', 'track_io_timing')",
    read,
)
.rare();

static ADVISED: Family = Family::gauge(
    "pg_setting_advice_info",
    "A setting that does not suit the load of an AI application, its value and what to do, in labels; always 1.",
);

/// One setting that could be better.
#[derive(Debug, PartialEq)]
pub struct Advice {
    setting: &'static str,
    value: String,
    what_to_do: String,
}

impl Advice {
    fn new(setting: &'static str, value: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { setting, value: value.into(), what_to_do: advice.into() }
    }

    /// Shows it, with labels that say of what it is.
    pub fn show(&self, of: &Labels, look: &mut Look) {
        let own = Labels::new([("setting", self.setting), ("value", &self.value), ("advice", &self.what_to_do)]);
        look.point(&ADVISED, Suffix::None, of.overlaid(&own), 1.0);
    }
}

/// The parameters of a server, by name.
#[derive(Default)]
struct Parameters<'t> {
    values: BTreeMap<&'t str, Value<'t>>,
    /// Whether pgvector is installed in the session's database.
    vectors: bool,
}

#[derive(Clone, Copy)]
struct Value<'t> {
    text: &'t str,
    unit: &'t str,
    overridden: bool,
}

fn read(table: &Table, _: &Settings, look: &mut Look) {
    let mut parameters = Parameters::default();
    for row in table.rows() {
        parameters.vectors |= row.text("vectors") == Some("t");
        let overridden = row.text("overridden") == Some("t");
        let value = Value { text: row.label("setting"), unit: row.label("unit"), overridden };
        parameters.values.insert(row.label("name"), value);
    }
    for advice in of_server(&parameters) {
        advice.show(&Labels::empty(), look);
    }
}

impl Parameters<'_> {
    fn judged(&self, name: &str) -> Option<Value<'_>> {
        self.values.get(name).copied().filter(|value| !value.overridden)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.judged(name).map(|value| value.text)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// A size in bytes.
    fn bytes(&self, name: &str) -> Option<f64> {
        let value = self.judged(name)?;
        let unit = match value.unit {
            "8kB" => 8192.0,
            "kB" => 1024.0,
            "MB" => MIB,
            _ => return None,
        };
        Some(value.text.parse::<f64>().ok()? * unit)
    }

    fn is_off(&self, name: &str) -> bool {
        self.text(name) == Some("off")
    }
}

fn of_server(server: &Parameters<'_>) -> Vec<Advice> {
    let mut found = Vec::new();
    memory(server, &mut found);
    disks(server, &mut found);
    clients(server, &mut found);
    safety(server, &mut found);
    found
}

fn memory(server: &Parameters<'_>, found: &mut Vec<Advice>) {
    let mut small = |name, enough: f64, advice: &str| {
        if let Some(bytes) = server.bytes(name).filter(|bytes| *bytes < enough) {
            found.push(Advice::new(name, size(bytes), advice));
        }
    };
    small("shared_buffers", 256.0 * MIB, "set at least 256MB, about a quarter of the memory that the server has");
    small("work_mem", 16.0 * MIB, "set 16MB: sorts and hashes beyond it go to disk, each of every session");
    if server.vectors {
        let advice = "set as much as a vector index needs while it is built: a build beyond it is many times slower";
        small("maintenance_work_mem", 64.0 * MIB + 1.0, advice);
    }
    if let (Some(cache), Some(buffers)) = (server.bytes("effective_cache_size"), server.bytes("shared_buffers"))
        && cache < buffers
    {
        let advice = "set what shared_buffers and the system's cache hold together: below, indexes look too dear";
        found.push(Advice::new("effective_cache_size", size(cache), advice));
    }
}

fn disks(server: &Parameters<'_>, found: &mut Vec<Advice>) {
    if let Some(cost) = server.number("random_page_cost").filter(|cost| *cost >= 3.0) {
        let advice = "set 1.1 on solid-state disks: the default is for spinning ones and keeps off indexes";
        found.push(Advice::new("random_page_cost", cost.to_string(), advice));
    }
    if let Some(requests) = server.number("effective_io_concurrency").filter(|requests| *requests <= 1.0) {
        let advice = "set 200 on solid-state disks, so that bitmap scans read ahead";
        found.push(Advice::new("effective_io_concurrency", requests.to_string(), advice));
    }
    if let Some(target) = server.number("checkpoint_completion_target").filter(|target| *target < 0.9) {
        let advice = "set 0.9, so that checkpoints write evenly instead of in bursts";
        found.push(Advice::new("checkpoint_completion_target", target.to_string(), advice));
    }
}

fn clients(server: &Parameters<'_>, found: &mut Vec<Advice>) {
    if let Some(most) = server.number("max_connections").filter(|most| *most > 200.0) {
        let advice = "each connection is a process: put a pooler before the server rather than allow so many";
        found.push(Advice::new("max_connections", most.to_string(), advice));
    }
    let mut without = |name, advice: &str| {
        if server.text(name) == Some("0") {
            found.push(Advice::new(name, "0", advice));
        }
    };
    without(
        "idle_in_transaction_session_timeout",
        "set 1min or so: a client that waits for a model inside a transaction holds locks and keeps vacuum from cleaning",
    );
    without(
        "statement_timeout",
        "set one for the application's role: a search without an index goes on after its client gave up",
    );
}

fn safety(server: &Parameters<'_>, found: &mut Vec<Advice>) {
    let libraries = server.text("shared_preload_libraries");
    if let Some(libraries) = libraries.filter(|libraries| !libraries.contains("pg_stat_statements")) {
        let advice = "add pg_stat_statements, and create the extension: nothing else tells which statements cost what";
        found.push(Advice::new("shared_preload_libraries", libraries, advice));
    }
    for (name, advice) in [
        ("autovacuum", "set on: dead rows pile up, and the server stops before transaction ids run out"),
        ("fsync", "set on: a crash of the machine destroys the data"),
        ("full_page_writes", "set on: a crash of the machine destroys the data"),
        ("track_io_timing", "set on: without it nobody sees whether a query waits for the disk"),
    ] {
        if server.is_off(name) {
            found.push(Advice::new(name, "off", advice));
        }
    }
}

/// What of a vector index decides whether it suits.
pub struct VectorIndex {
    /// Lists of an `IVFFlat` index.
    pub lists: Option<f64>,
    /// Live rows of its table, estimated.
    pub rows: Option<f64>,
    /// Its size, in bytes.
    pub size: Option<f64>,
    /// The server's `shared_buffers`, in bytes.
    pub shared_buffers: Option<f64>,
}

/// Advice about one vector index.
pub fn of_index(index: &VectorIndex) -> Vec<Advice> {
    let mut found = Vec::new();
    if let (Some(lists), Some(rows)) = (index.lists, index.rows.filter(|rows| *rows > 0.0)) {
        let wanted = lists_for(rows);
        if lists > wanted * 4.0 || lists * 4.0 < wanted {
            let advice = format!("build it with about {wanted} lists: rows / 1000, or their root above a million");
            found.push(Advice::new("lists", lists.to_string(), advice));
        }
    }
    if let (Some(size), Some(buffers)) = (index.size, index.shared_buffers)
        && size > buffers
    {
        let advice = "raise it above the size of this index: searches that read it from disk are slow";
        found.push(Advice::new("shared_buffers", self::size(buffers), advice));
    }
    found
}

/// Lists for so many rows, by pgvector's rule of thumb, to one digit: advice shall not change with each row.
fn lists_for(rows: f64) -> f64 {
    let wanted = if rows > 1e6 { rows.sqrt() } else { rows / 1000.0 };
    if wanted < 10.0 {
        return 10.0;
    }
    let digit = 10f64.powf(wanted.log10().floor());
    (wanted / digit).round() * digit
}

/// As the server writes a size.
fn size(bytes: f64) -> String {
    let mib = bytes / MIB;
    if mib >= 1024.0 && mib % 1024.0 == 0.0 {
        format!("{}GB", mib / 1024.0)
    } else if mib >= 1.0 {
        format!("{mib}MB")
    } else {
        format!("{}kB", bytes / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(values: &[(&'static str, &'static str, &'static str)]) -> Parameters<'static> {
        let value = |&(name, text, unit)| (name, Value { text, unit, overridden: false });
        Parameters { values: values.iter().map(value).collect(), vectors: false }
    }

    fn advised(server: &Parameters<'_>) -> Vec<(&'static str, String)> {
        of_server(server).into_iter().map(|advice| (advice.setting, advice.value)).collect()
    }

    /// What the stacks that the agent is made for use.
    const GOOD: [(&str, &str, &str); 15] = [
        ("shared_buffers", "32768", "8kB"),
        ("effective_cache_size", "131072", "8kB"),
        ("work_mem", "16384", "kB"),
        ("maintenance_work_mem", "65536", "kB"),
        ("random_page_cost", "1.1", ""),
        ("effective_io_concurrency", "200", ""),
        ("checkpoint_completion_target", "0.9", ""),
        ("max_connections", "100", ""),
        ("idle_in_transaction_session_timeout", "60000", "ms"),
        ("statement_timeout", "30000", "ms"),
        ("shared_preload_libraries", "auto_explain, pg_stat_statements", ""),
        ("autovacuum", "on", ""),
        ("fsync", "on", ""),
        ("full_page_writes", "on", ""),
        ("track_io_timing", "on", ""),
    ];

    #[test]
    fn settings_that_suit_need_no_advice() {
        assert_eq!(advised(&parameters(&GOOD)), []);
        assert_eq!(advised(&parameters(&[])), [], "what is not known is not judged");
    }

    #[test]
    fn the_servers_defaults_do_not_suit() {
        let defaults = parameters(&[
            ("shared_buffers", "16384", "8kB"),
            ("effective_cache_size", "524288", "8kB"),
            ("work_mem", "4096", "kB"),
            ("maintenance_work_mem", "65536", "kB"),
            ("random_page_cost", "4", ""),
            ("effective_io_concurrency", "1", ""),
            ("checkpoint_completion_target", "0.9", ""),
            ("max_connections", "100", ""),
            ("idle_in_transaction_session_timeout", "0", "ms"),
            ("statement_timeout", "0", "ms"),
            ("shared_preload_libraries", "", ""),
            ("fsync", "on", ""),
            ("track_io_timing", "off", ""),
        ]);
        let wanted = [
            ("shared_buffers", "128MB"),
            ("work_mem", "4MB"),
            ("random_page_cost", "4"),
            ("effective_io_concurrency", "1"),
            ("idle_in_transaction_session_timeout", "0"),
            ("statement_timeout", "0"),
            ("shared_preload_libraries", ""),
            ("track_io_timing", "off"),
        ];
        assert_eq!(advised(&defaults), wanted.map(|(name, value)| (name, value.to_owned())));
        let vectors = Parameters { vectors: true, ..defaults };
        assert!(advised(&vectors).contains(&("maintenance_work_mem", "64MB".to_owned())));
    }

    #[test]
    fn what_a_role_sets_for_itself_is_not_judged() {
        let mut server = parameters(&[("statement_timeout", "0", "ms")]);
        assert_eq!(advised(&server).len(), 1);
        server.values.get_mut("statement_timeout").unwrap().overridden = true;
        assert_eq!(advised(&server), []);
    }

    #[test]
    fn lists_fit_the_rows() {
        let advised = |lists, rows| {
            let index = VectorIndex { lists: Some(lists), rows: Some(rows), size: None, shared_buffers: None };
            of_index(&index).pop().map(|advice| advice.what_to_do)
        };
        for (lists, rows) in [(100.0, 100_000.0), (100.0, 0.0), (10.0, 500.0), (1000.0, 1_200_000.0)] {
            assert_eq!(advised(lists, rows), None, "{lists} for {rows}");
        }
        assert!(advised(100.0, 900.0).unwrap().contains("about 10 lists"));
        assert!(advised(100.0, 843_000.0).unwrap().contains("about 800 lists"));
        assert!(advised(100.0, 9_000_000.0).unwrap().contains("about 3000 lists"));
    }

    #[test]
    fn an_index_belongs_into_memory() {
        let index = |size| VectorIndex { lists: None, rows: None, size: Some(size), shared_buffers: Some(256.0 * MIB) };
        assert_eq!(of_index(&index(255.0 * MIB)), []);
        assert_eq!(of_index(&index(257.0 * MIB))[0].value, "256MB");
    }
}
