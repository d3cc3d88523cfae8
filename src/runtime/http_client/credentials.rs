//! Credentials for HTTP: out of a URL, into the header `Authorization`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use url::Url;

use crate::model::{Secret, percent_decode};

/// Takes `user:password@` out of a URL, decoded. `None` when it holds neither.
pub fn credentials(url: &mut Url) -> Option<(String, Secret)> {
    let given = !url.username().is_empty() || url.password().is_some();
    let user = percent_decode(url.username());
    let password = Secret::new(percent_decode(url.password().unwrap_or_default()));
    // Both fail only for URLs without a host, which hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    given.then_some((user, password))
}

/// The value of `Authorization` for a user and a password (RFC 7617).
pub fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.expose()))))
}

/// The value of `Authorization` for a token (RFC 6750).
pub fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// A header's value that hyper will not print; `None` for what no header can hold, such as a line break.
pub fn sensitive(value: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_keeps_every_character() {
        let mut url = Url::parse("https://us%40er:a&b=c+d%2F%3A%20e@app:1/x?y=z").unwrap();
        assert_eq!(credentials(&mut url), Some(("us@er".into(), Secret::new("a&b=c+d/: e"))));
        assert_eq!(url.as_str(), "https://app:1/x?y=z");
        assert_eq!(credentials(&mut url), None);
    }

    #[test]
    fn headers_hide_what_they_hold() {
        let value = sensitive(&basic("u", &Secret::new("p"))).unwrap();
        assert_eq!((value.to_str().unwrap(), value.is_sensitive()), ("Basic dTpw", true));
        assert_eq!(sensitive(&bearer(&Secret::new("a\nb"))), None);
    }
}
