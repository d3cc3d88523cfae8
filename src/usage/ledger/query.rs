//! Exact sums over the ledger.

use rusqlite::{Connection, Row, ToSql, params_from_iter};

use crate::model::Millis;
use crate::usage::money::Usd;
use crate::usage::tokens::{TokenType, Tokens};

/// What totals are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// As the sender wrote it.
    Provider,
    /// As the sender wrote it.
    Model,
    /// Empty where none was told.
    Feature,
    /// Empty where none was told.
    Team,
    /// How the calls ended.
    Outcome,
    /// The day in UTC.
    Day,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Provider, Self::Model, Self::Feature, Self::Team, Self::Outcome, Self::Day];

    /// As `by=` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Feature => "feature",
            Self::Team => "team",
            Self::Outcome => "outcome",
            Self::Day => "day",
        }
    }

    /// Reads what `by=` names.
    ///
    /// # Errors
    /// An unknown word; the message lists the known ones.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|key| key.name() == text).ok_or_else(|| {
            format!("`{text}` is nothing to tell totals apart by; known: provider, model, feature, team, outcome, day")
        })
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Day => "date(at / 1000, 'unixepoch')",
            _ => self.name(),
        }
    }
}

/// The sum of some events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// A value for each key that was asked for.
    pub key: Vec<String>,
    /// How many calls.
    pub requests: u64,
    /// Their tokens; a type that none of them reported is absent.
    pub tokens: Tokens,
    /// Their cost, as far as it is known.
    pub cost: Usd,
    /// How many of them have no complete price.
    pub unpriced_requests: u64,
    /// Their tokens without a price.
    pub unpriced_tokens: u64,
}

/// Which events: those that agree with everything that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The provider, by any of its names.
    pub provider: Option<String>,
    /// The model as written.
    pub model: Option<String>,
    /// The feature.
    pub feature: Option<String>,
    /// The team.
    pub team: Option<String>,
}

/// Totals of the events at or after `since`, ordered by cost, the largest first; ties by key.
pub fn totals(connection: &Connection, since: Millis, by: &[Key]) -> rusqlite::Result<Vec<Total>> {
    let keys = by.iter().map(|key| format!("coalesce({}, '')", key.column()));
    let tokens = TokenType::ALL.iter().map(|kind| format!("sum({})", kind.name()));
    let columns = keys.chain(tokens).collect::<Vec<_>>().join(", ");
    let group: Vec<String> = (1..=by.len()).map(|at| at.to_string()).collect();
    let group = if group.is_empty() { String::new() } else { format!(" GROUP BY {}", group.join(", ")) };
    let sql = format!(
        "SELECT {columns}, count(*), {}, coalesce(sum(priced = 0), 0), coalesce(sum(unpriced_tokens), 0)
         FROM usage WHERE at >= ?1{group}",
        cost_columns()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([since.0], |row| total(row, by.len()))?;
    let mut all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    all.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.key.cmp(&b.key)));
    Ok(all)
}

/// What the events of a filter within `[since, until)` cost, as far as it is known.
pub fn spent(connection: &Connection, since: Millis, until: Millis, filter: &Filter) -> rusqlite::Result<Usd> {
    let (condition, values) = filter.condition(since, until);
    let sql = format!("SELECT {}, provider FROM usage WHERE {condition} GROUP BY provider", cost_columns());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut sum = Usd::ZERO;
    while let Some(row) = rows.next()? {
        let provider: String = row.get(2)?;
        if filter.takes_provider(&provider) {
            sum += cost(row, 0)?;
        }
    }
    Ok(sum)
}

/// When the events of a filter within `[since, until)` came to cost a limit; `None` when they do not.
pub fn reached(
    connection: &Connection,
    since: Millis,
    until: Millis,
    filter: &Filter,
    limit: Usd,
) -> rusqlite::Result<Option<Millis>> {
    let (condition, values) = filter.condition(since, until);
    let sql = format!("SELECT at, coalesce(cost_pico, 0), provider FROM usage WHERE {condition} ORDER BY at");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut sum = Usd::ZERO;
    while let Some(row) = rows.next()? {
        let provider: String = row.get(2)?;
        if filter.takes_provider(&provider) {
            sum += Usd::from_pico(i128::from(row.get::<_, i64>(1)?));
        }
        if sum > Usd::ZERO && sum >= limit {
            return Ok(Some(Millis(row.get(0)?)));
        }
    }
    Ok(None)
}

impl Filter {
    /// As SQL, all but the provider, which has many names.
    fn condition(&self, since: Millis, until: Millis) -> (String, Vec<Box<dyn ToSql>>) {
        let mut sql = "at >= ? AND at < ?".to_owned();
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(since.0), Box::new(until.0)];
        for (column, value) in [("model", &self.model), ("feature", &self.feature), ("team", &self.team)] {
            if let Some(value) = value {
                sql.extend([" AND ", column, " = ?"]);
                values.push(Box::new(value.clone()));
            }
        }
        (sql, values)
    }

    /// Whether a provider is meant, whichever of its names is written.
    pub fn takes_provider(&self, provider: &str) -> bool {
        use crate::usage::price::canonical_provider as name;
        self.provider.as_deref().is_none_or(|wanted| name(wanted) == name(provider))
    }
}

/// Summed in two parts, so that no sum of dollars overflows SQLite's 64 bits.
fn cost_columns() -> &'static str {
    "coalesce(sum(cost_pico / 1000000), 0), coalesce(sum(cost_pico % 1000000), 0)"
}

fn cost(row: &Row<'_>, at: usize) -> rusqlite::Result<Usd> {
    let (micro, pico): (i64, i64) = (row.get(at)?, row.get(at + 1)?);
    Ok(Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico)))
}

/// Counts are never negative in the ledger.
fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.unsigned_abs())
}

fn total(row: &Row<'_>, keys: usize) -> rusqlite::Result<Total> {
    let mut tokens = Tokens::default();
    for (at, kind) in TokenType::ALL.into_iter().enumerate() {
        tokens.set(kind, row.get::<_, Option<i64>>(keys + at)?.map(i64::unsigned_abs));
    }
    let after = keys + TokenType::ALL.len();
    Ok(Total {
        key: (0..keys).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?,
        tokens,
        requests: count(row, after)?,
        cost: cost(row, after + 1)?,
        unpriced_requests: count(row, after + 3)?,
        unpriced_tokens: count(row, after + 4)?,
    })
}
