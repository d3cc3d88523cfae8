//! Why there is no answer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// TCP failed.
    #[error("cannot connect to {peer}: {source}")]
    Connect {
        /// The first address of the name: the one that would have been used.
        peer: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The Unix socket cannot be reached.
    #[error("cannot connect to {}: {source}", .path.display())]
    ConnectUnix {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The proxy is there, but does not let us through.
    #[error("the proxy does not open the way: {detail}")]
    Proxy {
        /// How it answered, or how the connection ended.
        detail: String,
    },
    /// TLS failed.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// The name expected in the certificate.
        host: String,
        /// Rustls' words.
        source: io::Error,
    },
    /// The deadline passed in this phase.
    #[error("no answer in time ({phase})")]
    Timeout {
        /// resolve, connect, tls, processing or transfer.
        phase: &'static str,
    },
    /// The peer does not speak HTTP, or hung up in the middle.
    #[error("{phase} failed: {source}")]
    Protocol {
        /// processing or transfer.
        phase: &'static str,
        /// Hyper's error.
        source: hyper::Error,
    },
    /// The body is longer than `max_body`.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The URL cannot be asked.
    #[error("{0}")]
    Request(String),
}
