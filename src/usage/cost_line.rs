//! `sidewatch cost`: a line of JSON in, a line of JSON out.
//!
//! Invariant: pure. A line that cannot be read gives an error line; what has no price has no cost, never 0.

use serde_json::{Map, Value, json};

use super::money::Usd;
use super::price::{Cost, PriceTable};
use super::wire::parse_event;
use crate::model::Millis;

/// Prices one line: `{"id","tokens","cost","priced"}`, or `{"id","error"}`. A blank line is unreadable too.
pub fn cost_line(line: &str, prices: &PriceTable) -> String {
    let item: Value = match serde_json::from_str(line) {
        Ok(item) => item,
        Err(error) => return json!({"id": null, "error": format!("this is not JSON: {error}")}).to_string(),
    };
    let id = item.get("id").cloned().unwrap_or(Value::Null);
    match price(&item, prices) {
        Ok(mut answer) => {
            answer.insert("id".into(), id);
            Value::Object(answer).to_string()
        }
        Err(error) => json!({"id": id, "error": error}).to_string(),
    }
}

/// Whether an answered line is an error, for the exit status.
pub fn is_error(answer: &str) -> bool {
    serde_json::from_str::<Value>(answer).is_ok_and(|answer| answer.get("error").is_some())
}

fn price(item: &Value, prices: &PriceTable) -> Result<Map<String, Value>, String> {
    // The time chooses no price yet, so a line without one needs no clock.
    let event = parse_event(item, Millis(0)).map_err(|wrong| {
        let said: Vec<_> =
            wrong.iter().map(|(path, what)| format!("`{path}` {what}").replace("`` ", "this ")).collect();
        said.join("; ")
    })?;
    if item.get("usage").is_none_or(Value::is_null) {
        return Err("`usage` is missing".into());
    }
    let cost = prices.cost(&event.provider, &event.model, event.service_tier, &event.usage);
    let tokens = event.usage.tokens.iter().map(|(kind, count)| (kind.name().to_owned(), count.into()));
    let mut answer = Map::new();
    answer.insert("tokens".into(), Value::Object(tokens.collect()));
    answer.insert(
        "cost".into(),
        if cost.priced { render(&cost) } else { json!({"input": null, "output": null, "total": null}) },
    );
    answer.insert("priced".into(), cost.priced.into());
    if !event.usage.violations.is_empty() {
        answer.insert("violations".into(), event.usage.violations.into());
    }
    Ok(answer)
}

/// A reported total is not split; it is all `other`.
fn render(cost: &Cost) -> Value {
    let mut sums = Map::new();
    if cost.reported.is_none() {
        sums.insert("input".into(), cost.input().as_f64().into());
        sums.insert("output".into(), cost.output().as_f64().into());
    }
    if cost.other > Usd::ZERO {
        sums.insert("other".into(), cost.other.as_f64().into());
    }
    sums.insert("total".into(), cost.total().as_f64().into());
    Value::Object(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> String {
        cost_line(line, &PriceTable::built_in())
    }

    #[test]
    fn a_line_is_priced() {
        let line = r#"{"id":"r1","provider":"openai","model":"gpt-5.4","api":"openai.responses","service_tier":"default","at":"2026-11-21T00:00:00Z",
            "usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024},"output_tokens":310,"output_tokens_details":{"reasoning_tokens":256},"total_tokens":1510}}"#;
        assert_eq!(
            answer(line),
            r#"{"cost":{"input":0.000696,"output":0.00465,"total":0.005346},"id":"r1","priced":true,"tokens":{"cached_input":1024,"input":176,"output":54,"reasoning":256}}"#
        );
    }

    #[test]
    fn an_unknown_model_costs_nobody_knows_what() {
        let line = r#"{"id":1,"provider":"openai","model":"gpt-99","api":"openai.chat","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        assert_eq!(
            answer(line),
            r#"{"cost":{"input":null,"output":null,"total":null},"id":1,"priced":false,"tokens":{"input":1,"output":2}}"#
        );
    }

    #[test]
    fn an_unreadable_line_is_an_error_line() {
        for (line, said) in [
            ("{", r#"{"error":"this is not JSON: EOF while parsing an object at line 1 column 1","id":null}"#),
            (
                r#"{"id":"x","provider":"openai","model":"m","api":"openai.chat","usage":{"prompt_tokens":-5}}"#,
                r#"{"error":"`usage.prompt_tokens` is -5, not a count","id":"x"}"#,
            ),
            (
                r#"{"id":"x","provider":"openai","model":"m","usage":null}"#,
                r#"{"error":"`usage` is missing","id":"x"}"#,
            ),
        ] {
            assert_eq!(answer(line), said);
            assert!(is_error(&answer(line)));
        }
    }
}
