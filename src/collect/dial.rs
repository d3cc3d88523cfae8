//! Opens the byte stream to a database server, and says why it could not.
//!
//! In: an address. Out: a TCP or Unix stream, or a [`CollectError`] whose class is `resolve`, `refused`, `unreachable` or `timeout`.
//! The caller owns the deadline ([`by`]): dropping the future ends the attempt.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::runtime::connect::connect;
use crate::runtime::resolve::resolve;

use super::{CollectError, Reason};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address (without brackets) and a port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    /// As the label `instance` has it: `host:port`, an IPv6 address in brackets, or the socket's path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A byte stream to a server.
#[derive(Debug)]
pub enum Stream {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Connects. Of several addresses of one name, the first that answers is taken.
pub async fn dial(address: &Address) -> Result<Stream, CollectError> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Stream::Unix(stream)),
            Err(error) => Err(unreached(address, &error)),
        },
        Address::Tcp { host, port } => {
            let unresolved = |error: io::Error| {
                CollectError::new(Reason::Resolve, format!("the host name {host} does not resolve: {error}"))
            };
            let peers = resolve(host, *port).await.map_err(unresolved)?;
            let (stream, _) = connect(&peers).await.map_err(|(_, error)| unreached(address, &error))?;
            Ok(Stream::Tcp(stream))
        }
    }
}

/// What did not come by the deadline is an error of class `timeout`; `what` completes "no answer in time: ".
pub async fn by<T>(
    deadline: Instant,
    what: &str,
    work: impl Future<Output = Result<T, CollectError>>,
) -> Result<T, CollectError> {
    match timeout_at(deadline, work).await {
        Ok(done) => done,
        Err(_late) => Err(CollectError::new(Reason::Timeout, format!("no answer in time: {what}"))),
    }
}

fn unreached(address: &Address, error: &io::Error) -> CollectError {
    CollectError::new(class(error), format!("cannot connect to {address}: {error}"))
}

/// The class of an I/O error on the way to a server.
pub fn class(error: &io::Error) -> Reason {
    match error.kind() {
        // A socket file that is not there is what a refused port is: nobody listens.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Reason::Refused,
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::PermissionDenied => Reason::Permission,
        _ => Reason::Unreachable,
    }
}

pub use crate::model::percent_decode;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_an_instance() {
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: 5432 }.to_string();
        assert_eq!(tcp("db"), "db:5432");
        assert_eq!(tcp("::1"), "[::1]:5432");
        assert_eq!(Address::Unix("/run/x.sock".into()).to_string(), "/run/x.sock");
    }

    #[tokio::test]
    async fn nobody_listening_is_refused() {
        let error = dial(&Address::Unix("/nonexistent/socket".into())).await.err().unwrap();
        assert_eq!(error.reason(), Reason::Refused);
    }
}
