//! Budgets: a limit over a period, and what is left of it.
//!
//! In: the ledger's sums at the start of a period, then each new event. Out: gauges for rules.
//!
//! Invariant: a budget's spent sum is the ledger's, exactly. Where it could not be asked, the gauge is absent.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::ledger::{Filter, Ledger, LedgerError, Record, spent};
use super::money::Usd;
use crate::model::{Block, Family, Labels, Millis, Point, Suffix};

static LIMIT: Family = Family::gauge("llm_budget_limit_usd", "The budget's limit in US dollars per period.");
static SPENT: Family = Family::gauge("llm_budget_spent_usd", "US dollars spent since the period began.");
static REMAINING: Family =
    Family::gauge("llm_budget_remaining_ratio", "What is left of the budget, from 1 (all) to below 0 (overspent).");

/// After what a budget starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// At midnight.
    Daily,
    /// At midnight before Monday.
    Weekly,
    /// At midnight before the first.
    Monthly,
}

impl Period {
    /// Reads the configuration's word.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "daily" => Ok(Self::Daily),
            "weekly" => Ok(Self::Weekly),
            "monthly" => Ok(Self::Monthly),
            _ => Err(format!("`{text}` is not a period: write daily, weekly or monthly")),
        }
    }

    /// When the period around `now` begins and ends, in a time zone.
    pub fn around(self, now: Millis, zone: &TimeZone) -> Option<(Millis, Millis)> {
        let now = jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone.clone());
        let today = now.date();
        let (first, next) = match self {
            Self::Daily => (today, today.checked_add(1.day()).ok()?),
            Self::Weekly => {
                let monday = today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).ok()?;
                (monday, monday.checked_add(7.days()).ok()?)
            }
            Self::Monthly => (today.first_of_month(), today.first_of_month().checked_add(1.month()).ok()?),
        };
        let at = |zoned: Zoned| Millis(zoned.timestamp().as_millisecond());
        Some((at(first.to_zoned(zone.clone()).ok()?), at(next.to_zoned(zone.clone()).ok()?)))
    }
}

/// A limit over a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Its name, unique.
    pub name: String,
    /// Which events it is for.
    pub filter: Filter,
    /// After what it starts again.
    pub period: Period,
    /// Where midnight is.
    pub zone: TimeZone,
    /// The limit.
    pub limit: Usd,
}

impl Budget {
    /// What holds when nobody configures one: 100 dollars a day (UTC) for everything.
    pub fn usual() -> Self {
        Self {
            name: "llm-daily".into(),
            filter: Filter::default(),
            period: Period::Daily,
            zone: TimeZone::UTC,
            limit: Usd::from_pico(100_000_000_000_000),
        }
    }

    fn takes(&self, record: &Record) -> bool {
        let event = &record.event;
        let same = |wanted: &Option<String>, value: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == value);
        self.filter.takes_provider(&event.provider)
            && same(&self.filter.model, Some(&event.model))
            && same(&self.filter.feature, event.feature.as_deref())
            && same(&self.filter.team, event.team.as_deref())
    }
}

/// All budgets with what they have spent. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Budgets(Arc<Mutex<Vec<Account>>>);

#[derive(Debug)]
struct Account {
    budget: Budget,
    current: Option<Current>,
}

/// What a budget has spent in its period, kept up by each new event.
#[derive(Debug, Clone, Copy)]
struct Current {
    from: Millis,
    until: Millis,
    spent: Usd,
}

impl Budgets {
    /// Budgets that have not asked the ledger yet.
    pub fn new(budgets: Vec<Budget>) -> Self {
        let accounts = budgets.into_iter().map(|budget| Account { budget, current: None }).collect();
        Self(Arc::new(Mutex::new(accounts)))
    }

    /// Adds a new event; called on the ledger's writer, in the order of the ledger.
    pub fn add(&self, record: &Record) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Account { budget, current } in accounts.iter_mut() {
            if let Some(current) = current
                && (current.from..current.until).contains(&record.event.at)
                && budget.takes(record)
            {
                current.spent += record.cost.total();
            }
        }
    }

    /// The gauges now. The ledger is asked only when a period began since the last time.
    ///
    /// # Errors
    /// The ledger could not be asked; then nothing is known, and no gauge may be shown.
    pub async fn state(&self, now: Millis, ledger: &Ledger) -> Result<Vec<Block>, LedgerError> {
        if self.is_stale(now) {
            let shared = self.clone();
            // On the writer, so that no event falls between the sum and the events added to it.
            ledger.on_writer(move |connection| shared.begin(now, connection)).await?;
        }
        Ok(self.blocks())
    }

    fn is_stale(&self, now: Millis) -> bool {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().any(|account| account.is_stale(now))
    }

    fn begin(&self, now: Millis, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for account in accounts.iter_mut().filter(|account| account.is_stale(now)) {
            let Budget { period, zone, filter, .. } = &account.budget;
            let Some((from, until)) = period.around(now, zone) else { continue };
            let spent = spent(connection, from, until, filter)?;
            account.current = Some(Current { from, until, spent });
        }
        Ok(())
    }

    fn blocks(&self) -> Vec<Block> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let block = |family: &Family, value: fn(&Budget, Usd) -> f64| {
            let known = accounts.iter().filter_map(|account| Some((&account.budget, account.current?.spent)));
            let points = known.map(|(budget, spent)| Point {
                suffix: Suffix::None,
                labels: Labels::new([("budget", budget.name.as_str())]),
                value: value(budget, spent),
            });
            Block { family: family.clone(), points: points.collect() }
        };
        vec![
            block(&LIMIT, |budget, _| budget.limit.as_f64()),
            block(&SPENT, |_, spent| spent.as_f64()),
            block(&REMAINING, |budget, spent| (budget.limit - spent).as_f64() / budget.limit.as_f64()),
        ]
    }
}

impl Account {
    fn is_stale(&self, now: Millis) -> bool {
        self.current.is_none_or(|current| now < current.from || now >= current.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(period: Period, zone: &TimeZone, now: &str) -> (String, String) {
        let now = Millis(now.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let (from, until) = period.around(now, zone).unwrap();
        (from.to_rfc3339(), until.to_rfc3339())
    }

    #[test]
    fn periods_begin_at_midnight() {
        let utc = TimeZone::UTC;
        let span = |a: &str, b: &str| (format!("{a}T00:00:00.000Z"), format!("{b}T00:00:00.000Z"));
        assert_eq!(around(Period::Daily, &utc, "2026-11-21T23:59:59Z"), span("2026-11-21", "2026-11-22"));
        assert_eq!(around(Period::Weekly, &utc, "2026-11-21T07:00:00Z"), span("2026-11-16", "2026-11-23"));
        assert_eq!(around(Period::Monthly, &utc, "2026-12-31T07:00:00Z"), span("2026-12-01", "2027-01-01"));
    }

    #[test]
    fn midnight_is_where_the_time_zone_puts_it() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let (from, until) = around(Period::Daily, &zone, "2026-11-21T23:00:00Z");
        assert_eq!((from.as_str(), until.as_str()), ("2026-11-21T22:00:00.000Z", "2026-11-22T22:00:00.000Z"));
    }
}
