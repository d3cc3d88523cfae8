//! Providers' usage objects, mapped to disjoint token counts.
//!
//! In: the JSON exactly as the provider sends it. Out: [`Usage`]. One file per format.
//!
//! Invariant: a token is counted once, whatever the provider's numbers contain each other; a number that cannot be
//! read is an error; numbers that contradict each other are kept and named in `violations`.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai;
mod openai_chat;
mod openai_embeddings;
mod openai_responses;
mod read;

use serde_json::Value;

use super::event::Usage;

/// Which API's words a usage object is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions` and everything compatible.
    OpenAiChat,
    /// `POST /v1/responses`, Realtime too.
    OpenAiResponses,
    /// `POST /v1/embeddings`.
    OpenAiEmbeddings,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// `…:generateContent`.
    GeminiGenerateContent,
    /// `POST /model/…/converse`.
    BedrockConverse,
    /// `POST /v2/chat`.
    CohereChat,
    /// `POST /api/chat`.
    OllamaChat,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::OpenAiEmbeddings,
        Self::AnthropicMessages,
        Self::GeminiGenerateContent,
        Self::BedrockConverse,
        Self::CohereChat,
        Self::OllamaChat,
    ];

    /// The contract's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai.chat",
            Self::OpenAiResponses => "openai.responses",
            Self::OpenAiEmbeddings => "openai.embeddings",
            Self::AnthropicMessages => "anthropic.messages",
            Self::GeminiGenerateContent => "gemini.generateContent",
            Self::BedrockConverse => "bedrock.converse",
            Self::CohereChat => "cohere.chat",
            Self::OllamaChat => "ollama.chat",
        }
    }

    /// Reads the contract's word.
    ///
    /// # Errors
    /// A word that is none of them; the message lists them.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|api| api.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|api| api.name()).collect();
            format!("`{text}` is not an api; known: {}", known.join(", "))
        })
    }

    /// The API a provider's usage is in when nobody says.
    pub fn usual_for(provider: &str) -> Option<Self> {
        Some(match super::price::canonical_provider(provider) {
            "anthropic" => Self::AnthropicMessages,
            "gemini" => Self::GeminiGenerateContent,
            "bedrock" => Self::BedrockConverse,
            "cohere" => Self::CohereChat,
            "ollama" => Self::OllamaChat,
            "openai" | "azure" | "mistral" | "groq" | "deepseek" | "xai" | "openrouter" => Self::OpenAiChat,
            _ => return None,
        })
    }

    /// `gen_ai.operation.name` in OpenTelemetry's semantic conventions.
    pub const fn operation(self) -> &'static str {
        match self {
            Self::OpenAiEmbeddings => "embeddings",
            Self::GeminiGenerateContent => "generate_content",
            _ => "chat",
        }
    }
}

/// What of a usage object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`usage{path}` {what}")]
pub struct FormatError {
    /// Where, as `.prompt_tokens_details.cached_tokens`; empty for the object itself.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

/// Maps a provider's usage object.
///
/// # Errors
/// It is not an object, a number in it is none, or it holds no count at all.
pub fn read(api: Api, usage: &Value) -> Result<Usage, FormatError> {
    let fields = read::Fields::of(usage)?;
    let usage = read_as(api, &fields)?;
    if usage.tokens.total() > read::LARGEST_COUNT {
        return Err(fields.wrong("", format!("adds up to {}: more tokens than any call can use", usage.tokens.total())));
    }
    Ok(usage)
}

fn read_as(api: Api, fields: &read::Fields<'_>) -> Result<Usage, FormatError> {
    match api {
        Api::OpenAiChat => openai_chat::read(fields),
        Api::OpenAiResponses => openai_responses::read(fields),
        Api::OpenAiEmbeddings => openai_embeddings::read(fields),
        Api::AnthropicMessages => anthropic::read(fields),
        Api::GeminiGenerateContent => gemini::read(fields),
        Api::BedrockConverse => bedrock::read(fields),
        Api::CohereChat => cohere::read(fields),
        Api::OllamaChat => ollama::read(fields),
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::usage::tokens::TokenType;

    /// Maps a usage object given as text.
    pub fn usage(api: Api, text: &str) -> Usage {
        read(api, &serde_json::from_str(text).unwrap()).unwrap()
    }

    /// The counts that are not zero, by name.
    pub fn counts(usage: &Usage) -> Vec<(&'static str, u64)> {
        usage
            .tokens
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (TokenType::name(kind), count))
            .collect()
    }
}
