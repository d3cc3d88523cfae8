//! Kind `dns`: asks a name server one question, as `blackbox_exporter`'s `dns` prober.
//!
//! In: `dns://server[:53]/name?type=A`, also `&transport=tcp`; without a server, the first one of `/etc/resolv.conf`.
//! Out: that prober's families. Good is NOERROR, with or without a record, unless `expect` says otherwise.

mod exchange;
mod settings;

pub use settings::Settings;

use settings::Transport;

use std::borrow::Cow;
use std::net::SocketAddr;

use async_trait::async_trait;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use tokio::time::{self, Instant};

use crate::model::Family;

use super::probe::{self, Trip, Watch, resolve, shortened};
use super::{Collect, CollectError, Look, Reason};

static DURATION: Family = Family::gauge("probe_dns_duration_seconds", "Duration of DNS request by phase");
static ANSWERS: Family =
    Family::gauge("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list");
static AUTHORITIES: Family =
    Family::gauge("probe_dns_authority_rrs", "Returns number of entries in the authority resource record list");
static ADDITIONALS: Family =
    Family::gauge("probe_dns_additional_rrs", "Returns number of entries in the additional resource record list");
static SUCCEEDED: Family =
    Family::gauge("probe_dns_query_succeeded", "Displays whether or not the query was executed successfully");
static SERIAL: Family = Family::gauge("probe_dns_serial", "Returns the serial number of the zone");

/// A DNS probe.
#[derive(Debug)]
pub struct Dns {
    settings: Settings,
}

impl Dns {
    /// Prepares the probe.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    async fn ask(&self, trip: &mut Trip) -> Result<Message, CollectError> {
        let peer = self.server(trip).await?;
        trip.met(peer);
        let failed = |error: std::io::Error| {
            CollectError::new(Reason::of_io(&error), format!("the name server {peer} gave no answer: {error}"))
        };
        let question = exchange::Question::new(&self.settings.name, self.settings.kind).map_err(failed)?;
        if self.settings.transport == Transport::Udp {
            let answer = question.over_udp(peer, trip).await.map_err(failed)?;
            if !answer.metadata.truncation {
                return Ok(answer);
            }
        }
        question.over_tcp(peer, trip).await.map_err(failed)
    }

    async fn server(&self, trip: &mut Trip) -> Result<SocketAddr, CollectError> {
        if let Some(host) = &self.settings.server {
            return Ok(resolve(host, self.settings.port, trip).await?[0]);
        }
        trip.begin("resolve");
        let failed = |message: String| CollectError::new(Reason::Resolve, message);
        let text = tokio::fs::read_to_string("/etc/resolv.conf").await;
        let text = text.map_err(|error| failed(format!("cannot read /etc/resolv.conf: {error}")))?;
        let address = settings::first_nameserver(&text);
        address
            .map(|address| SocketAddr::new(address, 53))
            .ok_or_else(|| failed("/etc/resolv.conf names no server".into()))
    }

    /// Judges the answer, and tells the serial when it was asked for.
    fn judge(&self, answer: &Message, look: &mut Look) {
        let soa = answer.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        });
        if let Some(serial) = soa.filter(|_| self.settings.kind == RecordType::SOA) {
            look.value(&SERIAL, f64::from(serial));
        }
        if let Err(message) = self.settings.expect.check(answer) {
            look.unhealthy(CollectError::new(Reason::Expectation, message));
        }
    }
}

#[async_trait]
impl Collect for Dns {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let mut trip = Trip::default();
        let outcome = time::timeout_at(watch.deadline(), self.ask(&mut trip)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(trip.late()));
        trip.report(&mut look);
        for phase in ["resolve", "connect", "request"] {
            // A phase that was not reached is 0, as blackbox has it.
            let took = trip.took(phase).unwrap_or_default();
            look.labeled(&DURATION, [("phase", phase)], took.as_secs_f64());
        }
        look.value(&SUCCEEDED, f64::from(u8::from(outcome.is_ok())));
        report_counts(outcome.as_ref().ok(), &mut look);
        match outcome {
            Ok(answer) => self.judge(&answer, &mut look),
            Err(error) => look.unhealthy(error),
        }
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}

/// Tells how many records came; 0 without an answer, as blackbox has it.
fn report_counts(answer: Option<&Message>, look: &mut Look) {
    look.value(&ANSWERS, answer.map_or(0, |answer| answer.answers.len()) as f64);
    look.value(&AUTHORITIES, answer.map_or(0, |answer| answer.authorities.len()) as f64);
    // The OPT pseudo-record of EDNS stands in that section on the wire, and blackbox counts it.
    let additional = |answer: &Message| answer.additionals.len() + usize::from(answer.edns.is_some());
    look.value(&ADDITIONALS, answer.map_or(0, additional) as f64);
}

/// The codes a name server can answer with, each at its number (RFC 1035, RFC 2136).
const RCODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE",
];

/// A code as the DNS world writes it: `NXDOMAIN`; `RCODE16` for one that has no name here.
fn rcode_name(code: ResponseCode) -> Cow<'static, str> {
    let number = u16::from(code);
    RCODES.get(usize::from(number)).map_or_else(|| format!("RCODE{number}").into(), |name| (*name).into())
}

/// An answer's records as text, for patterns and messages.
fn answer_text(answer: &Message) -> impl Iterator<Item = String> {
    answer.answers.iter().map(|record| shortened(&record.data.to_string(), 512))
}

#[cfg(test)]
mod tests;
