//! Numbers for people, with four significant digits, as Prometheus' templates write them.

use crate::model::{Millis, render_significant};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// `1.235M`, `12m`
pub fn plain(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 { scaled(value, &LARGE, 1000.0) } else { shrunk(value) }
}

/// `1.5Gi`
pub fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() { four_digits(value) } else { scaled(value, &BINARY, 1024.0) }
}

/// `1d 2h 3m 4s`, `12.3s`, `5ms`
pub fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        return shrunk(value) + "s";
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value.abs()))
    }
}

/// `12.3%`
pub fn percentage(ratio: f64) -> String {
    four_digits(ratio * 100.0) + "%"
}

/// A time in seconds as Go prints one: `2015-02-10 17:53:35 +0000 UTC`
pub fn timestamp(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    let text = Millis((seconds * 1000.0).floor() as i64).to_rfc3339();
    let text = text.trim_end_matches('Z').replace('T', " ");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} +0000 UTC")
}

fn scaled(mut value: f64, prefixes: &[&str], base: f64) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    four_digits(value) + prefix
}

fn shrunk(mut value: f64) -> String {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    four_digits(value) + prefix
}

/// Go's `%.4g`.
fn four_digits(value: f64) -> String {
    render_significant(value, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_prometheus() {
        // From Prometheus' own template tests.
        for (value, text) in [(0.0, "0"), (1.0, "1"), (1_234_567.0, "1.235M"), (0.12, "120m"), (f64::NAN, "NaN")] {
            assert_eq!(plain(value), text);
        }
        for (value, text) in [(1_048_576.0, "1Mi"), (0.5, "0.5"), (1e30, "8.272e+05Yi")] {
            assert_eq!(binary(value), text);
        }
        for (value, text) in [
            (0.0, "0s"),
            (60.0, "1m 0s"),
            (3600.0, "1h 0m 0s"),
            (90_061.0, "1d 1h 1m 1s"),
            (0.1, "100ms"),
            (-1.5, "-1.5s"),
            (899.99, "14m 59s"),
        ] {
            assert_eq!(duration(value), text);
        }
        assert_eq!(percentage(0.12345), "12.35%");
        assert_eq!(timestamp(1_435_065_584.128), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(timestamp(0.0), "1970-01-01 00:00:00 +0000 UTC");
    }
}
