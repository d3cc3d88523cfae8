//! Parts of a date in UTC. Without an argument they tell about the time of the evaluation.

use crate::model::Labels;

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Sink};
use super::super::grid::Grid;
use super::super::plan::{Call, Kind};
use super::super::tag::Tag;
use super::{ApplyVector, Function, map};

pub(super) const FUNCTIONS: &[Function] = &[
    date("minute", |e, c, grid, sink| part(e, c, grid, sink, |date| date.second_of_day / 60 % 60)),
    date("hour", |e, c, grid, sink| part(e, c, grid, sink, |date| date.second_of_day / 3600)),
    date("day_of_week", |e, c, grid, sink| part(e, c, grid, sink, |date| (date.days + 4).rem_euclid(7))),
    date("day_of_month", |e, c, grid, sink| part(e, c, grid, sink, |date| date.day)),
    date("day_of_year", |e, c, grid, sink| {
        part(e, c, grid, sink, |date| date.days - days_from_civil(date.year, 1, 1) + 1)
    }),
    date("days_in_month", |e, c, grid, sink| part(e, c, grid, sink, Date::days_in_month)),
    date("month", |e, c, grid, sink| part(e, c, grid, sink, |date| date.month)),
    date("year", |e, c, grid, sink| part(e, c, grid, sink, |date| date.year)),
];

const fn date(name: &'static str, apply: ApplyVector) -> Function {
    Function::vector(name, &[Kind::Vector], apply).variadic(1).tells_time()
}

fn part(
    evaluator: &Evaluator<'_>,
    call: &Call,
    grid: Grid,
    sink: &mut Sink<'_>,
    tell: impl Fn(&Date) -> i64,
) -> Result<(), EvalError> {
    let told = |seconds: f64| tell(&Date::of(seconds)) as f64;
    if call.args.is_empty() {
        let mut column: Vec<f64> = grid.times().map(|at| told(at.as_seconds())).collect();
        return sink(Tag::new(Labels::empty()), &mut column);
    }
    map(evaluator, call, grid, sink, told)
}

/// A date of the proleptic Gregorian calendar, in UTC.
struct Date {
    /// Since 1970-01-01.
    days: i64,
    second_of_day: i64,
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Howard Hinnant's `civil_from_days`.
    ///
    /// What is no number, or too large for 64 bits, is the lowest 64-bit number to Go on amd64, and Go's dates wrap around:
    /// they count from the year -292277022399 on, without sign.
    fn of(seconds: f64) -> Self {
        const GO_EPOCH: i128 = 9_223_372_028_715_321_600;
        let fits = seconds >= i64::MIN as f64 && seconds < i64::MAX as f64;
        let seconds = i128::from(if fits { seconds as i64 } else { i64::MIN });
        let seconds = (seconds + GO_EPOCH).rem_euclid(1 << 64) - GO_EPOCH;
        let days = seconds.div_euclid(86_400) as i64;
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            days,
            second_of_day: seconds.rem_euclid(86_400) as i64,
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
        }
    }

    fn days_in_month(&self) -> i64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        days_from_civil(year, month, 1) - days_from_civil(self.year, self.month, 1)
    }
}

/// Days since 1970-01-01 of a date (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
