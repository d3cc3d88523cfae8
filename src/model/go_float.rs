//! Numbers as Go prints them, which is how Prometheus' pages, labels, messages and templates show them.

use std::fmt::Write as _;

/// Appends a value as Go's `%g` with the shortest digits, which is what Prometheus' own libraries write:
/// `0.25`, `123456`, `1.234567e+06`, `1e-05`, `-0`, `+Inf`, `NaN`.
pub fn write_float(out: &mut String, value: f64) {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        write_plain(out, value);
    } else {
        write_scientific(out, value);
    }
}

/// As [`write_float`], by itself.
pub fn render_float(value: f64) -> String {
    rendered(value, write_float)
}

/// Appends a number with an exponent and the shortest digits: `1.5e+00`. What is not finite is a word.
pub fn write_scientific(out: &mut String, value: f64) {
    if !value.is_finite() {
        return write_plain(out, value);
    }
    let start = out.len();
    let _ = write!(out, "{value:e}");
    widen_exponent(out, start);
}

/// A finite number with an exponent and so many digits behind the point, as Go's `%.3e`.
pub fn render_scientific(value: f64, digits: usize) -> String {
    let mut out = format!("{value:.digits$e}");
    widen_exponent(&mut out, 0);
    out
}

/// A number with at most so many digits that tell something, as Go's `%.4g`; there is at least one.
pub fn render_significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return render_plain(value);
    }
    let scientific = render_scientific(value, digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (power, most) = (exponent.parse().unwrap_or(0), i32::try_from(digits).unwrap_or(i32::MAX));
    if (-4..most).contains(&power) {
        let text = format!("{value:.*}", usize::try_from(most - 1 - power).unwrap_or(0));
        return without_zeros(&text).to_owned();
    }
    format!("{}e{exponent}", without_zeros(mantissa))
}

/// Appends a number without exponent, as `count_values` writes it into a label: `1`, `0.5`, `+Inf`, `NaN`.
pub fn write_plain(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
        // Counts are the most, and whole numbers are written faster as such.
        let _ = write!(out, "{}", value as i64);
    } else {
        let _ = write!(out, "{value}");
    }
}

/// As [`write_plain`], by itself.
pub fn render_plain(value: f64) -> String {
    rendered(value, write_plain)
}

fn rendered(value: f64, write: fn(&mut String, f64)) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// Rust writes `1e-5` where Go writes `1e-05`: at least two digits, always a sign.
fn widen_exponent(out: &mut String, start: usize) {
    let Some(mantissa) = out[start..].find('e').map(|at| start + at) else { return };
    let exponent: i32 = out[mantissa + 1..].parse().unwrap_or_default();
    out.truncate(mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.25, "0.25"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1.763_708_400_123e9, "1.763708400123e+09"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            let mut out = String::new();
            write_float(&mut out, value);
            assert_eq!(out, text);
        }
    }
}
