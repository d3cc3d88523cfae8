//! Reads numbers out of a usage object: whole, not negative, not absurd; absent stays absent.

use serde_json::{Map, Value};

use super::FormatError;
use crate::usage::money::Usd;

/// No call uses more tokens; larger numbers are somebody's mistake and would spoil sums.
pub const LARGEST_COUNT: u64 = 1_000_000_000_000;
/// No call costs more; the ledger holds sums of up to nine million dollars each.
const LARGEST_COST: Usd = Usd::from_pico(1_000_000_000_000_000_000);

/// An object within a usage object, with its path for messages.
pub struct Fields<'v> {
    map: &'v Map<String, Value>,
    path: String,
}

impl<'v> Fields<'v> {
    /// The usage object itself.
    pub fn of(value: &'v Value) -> Result<Self, FormatError> {
        Self::at(value, String::new())
    }

    fn at(value: &'v Value, path: String) -> Result<Self, FormatError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(FormatError { path, what: format!("is {}, not an object", kind(value)) }),
        }
    }

    /// The error for something at a key of this object.
    pub fn wrong(&self, key: &str, what: impl Into<String>) -> FormatError {
        let path = if key.is_empty() { self.path.clone() } else { format!("{}.{key}", self.path) };
        FormatError { path, what: what.into() }
    }

    /// A value that is neither absent nor null.
    pub fn value(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A count; the first of several spellings that is there.
    pub fn count(&self, keys: &[&str]) -> Result<Option<u64>, FormatError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, self.value(key)?))) else {
            return Ok(None);
        };
        let count = whole(value).ok_or_else(|| self.wrong(key, format!("is {value}, not a count")))?;
        if count > LARGEST_COUNT {
            return Err(self.wrong(key, format!("is {count}: more tokens than any call can use")));
        }
        Ok(Some(count))
    }

    /// A count that must be there.
    pub fn required(&self, keys: &[&str]) -> Result<u64, FormatError> {
        let first = keys.first().copied().unwrap_or_default();
        self.count(keys)?.ok_or_else(|| self.wrong(first, "is missing"))
    }

    /// A nested object; `None` when absent.
    pub fn object(&self, keys: &[&str]) -> Result<Option<Fields<'v>>, FormatError> {
        let found = keys.iter().find_map(|key| Some((*key, self.value(key)?)));
        found.map(|(key, value)| Self::at(value, format!("{}.{key}", self.path))).transpose()
    }

    /// The objects of a list; empty when absent.
    pub fn objects(&self, keys: &[&str]) -> Result<Vec<Fields<'v>>, FormatError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, self.value(key)?))) else {
            return Ok(Vec::new());
        };
        let items = value.as_array().ok_or_else(|| self.wrong(key, format!("is {}, not a list", kind(value))))?;
        items.iter().enumerate().map(|(at, item)| Self::at(item, format!("{}.{key}[{at}]", self.path))).collect()
    }

    /// A text; the first of several spellings that is there.
    pub fn text(&self, keys: &[&str]) -> Option<&'v str> {
        keys.iter().find_map(|key| self.value(key)?.as_str())
    }

    /// A sum of dollars, as a number or as text.
    pub fn money(&self, key: &str) -> Result<Option<Usd>, FormatError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(self.wrong(key, format!("is {}, not a sum of money", kind(value)))),
        };
        let sum = Usd::parse_rounded(&text).map_err(|what| self.wrong(key, what))?;
        if sum > LARGEST_COST {
            return Err(self.wrong(key, format!("is {sum}: more dollars than any call can cost")));
        }
        Ok(Some(sum))
    }

    /// Seconds, with a fraction.
    pub fn seconds(&self, key: &str) -> Result<Option<std::time::Duration>, FormatError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let seconds = value.as_f64().filter(|s| (0.0..=31_536_000.0).contains(s));
        let seconds = seconds.ok_or_else(|| self.wrong(key, format!("is {value}, not a number of seconds")))?;
        Ok(Some(std::time::Duration::from_millis((seconds * 1000.0).round() as u64)))
    }
}

/// A whole number that is not negative; some providers write it as `26.0`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number >= 0.0 && number.fract() == 0.0 && number <= LARGEST_COUNT as f64).then_some(number as u64)
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
