//! Ollama's own API: counts beside the answer's last line.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::Usage;
use crate::usage::tokens::TokenType;

/// Maps the line with `done: true`. The prompt's count is absent when it came from the KV cache.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    usage.tokens.set(TokenType::Input, fields.count(&["prompt_eval_count"])?);
    usage.tokens.set(TokenType::Output, fields.count(&["eval_count"])?);
    if usage.tokens.is_unreported() {
        return Err(fields.wrong("eval_count", "is missing"));
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};

    #[test]
    fn a_prompt_from_the_kv_cache_has_no_count() {
        let usage = usage(Api::OllamaChat, r#"{"done":true,"eval_count":290,"total_duration":5}"#);
        assert_eq!(counts(&usage), [("output", 290)]);
    }
}
