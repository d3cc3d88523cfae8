//! Sessions that wait for locks, and those that they wait for.
//!
//! Not in `postgres_exporter`: its `pg_locks_count` does not tell who waits, how long, and for whom.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::collect::Look;
use crate::model::Family;

use super::query::Query;
use super::rows::Table;
use super::settings::Settings;

/// A row for each pair of a waiting session and one it waits for. `pg_blocking_pids` holds the lock tables for a moment,
/// so it is asked for the hundred longest waiting at most; all are counted. When a wait began is known from 14 on; before,
/// when the session last changed its state.
pub const BLOCKED: Query = Query::by_version(
    "blocked",
    &[
        (
            0,
            "SELECT w.blocked, l.mode, extract(epoch FROM clock_timestamp() - w.state_change) AS waits, \
            by.pid AS by_pid, b.application_name, b.datname, b.usename, b.state FROM \
            (SELECT pid, state_change, count(*) OVER () AS blocked FROM pg_stat_activity \
            WHERE wait_event_type = 'Lock' ORDER BY state_change LIMIT 100) w \
            LEFT JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted \
            LEFT JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS by(pid) ON true \
            LEFT JOIN pg_stat_activity b ON b.pid = by.pid",
        ),
        (
            140_000,
            "SELECT w.blocked, l.mode, \
            extract(epoch FROM clock_timestamp() - coalesce(l.waitstart, w.state_change)) AS waits, \
            by.pid AS by_pid, b.application_name, b.datname, b.usename, b.state FROM \
            (SELECT pid, state_change, count(*) OVER () AS blocked FROM pg_stat_activity \
            WHERE wait_event_type = 'Lock' ORDER BY state_change LIMIT 100) w \
            LEFT JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted \
            LEFT JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS by(pid) ON true \
            LEFT JOIN pg_stat_activity b ON b.pid = by.pid",
        ),
    ],
    read,
)
.about_others();

/// Blocking combinations that are shown, those with most sessions first; the rest is summed.
const MOST: usize = 20;

static BLOCKED_SESSIONS: Family = Family::gauge("pg_blocked_sessions", "Sessions that wait for a lock.");
static LONGEST: Family = Family::gauge(
    "pg_blocked_longest_wait_seconds",
    "How long the longest waiting session has waited for a lock of this mode, in seconds.",
);
static BLOCKING: Family = Family::gauge(
    "pg_blocking_sessions",
    "Sessions that others wait for, by who they are. A transaction prepared for two-phase commit has the state prepared.",
);

/// Application, database, role, state.
type Who<'t> = [&'t str; 4];

fn read(table: &Table, _: &Settings, look: &mut Look) {
    let blocked = table.first().and_then(|row| row.number("blocked")).unwrap_or_default();
    look.value(&BLOCKED_SESSIONS, blocked);
    let mut longest: BTreeMap<&str, f64> = BTreeMap::new();
    let mut blocking: BTreeMap<Who<'_>, BTreeSet<&str>> = BTreeMap::new();
    for row in table.rows() {
        if let (Some(mode), Some(waits)) = (row.text("mode"), row.number("waits")) {
            let known = longest.entry(mode).or_default();
            *known = known.max(waits);
        }
        if let Some(pid) = row.text("by_pid") {
            let state = if pid == "0" { "prepared" } else { row.label("state") };
            let who = [row.label("application_name"), row.label("datname"), row.label("usename"), state];
            blocking.entry(who).or_default().insert(pid);
        }
    }
    for (mode, waits) in longest {
        look.labeled(&LONGEST, [("mode", mode.to_ascii_lowercase().as_str())], waits);
    }
    show_blocking(blocking, look);
}

fn show_blocking(blocking: BTreeMap<Who<'_>, BTreeSet<&str>>, look: &mut Look) {
    let mut blocking: Vec<_> = blocking.into_iter().map(|(who, pids)| (who, pids.len())).collect();
    blocking.sort_by_key(|(_, sessions)| std::cmp::Reverse(*sessions));
    let others: usize = blocking.iter().skip(MOST).map(|(_, sessions)| sessions).sum();
    for ([application, database, user, state], sessions) in blocking.into_iter().take(MOST) {
        let labels = [("application_name", application), ("datname", database), ("usename", user), ("state", state)];
        look.labeled(&BLOCKING, labels, sessions as f64);
    }
    if others > 0 {
        look.labeled(&BLOCKING, [("application_name", "other")], others as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rows: &[&[&str]]) -> Look {
        let columns = ["blocked", "mode", "waits", "by_pid", "application_name", "datname", "usename", "state"];
        let mut look = Look::new();
        read(&Table::of(&columns, rows), &crate::collect::postgres::settings::example(), &mut look);
        look
    }

    #[test]
    fn nobody_waiting_is_zero() {
        let look = seen(&[]);
        assert_eq!((look.get("pg_blocked_sessions", &[]), look.len()), (Some(0.0), 1));
    }

    #[test]
    fn who_blocks_is_counted_once_and_the_longest_wait_is_told() {
        let migrate = ["migrate", "orders", "admin", "idle in transaction"];
        let pair = |waits, pid| ["3", "AccessShareLock", waits, pid, migrate[0], migrate[1], migrate[2], migrate[3]];
        let (first, second) = (pair("4.5", "77"), pair("9.25", "77"));
        let prepared = ["3", "RowExclusiveLock", "1", "0", "", "", "", ""];
        let look = seen(&[&first, &second, &prepared]);
        assert_eq!(look.get("pg_blocked_sessions", &[]), Some(3.0));
        assert_eq!(look.get("pg_blocked_longest_wait_seconds", &[("mode", "accesssharelock")]), Some(9.25));
        let [application, database, user, state] = migrate;
        let who = [("application_name", application), ("datname", database), ("usename", user), ("state", state)];
        assert_eq!(look.get("pg_blocking_sessions", &who), Some(1.0));
        assert_eq!(look.get("pg_blocking_sessions", &[("state", "prepared")]), Some(1.0));
    }
}
