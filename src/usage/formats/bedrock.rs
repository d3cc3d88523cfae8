//! Bedrock's Converse: input excludes the caches, the total includes them.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::Usage;
use crate::usage::tokens::TokenType;

/// Maps `usage` of `converse`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let written = fields.count(&["cacheWriteInputTokens"])?;
    let mut long = None;
    for detail in fields.objects(&["cacheDetails"])? {
        if detail.text(&["ttl"]) == Some("1h") {
            long = detail.count(&["inputTokens"])?;
        }
    }
    let short = written.map(|written| {
        written.checked_sub(long.unwrap_or(0)).unwrap_or_else(|| {
            usage.violations.push("cache_write_mismatch");
            0
        })
    });
    let tokens = &mut usage.tokens;
    tokens.set(TokenType::Input, Some(fields.required(&["inputTokens"])?));
    tokens.set(TokenType::CachedInput, fields.count(&["cacheReadInputTokens"])?);
    tokens.set(TokenType::CacheWrite, short);
    tokens.set(TokenType::CacheWrite1h, long);
    tokens.set(TokenType::Output, fields.count(&["outputTokens"])?);
    if fields.count(&["totalTokens"])?.is_some_and(|total| total != usage.tokens.total()) {
        usage.violations.push("total_mismatch");
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};

    #[test]
    fn input_excludes_the_cache() {
        let usage = usage(
            Api::BedrockConverse,
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":145,"cacheReadInputTokens":100,"cacheWriteInputTokens":30,
            "cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":10}]}"#,
        );
        assert_eq!(
            counts(&usage),
            [("input", 10), ("cached_input", 100), ("cache_write", 10), ("cache_write_1h", 20), ("output", 5)]
        );
        assert!(usage.violations.is_empty());
    }
}
