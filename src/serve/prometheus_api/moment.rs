//! Times and spans of time in parameters, as Prometheus reads them.

use jiff::civil::{Date, DateTime, Time};

use crate::model::{Millis, parse_duration};

/// The times that stand for the first and the last one there is, as Prometheus' own client sends them.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// Times beyond this, in milliseconds, are taken as this: 280,000 years, and sums of a few of them still fit.
const FAR: i64 = 9_000_000_000_000_000;

/// The first and the last time that can be asked for.
pub const ALWAYS: (Millis, Millis) = (Millis(-FAR), Millis(FAR));

/// Unix seconds, also with a fraction, or RFC 3339.
pub fn parse_time(text: &str) -> Result<Millis, String> {
    let wrong = || format!("cannot parse {text:?} to a valid timestamp");
    if let Some(seconds) = float(text) {
        // As Prometheus does it: what is behind the point is rounded by itself.
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        let far = FAR as f64;
        // The fraction of what is infinite is no number.
        let millis = if seconds.is_infinite() { seconds } else { millis };
        return if millis.is_nan() { Err(wrong()) } else { Ok(Millis(millis.clamp(-far, far) as i64)) };
    }
    match text {
        MIN_TIME => Ok(ALWAYS.0),
        MAX_TIME => Ok(ALWAYS.1),
        _ => rfc3339(text).ok_or_else(wrong),
    }
}

/// Go's reading of it: `T` and `Z` in capitals, the offset with its colon, an hour perhaps of one digit.
fn rfc3339(text: &str) -> Option<Millis> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let end = rest.find(['Z', '+', '-'])?;
    let (time, offset) = rest.split_at(end);
    let (time, fraction) = time.split_once(['.', ',']).map_or((time, "0"), |(time, fraction)| (time, fraction));
    let digits = time.find(':').filter(|digits| (1..=2).contains(digits))?;
    let [hour, minute, second] = numbers(time, ':', [digits, 2, 2])?;
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let offset = if offset == "Z" {
        0
    } else {
        let [hours, minutes] =
            numbers(&offset[1..], ':', [2, 2]).filter(|[hours, minutes]| *hours <= 24 && *minutes < 60)?;
        let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
        if offset.starts_with('-') { -seconds } else { seconds }
    };
    let small = |number: u16| i8::try_from(number).ok();
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let since = DateTime::from_parts(date, time).duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    Some(Millis((since.as_secs() - offset) * 1000 + millis))
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u16; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Seconds, also with a fraction, or a duration as Prometheus writes it; in nanoseconds.
pub fn parse_span(text: &str) -> Result<i64, String> {
    if let Some(seconds) = float(text) {
        let nanos = seconds * 1e9;
        return if nanos.abs() <= i64::MAX as f64 {
            Ok(nanos as i64)
        } else {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        };
    }
    let span = parse_duration(text).ok().and_then(|span| i64::try_from(span.as_nanos()).ok());
    span.ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// A number as Go reads it: with `_` between digits, and none that is too large.
fn float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let between =
        |at: usize| at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && !between(at)) {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    (number.is_finite() || !bytes.iter().any(u8::is_ascii_digit)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_prometheus_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("-0", 0),
            ("1.0005", 1000),
            ("-1.0005", -1000),
            ("1.9999", 2000),
            ("-1.5e3", -1_500_000),
            ("1_000", 1_000_000),
            ("1577836800.123", 1_577_836_800_123),
            ("2020-01-01T00:00:00Z", 1_577_836_800_000),
            ("2020-01-01T0:00:00Z", 1_577_836_800_000),
            ("2020-01-01T01:00:00.5+01:00", 1_577_836_800_500),
            ("2020-01-01T00:00:00,0019-00:00", 1_577_836_800_001),
            ("2020-01-01T00:00:00.123456789123Z", 1_577_836_800_123),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("-292273086-05-16T16:47:06Z", -9_000_000_000_000_000),
            ("292277025-08-18T07:12:54.999999999Z", 9_000_000_000_000_000),
            ("1e300", 9_000_000_000_000_000),
            ("-Inf", -9_000_000_000_000_000),
        ] {
            assert_eq!(parse_time(text), Ok(Millis(millis)), "{text}");
        }
        for text in [
            "",
            "x",
            "NaN",
            "1e400",
            "1__0",
            "_1",
            "1_",
            " 5",
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00z",
            "2020-01-01t00:00:00Z",
            "2020-01-01 00:00:00Z",
            "2020-01-01T00:00Z",
            "2020-01-01T00:00:60Z",
            "2020-01-01T24:00:00Z",
            "2020-02-30T00:00:00Z",
            "2020-01-01T00:00:00.Z",
            "2020-1-1T00:00:00Z",
            "20200101T000000Z",
            "2020-01-01T00:00:00+0100",
            "2020-01-01T00:00:00+01",
            "2020-01-01T00:00:00Z[UTC]",
            "10000-01-01T00:00:00Z",
            "2020-01-01T00:00:00+25:00",
            "2020-01-01T00:00:00Z+01:00",
            "2020-01-01T+1:00:00Z",
        ] {
            assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
        }
    }

    #[test]
    fn spans_are_read_as_prometheus_reads_them() {
        for (text, nanos) in
            [("0", 0), ("0.0001", 100_000), ("1e-10", 0), ("-1", -1_000_000_000), ("1h30m", 5_400_000_000_000)]
        {
            assert_eq!(parse_span(text), Ok(nanos), "{text}");
        }
        assert!(parse_span("9223372036").is_ok());
        for text in ["", "x", "1.5h", "-1s", "1e10", "NaN", "5s "] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
