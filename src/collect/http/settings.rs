//! What a target of kind `http` needs beyond the common keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::model::Secret;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::expect::Expect;

/// What a target of kind `http` needs beyond the common keys.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// Without user and password.
    pub(super) url: Url,
    instance: String,
    pub(super) method: Method,
    /// What the user wants sent, credentials included.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) expect: Expect,
    pub(super) follow_redirects: bool,
    pub(super) trust: Trust,
    /// Texts that no message may show, should the target echo them.
    pub(super) secrets: Vec<Secret>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("instance", &self.instance)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the kind's own keys: `method`, `headers`, `body`, `expect`, `follow_redirects`, `basic_auth`, `bearer_token`, `tls`.
    pub fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let parsed = read_url(url, fields);
        let method = fields.parsed("method", |text| {
            Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is no HTTP method"))
        });
        let (mut headers, mut secrets) = read_headers(fields);
        let body = fields.text("body").map(Bytes::from).unwrap_or_default();
        let follow_redirects = fields.bool("follow_redirects").unwrap_or(true);
        let authorization = read_authorization(parsed.as_ref().and_then(credentials), fields);
        if let Some((value, secret)) = authorization {
            headers.insert(AUTHORIZATION, value);
            secrets.push(secret);
        }
        let trust = read_trust(fields);
        let expect = fields.section("expect").map(Expect::read).unwrap_or_default();
        let mut url_without = parsed?;
        let _ = url_without.set_username("");
        let _ = url_without.set_password(None);
        let method = method.unwrap_or(Method::GET);
        let instance = without_credentials(url);
        Some(Self { url: url_without, instance, method, headers, body, expect, follow_redirects, trust, secrets })
    }

    /// The URL as it was written, without credentials.
    pub fn instance(&self) -> String {
        self.instance.clone()
    }
}

/// Reads an `http://` or `https://` URL and complains about any other.
pub fn read_url(url: &str, fields: &Fields<'_>) -> Option<Url> {
    // The text is not repeated: it may hold a password.
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Some(parsed),
        Ok(_) => {
            fields.wrong("url", "this is not an HTTP URL", "write http://host:port/path or https://host/path");
            None
        }
        Err(error) => {
            fields.wrong(
                "url",
                format!("this is not a URL: {error}"),
                "write http://host:port/path or https://host/path",
            );
            None
        }
    }
}

/// Reads the section `tls`.
pub fn read_trust(fields: &mut Fields<'_>) -> Trust {
    let Some(mut section) = fields.section("tls") else {
        return Trust::default();
    };
    let trust = Trust {
        ca_file: section.text("ca_file"),
        insecure_skip_verify: section.bool("insecure_skip_verify").unwrap_or(false),
        ..Trust::default()
    };
    section.finish();
    trust
}

/// A URL's text without user and password, else untouched.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// A header's value that hyper will not print.
pub fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read_headers(fields: &mut Fields<'_>) -> (HeaderMap, Vec<Secret>) {
    let (mut headers, mut secrets) = (HeaderMap::new(), Vec::new());
    for (name, text, at) in fields.text_map("headers") {
        let (Ok(header), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) else {
            fields.problems().add(
                at,
                format!("`{name}` cannot be sent as a header"),
                "check its name and its characters",
            );
            continue;
        };
        if is_secret(&header) {
            value.set_sensitive(true);
            secrets.push(Secret::new(text));
        }
        headers.append(header, value);
    }
    (headers, secrets)
}

/// Whether a header is one to keep from others: credentials by name.
pub fn is_secret(name: &HeaderName) -> bool {
    let words = ["key", "token", "secret", "password", "auth"];
    *name == AUTHORIZATION || *name == COOKIE || words.iter().any(|word| name.as_str().contains(word))
}

/// At most one of `basic_auth`, `bearer_token` and the URL's own user.
fn read_authorization(from_url: Option<(String, Secret)>, fields: &mut Fields<'_>) -> Option<(HeaderValue, Secret)> {
    let basic = fields.section("basic_auth").map(|mut section| {
        let name = section.required("username").unwrap_or_default();
        let password = section.secret("password", "password_file").unwrap_or_default();
        section.finish();
        (name, password)
    });
    let bearer = fields.secret("bearer_token", "bearer_token_file");
    let given = [from_url.is_some(), basic.is_some(), bearer.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        let key = if basic.is_some() { "basic_auth" } else { "bearer_token" };
        fields.wrong(
            key,
            "credentials are given twice",
            "keep one of basic_auth, bearer_token and the user in the URL",
        );
        return None;
    }
    if let Some(token) = bearer {
        let value = sensitive(&format!("Bearer {}", token.expose()));
        if value.is_none() {
            fields.wrong("bearer_token", "the token cannot be sent in a header", "check it for line breaks");
        }
        return Some((value?, token));
    }
    let (name, password) = from_url.or(basic)?;
    let value = sensitive(&format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.expose()))))?;
    Some((value, password))
}

/// The URL's user and password, decoded.
fn credentials(url: &Url) -> Option<(String, Secret)> {
    let given = !url.username().is_empty() || url.password().is_some();
    given.then(|| (decoded(url.username()), Secret::new(decoded(url.password().unwrap_or_default()))))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    fn read(url: &str, text: &str) -> (Option<Settings>, Vec<String>) {
        let node = parse(text, "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        let settings = Settings::read(url, &mut fields);
        fields.finish();
        (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn credentials_in_the_url_are_sent_but_not_shown() {
        let (settings, problems) = read("https://me:s%2Fcret@app:3000/health", "");
        let settings = settings.unwrap();
        assert!(problems.is_empty());
        assert_eq!(settings.instance(), "https://app:3000/health");
        assert_eq!(settings.url.as_str(), "https://app:3000/health");
        assert_eq!(settings.headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("me:s/cret")));
        assert!(!format!("{settings:?} {:?}", settings.headers).contains("cret"));
    }

    #[test]
    fn the_instance_stays_as_written() {
        assert_eq!(read("http://app:80", "").0.unwrap().instance(), "http://app:80");
    }

    #[test]
    fn credentials_twice_are_refused() {
        let (_, problems) = read("http://me:x@app/", "bearer_token: abc");
        assert!(problems[0].contains("credentials are given twice"), "{problems:?}");
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        for url in ["ftp://u:hunter2@x/", "http://u:hunter2@:x"] {
            let (settings, problems) = read(url, "url: x");
            assert!(settings.is_none());
            assert!(!problems.concat().contains("hunter2"), "{problems:?}");
        }
    }

    #[test]
    fn everything_can_be_said() {
        let text = "{method: POST, headers: {X-Api-Key: k}, body: hello, follow_redirects: false, \
                    basic_auth: {username: u, password: p}, tls: {insecure_skip_verify: true}, expect: {status: [201]}}";
        let (settings, problems) = read("http://app/", text);
        let settings = settings.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((settings.method, settings.follow_redirects), (Method::POST, false));
        assert_eq!(settings.secrets, [Secret::new("k"), Secret::new("p")]);
        assert!(settings.trust.insecure_skip_verify);
    }
}
