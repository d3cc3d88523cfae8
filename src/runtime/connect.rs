//! TCP connections to a host with several addresses.
//!
//! The next address is tried when one fails, and beside one that says nothing for a while (RFC 8305, "Happy
//! Eyeballs"), so that a black-holed IPv6 route does not use up the whole deadline.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time;

/// How long an address may stay silent before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first of the addresses that answers. Without a time-out of its own: the caller has the deadline.
///
/// # Errors
/// Every address failed: the first address' error, as the one that would have been used.
pub async fn connect(peers: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    let mut waiting = peers.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(peer) => trying.push(async move { (peer, TcpStream::connect(peer).await) }),
            None if trying.is_empty() => break,
            None => {}
        }
        let patience = if waiting.len() == 0 { Duration::MAX } else { HEAD_START };
        match time::timeout(patience, trying.next()).await {
            Ok(Some((peer, Ok(stream)))) => {
                // Probes and requests are small; Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer));
            }
            Ok(Some((peer, Err(error)))) => {
                failure.get_or_insert((peer, error));
            }
            Ok(None) | Err(_) => {}
        }
    }
    let unspecified = || (SocketAddr::from(([0, 0, 0, 0], 0)), io::Error::from(io::ErrorKind::NotFound));
    Err(failure.unwrap_or_else(unspecified))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_second_address_helps_when_the_first_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(connect(&[closed, good]).await.unwrap().1, good);
        let (peer, error) = connect(&[closed]).await.unwrap_err();
        assert_eq!((peer, error.kind()), (closed, io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test]
    async fn no_address_is_an_error() {
        assert_eq!(connect(&[]).await.unwrap_err().1.kind(), io::ErrorKind::NotFound);
    }
}
