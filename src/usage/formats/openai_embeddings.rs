//! `POST /v1/embeddings`: input only.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::Usage;
use crate::usage::tokens::TokenType;

/// Maps `usage.{prompt_tokens,total_tokens}`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let prompt = fields.required(&["prompt_tokens"])?;
    if fields.count(&["total_tokens"])?.is_some_and(|total| total != prompt) {
        usage.violations.push("total_mismatch");
    }
    usage.tokens.set(TokenType::Input, Some(prompt));
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};

    #[test]
    fn an_embedding_has_no_output() {
        let usage = usage(Api::OpenAiEmbeddings, r#"{"prompt_tokens":8,"total_tokens":8}"#);
        assert_eq!(counts(&usage), [("input", 8)]);
    }
}
