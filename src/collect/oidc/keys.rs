//! A provider's key set (JWKS, RFC 7517 and 7518). No I/O, no clock.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::collect::probe::Certificate;

use super::discovery::Document;

/// Keys that are looked at; providers have a handful.
const MOST_KEYS: usize = 100;

/// Algorithms with the key type each needs (RFC 7518, section 3.1; RFC 8037, RFC 9864).
const ALGORITHMS: [(&str, &str); 11] = [
    ("RS256", "RSA"),
    ("RS384", "RSA"),
    ("RS512", "RSA"),
    ("PS256", "RSA"),
    ("PS384", "RSA"),
    ("PS512", "RSA"),
    ("ES256", "EC"),
    ("ES384", "EC"),
    ("ES512", "EC"),
    ("EdDSA", "OKP"),
    ("Ed25519", "OKP"),
];

/// Of a key that does not say what it is for: it may be used with all algorithms of its type.
const UNSPECIFIED: &str = "unspecified";

/// The smallest RSA modulus that may sign, in bytes: 2048 bits (RFC 7518, section 3.3).
const LEAST_MODULUS: usize = 256;

/// A key set.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// What is of interest about one key.
#[derive(Debug)]
struct Key {
    /// RSA, EC, OKP, oct or other.
    kind: &'static str,
    /// A signature algorithm, "other", or [`UNSPECIFIED`].
    algorithm: &'static str,
    /// Whether it is there to check signatures, and has what that needs.
    complete: bool,
    /// The end of its certificate.
    not_after: Option<i64>,
}

impl KeySet {
    /// Reads a key set; the complaint in words.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let document: Value =
            serde_json::from_slice(body).map_err(|error| format!("the key set is not JSON: {error}"))?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
        Ok(Self { keys: keys.iter().take(MOST_KEYS).map(Key::read).collect() })
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many keys there are by type and algorithm.
    pub(super) fn counts(&self) -> BTreeMap<(&'static str, &'static str), usize> {
        let mut counts = BTreeMap::new();
        for key in &self.keys {
            *counts.entry((key.kind, key.algorithm)).or_default() += 1;
        }
        counts
    }

    /// The earliest end of a certificate, as a Unix time in seconds.
    pub(super) fn earliest_expiry(&self) -> Option<i64> {
        self.keys.iter().filter_map(|key| key.not_after).min()
    }

    /// How many keys have a certificate that is over.
    pub(super) fn expired(&self, now: i64) -> usize {
        self.keys.iter().filter(|key| key.is_expired(now)).count()
    }

    /// How many keys a token of this provider can be checked with.
    pub(super) fn usable(&self, document: &Document, now: i64) -> usize {
        let fits = |key: &&Key| match document.algorithms() {
            Some(mut all) => all.any(|algorithm| key.fits(algorithm)),
            None => true,
        };
        self.keys.iter().filter(|key| key.complete && !key.is_expired(now)).filter(fits).count()
    }
}

impl Key {
    fn read(key: &Value) -> Self {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(decode_url).map_or(0, |bytes| bytes.len());
        let kind = ["RSA", "EC", "OKP", "oct"].into_iter().find(|kind| Some(*kind) == text("kty")).unwrap_or("other");
        let algorithm = match text("alg") {
            None => UNSPECIFIED,
            Some(named) => ALGORITHMS.iter().find(|(known, _)| *known == named).map_or("other", |(known, _)| known),
        };
        let complete = match kind {
            "RSA" => bytes("n") >= LEAST_MODULUS && bytes("e") > 0,
            "EC" => text("crv").is_some() && bytes("x") > 0 && bytes("y") > 0,
            "OKP" => text("crv").is_some() && bytes("x") > 0,
            // A shared secret in a public document is no key.
            _ => false,
        };
        let for_signatures = text("use").is_none_or(|word| word == "sig") && algorithm != "other";
        let certificate = key.get("x5c").and_then(|chain| chain.get(0)?.as_str()).and_then(certificate);
        let not_after = certificate.map(|certificate| certificate.not_after);
        Self { kind, algorithm, complete: complete && for_signatures, not_after }
    }

