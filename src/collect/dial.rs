//! Opens the byte stream to a database server, and says why it could not.
//!
//! In: an address. Out: a TCP or Unix stream, or a [`CollectError`] whose class is `resolve`, `refused`, `unreachable` or `timeout`.
//! The caller owns the deadline ([`by`]): dropping the future ends the attempt.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
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

/// The longest answer that is read: what comes without our having asked anew. A server that sends more talks nonsense.
const MAX_ANSWER: usize = 16 << 20;

/// A byte stream to a server, with a bound on each answer: the protocols above it buffer whatever they are sent.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    /// Bytes read since something was last written.
    answered: usize,
    /// How many there may be.
    most: usize,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn of(socket: Socket) -> Self {
        Self { socket, answered: 0, most: MAX_ANSWER }
    }

    /// The same for an answer that never ends, of which the reader keeps only a little.
    #[must_use]
    pub fn endless(self) -> Self {
        Self { most: usize::MAX, ..self }
    }

    /// Our end of a TCP connection.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::of(Socket::Tcp(stream))
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::of(Socket::Unix(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { socket, answered, most } = self.get_mut();
        if *answered > *most {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "the answer is longer than any that makes sense");
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let polled = match socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        *answered = answered.saturating_add(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answered = 0;
        match &mut this.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Connects. Of several addresses of one name, the first that answers is taken.
pub async fn dial(address: &Address) -> Result<Stream, CollectError> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) => Err(unreached(address, &error)),
        },
        Address::Tcp { host, port } => {
            let unresolved = |error: io::Error| {
                CollectError::new(Reason::Resolve, format!("the host name {host} does not resolve: {error}"))
            };
            let peers = resolve(host, *port).await.map_err(unresolved)?;
            let (stream, _) = connect(&peers).await.map_err(|(_, error)| unreached(address, &error))?;
            Ok(stream.into())
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
    CollectError::new(Reason::of_io(error), format!("cannot connect to {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn an_address_reads_as_an_instance() {
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: 5432 }.to_string();
        assert_eq!(tcp("db"), "db:5432");
        assert_eq!(tcp("::1"), "[::1]:5432");
        assert_eq!(Address::Unix("/run/x.sock".into()).to_string(), "/run/x.sock");
    }

    #[tokio::test]
    async fn an_endless_answer_is_an_error_and_not_our_memory() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut stream = dial(&Address::Tcp { host: "127.0.0.1".into(), port }).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let sending = async move { while server.write_all(&vec![b'x'; 65_536]).await.is_ok() {} };
        let mut total = 0;
        let reading = async {
            let mut piece = vec![0; 65_536];
            loop {
                match stream.read(&mut piece).await {
                    Ok(count) => total += count,
                    Err(error) => break error,
                }
            }
        };
        let error = tokio::select! { error = reading => error, () = sending => panic!("the server ended") };
        assert_eq!(Reason::of_io(&error), Reason::TooLarge);
        assert!(total <= MAX_ANSWER + 65_536);
    }

    #[tokio::test]
    async fn nobody_listening_is_refused() {
        let error = dial(&Address::Unix("/nonexistent/socket".into())).await.err().unwrap();
        assert_eq!(error.reason(), Reason::Refused);
    }
}
