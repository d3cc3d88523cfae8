//! The server itself: version and start.

use crate::collect::Look;
use crate::model::{Family, MetricKind};

use super::rows::Table;

/// What the question is called.
pub const COLLECTOR: &str = "postmaster";
/// One row about the server.
pub const SQL: &str = "SELECT version() AS version, current_setting('server_version') AS short_version, \
    current_setting('server_version_num') AS number, extract(epoch FROM pg_postmaster_start_time()) AS started";

static STATIC: Family = Family::new("pg_static", MetricKind::Unknown, "The server's version, in labels; always 1.");
static STARTED: Family =
    Family::gauge("pg_postmaster_start_time_seconds", "When the server started, in seconds since the epoch.");

/// Reads the row; the answer is `server_version_num`.
pub fn read(table: &Table, instance: &str, look: &mut Look) -> u32 {
    let Some(row) = table.first() else { return 0 };
    let short = three_numbers(row.label("short_version"));
    let labels = [("server", instance), ("short_version", short.as_str()), ("version", row.label("version"))];
    look.labeled(&STATIC, labels, 1.0);
    if let Some(started) = row.number("started") {
        look.value(&STARTED, started);
    }
    row.number("number").unwrap_or_default() as u32
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
