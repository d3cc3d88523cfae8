//! The socket of one ping: without privileges where the kernel allows it, else raw.
//!
//! The socket is connected, so the kernel hands on only what comes from the target, and says when a router reports the
//! target as unreachable.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv4RecvTtl, Ipv6RecvHopLimit};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::collect::{CollectError, Reason};

use super::echo::{Echo, Version, behind_header};

/// Longer than any reply to our requests, with an IP header of full length.
const LONGEST: usize = 256;

/// A socket that reaches one address.
pub struct PingSocket {
    /// Not one of UDP: the type stands for any socket of datagrams here.
    socket: UdpSocket,
    version: Version,
    raw: bool,
}

impl PingSocket {
    /// Opens it: a ping socket first, then a raw one.
    pub fn open(peer: IpAddr) -> Result<Self, CollectError> {
        let (domain, protocol, version) = match peer {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, Version::V4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, Version::V6),
        };
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (Ok(socket), false),
            Err(_) => (Socket::new(domain, Type::RAW, Some(protocol)), true),
        };
        let socket = socket.map_err(|error| refused(&error))?;
        let ready = Self::prepare(&socket, peer, version).and_then(|()| UdpSocket::from_std(socket.into()));
        let socket = ready.map_err(|error| {
            CollectError::new(Reason::of_io(&error), format!("cannot send anything to {peer}: {error}"))
        })?;
        Ok(Self { socket, version, raw })
    }

    fn prepare(socket: &Socket, peer: IpAddr, version: Version) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        // Without it the hop limit is absent, and the ping none the worse.
        let _ = match version {
            Version::V4 => setsockopt(socket, Ipv4RecvTtl, &true),
            Version::V6 => setsockopt(socket, Ipv6RecvHopLimit, &true),
        };
        socket.connect(&SocketAddr::new(peer, 0).into())
    }

    /// Sends the request.
    pub async fn send(&self, echo: Echo) -> io::Result<()> {
        self.socket.send(&echo.request(self.version)).await.map(drop)
    }

    /// Waits for the reply. Gives its hop limit (the TTL of IPv4), where the kernel tells it.
    pub async fn reply_to(&self, echo: Echo) -> io::Result<Option<u8>> {
        let mut buffer = [0; LONGEST];
        loop {
            let received = self.socket.async_io(Interest::READABLE, || receive(&self.socket, &mut buffer));
            let (length, hop_limit) = received.await?;
            let packet = &buffer[..length];
            let message = if self.raw && self.version == Version::V4 { behind_header(packet) } else { Some(packet) };
            if message.is_some_and(|message| echo.is_answered_by(self.version, message, self.raw)) {
                return Ok(hop_limit);
            }
        }
    }
}

/// Takes one packet: its length, and its hop limit.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<u8>)> {
    let mut pieces = [IoSliceMut::new(buffer)];
    let mut control = cmsg_space!(i32);
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut pieces, Some(&mut control), MsgFlags::empty());
    let message = message.map_err(io::Error::from)?;
    let hop_limit = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
            _ => None,
        })
    });
    Ok((message.bytes, hop_limit))
}

/// Why there is no socket, with the two ways out.
fn refused(error: &io::Error) -> CollectError {
    let forbidden = matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EPERM | Errno::EACCES));
    if !forbidden {
        return CollectError::new(Reason::of_io(error), format!("cannot open a socket for ICMP: {error}"));
    }
    let what = "the kernel lets us ping neither without privileges nor with: widen net.ipv4.ping_group_range to our group, \
                or give us CAP_NET_RAW";
    CollectError::new(Reason::Permission, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_socket_names_both_ways_out() {
        let error = refused(&Errno::EPERM.into());
        assert_eq!(error.reason(), Reason::Permission);
        let text = error.to_string();
        assert!(text.contains("net.ipv4.ping_group_range") && text.contains("CAP_NET_RAW"), "{text}");
        assert_ne!(refused(&Errno::EMFILE.into()).reason(), Reason::Permission);
    }
}
