//! Kind `ws`: opens a WebSocket (RFC 6455), talks over it and closes it again.
//!
//! In: `ws://…` or `wss://…`, what to send with the request, what to say, which message to wait for. Out: `probe_*` as of
//! the other probes and blackbox's `probe_websocket_*`.
//!
//! A handshake alone may be a proxy's answer, so every look also pings and waits for the pong.

mod frame;
mod handshake;
mod settings;
mod talk;

pub use settings::Settings;

use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::model::{Family, Secret};

use super::probe::{self, Route, Trip, Watch, report_regex};
use super::{Collect, CollectError, Look, Reason};

static DURATION: Family = Family::gauge(
    "probe_websocket_duration_seconds",
    "Seconds that each phase of the WebSocket probe took: resolve, connect, tls, upgrade, message, ping, close.",
);
static STATUS_CODE: Family = Family::gauge(
    "probe_websocket_status_code",
    "The HTTP status of the answer to the upgrade; 101 for a WebSocket, 0 without an answer.",
);
static UPGRADED: Family =
    Family::gauge("probe_websocket_connection_upgraded", "Whether the connection became a WebSocket (1) or not (0).");
static FAILED_REGEX: Family = Family::gauge(
    "probe_websocket_failed_due_to_regex",
    "Whether no message matched the expected expression (1) or one did (0).",
);

/// A WebSocket probe.
pub struct WebSocket {
    settings: Settings,
    route: Route,
}

/// What the probe saw before it ended, well or not.
#[derive(Debug, Default)]
struct Seen {
    status: Option<u16>,
    upgraded: bool,
    /// The last message that did not match, shortened.
    other_message: Option<String>,
    regex_failed: bool,
    /// What went wrong after all that counts.
    rude_end: Option<CollectError>,
}

impl WebSocket {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        // HTTP/2 has WebSockets too (RFC 8441), but servers that take them from clients other than browsers are rare.
        let trust = settings.is_secure().then_some(&settings.trust);
        let route = Route::new(settings.address.clone(), trust, &[b"http/1.1"])?;
        Ok(Self { settings, route })
    }

    async fn visit(&self, trip: &mut Trip, seen: &mut Seen) -> Result<(), CollectError> {
        let stream = self.route.enter(trip).await?;
        trip.begin("upgrade");
        let mut socket = handshake::upgrade(&self.settings, stream, seen).await?;
        seen.upgraded = true;
        talk::talk(&self.settings, &mut socket, trip, seen).await
    }

    /// What to say when the time is over: messages that came but did not match are the better reason.
    fn late(&self, trip: &Trip, seen: &mut Seen) -> CollectError {
        let (Some(got), Some(wanted)) = (&seen.other_message, &self.settings.message) else {
            return trip.late();
        };
        seen.regex_failed = true;
        let words = format!("the last message is {got:?}, expected one matching `{}`", wanted.as_str());
        CollectError::new(Reason::Expectation, words)
    }

    /// A server may echo what we sent; no message may.
    fn without_secrets(&self, error: CollectError) -> CollectError {
        let secrets = self.settings.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        error.reworded(|words| secrets.fold(words.to_owned(), |words, secret| words.replace(secret, "***")))
    }
}

#[async_trait]
impl Collect for WebSocket {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let (mut trip, mut seen) = (Trip::default(), Seen::default());
        let outcome = time::timeout_at(watch.deadline(), self.visit(&mut trip, &mut seen)).await;
        if let Err(error) = outcome.unwrap_or_else(|_| Err(self.late(&trip, &mut seen))) {
            look.unhealthy(self.without_secrets(error));
        }
        trip.report(&mut look);
        trip.report_steps(&DURATION, &mut look);
        report_regex(&mut look, seen.regex_failed);
        look.value(&STATUS_CODE, seen.status.map_or(0.0, f64::from));
        look.value(&UPGRADED, f64::from(u8::from(seen.upgraded)));
        // Blackbox has this one only once there is a conversation to judge.
        if seen.upgraded && self.settings.message.is_some() {
            look.value(&FAILED_REGEX, f64::from(u8::from(seen.regex_failed)));
        }
        if let Some(error) = seen.rude_end {
            look.missed(error);
        }
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}

#[cfg(test)]
mod tests;
