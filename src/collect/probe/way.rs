//! The way of a probe to its server: name, connection, TLS; and what was seen on it when the work is cut off.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::collect::dial::{Address, Stream};
use crate::collect::{CollectError, Look, Reason};
use crate::runtime::connect::connect;
use crate::runtime::http_client::TlsFacts;
use crate::runtime::resolve::resolve;
use crate::runtime::tls::{self, Trust};

use super::{report_address, report_tls};

/// What was seen on the way.
#[derive(Debug, Default)]
pub struct Way {
    /// How long the name took.
    pub lookup: Duration,
    /// The address used, or the first one found when no connection came about.
    pub peer: Option<SocketAddr>,
    /// Present once a TLS handshake is through.
    pub tls: Option<TlsFacts>,
    /// What is under way, for the message of a look that is out of time.
    pub phase: &'static str,
}

impl Way {
    /// Finds the addresses of a name.
    pub async fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>, CollectError> {
        self.phase = "resolve";
        let start = Instant::now();
        let peers = resolve(host, port).await;
        self.lookup = start.elapsed();
        let peers =
            peers.map_err(|error| CollectError::new(Reason::Resolve, format!("cannot resolve {host}: {error}")))?;
        self.peer = peers.first().copied();
        Ok(peers)
    }

    /// Connects to one of a name's addresses.
    pub async fn connect(&mut self, peers: &[SocketAddr]) -> Result<Stream, CollectError> {
        self.phase = "connect";
        let (stream, peer) = connect(peers).await.map_err(|(peer, error)| unreached(&peer, &error))?;
        self.peer = Some(peer);
        Ok(stream.into())
    }

    /// Connects to a port, or to a Unix socket.
    pub async fn open(&mut self, address: &Address) -> Result<Stream, CollectError> {
        match address {
            Address::Tcp { host, port } => {
                let peers = self.resolve(host, *port).await?;
                self.connect(&peers).await
            }
            Address::Unix(path) => {
                self.phase = "connect";
                let stream = UnixStream::connect(path).await.map_err(|error| unreached(address, &error))?;
                Ok(stream.into())
            }
        }
    }

    /// Puts TLS over the connection.
    pub async fn secure(
        &mut self,
        connector: &TlsConnector,
        host: &str,
        stream: Stream,
    ) -> Result<TlsStream<Stream>, CollectError> {
        self.phase = "tls";
        let failed = |error: &dyn Display| CollectError::new(Reason::Tls, format!("TLS with {host} failed: {error}"));
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
        let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
        self.tls = Some(TlsFacts::of(stream.get_ref().1));
        Ok(stream)
    }

    /// The error of a look whose time is over.
    pub fn late(&self) -> CollectError {
        CollectError::new(Reason::Timeout, format!("no answer in time ({})", self.phase))
    }

    /// Tells address and certificate. A Unix socket has no name and no IP address, so there is nothing to tell of them.
    pub fn report(&self, address: &Address, trust: Option<&Trust>, look: &mut Look) {
        if matches!(address, Address::Tcp { .. }) {
            report_address(look, self.lookup, self.peer);
        }
        if let Some(facts) = &self.tls {
            report_tls(look, facts, trust.is_some_and(|trust| !trust.insecure_skip_verify));
        }
    }
}

fn unreached(place: &dyn Display, error: &io::Error) -> CollectError {
    CollectError::new(Reason::of_io(error), format!("cannot connect to {place}: {error}"))
}

/// Prepares handshakes that show every probe the whole truth: a resumed session would show the certificate of the first.
///
/// # Errors
/// The CA file is unusable.
pub fn connector(trust: &Trust, alpn: &[&[u8]]) -> Result<TlsConnector, String> {
    let mut config = tls::client_config(trust)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}
