use super::*;
use crate::model::Problems;
use crate::usage::formats::{self, Api};
use crate::usage::tokens::Tokens;
use proptest::prelude::*;

fn usage(api: Api, text: &str) -> Usage {
    formats::read(api, &serde_json::from_str(text).unwrap()).unwrap()
}

fn tokens(counts: &[(TokenType, u64)]) -> Usage {
    let tokens = counts.iter().fold(Tokens::default(), |tokens, (kind, count)| tokens.with(*kind, *count));
    Usage { tokens, ..Usage::default() }
}

fn total(provider: &str, model: &str, tier: ServiceTier, usage: &Usage) -> String {
    let cost = PriceTable::built_in().cost(provider, model, tier, usage);
    assert!(cost.priced, "{model} is unpriced");
    cost.total().to_string()
}

use ServiceTier::{Batch, Flex, Priority, Standard};
use TokenType::{CacheWrite, CacheWrite1h, CachedInput, ImageOutput, Input, Output, Reasoning};

#[test]
fn the_built_in_file_is_sound() {
    let problems = Problems::new();
    let mut table = PriceTable::default();
    parse(include_str!("../../../config/prices.yml"), "config/prices.yml", &problems, &mut table);
    assert_eq!(problems.into_sorted(), []);
    assert!(table.len() > 120, "{}", table.len());
    for (provider, model) in
        [("openai", "gpt-6.1-sol"), ("anthropic", "claude-fable-5-1"), ("gemini", "gemini-4-argon")]
    {
        assert!(table.find(provider, model).is_some(), "{model}");
    }
}

#[test]
fn the_references_chat_costs_what_its_price_list_says() {
    let usage = usage(
        Api::OpenAiChat,
        r#"{"prompt_tokens":900,"completion_tokens":150,"total_tokens":1050,
        "prompt_tokens_details":{"cached_tokens":640,"cache_write_tokens":128},"completion_tokens_details":{"reasoning_tokens":90}}"#,
    );
    // 260 x 0.25 (writes bill as input) + 640 x 0.025 + 150 x 2, per million.
    assert_eq!(total("openai", "gpt-5-mini-2025-08-07", Standard, &usage), "0.000381");
}

#[test]
fn the_references_message_costs_what_its_price_list_says() {
    let usage = usage(
        Api::AnthropicMessages,
        r#"{"input_tokens":40,"cache_creation_input_tokens":3000,"cache_read_input_tokens":9000,
        "cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000},
        "output_tokens":220,"output_tokens_details":{"thinking_tokens":120}}"#,
    );
    // 40 x 1 + 9000 x 0.1 + 1000 x 1.25 + 2000 x 2 + 220 x 5, per million.
    assert_eq!(total("anthropic", "claude-haiku-4-5-20251001", Standard, &usage), "0.00729");
}

#[test]
fn searches_cost_beside_the_tokens() {
    let mut usage = tokens(&[(Input, 1_000_000)]);
    usage.searches = Some(2);
    assert_eq!(total("anthropic", "claude-haiku-4-5", Standard, &usage), "1.02");
    let cost = PriceTable::built_in().cost("openai", "gpt-5", Standard, &usage);
    assert!(!cost.priced, "a fee nobody knows makes the sum unknown");
}

#[test]
fn a_tier_has_its_rates_and_borrows_the_others() {
    let usage = tokens(&[(Input, 1_000_000), (CachedInput, 100_000), (Output, 1_000_000)]);
    assert_eq!(total("openai", "gpt-5", Standard, &usage), "11.2625");
    assert_eq!(total("openai", "gpt-5", Batch, &usage), "5.6375");
    assert_eq!(total("openai", "gpt-5", Flex, &usage), "5.6375");
    assert_eq!(total("openai", "gpt-5", Priority, &usage), "22.5125");
}

#[test]
fn a_long_context_makes_every_token_dearer() {
    let at = |context: u64| tokens(&[(Input, context - 1000), (CachedInput, 1000), (Output, 1000)]);
    // gemini-2.5-pro: above 200k.
    assert_eq!(total("gemini", "gemini-2.5-pro", Standard, &at(200_000)), "0.258875");
    assert_eq!(total("gemini", "gemini-2.5-pro", Standard, &at(200_001)), "0.5127525");
    // xAI: from 200k on.
    assert_eq!(total("xai", "grok-4.7", Standard, &at(200_000)), "0.809");
}

#[test]
fn cache_tokens_count_towards_the_threshold_and_an_hours_write_is_twice_the_long_input() {
    let usage = tokens(&[(Input, 1), (CachedInput, 100_000), (CacheWrite1h, 1_000_000)]);
    assert_eq!(total("anthropic", "claude-haiku-5-5", Standard, &usage), "1.0050005");
}