    fn is_expired(&self, now: i64) -> bool {
        self.not_after.is_some_and(|end| end < now)
    }

    /// Whether a signature of that algorithm can be checked with this key.
    fn fits(&self, algorithm: &str) -> bool {
        let kind = ALGORITHMS.iter().find(|(known, _)| *known == algorithm).map(|(_, kind)| *kind);
        kind == Some(self.kind) && (self.algorithm == UNSPECIFIED || self.algorithm == algorithm)
    }
}

fn decode_url(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

fn certificate(text: &str) -> Option<Certificate> {
    Certificate::read(&BASE64_STANDARD.decode(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &str) -> KeySet {
        KeySet::parse(format!("{{\"keys\": [{keys}]}}").as_bytes()).unwrap()
    }

    fn usable(keys: &str, algorithms: &str) -> usize {
        let document = format!("{{\"id_token_signing_alg_values_supported\": [{algorithms}]}}");
        set(keys).usable(&Document::parse(document.as_bytes()).unwrap(), 0)
    }

    fn rsa(more: &str, modulus: usize) -> String {
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xa5; modulus]);
        format!("{{\"kty\": \"RSA\", \"n\": \"{n}\", \"e\": \"AQAB\"{more}}}")
    }

    #[test]
    fn a_key_is_usable_for_what_the_provider_signs_with() {
        assert_eq!(usable(&rsa("", 256), "\"RS256\""), 1);
        assert_eq!(usable(&rsa(", \"alg\": \"RS256\", \"use\": \"sig\"", 256), "\"ES256\", \"RS256\""), 1);
        assert_eq!(usable(&rsa(", \"alg\": \"PS256\"", 256), "\"RS256\""), 0);
        assert_eq!(usable(&rsa("", 256), "\"ES256\""), 0);
        assert_eq!(usable(&rsa(", \"use\": \"enc\"", 256), "\"RS256\""), 0);
        assert_eq!(usable(&rsa(", \"alg\": \"RSA-OAEP\"", 256), "\"RS256\""), 0);
        assert_eq!(usable(&rsa("", 128), "\"RS256\""), 0);
        assert_eq!(usable("{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"AQ\", \"y\": \"AQ\"}", "\"ES256\""), 1);
        assert_eq!(usable("{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"AQ\"}", "\"EdDSA\""), 1);
        assert_eq!(usable("{\"kty\": \"oct\", \"k\": \"AQ\"}", "\"HS256\""), 0);
        assert_eq!(set(&rsa("", 256)).usable(&Document::parse(b"{}").unwrap(), 0), 1);
    }

    #[test]
    fn keys_are_counted_with_words_from_a_fixed_list() {
        let keys =
            [rsa("", 256), rsa(", \"alg\": \"RS256\"", 256), "{\"kty\": \"x\", \"alg\": \"y\"}".into(), "3".into()];
        let counts = set(&keys.join(",")).counts();
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [
                (("RSA", "RS256"), 1),
                (("RSA", "unspecified"), 1),
                (("other", "other"), 1),
                (("other", "unspecified"), 1)
            ]
        );
        assert!(KeySet::parse(b"{}").unwrap_err().contains("no list `keys`"));
    }

    #[test]
    fn an_expired_certificate_takes_its_key_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cert.pem");
        crate::runtime::test_server::make_certificate(
            &file,
            &dir.path().join("key.pem"),
            crate::runtime::test_server::Extra::Server,
        );
        let pem = std::fs::read_to_string(file).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let keys = set(&rsa(&format!(", \"x5c\": [\"{body}\"]"), 256));
        let end = keys.earliest_expiry().unwrap();
        let document = Document::parse(b"{}").unwrap();
        assert_eq!((keys.usable(&document, end - 1), keys.expired(end - 1)), (1, 0));
        assert_eq!((keys.usable(&document, end + 1), keys.expired(end + 1)), (0, 1));
    }
}
