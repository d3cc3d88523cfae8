//! JSON as Prometheus writes it, straight into the body: no tree is built for thousands of series.

use std::fmt::Write as _;

use crate::model::{Labels, Millis, write_plain, write_scientific};

/// Appends a quoted text.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a list of texts.
pub fn write_strings<'t>(out: &mut String, texts: impl IntoIterator<Item = &'t str>) {
    out.push('[');
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, text);
    }
    out.push(']');
}

/// Appends an object of texts.
pub fn write_pairs<'t>(out: &mut String, pairs: impl IntoIterator<Item = (&'t str, &'t str)>) {
    out.push('{');
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push(':');
        write_text(out, value);
    }
    out.push('}');
}

/// Appends a label set as an object.
pub fn write_labels(out: &mut String, labels: &Labels) {
    write_pairs(out, labels.iter());
}

/// Appends a sample of a vector or matrix: `[1435781451.781,"1"]`.
pub fn write_sample(out: &mut String, at: Millis, value: f64) {
    out.push('[');
    write_time(out, at);
    out.push_str(",\"");
    write_value(out, value);
    out.push_str("\"]");
}

/// Appends a time in seconds: whole, or with three digits behind the point.
fn write_time(out: &mut String, at: Millis) {
    let (seconds, rest) = (at.0 / 1000, at.0 % 1000);
    if at.0 < 0 && seconds == 0 {
        out.push('-');
    }
    let _ = write!(out, "{seconds}");
    if rest != 0 {
        let _ = write!(out, ".{:03}", rest.abs());
    }
}

/// Appends a number, without exponent from 1e-6 to 1e21.
fn write_value(out: &mut String, value: f64) {
    if value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
        write_plain(out, value);
    } else {
        write_scientific(out, value);
    }
}

/// Appends a scalar: as a sample, but never with an exponent, and its time without zeros at the end.
pub fn write_scalar(out: &mut String, at: Millis, value: f64) {
    let _ = write!(out, "[{},\"", at.as_seconds());
    write_plain(out, value);
    out.push_str("\"]");
}

/// A time as Go writes it; the time that never was for none.
pub fn rfc3339(at: Option<Millis>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), Millis::to_rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_look_as_prometheus_writes_them() {
        let cases = [
            (0, 0.0, r#"[0,"0"]"#),
            (1500, -0.0, r#"[1.500,"-0"]"#),
            (1_795_266_518_007, 0.1, r#"[1795266518.007,"0.1"]"#),
            (-1, 1e-7, r#"[-0.001,"1e-07"]"#),
            (-2500, 1e-6, r#"[-2.500,"0.000001"]"#),
            (1000, 1e20, r#"[1,"100000000000000000000"]"#),
            (1000, -1e21, r#"[1,"-1e+21"]"#),
            (1000, 123_456_789.0, r#"[1,"123456789"]"#),
            (1000, f64::NEG_INFINITY, r#"[1,"-Inf"]"#),
            (1000, f64::NAN, r#"[1,"NaN"]"#),
        ];
        for (at, value, wanted) in cases {
            let mut out = String::new();
            write_sample(&mut out, Millis(at), value);
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn a_scalar_has_no_exponent() {
        let mut out = String::new();
        write_scalar(&mut out, Millis(1_577_836_800_500), 1e-7);
        write_scalar(&mut out, Millis(1000), -1e21);
        assert_eq!(out, r#"[1577836800.5,"0.0000001"][1,"-1000000000000000000000"]"#);
    }

    #[test]
    fn texts_can_be_read_back() {
        let text = "a\"b\\c\n\t\r\u{1}é\u{1f600}\u{7f}</script>";
        let mut out = String::new();
        write_text(&mut out, text);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
