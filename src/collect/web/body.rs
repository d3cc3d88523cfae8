//! Bodies as they were before the transfer: gzip undone, within a bound.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap};

/// How far a packed body is unpacked, so that a small bomb stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes kept of it.
    pub kept: usize,
    /// Bytes unpacked of it, kept or only counted.
    pub counted: u64,
}

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// As much as is kept.
    pub bytes: Bytes,
    /// Its whole length, as far as it could be read.
    pub length: u64,
    /// Whether `bytes` is not all of it.
    pub cut: bool,
}

/// Undoes `Content-Encoding: gzip`. `sent` is the whole length before decoding.
///
/// # Errors
/// The body is not gzip, or encoded in a way that we did not ask for.
pub fn decode(headers: &HeaderMap, body: Bytes, sent: u64, bounds: Bounds) -> Result<Decoded, String> {
    let encoding =
        headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_lowercase());
    let here = body.len() as u64;
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(Decoded { cut: sent > here, length: sent, bytes: body }),
        _ if body.is_empty() => Ok(Decoded { bytes: body, length: 0, cut: false }),
        Some("gzip" | "x-gzip") => gunzip(&body, sent > here, bounds),
        Some(other) => Err(format!("the body is encoded as {}", crate::collect::probe::shortened(other, 20))),
    }
}

fn gunzip(packed: &[u8], cut: bool, bounds: Bounds) -> Result<Decoded, String> {
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(bounds.counted);
    let kept = decoder.by_ref().take(bounds.kept as u64).read_to_end(&mut unpacked);
    let more = kept.and_then(|_| io::copy(&mut decoder, &mut io::sink()));
    let more = match more {
        Err(error) if !cut => return Err(format!("the body is not gzip: {error}")),
        more => more.unwrap_or(0),
    };
    let length = unpacked.len() as u64 + more;
    Ok(Decoded { bytes: unpacked.into(), length, cut: cut || more > 0 })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const BOUNDS: Bounds = Bounds { kept: 100, counted: 200 };

    fn packed(body: &[u8]) -> (HeaderMap, Bytes) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, "gzip".parse().unwrap())]);
        (headers, encoder.finish().unwrap().into())
    }

    #[test]
    fn gzip_is_undone() {
        let (headers, body) = packed(b"hello");
        let sent = body.len() as u64;
        let decoded = decode(&headers, body, sent, BOUNDS).unwrap();
        assert_eq!(decoded, Decoded { bytes: "hello".into(), length: 5, cut: false });
    }

    #[test]
    fn a_bomb_stays_small() {
        let (headers, body) = packed(&vec![0; 1 << 20]);
        let sent = body.len() as u64;
        let decoded = decode(&headers, body, sent, Bounds { kept: 1000, counted: 16_000 }).unwrap();
        assert_eq!((decoded.bytes.len(), decoded.length, decoded.cut), (1000, 16_000, true));
    }

    #[test]
    fn broken_and_unknown_encodings_are_errors() {
        let (headers, _) = packed(b"");
        assert!(decode(&headers, "plain".into(), 5, BOUNDS).unwrap_err().starts_with("the body is not gzip"));
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, "br".parse().unwrap())]);
        assert_eq!(decode(&headers, "x".into(), 1, BOUNDS).unwrap_err(), "the body is encoded as br");
    }
}