#[test]
fn missing_rates_bill_as_the_reference_says() {
    assert_eq!(total("openai", "o3-pro", Standard, &tokens(&[(CachedInput, 1_000_000)])), "20");
    assert_eq!(total("openai", "gpt-5", Standard, &tokens(&[(CacheWrite, 1_000_000)])), "1.25");
    assert_eq!(total("openai", "gpt-6-sol", Standard, &tokens(&[(CacheWrite1h, 100_000)])), "0.25");
    assert_eq!(total("openai", "gpt-5", Standard, &tokens(&[(Reasoning, 1_000_000)])), "10");
    assert_eq!(total("openai", "gpt-image-2", Standard, &tokens(&[(ImageOutput, 1_000_000)])), "30");
    assert_eq!(total("deepseek", "deepseek-v4-pro", Standard, &tokens(&[(CacheWrite, 1_000_000)])), "0");
}

#[test]
fn multipliers_apply_where_the_model_has_them() {
    let mut usage = tokens(&[(Input, 1_000_000)]);
    usage.multipliers = vec!["us", "fast"];
    assert_eq!(total("anthropic", "claude-opus-5", Standard, &usage), "11");
    assert_eq!(total("anthropic", "claude-haiku-4-5", Standard, &usage), "1");
}

#[test]
fn an_unknown_model_is_unpriced_and_a_reported_total_wins() {
    let mut usage = tokens(&[(Input, 70), (Output, 30)]);
    let table = PriceTable::built_in();
    for (provider, model) in [("openai", "gpt-99"), ("openai", "ft:gpt-4o:org::x"), ("nobody", "gpt-5")] {
        let cost = table.cost(provider, model, Standard, &usage);
        assert!(!cost.priced);
        assert_eq!((cost.unpriced_tokens, cost.computed), (100, None));
    }
    usage.reported_cost = Some(Usd::parse("0.5").unwrap());
    let cost = table.cost("openai", "gpt-5", Standard, &usage);
    assert!(cost.priced);
    assert_eq!((cost.total().to_string(), cost.computed.unwrap().to_string()), ("0.5".into(), "0.0003875".into()));
}

#[test]
fn a_dated_model_of_another_price_does_not_take_the_undated_one() {
    let table = PriceTable::built_in();
    assert!(table.find("openai", "gpt-4o-2024-08-06").is_some());
    assert!(table.find("gemini", "models/gemini-2.5-flash-preview-04-17").is_none());
    assert!(table.find("azure", "gpt-4o-2024-05-13").is_none());
    assert_eq!(total("openai", "gpt-4o-2024-05-13", Standard, &tokens(&[(Input, 1_000_000)])), "5");
}

#[test]
fn a_users_file_replaces_models_and_complains_with_places() {
    let problems = Problems::new();
    let mut table = PriceTable::built_in();
    let text = "providers:\n  openai:\n    models:\n      gpt-5: {input: 3, output: 4, aliases: [house]}\n      bad: {input: -1, outputt: 2}\n";
    parse(text, "mine.yml", &problems, &mut table);
    assert_eq!(table.cost("openai", "house", Standard, &tokens(&[(Input, 1_000_000)])).total().to_string(), "3");
    assert!(table.find("openai", "gpt-5-mini").is_some());
    assert!(table.find("openai", "bad").is_none());
    let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "mine.yml:5:20: `input`: `-1` is not a sum of money: write a decimal number such as 0.25",
            "mine.yml:5:24: unknown key `outputt` in the price of bad; did you mean `output`?",
        ]
    );
}

#[test]
fn litellms_file_is_refused_in_words() {
    let problems = Problems::new();
    parse(r#"{"gpt-5": {"input_cost_per_token": 1e-6}}"#, "m.json", &problems, &mut PriceTable::default());
    assert!(problems.into_sorted()[0].to_string().contains("not built yet"));
}

proptest! {
    /// Within a tier of context, the price is additive: two calls cost what one with both counts would.
    #[test]
    fn the_price_is_additive(a in 0u64..50_000, b in 0u64..50_000, c in 0u64..50_000, d in 0u64..50_000) {
        let table = PriceTable::built_in();
        let price = |input, output| {
            table.cost("gemini", "gemini-2.5-pro", Standard, &tokens(&[(Input, input), (Output, output)])).total()
        };
        prop_assert_eq!(price(a, b) + price(c, d), price(a + c, b + d));
    }
}
