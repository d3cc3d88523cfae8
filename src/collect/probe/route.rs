//! The way to a target that is not spoken to over HTTP: its name, the connection, the TLS handshake.
//!
//! In: an address, whom to trust. Out: a byte stream; the [`Trip`] knows what was seen when the work is cut off.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::collect::dial::{self, Address};
use crate::collect::{CollectError, Reason};
use crate::runtime::connect::connect;
use crate::runtime::http_client::TlsFacts;
use crate::runtime::resolve;
use crate::runtime::tls::{self, Trust};

use super::Trip;

/// Both directions of a connection, whether or not TLS is in between.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection of either sort.
pub type Stream = Box<dyn Duplex>;

/// Where a target is, and how TLS is spoken there if it is.
pub struct Route {
    address: Address,
    /// What shakes hands, and whether it checks the chain; absent where nothing is ever secured.
    tls: Option<(TlsConnector, bool)>,
}

impl Route {
    /// Prepares the way. Without `trust` there is no TLS, and no list of authorities in memory; `alpn` is what is offered in the
    /// handshake.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(address: Address, trust: Option<&Trust>, alpn: &[&[u8]]) -> Result<Self, String> {
        let tls =
            trust.map(|trust| Ok::<_, String>((connector(trust, alpn)?, !trust.insecure_skip_verify))).transpose()?;
        Ok(Self { address, tls })
    }

    /// Finds the address and connects; puts TLS over the connection where the way has it.
    pub async fn enter(&self, trip: &mut Trip) -> Result<Stream, CollectError> {
        let stream = self.open(trip).await?;
        if self.tls.is_some() { self.secure(stream, trip).await } else { Ok(stream) }
    }

    /// Finds the address and connects.
    pub async fn open(&self, trip: &mut Trip) -> Result<Stream, CollectError> {
        match &self.address {
            Address::Tcp { host, port } => {
                let peers = resolve(host, *port, trip).await?;
                trip.begin("connect");
                let (stream, peer) = connect(&peers).await.map_err(|(peer, error)| unreached(&peer, &error))?;
                trip.met(peer);
                Ok(Box::new(dial::Stream::from(stream)))
            }
            Address::Unix(path) => {
                trip.begin("connect");
                let stream = UnixStream::connect(path).await.map_err(|error| unreached(&self.address, &error))?;
                Ok(Box::new(dial::Stream::from(stream)))
            }
        }
    }

    /// Puts TLS over a connection.
    pub async fn secure(&self, stream: Stream, trip: &mut Trip) -> Result<Stream, CollectError> {
        trip.begin("tls");
        let host = match &self.address {
            Address::Tcp { host, .. } => host.as_str(),
            Address::Unix(_) => "localhost",
        };
        let failed = |error: &dyn Display| CollectError::new(Reason::Tls, format!("TLS with {host} failed: {error}"));
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
        let (connector, verified) = self.tls.as_ref().ok_or_else(|| failed(&"this way was prepared without"))?;
        let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
        trip.secured(TlsFacts::of(stream.get_ref().1), *verified);
        Ok(Box::new(stream))
    }
}

/// Finds the addresses of a name; there is always one, or an error.
pub async fn resolve(host: &str, port: u16, trip: &mut Trip) -> Result<Vec<SocketAddr>, CollectError> {
    trip.begin("resolve");
    let failed = |why: &dyn Display| CollectError::new(Reason::Resolve, format!("cannot resolve {host}: {why}"));
    let peers = resolve::resolve(host, port).await.map_err(|error| failed(&error))?;
    trip.met(*peers.first().ok_or_else(|| failed(&"it has no address"))?);
    Ok(peers)
}

/// The host and port that a URL names; without a port, the usual one.
pub fn read_address(url: &Url, usual: Option<u16>) -> Option<Address> {
    let host = url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned();
    Some(Address::Tcp { host, port: url.port_or_known_default().or(usual)? })
}

/// The error of a connection that broke in the middle of a conversation.
pub fn broken(error: &io::Error) -> CollectError {
    CollectError::new(Reason::of_io(error), format!("the connection broke: {error}"))
}

fn unreached(place: &dyn Display, error: &io::Error) -> CollectError {
    CollectError::new(Reason::of_io(error), format!("cannot connect to {place}: {error}"))
}

/// Prepares handshakes that show every probe the whole truth: a resumed session would show the certificate of the first one, and
/// a handshake shorter than a user's.
fn connector(trust: &Trust, alpn: &[&[u8]]) -> Result<TlsConnector, String> {
    let mut config = tls::client_config(trust)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_and_port() {
        let address = |url: &str, usual| read_address(&Url::parse(url).unwrap(), usual).map(|found| found.to_string());
        assert_eq!(address("tcp://db:5432", None).as_deref(), Some("db:5432"));
        assert_eq!(address("ssh://[::1]", Some(22)).as_deref(), Some("[::1]:22"));
        assert_eq!(address("wss://app/live", None).as_deref(), Some("app:443"));
        assert_eq!(address("tcp://db", None), None);
        assert_eq!(address("unix:///run/app.sock", Some(1)), None);
    }
}
