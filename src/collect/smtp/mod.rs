//! Kind `smtp`: visits a mail server as a sender would, up to the point where mail would be sent.
//!
//! In: `smtp://host[:25]` or `smtps://host[:465]`, whether to ask for STARTTLS, whose login to try. Out: `probe_*` as of
//! the other probes, and `probe_smtp_*`. No blackbox prober speaks SMTP; its users write TCP dialogues for it.
//!
//! Invariant: no mail is sent and no recipient named; a password goes over a plain connection only where the user asks for that.

mod conversation;
mod reply;
mod settings;

pub use settings::Settings;

use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::model::Family;

use super::probe::{self, Route, Trip, Watch, report_regex};
use super::{Collect, CollectError, Look};
use settings::Security;

static DURATION: Family = Family::gauge(
    "probe_smtp_duration_seconds",
    "Seconds that each phase of the visit took: resolve, connect, tls, greeting, ehlo, starttls, auth, quit.",
);
static STATUS_CODE: Family =
    Family::gauge("probe_smtp_status_code", "The last reply code of the mail server (RFC 5321) before it was left.");
static SSL: Family = Family::gauge("probe_smtp_ssl", "Whether the visit ended up over TLS (1) or not (0).");
static STARTTLS: Family = Family::gauge(
    "probe_smtp_starttls",
    "Whether the mail server offers STARTTLS (1) or not (0) before TLS is spoken.",
);
static AUTHENTICATED: Family =
    Family::gauge("probe_smtp_authenticated", "Whether the mail server took the login (1) or not (0).");
static MAX_MESSAGE: Family = Family::gauge(
    "probe_smtp_max_message_bytes",
    "The longest message in bytes that the mail server says it takes (RFC 1870).",
);

/// An SMTP probe.
pub struct Smtp {
    settings: Settings,
    route: Route,
}

/// What the conversation showed before it ended, well or not.
#[derive(Debug, Default)]
struct Seen {
    code: Option<u16>,
    starttls: Option<bool>,
    authenticated: Option<bool>,
    max_message: Option<u64>,
    regex_failed: bool,
}

impl Smtp {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let trust = (settings.security != Security::Plain).then_some(&settings.trust);
        let route = Route::new(settings.address.clone(), trust, &[])?;
        Ok(Self { settings, route })
    }
}

#[async_trait]
impl Collect for Smtp {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let (mut trip, mut seen) = (Trip::default(), Seen::default());
        let visit = conversation::visit(&self.settings, &self.route, &mut trip, &mut seen);
        let outcome = time::timeout_at(watch.deadline(), visit).await;
        if let Err(error) = outcome.unwrap_or_else(|_| Err(trip.late())) {
            look.unhealthy(error);
        }
        let secure = trip.is_secure();
        trip.report(&mut look);
        trip.report_steps(&DURATION, &mut look);
        report_regex(&mut look, seen.regex_failed);
        seen.report(secure, &mut look);
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}

impl Seen {
    /// Tells what the server said; nothing of what it was not asked.
    fn report(&self, secure: bool, look: &mut Look) {
        let mut tell = |family: &Family, value: Option<f64>| {
            if let Some(value) = value {
                look.value(family, value);
            }
        };
        let flag = |flag: bool| f64::from(u8::from(flag));
        tell(&STATUS_CODE, self.code.map(f64::from));
        tell(&SSL, Some(flag(secure)));
        tell(&STARTTLS, self.starttls.map(flag));
        tell(&AUTHENTICATED, self.authenticated.map(flag));
        tell(&MAX_MESSAGE, self.max_message.map(|bytes| bytes as f64));
    }
}

#[cfg(test)]
mod tests;
