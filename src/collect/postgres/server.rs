//! The server itself: version and start.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, MetricKind};

use super::query::Query;
use super::rows::Table;
use super::settings::Settings;

/// One row about the server.
pub const SERVER: Query = Query::new(
    "postmaster",
    "SELECT version() AS version, current_setting('server_version') AS short_version, \
        extract(epoch FROM pg_postmaster_start_time()) AS started",
    read,
);

static STATIC: Family = Family::new("pg_static", MetricKind::Unknown, "The server's version, in labels; always 1.");
static STARTED: Family =
    Family::gauge("pg_postmaster_start_time_seconds", "When the server started, in seconds since the epoch.");

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    let Some(row) = table.first() else { return };
    let short = three_numbers(row.label("short_version"));
    let server = settings.instance();
    let labels = [("server", server.as_str()), ("short_version", short.as_str()), ("version", row.label("version"))];
    look.labeled(&STATIC, labels, 1.0);
    if let Some(started) = row.number("started") {
        look.value(&STARTED, started);
    }
}

/// `15.14 (Debian 15.14-0)` as the exporter writes it: `15.14.0`.
fn three_numbers(version: &str) -> String {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers: Vec<&str> = version[..end].split('.').filter(|number| !number.is_empty()).take(3).collect();
    numbers.resize(3, "0");
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_version_has_three_numbers() {
        for (version, short) in
            [("15.14 (Debian 15.14-0+deb12u1)", "15.14.0"), ("9.6.24", "9.6.24"), ("18beta1", "18.0.0")]
        {
            assert_eq!(three_numbers(version), short);
        }
    }
}
