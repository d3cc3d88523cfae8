//! `POST /v1/responses`, and Realtime's `response.done`, which writes `token_details` in the singular.

use super::FormatError;
use super::openai::{Completion, Prompt};
use super::read::Fields;
use crate::usage::event::{ServiceTier, Usage};

/// Maps `response.usage`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let mut prompt = Prompt { whole: fields.required(&["input_tokens"])?, ..Prompt::default() };
    if let Some(details) = fields.object(&["input_tokens_details", "input_token_details"])? {
        prompt.cached = details.count(&["cached_tokens"])?;
        prompt.written = details.count(&["cache_write_tokens"])?;
        let cached = details.object(&["cached_tokens_details"])?;
        prompt.audio = uncached(&details, cached.as_ref(), "audio_tokens", &mut usage)?;
        prompt.image = uncached(&details, cached.as_ref(), "image_tokens", &mut usage)?;
    }
    let whole = prompt.whole;
    prompt.split(&mut usage);
    let mut completion = Completion { whole: fields.count(&["output_tokens"])?, ..Completion::default() };
    if let Some(details) = fields.object(&["output_tokens_details", "output_token_details"])? {
        completion.reasoning = details.count(&["reasoning_tokens"])?;
        completion.audio = details.count(&["audio_tokens"])?;
        completion.image = details.count(&["image_tokens"])?;
    }
    completion.split(whole, fields.count(&["total_tokens"])?, &mut usage);
    usage.service_tier = fields.text(&["service_tier"]).and_then(ServiceTier::parse);
    Ok(usage)
}

/// A modality's count without its cached part, where Realtime tells that part.
fn uncached(
    details: &Fields<'_>,
    cached: Option<&Fields<'_>>,
    key: &str,
    usage: &mut Usage,
) -> Result<Option<u64>, FormatError> {
    let cached = cached.map(|cached| cached.count(&[key])).transpose()?.flatten().unwrap_or(0);
    let Some(all) = details.count(&[key])? else { return Ok(None) };
    if cached > all {
        usage.violations.push("cached_above_input");
    }
    Ok(Some(all.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};

    #[test]
    fn both_details_are_inside() {
        let usage = usage(
            Api::OpenAiResponses,
            r#"{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024,"cache_write_tokens":0},
            "output_tokens":310,"output_tokens_details":{"reasoning_tokens":256},"total_tokens":1510}"#,
        );
        assert_eq!(counts(&usage), [("input", 176), ("cached_input", 1024), ("output", 54), ("reasoning", 256)]);
        assert!(usage.violations.is_empty());
    }

    #[test]
    fn realtime_tells_the_cached_part_of_each_modality() {
        let usage = usage(
            Api::OpenAiResponses,
            r#"{"input_tokens":100,"input_token_details":{"cached_tokens":60,"text_tokens":40,"audio_tokens":60,
            "cached_tokens_details":{"text_tokens":20,"audio_tokens":40}},
            "output_tokens":30,"output_token_details":{"text_tokens":10,"audio_tokens":20},"total_tokens":130}"#,
        );
        assert_eq!(
            counts(&usage),
            [("input", 20), ("audio_input", 20), ("cached_input", 60), ("output", 10), ("audio_output", 20)]
        );
    }
}
