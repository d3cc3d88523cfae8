//! Named times of the week and the year, in which routes tell or do not.
//!
//! As Alertmanager's `time_intervals`: one matches when any of its spans does, a span when all that it says holds.
//! Invariant: pure, the time is an argument.

use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::Millis;

/// A name and the times it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeInterval {
    /// As routes call it.
    pub name: Arc<str>,
    /// Any of them.
    pub spans: Vec<Span>,
}

impl TimeInterval {
    /// Whether a time of the wall clock is within it.
    pub fn contains(&self, wall: Millis) -> bool {
        self.spans.iter().any(|span| span.contains(wall))
    }
}

/// What must hold together. What is not said asks nothing; an empty list never holds, as in Alertmanager.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Minutes of the day, from 0 to 1440: from the first, up to but not including the second.
    pub times: Option<Vec<(i16, i16)>>,
    /// Days of the week, 0 is Sunday.
    pub weekdays: Option<Vec<RangeInclusive<i8>>>,
    /// Days of the month from 1, or from its end: -1 is the last.
    pub days_of_month: Option<Vec<(i8, i8)>>,
    /// Months, 1 is January.
    pub months: Option<Vec<RangeInclusive<i8>>>,
    /// Years.
    pub years: Option<Vec<RangeInclusive<i16>>>,
    /// Where all that is read off the clock.
    pub location: TimeZone,
}

impl Span {
    fn contains(&self, wall: Millis) -> bool {
        let Ok(timestamp) = Timestamp::from_millisecond(wall.0) else {
            return false;
        };
        let at = timestamp.to_zoned(self.location.clone());
        let minute = i16::from(at.hour()) * 60 + i16::from(at.minute());
        holds(self.times.as_ref(), |(from, to)| (*from..*to).contains(&minute))
            && holds(self.days_of_month.as_ref(), |days| on_day(*days, &at))
            && holds(self.months.as_ref(), |months| months.contains(&at.month()))
            && holds(self.weekdays.as_ref(), |days| days.contains(&at.weekday().to_sunday_zero_offset()))
            && holds(self.years.as_ref(), |years| years.contains(&at.year()))
    }
}

fn holds<T>(any: Option<&Vec<T>>, is_in: impl Fn(&T) -> bool) -> bool {
    any.is_none_or(|any| any.iter().any(is_in))
}

