//! Signs a body as Standard Webhooks has it (<https://www.standardwebhooks.com>): HMAC-SHA256 over the message's id, the
//! attempt's time and the body, so that the receiving end knows whence it is and that it is no old one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderName;
use ring::hmac;

use crate::model::{Millis, Secret};

/// What stands before a secret that is written in base64.
const ENCODED: &str = "whsec_";

/// Signs with one secret.
pub(super) struct Signer(hmac::Key);

impl Signer {
    /// `whsec_` and base64, or the secret itself.
    ///
    /// # Errors
    /// What stands behind `whsec_` is not base64. The text never quotes the secret.
    pub(super) fn new(secret: &Secret) -> Result<Self, &'static str> {
        let secret = secret.expose().trim();
        let key = match secret.strip_prefix(ENCODED) {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| "the signing secret is not base64 behind `whsec_`")?
            }
            None => secret.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err("the signing secret is empty");
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The headers that go along.
    pub(super) fn headers(&self, id: &str, at: Millis, body: &[u8]) -> [(HeaderName, String); 3] {
        let seconds = at.0.div_euclid(1000);
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        let signature = STANDARD.encode(context.sign());
        [
            (HeaderName::from_static("webhook-id"), id.to_owned()),
            (HeaderName::from_static("webhook-timestamp"), seconds.to_string()),
            (HeaderName::from_static("webhook-signature"), format!("v1,{signature}")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_standard_webhooks() {
        // The example of the specification's own libraries.
        let signer = Signer::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let headers =
            signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", Millis(1_614_265_330_000), br#"{"test": 2432232314}"#);
        assert_eq!(headers[1].1, "1614265330");
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_is_refused_unseen() {
        for wrong in ["whsec_s3cret!", "", "whsec_"] {
            let complaint = Signer::new(&Secret::new(wrong)).err().expect("refused");
            assert!(!complaint.contains("s3cret"));
        }
    }
}
