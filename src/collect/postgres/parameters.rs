//! The server's configuration: every boolean and number of `pg_settings`, in base units.

use crate::collect::{Look, TargetSettings as _};
use crate::model::{Family, Labels, MetricKind, Suffix, is_valid_metric_name};

use super::query::Query;
use super::rows::{Row, Table};
use super::settings::Settings;

/// All parameters that have a number. Of those that a session set, our own time-outs, the value without it is taken.
pub const PARAMETERS: Query = Query::new(
    "settings",
    "SELECT name, CASE source WHEN 'session' THEN reset_val ELSE setting END AS setting, unit, short_desc \
        FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real')",
    read,
)
.rare();

fn read(table: &Table, settings: &Settings, look: &mut Look) {
    let labels = Labels::new([("server", settings.instance())]);
    for row in table.rows() {
        if let Some((family, value)) = parameter(row) {
            look.point(&family, Suffix::None, labels.clone(), value);
        }
    }
}

fn parameter(row: Row<'_>) -> Option<(Family, f64)> {
    let value = match row.text("setting")? {
        "on" => 1.0,
        "off" => 0.0,
        text => text.parse().ok()?,
    };
    let (value, base) = in_base_unit(value, row.label("unit"))?;
    let mut name: String = row.text("name")?.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut help = format!("Server Parameter: {} ({})", row.label("name"), row.label("short_desc"));
    if !base.is_empty() {
        name = format!("{name}_{base}");
        help = format!("{help} [in {base}]");
    }
    let name = format!("pg_settings_{name}");
    is_valid_metric_name(&name).then(|| (Family::discovered(name, MetricKind::Gauge, help), value))
}

/// A value in seconds or bytes, and which of them; `None` for a unit that no version had when this was written.
///
/// Units are those of `guc.c`: a time, or a size with an optional count of them ("8kB" blocks).
fn in_base_unit(value: f64, unit: &str) -> Option<(f64, &'static str)> {
    let digits = unit.find(|c: char| !c.is_ascii_digit()).unwrap_or(unit.len());
    let (count, word) = unit.split_at(digits);
    let (size, base) = match word {
        "" => (1.0, ""),
        "us" => (1e-6, "seconds"),
        "ms" => (1e-3, "seconds"),
        "s" => (1.0, "seconds"),
        "min" => (60.0, "seconds"),
        "h" => (3600.0, "seconds"),
        "d" => (86_400.0, "seconds"),
        "B" => (1.0, "bytes"),
        "kB" => (1024.0, "bytes"),
        "MB" => (1024.0 * 1024.0, "bytes"),
        "GB" => (1024.0 * 1024.0 * 1024.0, "bytes"),
        "TB" => (1024.0 * 1024.0 * 1024.0 * 1024.0, "bytes"),
        _ => return None,
    };
    let count = if count.is_empty() { 1.0 } else { count.parse().ok()? };
    // -1 means "off" or "as another parameter" and has no unit.
    let value = if (value + 1.0).abs() < f64::EPSILON { value } else { value * count * size };
    Some((value, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_in_base_units() {
        let table = Table::of(
            &["name", "setting", "unit", "short_desc"],
            &[
                &["max_connections", "100", "", "Sets …"],
                &["shared_buffers", "16384", "8kB", "Sets …"],
                &["bgwriter_delay", "200", "ms", "Sets …"],
                &["log_rotation_age", "1440", "min", "Sets …"],
                &["log_min_duration_statement", "-1", "ms", "Sets …"],
                &["pg_stat_statements.save", "on", "", "Saves …"],
                &["strange", "1", "parsec", "Sets …"],
            ],
        );
        let mut look = Look::new();
        for row in table.rows() {
            if let Some((family, value)) = parameter(row) {
                look.value(&family, value);
            }
        }
        for (name, value) in [
            ("pg_settings_max_connections", 100.0),
            ("pg_settings_shared_buffers_bytes", 134_217_728.0),
            ("pg_settings_bgwriter_delay_seconds", 0.2),
            ("pg_settings_log_rotation_age_seconds", 86_400.0),
            ("pg_settings_log_min_duration_statement_seconds", -1.0),
            ("pg_settings_pg_stat_statements_save", 1.0),
        ] {
            assert_eq!(look.get(name, &[]), Some(value), "{name}");
        }
        assert_eq!(look.len(), 6);
    }
}
