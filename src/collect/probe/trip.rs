//! The way to a target that is not spoken to over HTTP: its name, the connection, the TLS handshake, and whatever steps the
//! protocol has, each with its time.
//!
//! In: a host, a port, whom to trust. Out: a byte stream, and a [`Trip`] that knows what was seen when the work is cut off.
//!
//! Invariant: a step that was not reached has no time; one that was cut off has the time until then.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::collect::{CollectError, Look, Reason};
use crate::model::Family;
use crate::runtime::connect::connect;
use crate::runtime::http_client::TlsFacts;
use crate::runtime::resolve::resolve;
use crate::runtime::tls::{self, Trust};

use super::{report_address, report_tls};

/// Both directions of a connection, whether or not TLS is in between.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection of either sort.
pub type Stream = Box<dyn Duplex>;

/// Where a target is, and how TLS is spoken there if it is.
pub struct Route {
    host: String,
    port: u16,
    /// What shakes hands, and whether it checks the chain; absent where nothing is ever secured.
    tls: Option<(TlsConnector, bool)>,
}

impl Route {
    /// Prepares the way. `host` may stand in brackets. Without `trust` there is no TLS, and no list of authorities in memory;
    /// `alpn` is what is offered in the handshake.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(host: &str, port: u16, trust: Option<&Trust>, alpn: &[&[u8]]) -> Result<Self, String> {
        let tls =
            trust.map(|trust| Ok::<_, String>((connector(trust, alpn)?, !trust.insecure_skip_verify))).transpose()?;
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, tls })
    }

    /// Finds the address and connects.
    pub async fn open(&self, trip: &mut Trip) -> Result<Stream, CollectError> {
        let host = &self.host;
        trip.begin("resolve");
        let peers = resolve(host, self.port).await;
        let peers =
            peers.map_err(|error| CollectError::new(Reason::Resolve, format!("cannot resolve {host}: {error}")))?;
        trip.peer = peers.first().copied();
        trip.begin("connect");
        let (stream, peer) = connect(&peers).await.map_err(|(peer, error)| {
            CollectError::new(Reason::of_io(&error), format!("cannot connect to {peer}: {error}"))
        })?;
        trip.peer = Some(peer);
        Ok(Box::new(stream))
    }

    /// Puts TLS over a connection.
    pub async fn secure(&self, stream: Stream, trip: &mut Trip) -> Result<Stream, CollectError> {
        trip.begin("tls");
        let failed =
            |error: &dyn Display| CollectError::new(Reason::Tls, format!("TLS with {} failed: {error}", self.host));
        let name = ServerName::try_from(self.host.clone()).map_err(|error| failed(&error))?;
        let (connector, verified) = self.tls.as_ref().ok_or_else(|| failed(&"this way was prepared without"))?;
        let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
        trip.tls = Some((TlsFacts::of(stream.get_ref().1), *verified));
        Ok(Box::new(stream))
    }
}

fn connector(trust: &Trust, alpn: &[&[u8]]) -> Result<TlsConnector, String> {
    let mut config = tls::client_config(trust)?;
    // A resumed session shows the certificate of the first one, and a handshake shorter than a user's.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

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

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The error of a look whose time is over.
    pub fn late(&self) -> CollectError {
        let step = self.current.map_or("start", |(step, _)| step);
        CollectError::new(Reason::Timeout, format!("no answer in time ({step})"))
    }

    /// Tells the address, the times of the steps in `family` by `phase`, and the certificate.
    pub fn report(&mut self, family: &Family, look: &mut Look) {
        self.end();
        let lookup = self.ended.iter().find(|(step, _)| *step == "resolve").map_or(Duration::ZERO, |(_, took)| *took);
        report_address(look, lookup, self.peer);
        for (step, took) in &self.ended {
            look.labeled(family, [("phase", step)], took.as_secs_f64());
        }
        if let Some((facts, verified)) = &self.tls {
            report_tls(look, facts, *verified);
        }
    }
}

/// The error of a connection that broke in the middle of a conversation.
pub fn broken(error: &io::Error) -> CollectError {
    CollectError::new(Reason::of_io(error), format!("the connection broke: {error}"))
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
        trip.report(&DURATION, &mut look);
        let time = |phase| look.get("test_duration_seconds", &[("phase", phase)]);
        assert_eq!((time("ehlo"), time("tls"), time("auth")), (Some(2.0), Some(1.0), None));
        assert_eq!(look.get("probe_dns_lookup_time_seconds", &[]), Some(1.0));
    }
}
