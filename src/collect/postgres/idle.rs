//! How long idle sessions have been idle.

use crate::collect::Look;
use crate::model::{Family, Labels, MetricKind, Suffix};

use super::query::Query;
use super::rows::{Row, Table};
use super::settings::Settings;

/// By application and state; the hundred largest groups, since the application's name is the client's choice.
///
/// The exporter asks the same and shows whichever group comes first; here each has its series.
pub const IDLE: Query = Query::new(
    "process_idle",
    "SELECT state, application_name, count(*) AS sessions, sum(idle) AS seconds, \
        count(*) FILTER (WHERE idle <= 1) AS le_1, count(*) FILTER (WHERE idle <= 2) AS le_2, \
        count(*) FILTER (WHERE idle <= 5) AS le_5, count(*) FILTER (WHERE idle <= 15) AS le_15, \
        count(*) FILTER (WHERE idle <= 30) AS le_30, count(*) FILTER (WHERE idle <= 60) AS le_60, \
        count(*) FILTER (WHERE idle <= 90) AS le_90, count(*) FILTER (WHERE idle <= 120) AS le_120, \
        count(*) FILTER (WHERE idle <= 300) AS le_300 \
        FROM (SELECT state, application_name, greatest(0, extract(epoch FROM now() - state_change)) AS idle \
        FROM pg_stat_activity WHERE state LIKE 'idle%' AND pid <> pg_backend_pid()) s \
        GROUP BY state, application_name ORDER BY sessions DESC, state, application_name LIMIT 100",
    read,
)
.about_others();

static IDLE_SECONDS: Family = Family::new(
    "pg_process_idle_seconds",
    MetricKind::Histogram,
    "How long the sessions that are idle now have been so, in seconds.",
);

/// The upper bounds, and the columns that count up to them.
const BUCKETS: [(&str, &str); 10] = [
    ("1", "le_1"),
    ("2", "le_2"),
    ("5", "le_5"),
    ("15", "le_15"),
    ("30", "le_30"),
    ("60", "le_60"),
    ("90", "le_90"),
    ("120", "le_120"),
    ("300", "le_300"),
    ("+Inf", "sessions"),
];

fn read(table: &Table, _: &Settings, look: &mut Look) {
    for row in table.rows() {
        for (bound, column) in BUCKETS {
            add(look, Suffix::Bucket, row, column, &[("le", bound)]);
        }
        add(look, Suffix::Sum, row, "seconds", &[]);
        add(look, Suffix::Count, row, "sessions", &[]);
    }
}

fn add(look: &mut Look, suffix: Suffix, row: Row<'_>, column: &str, more: &[(&str, &str)]) {
    if let Some(value) = row.number(column) {
        let group = [("application_name", row.label("application_name")), ("state", row.label("state"))];
        look.point(&IDLE_SECONDS, suffix, Labels::new(group.into_iter().chain(more.iter().copied())), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::settings::example;

    #[test]
    fn each_group_is_a_histogram() {
        let columns = [
            "state",
            "application_name",
            "sessions",
            "seconds",
            "le_1",
            "le_2",
            "le_5",
            "le_15",
            "le_30",
            "le_60",
            "le_90",
            "le_120",
            "le_300",
        ];
        let table = Table::of(
            &columns,
            &[
                &["idle", "web", "3", "1010.5", "1", "1", "1", "2", "2", "2", "2", "2", "2"],
                &["idle in transaction", "", "1", "0", "1", "1", "1", "1", "1", "1", "1", "1", "1"],
            ],
        );
        let mut look = Look::new();
        read(&table, &example(), &mut look);
        assert_eq!(look.len(), 2 * (10 + 2));
        let points = &look.blocks()[0].points;
        let value = |suffix, labels: &[(&str, &str)]| {
            let wanted = Labels::new(labels.iter().copied());
            points.iter().find(|point| point.suffix == suffix && point.labels == wanted).map(|point| point.value)
        };
        let web = [("application_name", "web"), ("state", "idle")];
        assert_eq!(value(Suffix::Bucket, &[&web[..], &[("le", "+Inf")]].concat()), Some(3.0));
        assert_eq!(value(Suffix::Bucket, &[&web[..], &[("le", "5")]].concat()), Some(1.0));
        assert_eq!(value(Suffix::Sum, &web), Some(1010.5));
        assert_eq!(value(Suffix::Count, &web), Some(3.0));
    }
}
