//! `POST /v1/messages`: input excludes both cache numbers; thinking is inside the output.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::{ServiceTier, Usage};
use crate::usage::tokens::TokenType;

/// The numbers of one model call; of several, when a server tool called the model again.
#[derive(Default)]
struct Call {
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
}

/// Maps `usage` of a message.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    // The top-level numbers leave compactions out: where the calls are listed, their sum is billed.
    let iterations = fields.objects(&["iterations"])?;
    let call = if iterations.is_empty() {
        Call::read(fields, &mut usage)?
    } else {
        let mut sum = Call::default();
        for iteration in &iterations {
            sum.add(&Call::read(iteration, &mut usage)?);
        }
        sum
    };
    call.into_tokens(fields, &mut usage)?;
    if let Some(tools) = fields.object(&["server_tool_use"])? {
        usage.searches = tools.count(&["web_search_requests"])?;
    }
    if fields.text(&["inference_geo"]) == Some("us") {
        usage.multipliers.push("us");
    }
    if fields.text(&["speed"]) == Some("fast") {
        usage.multipliers.push("fast");
    }
    usage.service_tier = fields.text(&["service_tier"]).and_then(ServiceTier::parse);
    if usage.tokens.is_unreported() {
        return Err(fields.wrong("input_tokens", "is missing"));
    }
    Ok(usage)
}

impl Call {
    fn read(fields: &Fields<'_>, usage: &mut Usage) -> Result<Self, FormatError> {
        let mut call = Self {
            input: fields.count(&["input_tokens"])?,
            cached: fields.count(&["cache_read_input_tokens"])?,
            written: fields.count(&["cache_creation_input_tokens"])?,
            written_1h: None,
            output: fields.count(&["output_tokens"])?,
        };
        if let Some(split) = fields.object(&["cache_creation"])? {
            let short = split.count(&["ephemeral_5m_input_tokens"])?;
            let long = split.count(&["ephemeral_1h_input_tokens"])?;
            let sum = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
            if call.written.is_some_and(|written| written != sum) {
                usage.violations.push("cache_write_mismatch");
            }
            if short.is_some() || long.is_some() {
                (call.written, call.written_1h) = (short, long);
            }
        }
        Ok(call)
    }

    fn add(&mut self, other: &Self) {
        fn plus(sum: &mut Option<u64>, count: Option<u64>) {
            if let Some(count) = count {
                *sum = Some(sum.unwrap_or(0).saturating_add(count));
            }
        }
        plus(&mut self.input, other.input);
        plus(&mut self.cached, other.cached);
        plus(&mut self.written, other.written);
        plus(&mut self.written_1h, other.written_1h);
        plus(&mut self.output, other.output);
    }

    fn into_tokens(self, fields: &Fields<'_>, usage: &mut Usage) -> Result<(), FormatError> {
        let details = fields.object(&["output_tokens_details"])?;
        let thinking = details.map(|details| details.count(&["thinking_tokens"])).transpose()?.flatten();
        let text = self.output.map(|output| {
            output.checked_sub(thinking.unwrap_or(0)).unwrap_or_else(|| {
                usage.violations.push("reasoning_above_output");
                0
            })
        });
        let tokens = &mut usage.tokens;
        tokens.set(TokenType::Input, self.input);
        tokens.set(TokenType::CachedInput, self.cached);
        tokens.set(TokenType::CacheWrite, self.written);
        tokens.set(TokenType::CacheWrite1h, self.written_1h);
        tokens.set(TokenType::Output, text);
        tokens.set(TokenType::Reasoning, thinking);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};
    use super::*;

    fn message(text: &str) -> Usage {
        usage(Api::AnthropicMessages, text)
    }

    #[test]
    fn input_excludes_the_caches_and_thinking_is_inside_the_output() {
        let usage = message(
            r#"{"input_tokens":40,"cache_creation_input_tokens":3000,
            "cache_read_input_tokens":9000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},
            "output_tokens":220,"output_tokens_details":{"thinking_tokens":120},"service_tier":"standard","inference_geo":"global","speed":"standard",
            "server_tool_use":{"web_search_requests":1,"web_fetch_requests":0}}"#,
        );
        assert_eq!(
            counts(&usage),
            [
                ("input", 40),
                ("cached_input", 9000),
                ("cache_write", 1000),
                ("cache_write_1h", 2000),
                ("output", 100),
                ("reasoning", 120)
            ]
        );
        assert_eq!(usage.tokens.context(), 12_040);
        assert_eq!(usage.searches, Some(1));
        assert!(usage.violations.is_empty() && usage.multipliers.is_empty());
    }

    #[test]
    fn writes_without_a_breakdown_last_five_minutes() {
        let usage = message(r#"{"input_tokens":1,"cache_creation_input_tokens":300,"output_tokens":2}"#);
        assert_eq!(counts(&usage), [("input", 1), ("cache_write", 300), ("output", 2)]);
    }

    #[test]
    fn a_compaction_is_billed_on_top_of_the_message() {
        let usage = message(
            r#"{"input_tokens":100,"output_tokens":10,"iterations":[
            {"type":"compaction","input_tokens":5000,"output_tokens":300},
            {"type":"message","input_tokens":100,"output_tokens":10}]}"#,
        );
        assert_eq!(counts(&usage), [("input", 5100), ("output", 310)]);
    }

    #[test]
    fn geography_and_speed_multiply_the_price() {
        let usage = message(r#"{"input_tokens":1,"output_tokens":1,"inference_geo":"us","speed":"fast"}"#);
        assert_eq!(usage.multipliers, ["us", "fast"]);
    }
}
