//! What a model call costs.
//!
//! In: a [`Usage`] with provider, model and tier. Out: a [`Cost`], exact. Rates are chosen once per call: by model,
//! service tier and length of the context. An unknown model is unpriced, never free.

mod file;
mod names;
mod rates;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::event::{ServiceTier, Usage};
use super::money::Usd;
use super::tokens::TokenType;

pub use file::{load, parse};
pub use names::{canonical_provider, otel_provider};
pub use rates::{LongContext, ModelPrice, Rates};

/// The prices known at a day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PriceTable {
    as_of: String,
    providers: BTreeMap<String, Provider>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Provider {
    search: Option<Usd>,
    models: HashMap<String, Arc<ModelPrice>>,
}

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    by_type: [Option<Usd>; TokenType::ALL.len()],
    /// Searches and seconds; or a reported total, which then stands for everything.
    pub other: Usd,
    /// The provider's or a gateway's own total, when it gave one.
    pub reported: Option<Usd>,
    /// What our prices make of it, when every part has one.
    pub computed: Option<Usd>,
    /// Tokens for which no price is known and no total was reported.
    pub unpriced_tokens: u64,
    /// Whether the cost is known.
    pub priced: bool,
}

impl Cost {
    /// The cost of one type of token, where it is known apart.
    pub fn of(&self, kind: TokenType) -> Option<Usd> {
        self.by_type[kind as usize]
    }

    /// All that was read.
    pub fn input(&self) -> Usd {
        self.sum(false)
    }

    /// All that was written.
    pub fn output(&self) -> Usd {
        self.sum(true)
    }

    /// Everything known, other fees too.
    pub fn total(&self) -> Usd {
        self.input() + self.output() + self.other
    }

    /// Whether the ledger can hold it: sums of up to nine million dollars, which no call costs.
    pub fn is_bookable(&self) -> bool {
        let fits = |sum: Usd| i64::try_from(sum.pico()).is_ok();
        fits(self.total()) && self.computed.is_none_or(fits)
    }

    fn sum(&self, output: bool) -> Usd {
        TokenType::ALL.into_iter().filter(|kind| kind.is_output() == output).filter_map(|kind| self.of(kind)).sum()
    }

    /// A reported total replaces what we computed.
    fn reported(total: Usd, computed: Option<Usd>) -> Self {
        Self { other: total, reported: Some(total), computed, priced: true, ..Self::default() }
    }
}

impl PriceTable {
    /// The prices that this binary was built with.
    pub fn built_in() -> Self {
        let problems = crate::model::Problems::new();
        let mut table = Self::default();
        if let Ok(node) = crate::yaml::parse(include_str!("../../../config/prices.yml"), "config/prices.yml") {
            file::read(&node, &problems, &mut table);
        }
        table
    }

    /// The day the newest price file speaks of.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// How many models have a price.
    pub fn len(&self) -> usize {
        self.providers.values().map(|provider| provider.models.len()).sum()
    }

    /// Whether no model has a price.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The price of a model, by its name or a dated form of it.
    pub fn find(&self, provider: &str, model: &str) -> Option<&ModelPrice> {
        let provider = canonical_provider(provider);
        let models = &self.providers.get(provider)?.models;
        names::candidates(provider, model).iter().find_map(|name| models.get(name)).map(AsRef::as_ref)
    }

    /// What a call costs.
    pub fn cost(&self, provider: &str, model: &str, tier: ServiceTier, usage: &Usage) -> Cost {
        let computed = self.compute(provider, model, tier, usage);
        match usage.reported_cost {
            Some(total) => Cost::reported(total, computed.computed),
            None => computed,
        }
    }

    fn compute(&self, provider: &str, model: &str, tier: ServiceTier, usage: &Usage) -> Cost {
        let Some(price) = self.find(provider, model) else {
            return Cost { unpriced_tokens: usage.tokens.total(), ..Cost::default() };
        };
        let rates = price.rates(tier, usage.tokens.context());
        let mut cost = Cost { priced: true, ..Cost::default() };
        for (kind, count) in usage.tokens.iter() {
            match rates.of(kind) {
                Some(rate) => cost.by_type[kind as usize] = Some(price.multiplied(rate, &usage.multipliers) * count),
                None => cost.unpriced_tokens += count,
            }
        }
        let search = price.search.or_else(|| self.providers.get(canonical_provider(provider))?.search);
        for (fee, rate) in [
            (usage.searches.unwrap_or(0), search),
            (
                usage.duration.map_or(0, |length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
                price.millisecond,
            ),
        ] {
            match rate {
                Some(rate) => cost.other += rate * fee,
                // A fee that we do not know makes the whole sum unknown.
                None if fee > 0 => cost.priced = false,
                None => {}
            }
        }
        cost.priced &= cost.unpriced_tokens == 0;
        cost.computed = cost.priced.then(|| cost.total());
        cost
    }
}

#[cfg(test)]
mod tests;
