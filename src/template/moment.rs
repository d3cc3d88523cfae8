//! A time in a template: Go's `time.Time`, in a time zone.

use gotmpl::{Result, TemplateError, Value};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::functions::text as text_argument;
use super::layout;
use super::member::{Kind, structure};
use super::{member, span};
use crate::model::render_significant;

const SECOND: &str = "\0second";
const NANO: &str = "\0nano";
const ZONE: &str = "\0zone";
/// Go's zero time in seconds since 1970: the beginning of the year 1.
const ZERO: i64 = -62_135_596_800;
/// How Go prints a time that is told no layout.
const PRINTED: &str = "2006-01-02 15:04:05.999999999 -0700 MST";
const RFC3339: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// The time so many seconds after 1970, in UTC.
pub fn moment(seconds: f64) -> Value {
    if !seconds.is_finite() {
        return Value::from(render_significant(seconds, 4));
    }
    let millis = (seconds * 1000.0).floor() as i64;
    at(SignedDuration::from_millis(millis))
}

/// The time so long after 1970, in UTC.
pub fn at(since_1970: SignedDuration) -> Value {
    made(since_1970, "UTC")
}

/// The time that Go has where none was set.
pub fn zero() -> Value {
    made(SignedDuration::from_secs(ZERO), "UTC")
}

fn made(since_1970: SignedDuration, zone: &str) -> Value {
    // Before 1970, whole seconds count down and nanoseconds up.
    let (mut second, mut nano) = (since_1970.as_secs(), since_1970.subsec_nanos());
    if nano < 0 {
        (second, nano) = (second - 1, nano + 1_000_000_000);
    }
    let fields = [(SECOND, Value::Int(second)), (NANO, Value::Int(i64::from(nano))), (ZONE, Value::from(zone))];
    structure(Kind::Time, fields)
}

fn since_1970(time: &Value) -> SignedDuration {
    let number = |name| time.field(name).and_then(Value::as_int).unwrap_or(0);
    SignedDuration::new(number(SECOND), i32::try_from(number(NANO)).unwrap_or(0))
}

fn zone_name(time: &Value) -> &str {
    time.field(ZONE).and_then(Value::as_str).unwrap_or("UTC")
}

fn zoned(time: &Value) -> Result<Zoned> {
    let at = Timestamp::from_duration(since_1970(time)).map_err(|error| TemplateError::Exec(error.to_string()))?;
    Ok(at.to_zoned(zone(zone_name(time))?))
}

fn zone(name: &str) -> Result<TimeZone> {
    match name {
        // `Local` is the machine's in Go; ours are always UTC, so that a message is the same wherever it is made.
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        name => TimeZone::get(name).map_err(|_| TemplateError::Exec(format!("unknown time zone {name}"))),
    }
}

/// The same time in another zone.
///
/// # Errors
/// There is no such zone, or the value is no time.
pub fn in_zone(time: &Value, name: &str) -> Result<Value> {
    expect(Some(time))?;
    zone(name)?;
    Ok(made(since_1970(time), if name.is_empty() || name == "Local" { "UTC" } else { name }))
}

/// The argument, if it is a time.
///
/// # Errors
/// It is none.
pub fn expect(value: Option<&Value>) -> Result<&Value> {
    let is_time = |value: &&Value| member::kind(value) == Some(Kind::Time);
    value.filter(is_time).ok_or_else(|| {
        let got = value.map_or("nothing", member::type_name);
        TemplateError::Exec(format!("wrong type for value; expected time.Time; got {got}"))
    })
}

/// How long after `earlier` this is; Go's `Sub`.
pub fn since(time: &Value, earlier: &Value) -> Value {
    let nanos = (since_1970(time).as_nanos() - since_1970(earlier).as_nanos()).clamp(i64::MIN.into(), i64::MAX.into());
    span::span(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// As Go prints it: `2015-02-10 17:53:35 +0000 UTC`.
pub fn text(time: &Value) -> String {
    written(time, PRINTED)
}

/// As JSON has it.
pub fn rfc3339(time: &Value) -> String {
    written(time, RFC3339)
}

/// The time in a layout of Go's.
///
/// # Errors
/// The value is no time, or beyond the years that we know.
pub fn format(time: &Value, layout: &str) -> Result<String> {
    Ok(layout::format(&zoned(expect(Some(time))?)?, layout))
}

fn written(time: &Value, layout: &str) -> String {
    zoned(time).map_or_else(|error| error.to_string(), |at| layout::format(&at, layout))
}

/// What stands behind `.Name`; `None` if nothing does.
///
/// # Errors
/// An argument is missing or of another kind.
pub fn method(time: &Value, name: &str, args: &[Value]) -> Result<Option<Value>> {
    let at = zoned(time)?;
    let other = || expect(args.first()).map(since_1970);
    let own = since_1970(time);
    let later = |by: SignedDuration| own.checked_add(by).unwrap_or(own);
    Ok(Some(match name {
        "Format" => format(time, &text_argument(args, 0)?)?.into(),
        "String" => text(time).into(),
        "Unix" => Value::Int(own.as_nanos().div_euclid(1_000_000_000) as i64),
        "UnixMilli" => Value::Int(own.as_nanos().div_euclid(1_000_000) as i64),
        "UnixMicro" => Value::Int(own.as_nanos().div_euclid(1000) as i64),
        "UnixNano" => Value::Int(own.as_nanos() as i64),
        "Year" => Value::Int(at.year().into()),
        "Day" => Value::Int(at.day().into()),
        "Hour" => Value::Int(at.hour().into()),
        "Minute" => Value::Int(at.minute().into()),
        "Second" => Value::Int(at.second().into()),
        "Nanosecond" => Value::Int(at.subsec_nanosecond().into()),
        "YearDay" => Value::Int(at.day_of_year().into()),
        "Month" => at.strftime("%B").to_string().into(),
        "Weekday" => at.strftime("%A").to_string().into(),
        "IsZero" => Value::Bool(own == SignedDuration::from_secs(ZERO)),
        "UTC" | "Local" => made(own, "UTC"),
        "Before" => Value::Bool(own < other()?),
        "After" => Value::Bool(own > other()?),
        "Equal" => Value::Bool(own == other()?),
        "Compare" => Value::Int(own.cmp(&other()?) as i64),
        "Sub" => since(time, expect(args.first())?),
        "Add" => made(later(SignedDuration::from_nanos(span::of(args.first())?)), zone_name(time)),
        "Truncate" | "Round" => {
            let step = i128::from(span::of(args.first())?);
            // Go counts from its zero time.
            let nanos = own.as_nanos() - i128::from(ZERO) * 1_000_000_000;
            let rest = if step > 0 { nanos.rem_euclid(step) } else { 0 };
            let up = if name == "Round" && rest * 2 >= step && rest > 0 { step } else { 0 };
            let by = i64::try_from(up - rest).unwrap_or(0);
            made(later(SignedDuration::from_nanos(by)), zone_name(time))
        }
        _ => return Ok(None),
    }))
}
