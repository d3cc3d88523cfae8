//! Chat completions: OpenAI, and all that speak like it (Azure, Mistral, Groq, DeepSeek, xAI, OpenRouter, vLLM, …).

use super::FormatError;
use super::openai::{Completion, Prompt};
use super::read::Fields;
use crate::usage::event::{ServiceTier, Usage};
use crate::usage::money::Usd;

/// xAI's unit: 10^10 ticks are a dollar, so a tick is 100 pico-dollars.
const PICO_PER_TICK: i128 = 100;

/// Maps `usage` of `POST …/v1/chat/completions`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let prompt = fields.required(&["prompt_tokens"])?;
    let total = fields.count(&["total_tokens"])?;
    read_prompt(fields, prompt, &mut usage)?;
    read_completion(fields)?.split(prompt, total, &mut usage);
    usage.duration = fields.seconds("prompt_audio_seconds")?;
    usage.service_tier = fields.text(&["service_tier"]).and_then(ServiceTier::parse);
    usage.reported_cost = reported_cost(fields, &usage)?;
    Ok(usage)
}

fn read_prompt(fields: &Fields<'_>, whole: u64, usage: &mut Usage) -> Result<(), FormatError> {
    let mut prompt = Prompt { whole, ..Prompt::default() };
    if let Some(details) = fields.object(&["prompt_tokens_details"])? {
        prompt.cached = details.count(&["cached_tokens"])?;
        prompt.written = details.count(&["cache_write_tokens"])?;
        prompt.audio = details.count(&["audio_tokens"])?;
        prompt.image = details.count(&["image_tokens"])?;
    }
    // DeepSeek says the same fact twice.
    let hit = fields.count(&["prompt_cache_hit_tokens"])?;
    if let (Some(hit), Some(cached)) = (hit, prompt.cached)
        && hit != cached
    {
        usage.violations.push("cached_told_twice");
    }
    prompt.cached = prompt.cached.or(hit);
    prompt.split(usage);
    Ok(())
}

fn read_completion(fields: &Fields<'_>) -> Result<Completion, FormatError> {
    let mut completion = Completion { whole: fields.count(&["completion_tokens"])?, ..Completion::default() };
    if let Some(details) = fields.object(&["completion_tokens_details"])? {
        completion.reasoning = details.count(&["reasoning_tokens"])?;
        completion.audio = details.count(&["audio_tokens"])?;
        completion.image = details.count(&["image_tokens"])?;
    }
    Ok(completion)
}

/// A gateway's or provider's own total. Zero beside tokens means "not computed", not "free".
fn reported_cost(fields: &Fields<'_>, usage: &Usage) -> Result<Option<Usd>, FormatError> {
    let ticks = fields.count(&["cost_in_usd_ticks"])?.map(|ticks| Usd::from_pico(i128::from(ticks) * PICO_PER_TICK));
    let cost = fields.money("cost")?.or(ticks);
    Ok(cost.filter(|cost| *cost > Usd::ZERO || usage.tokens.total() == 0))
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};
    use super::*;

    fn chat(text: &str) -> Usage {
        usage(Api::OpenAiChat, text)
    }

    #[test]
    fn cached_written_and_reasoning_tokens_are_inside() {
        let usage = chat(
            r#"{"prompt_tokens":900,"completion_tokens":150,"total_tokens":1050,
            "prompt_tokens_details":{"cached_tokens":640,"cache_write_tokens":128,"audio_tokens":0,"text_tokens":900,"image_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":90,"audio_tokens":0,"text_tokens":60,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
        );
        assert_eq!(
            counts(&usage),
            [("input", 132), ("cached_input", 640), ("cache_write", 128), ("output", 60), ("reasoning", 90)]
        );
        assert!(usage.violations.is_empty());
        assert_eq!(usage.tokens.total(), 1050);
    }

    #[test]
    fn modalities_overlap_with_the_cache_and_are_cut_to_what_it_left() {
        let usage = chat(
            r#"{"prompt_tokens":1000,"completion_tokens":1,"total_tokens":1001,
            "prompt_tokens_details":{"cached_tokens":700,"text_tokens":200,"image_tokens":800}}"#,
        );
        assert_eq!(counts(&usage), [("image_input", 300), ("cached_input", 700), ("output", 1)]);
        assert_eq!(usage.tokens.context(), 1000);
    }

    #[test]
    fn xai_keeps_reasoning_outside_the_completion() {
        let usage = chat(
            r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":170,"cost_in_usd_ticks":12345,
            "completion_tokens_details":{"reasoning_tokens":50}}"#,
        );
        assert_eq!(counts(&usage), [("input", 100), ("output", 20), ("reasoning", 50)]);
        assert_eq!(usage.reported_cost.unwrap().to_string(), "0.0000012345");
        assert!(usage.violations.is_empty());
    }

    #[test]
    fn deepseek_says_the_cached_count_twice() {
        let usage = chat(
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,
            "prompt_cache_miss_tokens":36,"prompt_tokens_details":{"cached_tokens":64}}"#,
        );
        assert_eq!(counts(&usage), [("input", 36), ("cached_input", 64), ("output", 5)]);
    }

    #[test]
    fn a_reported_cost_of_zero_beside_tokens_was_not_computed() {
        assert_eq!(chat(r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0}"#).reported_cost, None);
        let told = chat(r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.00014}"#);
        assert_eq!(told.reported_cost.unwrap().to_string(), "0.00014");
    }

    #[test]
    fn groqs_hardware_cache_is_not_billing() {
        let usage = chat(
            r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"queue_time":0.1,"total_time":0.5,
            "x_groq":{"usage":{"dram_cached_tokens":8}}}"#,
        );
        assert_eq!(counts(&usage), [("input", 10), ("output", 2)]);
    }

    #[test]
    fn an_absent_count_is_not_a_zero_and_an_explicit_zero_is_one() {
        let usage = chat(r#"{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":0}}"#);
        let kinds: Vec<_> = usage.tokens.iter().map(|(kind, count)| (kind.name(), count)).collect();
        assert_eq!(kinds, [("input", 10), ("cached_input", 0)]);
    }

    #[test]
    fn contradictions_are_kept_and_named() {
        let usage = chat(
            r#"{"prompt_tokens":10,"completion_tokens":2,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":20}}"#,
        );
        assert_eq!(usage.violations, ["cached_above_input", "total_mismatch"]);
    }

    #[test]
    fn what_is_no_count_is_an_error_with_its_place() {
        for (text, said) in [
            (r#"{"prompt_tokens":-1}"#, "`usage.prompt_tokens` is -1, not a count"),
            (r#"{"prompt_tokens":"9"}"#, "`usage.prompt_tokens` is \"9\", not a count"),
            (r#"{"prompt_tokens":1.5}"#, "`usage.prompt_tokens` is 1.5, not a count"),
            (r#"{"completion_tokens":1}"#, "`usage.prompt_tokens` is missing"),
            (
                r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":true}}"#,
                "`usage.prompt_tokens_details.cached_tokens` is true, not a count",
            ),
            ("null", "`usage` is null, not an object"),
        ] {
            let error = super::super::read(Api::OpenAiChat, &serde_json::from_str(text).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
