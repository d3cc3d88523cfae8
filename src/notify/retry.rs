//! How long to wait before trying again.
//!
//! Invariant: pure; the jitter's randomness and the time are arguments.

use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::model::Millis;

/// After the first failure. As Alertmanager's (cenkalti/backoff): half a second, growing, never above a minute.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
const GROWTH: f64 = 1.5;
/// A wait is stretched or shortened by up to this part of it, so that many senders do not come back at once.
const SPREAD: f64 = 0.5;
/// A server may ask for a longer wait, but not for more than this.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// The wait after the `failures`-th failure in a row. `random` is between 0 and 1.
pub fn backoff(failures: u32, random: f64) -> Duration {
    let grown = FIRST.mul_f64(GROWTH.powi(failures.saturating_sub(1).min(30).cast_signed())).min(LONGEST);
    grown.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * random.clamp(0.0, 1.0))
}

/// Reads a `Retry-After` header: seconds or an HTTP date. Capped; `None` when it is neither.
pub fn retry_after(header: &str, now: Millis) -> Option<Duration> {
    let header = header.trim();
    let asked = if let Ok(seconds) = header.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
        Millis(at.as_millisecond()).since(now)
    };
    Some(asked.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_half_a_second_to_a_minute() {
        let waits: Vec<_> = (1..=4).map(|failures| backoff(failures, 0.5).as_millis()).collect();
        assert_eq!(waits, [500, 750, 1125, 1687]);
        assert_eq!(backoff(1000, 0.5), Duration::from_mins(1));
        assert_eq!((backoff(1, 0.0).as_millis(), backoff(1, 1.0).as_millis()), (250, 750));
    }

    #[test]
    fn a_server_may_ask_in_seconds_or_by_date_but_not_for_hours() {
        let now = Millis(1_445_412_480_000); // 2015-10-21T07:28:00Z
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("86400", now), Some(Duration::from_mins(5)));
        assert_eq!(retry_after("soon", now), None);
    }
}
