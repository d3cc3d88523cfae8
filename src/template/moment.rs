//! A time in a template, as `toTime` gives it: Go's `time.Time` in UTC.
//!
//! The template engine knows no methods. Those without arguments are fields of a map here; `Format` is a function that the
//! tree is made to call (`tree.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{Result, TemplateError, Value};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::humanize;

/// The field that holds what is printed.
const TEXT: &str = "__text";
/// The field that holds the milliseconds since 1970.
const MILLIS: &str = "UnixMilli";

/// What stands for what in a layout, and what is made of it by `strtime`: longer ones before those they begin with.
const LAYOUT: [(&str, &str); 33] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("-07:00:00", "+00:00:00"),
    ("Z07:00:00", "Z"),
    ("-070000", "+000000"),
    ("Z070000", "Z"),
    ("-07:00", "+00:00"),
    ("Z07:00", "Z"),
    ("-0700", "+0000"),
    ("Z0700", "Z"),
    (".000000000", ".%9f"),
    (".000000", ".%6f"),
    (".000", ".%3f"),
    (".00", ".%2f"),
    ("2006", "%Y"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("002", "%j"),
    ("__2", "%_3j"),
    ("-07", "+00"),
    ("Z07", "Z"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("15", "%H"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("3", "%-I"),
];

/// As [`LAYOUT`], where nothing longer fits.
const SHORT: [(&str, &str); 4] = [("1", "%-m"), ("2", "%-d"), ("4", "%-M"), ("5", "%-S")];

/// The time so many seconds after 1970.
pub fn moment(seconds: f64) -> Value {
    let text = humanize::timestamp(seconds);
    let millis = (seconds * 1000.0).floor() as i64;
    let mut fields = BTreeMap::from([(Arc::from(TEXT), Value::from(text)), (Arc::from(MILLIS), Value::Int(millis))]);
    if let Ok(at) = Timestamp::from_millisecond(millis) {
        let at = at.to_zoned(TimeZone::UTC);
        let numbers = [
            ("Year", i64::from(at.year())),
            ("Day", i64::from(at.day())),
            ("Hour", i64::from(at.hour())),
            ("Minute", i64::from(at.minute())),
            ("Second", i64::from(at.second())),
            ("YearDay", i64::from(at.day_of_year())),
            ("Unix", millis.div_euclid(1000)),
        ];
        fields.extend(numbers.map(|(name, number)| (Arc::from(name), Value::Int(number))));
        let words = [("Month", "%B"), ("Weekday", "%A")];
        fields.extend(words.map(|(name, format)| (Arc::from(name), Value::from(at.strftime(format).to_string()))));
    }
    Value::Map(Arc::new(fields))
}

/// What is printed of a value that is a time.
pub fn text(value: &Value) -> Option<&Value> {
    value.field(TEXT)
}

/// `Format`: the time, and a layout in Go's notation.
pub fn format(args: &[Value]) -> Result<Value> {
    let millis = args.first().and_then(|moment| moment.field(MILLIS)).and_then(Value::as_int);
    let (Some(millis), Some(Value::String(layout)), 2) = (millis, args.get(1), args.len()) else {
        return Err(TemplateError::Exec("Format expects a time as toTime gives it, and one layout".into()));
    };
    let wrong = |error: jiff::Error| TemplateError::Exec(error.to_string());
    let at = Timestamp::from_millisecond(millis).map_err(wrong)?.to_zoned(TimeZone::UTC);
    Ok(strtime::format(translated(layout), &at).map_err(wrong)?.into())
}

fn translated(layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some((go, ours)) = LAYOUT.iter().chain(&SHORT).find(|(go, _)| rest.starts_with(go)) {
            out.push_str(ours);
            rest = &rest[go.len()..];
        } else {
            if c == '%' {
                out.push('%');
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_go_layouts() {
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2024-02-09T03:04:56Z"),
            ("Mon Jan _2 15:04:05 MST 2006", "Fri Feb  9 03:04:56 UTC 2024"),
            ("Monday, 2 January 06 3:4:5.000 PM", "Friday, 9 February 24 3:4:56.500 AM"),
            ("15:04 -0700 100%", "03:04 +0000 200%"),
        ] {
            let at = moment(1_707_447_896.5);
            let text = format(&[at, layout.into()]).map(|text| text.to_string());
            assert_eq!(text.unwrap_or_else(|error| error.to_string()), expected, "{layout}");
        }
        assert!(format(&["x".into(), "15".into()]).is_err());
    }
}
