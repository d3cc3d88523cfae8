//! `…:generateContent`, Live and Interactions: cached is inside the prompt; thoughts are beside the candidates.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::{ServiceTier, Usage};
use crate::usage::tokens::TokenType;

const PROMPT: &[&str] = &["promptTokenCount", "prompt_token_count", "total_input_tokens"];
const CACHED: &[&str] = &["cachedContentTokenCount", "cached_content_token_count", "total_cached_tokens"];
const WRITTEN: &[&str] = &[
    "candidatesTokenCount",
    "responseTokenCount",
    "candidates_token_count",
    "response_token_count",
    "total_output_tokens",
];
const THOUGHTS: &[&str] = &["thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens"];
const TOOL_USE: &[&str] = &["toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens"];
const TOTAL: &[&str] = &["totalTokenCount", "total_token_count", "total_tokens"];
const PROMPT_DETAILS: &[&str] = &["promptTokensDetails", "prompt_tokens_details"];
const CACHE_DETAILS: &[&str] = &["cacheTokensDetails", "cache_tokens_details"];
const WRITTEN_DETAILS: &[&str] =
    &["candidatesTokensDetails", "responseTokensDetails", "candidates_tokens_details", "response_tokens_details"];
const TIER: &[&str] = &["serviceTier", "trafficType", "service_tier", "traffic_type"];

/// Maps `usageMetadata`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let (prompt, written) = (fields.count(PROMPT)?, fields.count(WRITTEN)?);
    let (thoughts, total) = (fields.count(THOUGHTS)?, fields.count(TOTAL)?);
    if prompt.is_none() && written.is_none() {
        return Err(fields.wrong("promptTokenCount", "is missing"));
    }
    let tools = fields.count(TOOL_USE)?;
    if let Some(prompt) = prompt {
        read_prompt(fields, prompt, tools, &mut usage)?;
    }
    let read = prompt.unwrap_or(0).saturating_add(tools.unwrap_or(0));
    let inside = are_thoughts_inside(read, written, thoughts, total, &mut usage);
    read_output(fields, written, thoughts, inside, &mut usage)?;
    usage.service_tier = fields.text(TIER).and_then(ServiceTier::parse);
    Ok(usage)
}

/// Counts of a modality list that are priced apart from text.
#[derive(Default, Clone, Copy)]
struct Modalities {
    audio: u64,
    image: u64,
    video: u64,
}

