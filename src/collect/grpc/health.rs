//! The messages and status codes of a gRPC health check, as bytes (`grpc.health.v1`, gRPC over HTTP/2).
//!
//! The two messages have one field each, so they are written and read by hand. Invariant: no I/O.

use crate::collect::Reason;

/// The method's path.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
/// In front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a server says of a service: `HealthCheckResponse.ServingStatus`.
#[expect(clippy::enum_variant_names, reason = "the protocol's own words")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// It does not say, or says something newer than this list.
    Unknown,
    /// It works.
    Serving,
    /// It does not.
    NotServing,
    /// There is no such service. Only `Watch` may say so; `Check` answers with the status `NOT_FOUND`.
    ServiceUnknown,
}

impl Serving {
    /// All of them, at their numbers.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Serving, Self::NotServing, Self::ServiceUnknown];

    /// As the protocol writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        }
    }
}

/// A `HealthCheckRequest` with its prefix. An empty service means the server as a whole.
pub fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        push_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [[0].as_slice(), &length.to_be_bytes(), &message].concat()
}

/// Reads a `HealthCheckResponse` with its prefix.
///
/// # Errors
/// It is not one, in words.
pub fn response(body: &[u8]) -> Result<Serving, String> {
    let Some((prefix, message)) = body.split_at_checked(PREFIX) else {
        return Err(format!("the answer has {} bytes, too few for a message", body.len()));
    };
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if prefix[0] != 0 {
        return Err("the answer is compressed, though we take it plain only".into());
    }
    if usize::try_from(length) != Ok(message.len()) {
        return Err(format!("the answer announces {length} bytes and has {}", message.len()));
    }
    status(message).ok_or_else(|| "the answer is no HealthCheckResponse".into())
}

/// Finds field 1; others, of newer versions, are passed over. Absent, it has the default of its type.
fn status(mut message: &[u8]) -> Option<Serving> {
    let mut found = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if tag >> 3 == 1 {
                    found = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(usize::try_from(found).ok().and_then(|at| Serving::ALL.get(at).copied()).unwrap_or(Serving::Unknown))
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    /// The call worked.
    pub const OK: Self = Self(0);
    /// What else went wrong.
    pub const UNKNOWN: Self = Self(2);
    /// No answer in time.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// The answer makes no sense.
    pub const INTERNAL: Self = Self(13);
    /// The server cannot be reached.
    pub const UNAVAILABLE: Self = Self(14);

    const NAMES: [&'static str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];

    /// What an answer without `grpc-status` means: it comes from something in between that speaks only HTTP.
    pub fn of_http(status: u16) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self(16),
            403 => Self(7),
            404 => Self(12),
            429 | 502..=504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// As the protocol writes it.
    pub fn name(self) -> &'static str {
        usize::try_from(self.0)
            .ok()
            .and_then(|at| Self::NAMES.get(at).copied())
            .unwrap_or("a code that gRPC does not have")
    }

    /// The class of an answer with this status.
    pub fn reason(self) -> Reason {
        match self.0 {
            4 => Reason::Timeout,
            7 => Reason::Permission,
            8 => Reason::Limit,
            16 => Reason::Auth,
            _ => Reason::Status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_service() {
        assert_eq!(request(""), [0; 5]);
        assert_eq!(request("a.B"), [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn a_response_is_read_whatever_else_is_in_it() {
        assert_eq!(response(&[0, 0, 0, 0, 2, 8, 1]), Ok(Serving::Serving));
        assert_eq!(response(&[0, 0, 0, 0, 2, 8, 2]), Ok(Serving::NotServing));
        assert_eq!(response(&[0, 0, 0, 0, 0]), Ok(Serving::Unknown), "0 is not sent");
        assert_eq!(response(&[0, 0, 0, 0, 2, 8, 9]), Ok(Serving::Unknown), "of a newer protocol");
        let newer = [0, 0, 0, 0, 10, 0x12, 1, b'x', 0x1d, 0, 0, 0, 0, 8, 1];
        assert_eq!(response(&newer), Ok(Serving::Serving), "with fields that we do not know");
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        for body in
            [&[][..], &[0, 0, 0, 0, 9, 8, 1], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 1, 8], &[0, 0, 0, 0, 2, 0x12, 9]]
        {
            assert!(response(body).is_err(), "{body:?}");
        }
        assert!(response(&[&[0, 0, 0, 0, 12, 8][..], &[0xff; 11]].concat()).is_err(), "a varint without end");
    }

    #[test]
    fn codes_have_names_and_classes() {
        assert_eq!((Code(5).name(), Code(5).reason()), ("NOT_FOUND", Reason::Status));
        assert_eq!((Code(16).name(), Code(16).reason()), ("UNAUTHENTICATED", Reason::Auth));
        assert_eq!(Code(99).name(), "a code that gRPC does not have");
        assert_eq!(Code::of_http(404).name(), "UNIMPLEMENTED");
    }
}
