//! How calls end, in one word.

/// How a call of a model provider ended: the closed set of the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Outcome {
    /// Answered.
    #[default]
    Ok,
    /// The request was wrong.
    ClientError,
    /// The key was refused.
    AuthError,
    /// Too many requests for now.
    RateLimited,
    /// No money or plan left.
    QuotaExhausted,
    /// The provider has no capacity.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// No answer in time.
    Timeout,
    /// The connection was lost within the answer.
    StreamCut,
    /// The application hung up.
    ClientCancelled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::ClientError,
        Self::AuthError,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Overloaded,
        Self::ServerError,
        Self::Timeout,
        Self::StreamCut,
        Self::ClientCancelled,
    ];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::AuthError => "auth_error",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::StreamCut => "stream_cut",
            Self::ClientCancelled => "client_cancelled",
        }
    }

    /// Reads the contract's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}
