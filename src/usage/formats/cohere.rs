//! Cohere's `POST /v2/chat`: billed units, not tokens, which also count the provider's own preamble.

use super::FormatError;
use super::read::Fields;
use crate::usage::event::Usage;
use crate::usage::tokens::TokenType;

/// Maps `usage.billed_units`.
pub fn read(fields: &Fields<'_>) -> Result<Usage, FormatError> {
    let mut usage = Usage::default();
    let billed = fields.object(&["billed_units"])?.ok_or_else(|| fields.wrong("billed_units", "is missing"))?;
    usage.tokens.set(TokenType::Input, billed.count(&["input_tokens"])?);
    usage.tokens.set(TokenType::Output, billed.count(&["output_tokens"])?);
    usage.searches = billed.count(&["search_units"])?;
    if usage.tokens.is_unreported() && usage.searches.is_none() {
        return Err(billed.wrong("input_tokens", "is missing"));
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::testing::{counts, usage};

    #[test]
    fn billed_units_count_and_may_be_floats() {
        let usage = usage(
            Api::CohereChat,
            r#"{"billed_units":{"input_tokens":17.0,"output_tokens":12},"tokens":{"input_tokens":83,"output_tokens":12}}"#,
        );
        assert_eq!(counts(&usage), [("input", 17), ("output", 12)]);
    }
}
