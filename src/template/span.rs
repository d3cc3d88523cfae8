//! A duration in a template: Go's `time.Duration`.

use std::fmt::Write as _;

use gotmpl::{Result, Value};

use super::member::{Kind, structure};

const NANOS: &str = "\0nanos";
const SECOND: i64 = 1_000_000_000;

/// A duration of so many nanoseconds.
pub fn span(nanos: i64) -> Value {
    structure(Kind::Duration, [(NANOS, Value::Int(nanos))])
}

/// How long it is; 0 for what is none.
pub fn nanos(span: &Value) -> i64 {
    span.field(NANOS).and_then(Value::as_int).unwrap_or(0)
}

/// How many seconds it is.
pub fn seconds(span: &Value) -> f64 {
    nanos(span) as f64 / SECOND as f64
}

/// What stands behind `.Name`; `None` if nothing does.
///
/// # Errors
/// An argument is missing or of another kind.
pub fn method(span_: &Value, name: &str, args: &[Value]) -> Result<Option<Value>> {
    let nanos = nanos(span_);
    Ok(Some(match name {
        "Nanoseconds" => Value::Int(nanos),
        "Microseconds" => Value::Int(nanos / 1000),
        "Milliseconds" => Value::Int(nanos / 1_000_000),
        "Seconds" => Value::Float(seconds(span_)),
        "Minutes" => Value::Float(nanos as f64 / (60.0 * SECOND as f64)),
        "Hours" => Value::Float(nanos as f64 / (3600.0 * SECOND as f64)),
        "String" => text(span_).into(),
        "Abs" => span(nanos.saturating_abs()),
        "Truncate" => {
            let step = of(args.first())?;
            span(if step > 0 { nanos - nanos % step } else { nanos })
        }
        "Round" => {
            let step = of(args.first())?;
            span(if step > 0 { rounded(nanos, step) } else { nanos })
        }
        _ => return Ok(None),
    }))
}

/// Half a step away from zero.
fn rounded(nanos: i64, step: i64) -> i64 {
    let rest = nanos % step;
    let down = nanos - rest;
    if rest.saturating_abs().saturating_mul(2) < step { down } else { down.saturating_add(step * nanos.signum()) }
}

/// An argument that is a duration, also as Go's constants have it: nanoseconds.
///
/// # Errors
/// It is none.
pub fn of(arg: Option<&Value>) -> Result<i64> {
    match arg {
        Some(Value::Int(nanos)) => Ok(*nanos),
        Some(value) if super::member::kind(value) == Some(Kind::Duration) => Ok(nanos(value)),
        other => {
            let got = other.map_or("nothing", super::member::type_name);
            Err(gotmpl::TemplateError::Exec(format!("expected time.Duration; found {got}")))
        }
    }
}

/// As Go's `Duration.String`: `1h2m3.5s`, `1.5ms`, `0s`.
pub fn text(span: &Value) -> String {
    let nanos = nanos(span);
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let part = |unit: u64| {
        let mut digits = format!("{}", size / unit);
        if !size.is_multiple_of(unit) {
            let width = unit.ilog10() as usize;
            let _ = write!(digits, ".{:0width$}", size % unit);
            digits.truncate(digits.trim_end_matches('0').len());
        }
        digits
    };
    match size {
        0 => "0s".into(),
        1..1000 => format!("{sign}{size}ns"),
        1000..1_000_000 => format!("{sign}{}µs", part(1000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", part(1_000_000)),
        _ => {
            let (minutes, rest) = (size / (60 * SECOND as u64), size % (60 * SECOND as u64));
            let mut digits = format!("{}.{:09}", rest / SECOND as u64, rest % SECOND as u64);
            digits.truncate(digits.trim_end_matches('0').trim_end_matches('.').len());
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{digits}s"),
                (0, minutes) => format!("{sign}{minutes}m{digits}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{digits}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (15, "15ns"),
            (5_877, "5.877µs"),
            (-1_500_000, "-1.5ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
        ] {
            assert_eq!(text(&span(nanos)), expected);
        }
        assert_eq!(rounded(89, 60), 60);
        assert_eq!(rounded(90, 60), 120);
        assert_eq!(rounded(-90, 60), -120);
    }
}
