//! A message to Slack: through an incoming webhook, or through the Web API, where the message is edited when its alerts
//! are over.
//!
//! <https://docs.slack.dev/messaging/>. With Alertmanager's `update_message: true` every later message edits the first, with
//! `post_updates_to_thread` it answers in its thread.

mod message;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::Reply;

use super::http::Endpoint;
use super::service::{Deliver, Refusal, Size, ask, not_the_service, refused, shorter_if_too_large};
use super::{Channel, ChannelError, FailureReason, Receipt};

use message::Message;
pub use settings::{Defaults, Settings};

/// The method of the Web API that edits, beside [`settings::POST_METHOD`].
const UPDATE_METHOD: &str = "chat.update";

struct Slack {
    settings: Settings,
    endpoint: Endpoint,
    templates: Arc<Templates>,
}

/// Where a message stands: the receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    /// The channel's id, whatever it was called when posting.
    channel: String,
    ts: String,
}

/// The Web API's answer.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
}

impl Slack {
    async fn post(&self, message: &Message) -> Result<Option<Place>, Refusal> {
        self.ask(self.endpoint.url().clone(), message).await
    }

    /// Edits the message; one that cannot be edited is answered, one that is gone is replaced.
    async fn edit(&self, place: &Place, message: &Message) -> Result<Option<Place>, Refusal> {
        match self.ask(self.update_url(), &message.instead_of(place)).await {
            Ok(_) => return Ok(Some(place.clone())),
            Err(refusal) if refusal.is_for_good() => {}
            Err(refusal) => return Err(refusal),
        }
        match self.reply(place, message, true).await {
            Ok(()) => Ok(Some(place.clone())),
            Err(refusal) if refusal.is_for_good() => self.post(message).await,
            Err(refusal) => Err(refusal),
        }
    }

    async fn reply(&self, place: &Place, message: &Message, broadcast: bool) -> Result<(), Refusal> {
        self.post(&message.in_thread_of(place, broadcast)).await.map(|_| ())
    }

    fn update_url(&self) -> Url {
        let mut url = self.endpoint.url().clone();
        let path = url.path().replace(settings::POST_METHOD, UPDATE_METHOD);
        url.set_path(&path);
        url
    }

    async fn ask(&self, url: Url, message: &Message) -> Result<Option<Place>, Refusal> {
        let reply = ask(&self.endpoint, Method::POST, url, message).await?;
        let word = String::from_utf8_lossy(&reply.body);
        let answer: Option<Answer> = serde_json::from_slice(&reply.body).ok();
        let error = answer.as_ref().map_or_else(|| Some(word.trim()), |answer| answer.error.as_deref());
        let too_large = error.is_some_and(is_too_large);
        if !reply.status.is_success() {
            let refusal = refused(&self.endpoint, &reply);
            return Err(if too_large { Refusal::TooLarge(refusal.into_error()) } else { refusal });
        }
        match (answer, self.settings.is_api) {
            (Some(Answer { ok: true, channel, ts, .. }), _) => {
                Ok(channel.zip(ts).map(|(channel, ts)| Place { channel, ts }))
            }
            (Some(Answer { error, .. }), _) => Err(self.not_ok(&reply, error.as_deref().unwrap_or_default())),
            (None, false) if word.trim() == "ok" => Ok(None),
            (None, false) if !is_page(&reply) => Err(self.not_ok(&reply, word.trim())),
            (None, _) => Err(not_the_service(&self.endpoint, &reply)),
        }
    }

    /// A "no" with status 200.
    fn not_ok(&self, reply: &Reply, error: &str) -> Refusal {
        let what = self.endpoint.told(reply);
        match error {
            "ratelimited" | "rate_limited" => ChannelError::passing(FailureReason::RateLimited, what).into(),
            "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
                ChannelError::passing(FailureReason::ServerError, what).into()
            }
            "invalid_auth"
            | "not_authed"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "no_permission"
            | "missing_scope"
            | "not_allowed_token_type"
            | "ekm_access_denied"
            | "access_denied" => ChannelError::lasting(FailureReason::AuthError, what).into(),
            error if is_too_large(error) => Refusal::TooLarge(ChannelError::lasting(FailureReason::ClientError, what)),
            _ => ChannelError::lasting(FailureReason::ClientError, what).into(),
        }
    }
}

fn is_too_large(error: &str) -> bool {
    matches!(error, "msg_too_long" | "attachment_payload_limit_exceeded" | "invalid_attachments")
}

fn is_page(reply: &Reply) -> bool {
    let kind = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || reply.body.trim_ascii_start().starts_with(b"<")
}

#[async_trait]
impl Deliver for Slack {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let settings = &self.settings;
        let message = Message::of(settings, &self.templates, notification, size)?;
        let told: Option<Place> =
            notification.receipt.as_deref().and_then(|receipt| serde_json::from_str(receipt).ok());
        let Some(place) = told.filter(|_| settings.is_api) else {
            let place = self.post(&message).await?;
            if let Some(place) = place.as_ref().filter(|_| settings.update_message == Some(true))
                && settings.post_updates_to_thread
            {
                // As Alertmanager: later edits overwrite the first message, so the thread keeps a copy. The message itself
                // has arrived, so a copy that fails is no reason to send it again.
                let _ = self.reply(place, &message, false).await;
            }
            return Ok(place.as_ref().and_then(receipt));
        };
        let edits = settings.update_message.unwrap_or(!notification.is_firing());
        let mut stands = Some(place.clone());
        if edits {
            stands = self.edit(&place, &message).await?;
        }
        if settings.post_updates_to_thread {
            self.reply(&place, &message, false).await?;
        } else if !edits {
            stands = self.post(&message).await?;
        }
        Ok(stands.as_ref().and_then(receipt))
    }
}

fn receipt(place: &Place) -> Receipt {
    serde_json::to_string(place).ok().map(Into::into)
}

#[async_trait]
impl Channel for Slack {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
mod tests;
