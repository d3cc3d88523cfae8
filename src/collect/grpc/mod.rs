//! Kind `grpc`: asks a gRPC server for its health, as `blackbox_exporter`'s `grpc` prober.
//!
//! In: `grpc://host:port[/service]`, or `grpcs://` for TLS. Out: that prober's families. Success is the answer SERVING.

mod call;
mod health;
mod settings;

pub use settings::Settings;

use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::model::Family;

use super::probe::{self, Route, Trip, Watch, shortened};
use super::{Collect, CollectError, Look, Reason};
use call::{Answer, Failed, check};
use health::{Code, Serving};

static DURATION: Family = Family::gauge(
    "probe_grpc_duration_seconds",
    "How long each phase took: resolve, and check from the connection to the answer.",
);
static SSL: Family = Family::gauge("probe_grpc_ssl", "Whether the call went over TLS (1) or not (0).");
static STATUS_CODE: Family = Family::gauge("probe_grpc_status_code", "The gRPC status code of the call; 0 is OK.");
static RESPONSE: Family = Family::gauge(
    "probe_grpc_healthcheck_response",
    "1 for the serving status that the server answered, 0 for the others.",
);

/// A gRPC health probe.
pub struct Grpc {
    settings: Settings,
    /// For the HTTP/2 request: `http://host:port`.
    origin: String,
    route: Route,
}

/// What the probe saw before it ended, well or not.
#[derive(Default)]
struct Seen {
    trip: Trip,
    code: Option<Code>,
    serving: Option<Serving>,
}

impl Grpc {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { address, trust, .. } = &settings;
        let route = Route::new(address.clone(), trust.as_ref(), &[b"h2"])?;
        let origin = format!("{}://{address}", if trust.is_some() { "https" } else { "http" });
        Ok(Self { settings, origin, route })
    }

    /// Connects and asks. Whatever fails on the way has the status that gRPC's own clients give it.
    async fn ask(&self, seen: &mut Seen) -> Result<(), CollectError> {
        let answer = self.answer(seen).await;
        let (code, outcome) = match answer {
            Ok(answer) => {
                seen.serving = answer.serving;
                (answer.code, self.judge(&answer))
            }
            Err((error, code)) => (code, Err(error)),
        };
        seen.code = Some(code);
        outcome
    }

    async fn answer(&self, seen: &mut Seen) -> Result<Answer, Failed> {
        let stream = self.route.enter(&mut seen.trip).await.map_err(|error| (error, Code::UNAVAILABLE))?;
        seen.trip.begin("check");
        check(stream, &self.origin, &self.settings.service).await
    }

    fn judge(&self, answer: &Answer) -> Result<(), CollectError> {
        let service = match self.settings.service.as_str() {
            "" => "the server".to_owned(),
            name => format!("the service `{}`", shortened(name, 80)),
        };
        match answer.serving {
            Some(Serving::Serving) => Ok(()),
            Some(other) => Err(CollectError::new(Reason::Status, format!("{service} is {}", other.as_str()))),
            None => {
                let Answer { code, message, .. } = answer;
                let words = if message.is_empty() { String::new() } else { format!(": {message}") };
                let what = format!("the health check of {service} ended with {} ({}){words}", code.name(), code.0);
                Err(CollectError::new(code.reason(), what))
            }
        }
    }
}

impl Seen {
    fn report(&mut self, look: &mut Look) {
        self.trip.report(look);
        if let Some(took) = self.trip.took("resolve") {
            look.labeled(&DURATION, [("phase", "resolve")], took.as_secs_f64());
        }
        // Blackbox counts the connection and its TLS to the check.
        let check = ["connect", "tls", "check"].into_iter().filter_map(|step| self.trip.took(step));
        if let Some(took) = check.reduce(|sum, took| sum + took) {
            look.labeled(&DURATION, [("phase", "check")], took.as_secs_f64());
        }
        for serving in Serving::ALL {
            let is = f64::from(u8::from(self.serving == Some(serving)));
            look.labeled(&RESPONSE, [("serving_status", serving.as_str())], is);
        }
        look.value(&SSL, f64::from(u8::from(self.trip.is_secure())));
        look.value(&STATUS_CODE, f64::from(self.code.unwrap_or(Code::DEADLINE_EXCEEDED).0));
    }
}

#[async_trait]
impl Collect for Grpc {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let mut seen = Seen::default();
        let outcome = time::timeout_at(watch.deadline(), self.ask(&mut seen)).await;
        if let Err(error) = outcome.unwrap_or_else(|_| Err(seen.trip.late())) {
            look.unhealthy(error);
        }
        seen.report(&mut look);
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}