/// Ends beyond the month's are its ends; a range that begins after them is empty.
fn on_day((first, last): (i8, i8), at: &Zoned) -> bool {
    let length = at.days_in_month();
    let day = |day: i8| if day < 0 { length + 1 + day } else { day };
    (day(first)..=day(last)).contains(&at.day())
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads `monday`, `monday:friday`.
pub fn weekdays(text: &str) -> Result<RangeInclusive<i8>, String> {
    let day = |name: &str| match WEEKDAYS.iter().position(|known| *known == name) {
        Some(at) => Ok(at as i8),
        None => Err(format!("`{name}` is no day of the week; write sunday to saturday")),
    };
    let (first, last) = range(text, day)?;
    if first > last {
        return Err(format!("`{text}` ends before it begins; a week begins on sunday, so write two ranges"));
    }
    Ok(first..=last)
}

/// Reads `january`, `1:3`, `may:august`.
pub fn months(text: &str) -> Result<RangeInclusive<i8>, String> {
    let month = |name: &str| {
        let named = MONTHS.iter().position(|known| *known == name).map(|at| at as i8 + 1);
        let month = named.or_else(|| name.parse().ok()).filter(|month| (1..=12).contains(month));
        month.ok_or_else(|| format!("`{name}` is no month; write january to december, or 1 to 12"))
    };
    let (first, last) = range(text, month)?;
    if first > last {
        return Err(format!("`{text}` ends before it begins; a year begins in january, so write two ranges"));
    }
    Ok(first..=last)
}

/// Reads `2026`, `2026:2030`.
pub fn years(text: &str) -> Result<RangeInclusive<i16>, String> {
    let (first, last) = range(text, |year| year.parse().map_err(|_| format!("`{year}` is no year")))?;
    if first > last {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(first..=last)
}

/// Reads `1`, `1:5`, `-3:-1`.
pub fn days_of_month(text: &str) -> Result<(i8, i8), String> {
    let day = |text: &str| {
        let day = text.parse().ok().filter(|day: &i8| *day != 0 && (-31..=31).contains(day));
        day.ok_or_else(|| format!("`{text}` is no day of a month; write 1 to 31, or -1 to -31 from its end"))
    };
    let (first, last) = range(text, day)?;
    if first < 0 && last > 0 {
        return Err(format!("`{text}` begins at the month's end but ends at a day from its start"));
    }
    // In the shortest month: what is empty there at the earliest begin and the latest end is a mistake.
    let in_shortest = |day: i8| if day < 0 { 28 + day } else { day };
    if in_shortest(first) > in_shortest(last) {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok((first, last))
}

/// Reads `09:30`, up to `24:00`: the minute of the day.
pub fn minute(text: &str) -> Result<i16, String> {
    let parts = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i16>().ok()).flatten();
    let read = parts.and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
    match read {
        Some((hour, minute)) if hour < 24 && minute < 60 => Ok(hour * 60 + minute),
        Some((24, 0)) => Ok(1440),
        _ => Err(format!("`{text}` is no time of day; write it as 09:30, up to 24:00")),
    }
}

/// Reads a name of the IANA time zone database, `UTC`, or `Local` for the machine's own.
pub fn location(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        name => TimeZone::get(name)
            .map_err(|_| format!("`{name}` is no time zone; write a name of the IANA database, such as Europe/Berlin")),
    }
}

fn range<T: Copy>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<(T, T), String> {
    let text = text.to_lowercase();
    match text.split_once(':') {
        Some((first, last)) => Ok((read(first)?, read(last)?)),
        None => read(&text).map(|one| (one, one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anything() -> Span {
        Span { times: None, weekdays: None, days_of_month: None, months: None, years: None, location: TimeZone::UTC }
    }

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn check(span: &Span, inside: &[&str], outside: &[&str]) {
        for time in inside {
            assert!(span.contains(at(time)), "{time} in {span:?}");
        }
        for time in outside {
            assert!(!span.contains(at(time)), "{time} in {span:?}");
        }
    }

    #[test]
    fn times_hold_from_their_start_up_to_their_end() {
        let times = Some(vec![(minute("09:00").unwrap(), minute("17:30").unwrap()), (minute("23:00").unwrap(), 1440)]);
        let inside = ["2026-01-02T09:00:00Z", "2026-01-02T17:29:59Z", "2026-01-02T23:59:59Z"];
        check(&Span { times, ..anything() }, &inside, &["2026-01-02T08:59:59Z", "2026-01-02T17:30:00Z"]);
        check(&anything(), &["2026-01-02T09:00:00Z"], &[]);
        check(&Span { times: Some(vec![]), ..anything() }, &[], &["2026-01-02T09:00:00Z"]);
    }

    #[test]
    fn a_clock_is_read_where_the_span_says() {
        let span = Span {
            times: Some(vec![(540, 600)]),
            weekdays: Some(vec![weekdays("Monday:Friday").unwrap()]),
            location: location("Australia/Sydney").unwrap(),
            ..anything()
        };
        // Sydney is 11 hours ahead in January, 10 in July. 2026-01-05 is a Monday there.
        let inside = ["2026-01-04T22:30:00Z", "2026-07-05T23:30:00Z"];
        check(&span, &inside, &["2026-01-04T23:30:00Z", "2026-07-05T22:30:00Z", "2026-01-02T22:30:00Z"]);
    }

    #[test]
    fn days_count_from_either_end_of_the_month() {
        let span = |text| Span { days_of_month: Some(vec![days_of_month(text).unwrap()]), ..anything() };
        check(&span("-3:-1"), &["2026-02-26T00:00:00Z", "2028-02-29T00:00:00Z"], &["2026-02-25T23:59:59Z"]);
        check(&span("30:31"), &["2026-01-31T00:00:00Z"], &["2026-02-28T00:00:00Z"]);
        check(&span("1:31"), &["2026-02-28T00:00:00Z"], &[]);
        check(&span("25:-1"), &["2026-02-28T00:00:00Z", "2026-01-31T00:00:00Z"], &["2026-01-24T00:00:00Z"]);
        check(&span("-31:-30"), &["2026-01-01T00:00:00Z"], &["2026-02-01T00:00:00Z"]);
    }

    #[test]
    fn months_years_and_weekdays_all_have_to_hold() {
        let span = Span {
            months: Some(vec![months("december").unwrap(), months("1:2").unwrap()]),
            years: Some(vec![years("2026:2027").unwrap()]),
            weekdays: Some(vec![weekdays("saturday").unwrap(), weekdays("sunday").unwrap()]),
            ..anything()
        };
        check(
            &span,
            &["2026-12-26T12:00:00Z", "2027-01-03T12:00:00Z"],
            &["2026-12-25T12:00:00Z", "2026-03-01T12:00:00Z", "2025-12-27T12:00:00Z"],
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(weekdays("friday:monday").is_err() && weekdays("fri").is_err() && weekdays("1:5").is_err());
        assert!(months("13").is_err() && months("0").is_err() && months("may:april").is_err());
        assert!(years("2027:2026").is_err() && years("x").is_err());
        for days in ["0", "32", "-32:1", "-1:5", "5:1", "-1:-3", "31:-31", "1:2:3", ""] {
            assert!(days_of_month(days).is_err(), "{days}");
        }
        for time in ["9:00", "24:01", "25:00", "12:60", "12", "+1:00", "12:5x"] {
            assert!(minute(time).is_err(), "{time}");
        }
        assert!(location("Mars/Olympus").is_err() && location("Local").is_ok() && location("UTC").is_ok());
    }
}
