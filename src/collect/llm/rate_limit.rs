//! What a provider's rate-limit headers say: how much is allowed and how much is left.
//!
//! In: header names and values. Out: [`RateLimit`]s by resource. Takes any `x-ratelimit-*`, `anthropic-ratelimit-*` and
//! `ratelimit-*` that names a limit or a remainder, in whatever order (`limit-requests`, `requests-limit`). Pure.

use std::collections::BTreeMap;

/// Resources kept at most, so that headers cannot make series without bound.
const MOST_RESOURCES: usize = 16;

/// One resource's allowance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateLimit {
    /// How much is allowed per the provider's own period.
    pub limit: Option<f64>,
    /// How much is left of it.
    pub remaining: Option<f64>,
}

/// Reads the headers. Resources are spelled with underscores: `requests`, `tokens`, `input_tokens`. What a provider does not
/// know it says as `-1` (Azure); that is absent here.
pub fn rate_limits<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> BTreeMap<String, RateLimit> {
    let mut all: BTreeMap<String, RateLimit> = BTreeMap::new();
    for (name, value) in headers {
        let Some((resource, kind)) = read_name(name) else {
            continue;
        };
        let value = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<f64>().ok());
        let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) else {
            continue;
        };
        if all.len() == MOST_RESOURCES && !all.contains_key(&resource) {
            continue;
        }
        let entry = all.entry(resource).or_default();
        match kind {
            Kind::Limit => entry.limit = Some(value),
            Kind::Remaining => entry.remaining = Some(value),
        }
    }
    all
}

enum Kind {
    Limit,
    Remaining,
}

/// Splits a header's name into resource and kind.
fn read_name(name: &str) -> Option<(String, Kind)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("x-").or_else(|| name.strip_prefix("anthropic-")).unwrap_or(&name).to_owned();
    let words: Vec<&str> = name.strip_prefix("ratelimit-")?.split('-').collect();
    let at = words.iter().position(|word| matches!(*word, "limit" | "remaining"))?;
    let kind = if words[at] == "limit" { Kind::Limit } else { Kind::Remaining };
    let rest: Vec<&str> = words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, word)| *word).collect();
    let resource = rest.join("_");
    // `x-ratelimit-limit` alone counts requests, as the IETF draft's does.
    if resource.is_empty() {
        return Some(("requests".into(), kind));
    }
    let known = ["request", "token", "input", "output"].iter().any(|word| resource.contains(word));
    (known && resource.len() <= 40).then_some((resource, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Vec<(String, Option<f64>, Option<f64>)> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        rate_limits(headers).into_iter().map(|(name, limit)| (name, limit.limit, limit.remaining)).collect()
    }

    #[test]
    fn both_orders_of_words_are_read() {
        let openai = [
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-remaining-tokens", "159976"),
        ];
        assert_eq!(
            read(&openai),
            [("requests".into(), Some(5000.0), Some(4999.0)), ("tokens".into(), None, Some(159_976.0))]
        );
        let anthropic = [
            ("anthropic-ratelimit-input-tokens-limit", "50000"),
            ("anthropic-ratelimit-input-tokens-remaining", "49000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:00Z"),
        ];
        assert_eq!(read(&anthropic), [("input_tokens".into(), Some(50_000.0), Some(49_000.0))]);
    }

    #[test]
    fn what_is_unknown_or_odd_is_absent() {
        let odd = [
            ("x-ratelimit-remaining-requests", "-1"),
            ("x-ratelimit-limit-tokens", "many"),
            ("x-ratelimit-limit-unicorns", "3"),
            ("retry-after", "3"),
        ];
        assert!(read(&odd).is_empty());
        assert_eq!(read(&[("ratelimit-limit", "10")]), [("requests".into(), Some(10.0), None)]);
    }

    #[test]
    fn headers_cannot_make_series_without_bound() {
        let names: Vec<_> = (0..100).map(|i| format!("x-ratelimit-limit-tokens-{i}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        assert_eq!(read(&headers).len(), MOST_RESOURCES);
    }
}
