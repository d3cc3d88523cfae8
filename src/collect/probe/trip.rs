//! What a probe saw on its way: each step with its time, the address, the certificate.
//!
//! Invariant: a step that was not reached has no time; one that was cut off has the time until then.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::Family;
use crate::runtime::http_client::TlsFacts;

use super::{report_address, report_tls};

/// What was seen on the way.
#[derive(Debug, Default)]
pub struct Trip {
    ended: Vec<(&'static str, Duration)>,
    current: Option<(&'static str, Instant)>,
    peer: Option<SocketAddr>,
    /// What the handshake showed, and whether its chain was checked.
    tls: Option<(TlsFacts, bool)>,
}

impl Trip {
    /// Ends the step that is under way and starts the next. A step that comes again adds to its time.
    pub fn begin(&mut self, step: &'static str) {
        self.end();
        self.current = Some((step, Instant::now()));
    }

    /// Ends the step that is under way.
    pub fn end(&mut self) {
        let Some((step, start)) = self.current.take() else {
            return;
        };
        match self.ended.iter_mut().find(|(ended, _)| *ended == step) {
            Some((_, took)) => *took += start.elapsed(),
            None => self.ended.push((step, start.elapsed())),
        }
    }

    /// Notes the address: the first one found, then the one that a connection came about with.
    pub fn met(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    /// Notes what a handshake showed.
    pub fn secured(&mut self, facts: TlsFacts, verified: bool) {
        self.tls = Some((facts, verified));
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// How long a step took that has ended.
    pub fn took(&self, step: &str) -> Option<Duration> {
        self.ended.iter().find(|(ended, _)| *ended == step).map(|(_, took)| *took)
    }

    /// The error of a look whose time is over.
    pub fn late(&self) -> CollectError {
        let step = self.current.map_or("start", |(step, _)| step);
        CollectError::new(Reason::Timeout, format!("no answer in time ({step})"))
    }

    /// Ends the trip, and tells address and certificate. Where no name was looked up (a Unix socket has none) there is nothing to
    /// tell of an address.
    pub fn report(&mut self, look: &mut Look) {
        self.end();
        if let Some(lookup) = self.took("resolve") {
            report_address(look, lookup, self.peer);
        }
        if let Some((facts, verified)) = &self.tls {
            report_tls(look, facts, *verified);
        }
    }

    /// Tells the times of the steps in `family`, by `phase`.
    pub fn report_steps(&self, family: &Family, look: &mut Look) {
        for (step, took) in &self.ended {
            look.labeled(family, [("phase", step)], took.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static DURATION: Family = Family::gauge("test_duration_seconds", "A test's.");

    #[tokio::test(start_paused = true)]
    async fn steps_not_reached_have_no_time() {
        let mut trip = Trip::default();
        for step in ["resolve", "ehlo", "tls", "ehlo"] {
            trip.begin(step);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(trip.late().to_string(), "timeout: no answer in time (ehlo)");
        let mut look = Look::new();
        trip.report(&mut look);
        trip.report_steps(&DURATION, &mut look);
        let time = |phase| look.get("test_duration_seconds", &[("phase", phase)]);
        assert_eq!((time("ehlo"), time("tls"), time("auth")), (Some(2.0), Some(1.0), None));
        assert_eq!(look.get("probe_dns_lookup_time_seconds", &[]), Some(1.0));
    }

    #[test]
    fn without_a_name_there_is_no_address_to_tell() {
        let mut trip = Trip::default();
        trip.begin("connect");
        let mut look = Look::new();
        trip.report(&mut look);
        assert!(look.blocks().is_empty());
    }
}
