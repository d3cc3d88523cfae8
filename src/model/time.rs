//! Points in time, and durations as Prometheus writes them.

use std::fmt::{self, Write as _};
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, the resolution of a sample's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// The wall clock. Only parts that own time (the runner, `app`, `serve`) may ask it.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Seconds since the epoch, with the milliseconds behind the point.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// From seconds since the epoch, rounded to the millisecond.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as i64)
    }

    /// RFC 3339 in UTC, with milliseconds.
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| self.0.to_string(), |at| format!("{at:.3}"))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => Self(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(before.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration as Prometheus writes it: `15s`, `1h30m`, `500ms`, `0`. Units go from large to small, each at most once.
///
/// ```
/// use sidewatch::model::parse_duration;
/// assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
/// assert!(parse_duration("30").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write a number and a unit, such as 15s, 1h30m or 500ms");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        rest = &rest[letters..];
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if at < next_unit {
            return Err(wrong());
        }
        next_unit = at + 1;
        millis = number.checked_mul(UNITS[at].1).and_then(|add| millis.checked_add(add)).ok_or_else(wrong)?;
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration as Prometheus does: `1h30m`, `0s`.
pub fn render_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        // Prometheus writes years, weeks and days only where nothing smaller is left over.
        if matches!(unit, "y" | "w") && left % size != 0 {
            continue;
        }
        if left >= size {
            let _ = write!(text, "{}{unit}", left / size);
            left %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_prometheus_writes_them() {
        for (text, millis) in [("15s", 15_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("500ms", 500), ("0", 0)] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "15", "s", "1m1h", "1.5s", "-1s", "1x", "99999999999y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rendered_duration_reads_back() {
        for millis in [0, 1, 999, 1000, 61_500, 5_400_000, 86_400_000, 90_000_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&render_duration(duration)).unwrap(), duration);
        }
    }
}
