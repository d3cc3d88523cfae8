//! Budgets: a limit over a period, and what is left of it.
//!
//! In: the ledger's sums at the start of a period, then each new event. Out: gauges for rules.
//!
//! Invariant: a budget's spent sum is the ledger's, exactly. Where it could not be asked, the gauge is absent. Gauges
//! never wait for the ledger.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::ledger::{Filter, Ledger, LedgerError, Record, reached, spent};
use super::money::Usd;
use crate::model::{Block, Family, Labels, Millis, Point, Suffix};

static LIMIT: Family = Family::gauge("llm_budget_limit_usd", "The budget's limit in US dollars per period.");
static SPENT: Family = Family::gauge("llm_budget_spent_usd", "US dollars spent since the period began.");
static REMAINING: Family =
    Family::gauge("llm_budget_remaining_ratio", "What is left of the budget, from 1 (all) to below 0 (overspent).");
static EXHAUSTED: Family = Family::gauge(
    "llm_budget_exhausted_timestamp_seconds",
    "When the budget was used up; until then, when it will be if spending goes on as on average since the period \
     began, absent if that is not before the period's end. Seconds since the epoch.",
);

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

    /// A limit of nothing is used up by the first cent, not before.
    fn is_used_up(&self, spent: Usd) -> bool {
        spent > Usd::ZERO && spent >= self.limit
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

/// A budget's gauge: nothing where it has no value.
type Gauge = fn(&Budget, &Current, Millis) -> Option<f64>;

/// What a budget has spent in its period, kept up by each new event.
#[derive(Debug, Clone, Copy)]
struct Current {
    from: Millis,
    until: Millis,
    spent: Usd,
    /// When the limit was reached.
    used_up: Option<Millis>,
}

impl Budgets {
    /// Budgets that have not asked the ledger yet.
    pub fn new(budgets: Vec<Budget>) -> Self {
        let accounts = budgets.into_iter().map(Account::new).collect();
        Self(Arc::new(Mutex::new(accounts)))
    }

    /// Other budgets. Those that were there before keep what they know.
    pub fn replace(&self, budgets: Vec<Budget>) {
        let mut accounts = self.lock();
        let known = std::mem::take(&mut *accounts);
        let find = |budget: &Budget| known.iter().find(|account| account.budget == *budget)?.current;
        *accounts = budgets.into_iter().map(|budget| Account { current: find(&budget), budget }).collect();
    }

    /// Held for moments only: nobody who holds it waits for the disk.
    fn lock(&self) -> MutexGuard<'_, Vec<Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a new event; called on the ledger's writer, in the order of the ledger.
    pub fn add(&self, record: &Record) {
        for Account { budget, current } in self.lock().iter_mut() {
            if let Some(current) = current
                && (current.from..current.until).contains(&record.event.at)
                && budget.takes(record)
            {
                current.spent += record.cost.total();
                if budget.is_used_up(current.spent) {
                    current.used_up.get_or_insert(record.event.at);
                }
            }
        }
    }

    /// Asks the ledger for the sums of periods that began since the last time.
    ///
    /// # Errors
    /// The ledger could not be asked; then nothing is known of those periods, and no gauge is shown.
    pub async fn refresh(&self, now: Millis, ledger: &Ledger) -> Result<(), LedgerError> {
        if self.stale(now).is_empty() {
            return Ok(());
        }
        let shared = self.clone();
        // On the writer, so that no event falls between the sum and the events added to it.
        ledger.on_writer(move |connection| shared.begin(now, connection)).await
    }

    fn stale(&self, now: Millis) -> Vec<Budget> {
        let accounts = self.lock();
        accounts.iter().filter(|account| account.known(now).is_none()).map(|account| account.budget.clone()).collect()
    }

    fn begin(&self, now: Millis, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        for budget in self.stale(now) {
            let Some((from, until)) = budget.period.around(now, &budget.zone) else { continue };
            let spent = spent(connection, from, until, &budget.filter)?;
            let over = budget.is_used_up(spent);
            let used_up = if over { reached(connection, from, until, &budget.filter, budget.limit)? } else { None };
            let mut accounts = self.lock();
            for account in accounts.iter_mut().filter(|account| account.budget == budget) {
                account.current = Some(Current { from, until, spent, used_up });
            }
        }
        Ok(())
    }

    /// The gauges, without asking the ledger. A budget whose period is not known yet is absent.
    pub fn blocks(&self, now: Millis) -> Vec<Block> {
        let accounts = self.lock();
        let block = |family: &Family, value: Gauge| {
            let known = accounts.iter().filter_map(|account| {
                let value = value(&account.budget, &account.known(now)?, now)?;
                let labels = Labels::new([("budget", account.budget.name.as_str())]);
                Some(Point { suffix: Suffix::None, labels, value })
            });
            Block { family: family.clone(), points: known.collect() }
        };
        vec![
            block(&LIMIT, |budget, _, _| Some(budget.limit.as_f64())),
            block(&SPENT, |_, current, _| Some(current.spent.as_f64())),
            block(&REMAINING, |budget, current, _| {
                Some((budget.limit - current.spent).as_f64() / budget.limit.as_f64())
            }),
            block(&EXHAUSTED, |budget, current, now| Some(current.exhausted(budget.limit, now)?.as_seconds())),
        ]
    }
}

impl Current {
    /// When the limit was reached, or will be at the period's average rate so far; `None` when not in this period.
    fn exhausted(&self, limit: Usd, now: Millis) -> Option<Millis> {
        if self.used_up.is_some() {
            return self.used_up;
        }
        if self.spent <= Usd::ZERO || now <= self.from {
            return None;
        }
        let needed = now.since(self.from).as_secs_f64() * limit.as_f64() / self.spent.as_f64();
        let length = self.until.since(self.from).as_secs_f64();
        (needed < length).then(|| self.from + Duration::from_secs_f64(needed))
    }
}

impl Account {
    fn new(budget: Budget) -> Self {
        Self { budget, current: None }
    }

    /// What is known of the period around `now`.
    fn known(&self, now: Millis) -> Option<Current> {
        self.current.filter(|current| (current.from..current.until).contains(&now))
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

    #[test]
    fn the_end_is_forecast_from_the_average_so_far() {
        let hour = |hours: i64| Millis(hours * 3_600_000);
        let limit = Usd::from_pico(100_000_000_000_000);
        let at = |spent: &str, used_up| Current {
            from: hour(0),
            until: hour(24),
            spent: Usd::parse(spent).unwrap(),
            used_up,
        };
        assert_eq!(at("50", None).exhausted(limit, hour(6)), Some(hour(12)));
        assert_eq!(at("25", None).exhausted(limit, hour(6)), None, "at the period's end it starts again");
        assert_eq!(at("0", None).exhausted(limit, hour(6)), None);
        assert_eq!(at("101", Some(hour(3))).exhausted(limit, hour(20)), Some(hour(3)), "what happened is no forecast");
    }
}
