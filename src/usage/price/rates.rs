//! The rates of one model, and which of them a call is billed by.

use super::super::event::ServiceTier;
use super::super::money::{Ratio, Usd};
use super::super::tokens::TokenType;

/// Dollars per token, for each type that is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates([Option<Usd>; TokenType::ALL.len()]);

impl Rates {
    /// The stated rate of a type.
    pub fn get(&self, kind: TokenType) -> Option<Usd> {
        self.0[kind as usize]
    }

    /// States a rate.
    pub fn set(&mut self, kind: TokenType, rate: Option<Usd>) {
        self.0[kind as usize] = rate;
    }
}

/// Rates for every token of a request whose context is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongContext {
    /// The first count of tokens that is long.
    pub from: u64,
    /// The rates.
    pub rates: Rates,
}

/// All prices of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPrice {
    /// The ordinary rates.
    pub standard: Rates,
    /// What differs in batches.
    pub batch: Rates,
    /// What differs in the flexible tier.
    pub flex: Rates,
    /// What differs in the priority tier.
    pub priority: Rates,
    /// Rates of long requests.
    pub long_context: Option<LongContext>,
    /// Multipliers of every token's rate, by name (`us`, `fast`).
    pub multipliers: Vec<(String, Ratio)>,
    /// Dollars per search or reranked query.
    pub search: Option<Usd>,
    /// Dollars per millisecond of audio.
    pub millisecond: Option<Usd>,
    /// One-hour cache writes without a rate cost twice the input (Anthropic's models).
    pub hour_is_twice_input: bool,
}

impl ModelPrice {
    /// The rates for a call.
    pub fn rates(&self, tier: ServiceTier, context: u64) -> Chosen<'_> {
        let long = self.long_context.as_ref().filter(|long| context >= long.from);
        let tier = match tier {
            ServiceTier::Standard => None,
            ServiceTier::Batch => Some(&self.batch),
            ServiceTier::Flex => Some(&self.flex),
            ServiceTier::Priority => Some(&self.priority),
        };
        Chosen { price: self, long: long.map(|long| &long.rates), tier }
    }

    /// A rate with the multipliers that apply and that the model has.
    pub fn multiplied(&self, rate: Usd, names: &[&str]) -> Usd {
        let applying = self.multipliers.iter().filter(|(name, _)| names.contains(&name.as_str()));
        applying.fold(rate, |rate, (_, by)| rate.scaled(*by))
    }
}

/// The rates chosen for one call.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'p> {
    price: &'p ModelPrice,
    long: Option<&'p Rates>,
    tier: Option<&'p Rates>,
}

impl Chosen<'_> {
    /// The rate of a type: its own, else that of the type it is billed as.
    pub fn of(&self, kind: TokenType) -> Option<Usd> {
        use TokenType as T;
        self.stated(kind).or_else(|| match kind {
            T::Input | T::Output => None,
            T::CacheWrite1h if self.price.hour_is_twice_input => Some(self.of(T::Input)? * 2),
            T::CacheWrite1h => self.of(T::CacheWrite),
            T::AudioInput | T::ImageInput | T::VideoInput | T::CachedInput | T::CacheWrite => self.of(T::Input),
            T::Reasoning | T::AudioOutput | T::ImageOutput => self.of(T::Output),
        })
    }

    /// A long request is billed at the long rates alone; only modalities that those do not name keep their own.
    fn stated(&self, kind: TokenType) -> Option<Usd> {
        use TokenType as T;
        let standard = || self.price.standard.get(kind);
        if let Some(long) = self.long {
            let modality =
                matches!(kind, T::AudioInput | T::ImageInput | T::VideoInput | T::AudioOutput | T::ImageOutput);
            return long.get(kind).or_else(|| if modality { standard() } else { None });
        }
        self.tier.and_then(|tier| tier.get(kind)).or_else(standard)
    }
}
