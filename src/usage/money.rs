//! Exact money: US dollars in whole pico-dollars.
//!
//! A price of up to six decimals per million tokens is a whole number of pico-dollars per token, so a cost is a
//! sum of integer products. Nothing is rounded before it is shown.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

/// How many pico-dollars make a dollar.
const PICO: i128 = 1_000_000_000_000;
/// Decimals of a dollar that a pico-dollar can hold.
const DECIMALS: usize = 12;
/// Larger sums are refused where they are read: nobody owes a billion dollars for a call.
const LARGEST: i128 = 1_000_000_000 * PICO;

/// An exact sum of US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i128);

impl Usd {
    /// Nothing owed.
    pub const ZERO: Self = Self(0);

    /// From whole pico-dollars (1e-12 USD).
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// In whole pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Reads decimal text, also with an exponent (`0.25`, `1.5e-7`). No float is involved.
    ///
    /// # Errors
    /// The text is not a number, is negative, has digits beyond 1e-12, or is above a billion.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (value, exact) = Self::read(text)?;
        if exact { Ok(value) } else { Err(format!("`{text}` is finer than a pico-dollar (12 decimals)")) }
    }

    /// Reads decimal text and rounds what is finer than a pico-dollar to the nearest (a gateway's own float sums).
    ///
    /// # Errors
    /// The text is not a number, is negative or is above a billion.
    pub fn parse_rounded(text: &str) -> Result<Self, String> {
        Ok(Self::read(text)?.0)
    }

    fn read(text: &str) -> Result<(Self, bool), String> {
        let wrong = || format!("`{text}` is not a sum of money: write a decimal number such as 0.25");
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || digits.len() > 60 || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 60
        {
            return Err(wrong());
        }
        // How many digits stand before the point that separates pico-dollars from what is finer.
        let kept = i64::try_from(whole.len() + DECIMALS).map_err(|_| wrong())? + i64::from(exponent);
        let at = |place: i64| usize::try_from(place).ok().and_then(|place| digits.as_bytes().get(place)).copied();
        let mut pico: i128 = 0;
        for place in 0..kept.max(0) {
            pico = pico * 10 + i128::from(at(place).unwrap_or(b'0') - b'0');
            if pico > LARGEST {
                return Err(format!("`{text}` is more than a billion dollars"));
            }
        }
        let finer = (kept.max(0)..).map_while(at).any(|digit| digit != b'0');
        let round_up = kept >= 0 && at(kept).is_some_and(|digit| digit >= b'5');
        Ok((Self(pico + i128::from(round_up)), !finer))
    }

    /// This sum times a fraction, rounded to the nearest pico-dollar (a multiplier such as 1.1 on a rate).
    #[must_use]
    pub fn scaled(self, by: Ratio) -> Self {
        let product = self.0 * i128::from(by.thousandths);
        Self((product + 500).div_euclid(1000))
    }

    /// A rate per million units as a rate per unit; what is finer than a pico-dollar is an error.
    ///
    /// # Errors
    /// The rate has more than six decimals.
    pub fn per_million(self) -> Result<Self, String> {
        if self.0 % 1_000_000 == 0 {
            Ok(Self(self.0 / 1_000_000))
        } else {
            Err(format!("`{self}` per million is finer than a pico-dollar each: keep to six decimals"))
        }
    }

    /// For gauges and JSON, at the edge only.
    pub fn as_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Usd {
    /// Decimal text without trailing zeros: `0.00025`, `12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / PICO.unsigned_abs(), self.0.unsigned_abs() % PICO.unsigned_abs());
        let part = format!("{part:012}");
        let part = part.trim_end_matches('0');
        let point = if part.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{part}")
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Usd {
    type Output = Self;
    fn mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

/// A multiplier in whole thousandths: 1.1 is 1100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    thousandths: u32,
}

impl Ratio {
    /// Times one.
    pub const ONE: Self = Self { thousandths: 1000 };

    /// Reads `1.1`, `2`; at most three decimals.
    ///
    /// # Errors
    /// Anything else, and multipliers above 1000.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            |_| format!("`{text}` is not a multiplier: write a number such as 1.1, with at most three decimals");
        let pico = Usd::parse(text).map_err(wrong)?.pico();
        let step = PICO / 1000;
        if pico % step != 0 || pico > 1000 * PICO {
            return Err(wrong(String::new()));
        }
        Ok(Self { thousandths: u32::try_from(pico / step).map_err(|_| wrong(String::new()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_text_is_read_without_floats() {
        for (text, pico) in [
            ("0.1", 100_000_000_000),
            ("12", 12 * PICO),
            ("1.5e-7", 150_000),
            ("0.000000000001", 1),
            ("1e2", 100 * PICO),
            ("0", 0),
        ] {
            assert_eq!(Usd::parse(text).unwrap().pico(), pico, "{text}");
        }
        for text in ["", ".", "-1", "1,5", "NaN", "1e-13", "0.0000000000001", "1e99", "2000000000", "1e"] {
            assert!(Usd::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_gateways_float_sum_is_rounded_to_the_nearest_pico_dollar() {
        assert_eq!(Usd::parse_rounded("0.30000000000000004").unwrap(), Usd::parse("0.3").unwrap());
        assert_eq!(Usd::parse_rounded("0.0000000000015").unwrap().pico(), 2);
    }

    #[test]
    fn a_multiplier_is_exact_on_a_listed_price() {
        let rate = Usd::parse("6.25").unwrap().per_million().unwrap();
        assert_eq!(rate.scaled(Ratio::parse("1.1").unwrap()) * 1_000_000, Usd::parse("6.875").unwrap());
    }

    proptest! {
        #[test]
        fn shown_money_reads_back(pico in 0i128..LARGEST) {
            prop_assert_eq!(Usd::parse(&Usd(pico).to_string()).unwrap().pico(), pico);
        }

        #[test]
        fn the_price_of_a_sum_is_the_sum_of_the_prices(rate in 0i128..10_000_000_000, a in 0u64..1_000_000_000, b in 0u64..1_000_000_000) {
            let rate = Usd(rate);
            prop_assert_eq!(rate * (a + b), rate * a + rate * b);
        }
    }
}
