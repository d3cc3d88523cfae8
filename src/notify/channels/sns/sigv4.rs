//! Signs a request for AWS: Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
//!
//! Invariant: pure; the time is an argument. Covers what SNS needs: a POST without a query.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::model::{Millis, Secret, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// The access key's id, which is no secret.
    pub access_key: String,
    /// The key that signs.
    pub secret_key: Secret,
    /// Goes along with keys that live for hours only.
    pub session_token: Option<Secret>,
}

/// What is asked, as far as the signature covers it.
pub struct Signed<'a> {
    /// The service's name in the scope: `sns`.
    pub service: &'a str,
    /// The region's: `eu-central-1`.
    pub region: &'a str,
    /// As the `Host` header will say it.
    pub host: &'a str,
    /// As the request line will say it.
    pub path: &'a str,
    /// The body's `Content-Type`, which is signed where there is one.
    pub content_type: Option<&'a str>,
    /// As it will be sent.
    pub body: &'a [u8],
    /// By the wall clock; AWS takes five minutes to either side.
    pub at: Millis,
}

/// The headers that make a POST signed: their names and values.
pub fn sign(credentials: &Credentials, request: &Signed<'_>) -> Vec<(&'static str, Secret)> {
    let moment = jiff::Timestamp::from_millisecond(request.at.0).unwrap_or_default();
    let at = moment.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &at[..8];
    // In the alphabet's order, which is the signature's.
    let mut headers = Vec::new();
    headers.extend(request.content_type.map(|content_type| ("content-type", content_type)));
    headers.push(("host", request.host));
    headers.push(("x-amz-date", &at));
    headers.extend(credentials.session_token.as_ref().map(|token| ("x-amz-security-token", token.expose())));
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut lines = String::new();
    for (name, value) in &headers {
        let _ = writeln!(lines, "{name}:{}", value.trim());
    }
    let path = encoded(request.path);
    let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hex(digest(&SHA256, request.body).as_ref()));
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!("{ALGORITHM}\n{at}\n{scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let key = signing_key(&credentials.secret_key, day, request.region, request.service);
    let signature = hex(mac(&key, &to_sign).as_ref());
    let access_key = &credentials.access_key;
    let authorization =
        format!("{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}");
    let mut signed = vec![("authorization", Secret::new(authorization)), ("x-amz-date", Secret::new(&at))];
    signed.extend(credentials.session_token.iter().map(|token| ("x-amz-security-token", token.clone())));
    signed
}

/// The key of a day, region and service, so that no signature is made with the secret itself.
fn signing_key(secret: &Secret, day: &str, region: &str, service: &str) -> hmac::Tag {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", secret.expose()).as_bytes());
    [region, service, "aws4_request"].iter().fold(hmac::sign(&first, day.as_bytes()), mac_of)
}

fn mac_of(key: hmac::Tag, text: &&str) -> hmac::Tag {
    mac(&key, text)
}

fn mac(key: &hmac::Tag, text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), text.as_bytes())
}

/// Every service but S3 wants the path encoded once more than it is sent.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    if out.is_empty() { "/".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of AWS's Signature Version 4 test suite.
    fn credentials(session_token: Option<&str>) -> Credentials {
        Credentials {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
        }
    }

    fn post<'a>(content_type: Option<&'a str>, body: &'a [u8]) -> Signed<'a> {
        let (service, region, host, path) = ("service", "us-east-1", "example.amazonaws.com", "/");
        let at = Millis(1_440_938_160_000); // 2015-08-30T12:36:00Z
        Signed { service, region, host, path, content_type, body, at }
    }

    fn authorization(credentials: &Credentials, request: &Signed<'_>) -> String {
        sign(credentials, request)[0].1.expose().to_owned()
    }

    /// The published answers: `post-vanilla`, `post-x-www-form-urlencoded` and `post-sts-header-before`.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let expected = |names: &str, signature: &str| {
            let scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}")
        };
        assert_eq!(
            authorization(&credentials(None), &post(None, b"")),
            expected("host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        );
        assert_eq!(
            authorization(&credentials(None), &post(Some("application/x-www-form-urlencoded"), b"Param1=value1")),
            expected(
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
            )
        );
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflf\
                     KD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd\
                     8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3i\
                     SIlTJabIQwj2ICCR/oLxBA==";
        assert_eq!(
            authorization(&credentials(Some(token)), &post(None, b"")),
            expected(
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
            )
        );
    }

    /// The example of the documentation on deriving keys.
    #[test]
    fn the_key_of_a_day_is_the_documented_one() {
        let key = signing_key(&credentials(None).secret_key, "20150830", "us-east-1", "iam");
        assert_eq!(hex(key.as_ref()), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn an_encoded_path_is_encoded_again() {
        assert_eq!((encoded("/a%20b/~c").as_str(), encoded("").as_str()), ("/a%2520b/~c", "/"));
    }
}