impl Modalities {
    fn read(list: &[Fields<'_>]) -> Result<Self, FormatError> {
        let mut sums = Self::default();
        for item in list {
            let count = item.count(&["tokenCount", "token_count"])?.unwrap_or(0);
            match item.text(&["modality"]) {
                Some("AUDIO") => sums.audio += count,
                Some("IMAGE") => sums.image += count,
                Some("VIDEO") => sums.video += count,
                // Text and documents are billed as text.
                _ => {}
            }
        }
        Ok(sums)
    }
}

/// The prompt covers what came from the cache; tool results come on top and are billed as input.
fn read_prompt(fields: &Fields<'_>, prompt: u64, tools: Option<u64>, usage: &mut Usage) -> Result<(), FormatError> {
    let cached = fields.count(CACHED)?;
    let details = fields.objects(PROMPT_DETAILS)?;
    let all = Modalities::read(&details)?;
    let from_cache = Modalities::read(&fields.objects(CACHE_DETAILS)?)?;
    let mut left = prompt.checked_sub(cached.unwrap_or(0)).unwrap_or_else(|| {
        usage.violations.push("cached_above_input");
        0
    });
    // A modality without its cached part; never more than the cache left over.
    let mut uncached = |all: u64, cached: u64| {
        let count = all.saturating_sub(cached).min(left);
        left -= count;
        (all > 0).then_some(count)
    };
    let audio = uncached(all.audio, from_cache.audio);
    let image = uncached(all.image, from_cache.image);
    let video = uncached(all.video, from_cache.video);
    let tokens = &mut usage.tokens;
    tokens.set(TokenType::Input, Some(left.saturating_add(tools.unwrap_or(0))));
    tokens.set(TokenType::AudioInput, audio);
    tokens.set(TokenType::ImageInput, image);
    tokens.set(TokenType::VideoInput, video);
    tokens.set(TokenType::CachedInput, cached);
    Ok(())
}

/// Whether the candidates' count holds the thoughts (some Vertex routes). The total decides.
fn are_thoughts_inside(
    read: u64,
    written: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
    usage: &mut Usage,
) -> bool {
    let (written, thoughts) = (written.unwrap_or(0), thoughts.unwrap_or(0));
    let without = read.saturating_add(written);
    match total {
        Some(total) if total == without.saturating_add(thoughts) => false,
        Some(total) if total == without => true,
        Some(_) => {
            usage.violations.push("total_mismatch");
            false
        }
        None => false,
    }
}

fn read_output(
    fields: &Fields<'_>,
    written: Option<u64>,
    thoughts: Option<u64>,
    inside: bool,
    usage: &mut Usage,
) -> Result<(), FormatError> {
    let parts = Modalities::read(&fields.objects(WRITTEN_DETAILS)?)?;
    let apart = parts.audio.saturating_add(parts.image).saturating_add(if inside { thoughts.unwrap_or(0) } else { 0 });
    let text = written.map(|written| {
        written.checked_sub(apart).unwrap_or_else(|| {
            usage.violations.push("parts_above_output");
            0
        })
    });
    let tokens = &mut usage.tokens;
    tokens.set(TokenType::Output, text);
    tokens.set(TokenType::Reasoning, thoughts);
    tokens.set(TokenType::AudioOutput, (parts.audio > 0).then_some(parts.audio));
    tokens.set(TokenType::ImageOutput, (parts.image > 0).then_some(parts.image));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};
    use super::*;

    fn content(text: &str) -> Usage {
        usage(Api::GeminiGenerateContent, text)
    }

    #[test]
    fn cached_is_inside_the_prompt_and_thoughts_are_beside_the_candidates() {
        let usage = content(
            r#"{"promptTokenCount":1500,"cachedContentTokenCount":1000,
            "candidatesTokenCount":80,"thoughtsTokenCount":400,"toolUsePromptTokenCount":0,"totalTokenCount":1980,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":1400},{"modality":"AUDIO","tokenCount":100}],
            "cacheTokensDetails":[{"modality":"TEXT","tokenCount":1000}],"trafficType":"ON_DEMAND"}"#,
        );
        assert_eq!(
            counts(&usage),
            [("input", 400), ("audio_input", 100), ("cached_input", 1000), ("output", 80), ("reasoning", 400)]
        );
        assert!(usage.violations.is_empty());
        assert_eq!(usage.service_tier, Some(ServiceTier::Standard));
    }

    #[test]
    fn some_routes_count_thoughts_inside_the_candidates() {
        let usage = content(
            r#"{"promptTokenCount":10,"candidatesTokenCount":480,"thoughtsTokenCount":400,"totalTokenCount":490}"#,
        );
        assert_eq!(counts(&usage), [("input", 10), ("output", 80), ("reasoning", 400)]);
    }

    #[test]
    fn tool_results_come_on_top_of_the_prompt() {
        let usage = content(
            r#"{"promptTokenCount":10,"candidatesTokenCount":5,"toolUsePromptTokenCount":90,"totalTokenCount":105}"#,
        );
        assert_eq!(counts(&usage), [("input", 100), ("output", 5)]);
    }

    #[test]
    fn a_cached_count_without_breakdown_comes_from_the_text_first() {
        let usage = content(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":80,"candidatesTokenCount":1,"totalTokenCount":101,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":50},{"modality":"IMAGE","tokenCount":50}]}"#,
        );
        assert_eq!(counts(&usage), [("image_input", 20), ("cached_input", 80), ("output", 1)]);
    }

    #[test]
    fn a_flexible_price_is_told_by_the_traffic() {
        let usage = content(r#"{"promptTokenCount":1,"totalTokenCount":1,"trafficType":"ON_DEMAND_FLEX"}"#);
        assert_eq!(usage.service_tier, Some(ServiceTier::Flex));
    }
}
