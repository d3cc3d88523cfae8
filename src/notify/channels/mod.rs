//! How a receiver is told. One file or folder each; a new channel is its file, one variant of [`Integration`],
//! one line in [`build`].

pub mod email;
mod http;
pub mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::notification::Notification;

pub use http::HttpSettings;

/// Sends notifications one way. An attempt ends by itself in bounded time.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends once. Trying again is the caller's business.
    async fn send(&self, notification: &Notification) -> Result<(), ChannelError>;
}

/// Whether trying again could help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No: the same message would be refused again.
    Never,
    /// Yes, after the usual wait.
    Backoff,
    /// Yes, and the server said when.
    After(Duration),
}

/// Why an attempt failed, as Alertmanager's label `reason` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The server blames our message (HTTP 4xx, SMTP 5xx).
    ClientError,
    /// The server refuses our credentials.
    AuthError,
    /// The server has a problem of its own.
    ServerError,
    /// The server asks us to slow down.
    RateLimited,
    /// No answer in time.
    DeadlineExceeded,
    /// The attempt was given up, at stop or because the receiver's configuration changed.
    Canceled,
    /// Anything else; mostly the network.
    Other,
}

impl FailureReason {
    /// Every reason there is.
    pub const ALL: [Self; 7] = [
        Self::ClientError,
        Self::AuthError,
        Self::ServerError,
        Self::RateLimited,
        Self::DeadlineExceeded,
        Self::Canceled,
        Self::Other,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientError => "clientError",
            Self::AuthError => "authError",
            Self::ServerError => "serverError",
            Self::RateLimited => "rateLimited",
            Self::DeadlineExceeded => "contextDeadlineExceeded",
            Self::Canceled => "contextCanceled",
            Self::Other => "other",
        }
    }
}

/// An attempt that failed. Its text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ChannelError {
    /// What happened, for the log.
    pub what: String,
    /// For the metric.
    pub reason: FailureReason,
    /// Whether to try again.
    pub retry: Retry,
}

impl ChannelError {
    /// A failure that trying again could mend.
    pub fn passing(reason: FailureReason, what: impl Into<String>) -> Self {
        Self { what: what.into(), reason, retry: Retry::Backoff }
    }

    /// A failure that would only happen again.
    pub fn lasting(reason: FailureReason, what: impl Into<String>) -> Self {
        Self { what: what.into(), reason, retry: Retry::Never }
    }
}

/// The settings of one channel of a receiver.
#[derive(Debug, Clone, PartialEq)]
pub enum Integration {
    /// An item of `webhook_configs`.
    Webhook(webhook::Settings),
    /// An item of `email_configs`.
    Email(Box<email::Settings>),
}

impl Integration {
    /// The kind's name, as in Alertmanager's label `integration`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
        }
    }

    /// Whether it wants to hear of alerts that ended.
    pub fn send_resolved(&self) -> bool {
        match self {
            Self::Webhook(settings) => settings.send_resolved,
            Self::Email(settings) => settings.send_resolved,
        }
    }

    /// What a user who configured this should be reminded of at start.
    pub fn caution(&self) -> Option<&'static str> {
        let trust = match self {
            Self::Webhook(settings) => &settings.http.trust,
            Self::Email(settings) if settings.auth.is_some() && settings.security == email::Security::Plain => {
                return Some("the mail server's password goes over a connection without TLS");
            }
            Self::Email(settings) => &settings.trust,
        };
        trust.insecure_skip_verify.then_some("TLS certificates are not checked")
    }
}

/// Names one channel of one receiver: the receiver, the kind, and which of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntegrationId {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// `webhook`, `email`.
    pub kind: &'static str,
    /// From 0 within the receiver and kind.
    pub index: usize,
}

impl fmt::Display for IntegrationId {
    /// As Alertmanager's logs write it: `on-call/webhook[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}[{}]", self.receiver, self.kind, self.index)
    }
}

/// Makes the channel.
///
/// # Errors
/// A CA file that cannot be read, and the like: what can only be known by trying.
pub fn build(settings: &Integration) -> Result<Arc<dyn Channel>, String> {
    Ok(match settings {
        Integration::Webhook(settings) => Arc::new(webhook::Webhook::new(settings)?),
        Integration::Email(settings) => Arc::new(email::Email::new(settings)?),
    })
}
