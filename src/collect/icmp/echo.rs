//! Echo requests and replies as bytes (RFC 792, RFC 4443).
//!
//! Invariant: no I/O. A packet that is not the reply is `None`, whatever is in it: raw sockets bring everybody's.

/// What tells one echo from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The sender's. Ping sockets put their own in its place, both ways.
    pub identifier: u16,
    /// One more with each request.
    pub sequence: u16,
    /// In the payload, so that no other program's reply fits.
    pub nonce: u64,
}

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// ICMP.
    V4,
    /// `ICMPv6`.
    V6,
}

impl Version {
    /// The types of request and reply.
    fn types(self) -> [u8; 2] {
        match self {
            Self::V4 => [8, 0],
            Self::V6 => [128, 129],
        }
    }
}

/// As long as the request of `blackbox_exporter`, so that both measure the same.
const PAYLOAD: &[u8; 20] = b"sidewatch echo probe";
const HEADER: usize = 8;
/// Bytes of a request.
pub const LENGTH: usize = HEADER + PAYLOAD.len() + size_of::<u64>();

impl Echo {
    /// The request. For `ICMPv6` the kernel puts in the checksum, which covers addresses that only it knows.
    pub fn request(self, version: Version) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[0] = version.types()[0];
        packet[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        packet[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        packet[HEADER..HEADER + PAYLOAD.len()].copy_from_slice(PAYLOAD);
        packet[HEADER + PAYLOAD.len()..].copy_from_slice(&self.nonce.to_be_bytes());
        if version == Version::V4 {
            let sum = checksum(&packet).to_be_bytes();
            packet[2..4].copy_from_slice(&sum);
        }
        packet
    }

    /// Whether a packet is the reply. With `own_identifier` the identifier must be ours too.
    pub fn is_answered_by(self, version: Version, packet: &[u8], own_identifier: bool) -> bool {
        let asked = self.request(version);
        packet.len() == LENGTH
            && packet[0] == version.types()[1]
            && packet[1] == 0
            && packet[6..] == asked[6..]
            && (!own_identifier || packet[4..6] == asked[4..6])
    }
}

/// The ICMP message in what a raw IPv4 socket brings: the IP header is in front of it.
pub fn behind_header(packet: &[u8]) -> Option<&[u8]> {
    let words = usize::from(packet.first()? & 0x0f);
    packet.get(words * 4..)
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default());
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { identifier: 0x1234, sequence: 7, nonce: 42 };

    fn reply(version: Version, identifier: u16) -> [u8; LENGTH] {
        let mut packet = Echo { identifier, ..ECHO }.request(version);
        packet[0] = version.types()[1];
        packet
    }

    #[test]
    fn a_request_carries_a_checksum_that_holds() {
        assert_eq!(checksum(&ECHO.request(Version::V4)), 0, "summed with itself, a right checksum gives 0");
        assert_eq!(ECHO.request(Version::V6)[2..4], [0, 0]);
    }

    #[test]
    fn only_the_reply_to_this_request_is_one() {
        for version in [Version::V4, Version::V6] {
            let answers = |packet: &[u8], own| ECHO.is_answered_by(version, packet, own);
            assert!(answers(&reply(version, ECHO.identifier), true));
            assert!(!answers(&reply(version, 9), true), "another program's");
            assert!(answers(&reply(version, 9), false), "a ping socket has its own identifier");
            assert!(!answers(&ECHO.request(version), true), "our own request, seen on the loopback");
            assert!(!Echo { sequence: 8, ..ECHO }.is_answered_by(version, &reply(version, ECHO.identifier), true));
            assert!(!Echo { nonce: 1, ..ECHO }.is_answered_by(version, &reply(version, ECHO.identifier), true));
            assert!(!answers(&[], true));
        }
    }

    #[test]
    fn the_ip_header_has_the_length_that_it_says() {
        let mut packet = vec![0x46; 24];
        packet.push(9);
        assert_eq!(behind_header(&packet), Some([9].as_slice()));
        assert_eq!(behind_header(&[0x4f]), None);
        assert_eq!(behind_header(&[]), None);
    }
}
