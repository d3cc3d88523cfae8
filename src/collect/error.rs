//! Why something could not be seen.

use std::fmt;

/// The closed set of reasons, as they stand in `sidewatch_target_failures_total{reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The host name does not resolve.
    Resolve,
    /// Nothing listens there.
    Refused,
    /// No way there, or the connection broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// The target refused our credentials.
    Auth,
    /// Credentials were taken, but the right is missing.
    Permission,
    /// The target answered with an error status.
    Status,
    /// The answer is not what `expect` asks for.
    Expectation,
    /// The answer cannot be read.
    Malformed,
    /// The target answers that it is at a limit: connections, requests, quota.
    Limit,
    /// A database query failed.
    Query,
    /// The answer is larger than we are willing to hold.
    TooLarge,
    /// The look itself failed: a bug here.
    Internal,
}

impl Reason {
    /// As it stands in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Status => "status",
            Self::Expectation => "expectation",
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::Query => "query",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
        }
    }
}

/// One thing that a look could not see, and why. The text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectError {
    reason: Reason,
    /// The server's own code: a SQLSTATE. Bounded, because servers have a fixed list.
    code: Option<Box<str>>,
    message: String,
}

impl CollectError {
    /// An error in words: what could not be done, with whom, and the cause.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, code: None, message: message.into() }
    }

    /// The same with the server's own code; `sqlstate_53300` then is the label's value.
    #[must_use]
    pub fn with_sqlstate(mut self, code: &str) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The class of the error.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The value of the label `reason`: the SQLSTATE where a database gave one, else the class.
    pub fn label(&self) -> String {
        self.code.as_ref().map_or_else(|| self.reason.as_str().to_owned(), |code| format!("sqlstate_{code}"))
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)?;
        self.code.as_ref().map_or(Ok(()), |code| write!(f, " (SQLSTATE {code})"))
    }
}

impl std::error::Error for CollectError {}
