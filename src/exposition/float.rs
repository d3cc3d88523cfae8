//! Numbers as Prometheus writes them on a page.

use std::fmt::Write as _;

/// Appends a value as Go's `%g` with the shortest digits, which is what Prometheus' own libraries write:
/// `0.25`, `123456`, `1.234567e+06`, `1e-05`, `-0`, `+Inf`, `NaN`.
pub fn write_float(out: &mut String, value: f64) {
    let size = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value == 0.0 && value.is_sign_negative() {
        out.push_str("-0");
    } else if size < 1e6 && value.fract() == 0.0 {
        write_int(out, value as i64);
    } else if (1e-4..1e6).contains(&size) {
        let _ = write!(out, "{value}");
    } else {
        write_scientific(out, value);
    }
}

/// Appends a finite number with an exponent. Rust writes `1e-5` where Go writes `1e-05`: at least two digits, always a sign.
pub fn write_scientific(out: &mut String, value: f64) {
    let start = out.len();
    let _ = write!(out, "{value:e}");
    let Some(mantissa) = out[start..].find('e').map(|at| start + at) else { return };
    let exponent: i32 = out[mantissa + 1..].parse().unwrap_or_default();
    out.truncate(mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
}

/// Appends a whole number.
pub fn write_int(out: &mut String, value: i64) {
    let _ = write!(out, "{value}");
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
