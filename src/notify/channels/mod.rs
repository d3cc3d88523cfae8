//! How a receiver is told. One file or folder each, which tells everything of its kind by [`ChannelSettings`]; here stands
//! one line for each.

pub mod arrival;
pub mod discord;
pub mod email;
pub mod googlechat;
mod http;
mod limit;
pub mod mattermost;
pub mod msteamsv2;
pub mod ntfy;
pub mod pagerduty;
pub mod ping;
pub mod pushover;
#[cfg(test)]
pub(in crate::notify) mod recorder;
#[cfg(test)]
mod refusals_tests;
pub mod rocketchat;
mod service;
pub mod slack;
pub mod sns;
pub mod telegram;
#[cfg(test)]
pub(super) mod testing;
pub mod webhook;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::yaml::Fields;

use super::notification::Notification;
use super::template::Templates;

pub(super) use http::Endpoint;
pub use http::HttpSettings;

/// Sends notifications one way. An attempt ends by itself in bounded time.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends once. Trying again is the caller's business.
    ///
    /// # Errors
    /// What went wrong, and whether trying again could help. No secret is in its text.
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError>;

    /// Whether the receiving end takes the same notification twice as one, so that trying again is safe when it is not
    /// known whether an attempt arrived.
    fn is_idempotent(&self) -> bool {
        false
    }
}

/// What a channel needs to come back to a message, such as where it stands; in a form of its own. It is kept, also over a
/// restart, for as long as the group's alerts fire, and comes back as [`Notification::receipt`].
pub type Receipt = Option<Arc<str>>;

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
    /// The message was sent, but no answer came: it may have been taken all the same.
    pub may_have_arrived: bool,
}

impl ChannelError {
    /// A failure that trying again could mend.
    pub fn passing(reason: FailureReason, what: impl Into<String>) -> Self {
        Self { what: what.into(), reason, retry: Retry::Backoff, may_have_arrived: false }
    }

    /// A failure that would only happen again.
    pub fn lasting(reason: FailureReason, what: impl Into<String>) -> Self {
        Self { what: what.into(), reason, retry: Retry::Never, may_have_arrived: false }
    }
}

/// What one kind of channel needs, and what the kind is called.
pub trait ChannelSettings: Debug + Clone + PartialEq + Sized {
    /// The kind's name, as in Alertmanager's label `integration`.
    const KIND: &'static str;
    /// The key of a receiver's list of such channels.
    const KEY: &'static str;
    /// What `global` gives to all channels of this kind.
    type Defaults: Default;

    /// Takes the kind's keys out of `global`.
    fn read_defaults(global: &mut Fields<'_>) -> Self::Defaults;

    /// Reads an item's keys, but for `send_resolved`. `http` is `global`'s `http_config`. What is wrong goes to the fields'
    /// problems.
    fn read(fields: &mut Fields<'_>, defaults: &Self::Defaults, http: &HttpSettings) -> Option<Self>;

    /// What a user who configured this should be reminded of at start.
    fn caution(&self) -> Option<&'static str>;

    /// Makes the channel.
    ///
    /// # Errors
    /// A CA file that cannot be read, and the like: what can only be known by trying.
    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String>;
}

macro_rules! channels {
    ($($(#[$doc:meta])* $kind:ident($module:ident),)+) => {
        /// A channel of a receiver, with the settings of its kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ChannelKind {
            $($(#[$doc])* $kind(Box<$module::Settings>),)+
        }

        /// What `global` gives to the channels of each kind.
        #[derive(Default)]
        pub(super) struct Defaults {
            http: HttpSettings,
            $($module: <$module::Settings as ChannelSettings>::Defaults,)+
        }

        impl Defaults {
            /// Takes every kind's keys out of `global`.
            pub(super) fn read(global: &mut Fields<'_>) -> Self {
                Self {
                    http: global.section("http_config").map(HttpSettings::read).unwrap_or_default(),
                    $($module: <$module::Settings>::read_defaults(global),)+
                }
            }
        }

        impl Integration {
            /// The channels of a receiver, in the order of kinds and of the file.
            pub(super) fn read_all(receiver: &mut Fields<'_>, defaults: &Defaults) -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend(read_each(receiver, <$module::Settings>::KEY, |fields| {
                    let settings = <$module::Settings>::read(fields, &defaults.$module, &defaults.http)?;
                    Some(ChannelKind::$kind(Box::new(settings)))
                }));)+
                all
            }

            /// The kind's name, as in Alertmanager's label `integration`.
            pub fn kind(&self) -> &'static str {
                match &self.channel {
                    $(ChannelKind::$kind(_) => <$module::Settings>::KIND,)+
                }
            }

            /// What a user who configured this should be reminded of at start.
            pub fn caution(&self) -> Option<&'static str> {
                match &self.channel {
                    $(ChannelKind::$kind(settings) => settings.caution(),)+
                }
            }

            /// Makes the channel.
            ///
            /// # Errors
            /// A CA file that cannot be read, and the like: what can only be known by trying.
            pub fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
                match &self.channel {
                    $(ChannelKind::$kind(settings) => settings.build(templates),)+
                }
            }
        }
    };
}

channels! {
    /// `webhook_configs`: Alertmanager's own body.
    Webhook(webhook),
    /// `email_configs`
    Email(email),
    /// `discord_configs`
    Discord(discord),
    /// `slack_configs`
    Slack(slack),
    /// `pagerduty_configs`
    PagerDuty(pagerduty),
    /// `msteamsv2_configs`
    MsTeamsV2(msteamsv2),
    /// `telegram_configs`
    Telegram(telegram),
    /// `ntfy_configs`
    Ntfy(ntfy),
    /// `googlechat_configs`
    GoogleChat(googlechat),
    /// `ping_configs`
    Ping(ping),
    /// `pushover_configs`
    Pushover(pushover),
    /// `sns_configs`
    Sns(sns),
    /// `mattermost_configs`
    Mattermost(mattermost),
    /// `rocketchat_configs`
    RocketChat(rocketchat),
}

/// One channel of a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Integration {
    /// Whether it wants to hear of alerts that ended. Default true for every kind; Alertmanager's differs by kind, but
    /// whoever is woken wants to hear that it is over.
    pub send_resolved: bool,
    /// How it is told.
    pub channel: ChannelKind,
}

fn read_each(
    receiver: &mut Fields<'_>,
    key: &'static str,
    read: impl Fn(&mut Fields<'_>) -> Option<ChannelKind>,
) -> Vec<Integration> {
    let problems = receiver.problems();
    let one = |item| {
        let mut fields = Fields::of(item, format!("an item of `{key}`"), problems)?;
        let send_resolved = fields.bool("send_resolved").unwrap_or(true);
        let channel = read(&mut fields);
        fields.finish();
        Some(Integration { send_resolved, channel: channel? })
    };
    receiver.list(key).iter().filter_map(one).collect()
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
