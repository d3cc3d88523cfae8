//! What a target of this kind is told in the configuration.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use url::Url;

use crate::exposition::Limits;
use crate::model::Secret;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The page, without credentials.
    pub(super) url: Url,
    pub(super) auth: Option<Auth>,
    /// More samples than this fail the scrape, as Prometheus' `sample_limit`.
    pub(super) sample_limit: usize,
    pub(super) trust: Trust,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Auth {
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

impl Auth {
    /// The header's value; `None` for a secret that no header can hold.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Settings {
    /// Reads the kind's own keys: `basic_auth`, `bearer_token(_file)`, `sample_limit`, `tls_config`.
    pub fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let url = page_url(url).map_err(|what| fields.wrong("url", what, "write http://host:port/metrics")).ok();
        let auth = read_auth(fields);
        let sample_limit = fields.number("sample_limit").filter(|limit| *limit > 0);
        let trust = fields.section("tls_config").map(|mut tls| {
            let trust = Trust {
                ca_file: tls.text("ca_file"),
                insecure_skip_verify: tls.bool("insecure_skip_verify").unwrap_or(false),
                ..Trust::default()
            };
            tls.finish();
            trust
        });
        let (url, auth_in_url) = without_credentials(url?);
        Some(Self {
            url,
            auth: auth.or(auth_in_url),
            sample_limit: sample_limit.unwrap_or(Limits::default().samples),
            trust: trust.unwrap_or_default(),
        })
    }

    /// `host:port`, as Prometheus labels a scraped target.
    pub fn instance(&self) -> String {
        host_port(&self.url)
    }
}

fn page_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the URL cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("a page of metrics is not reached by `{}:`", url.scheme()));
    }
    Ok(url)
}

fn read_auth(fields: &mut Fields<'_>) -> Option<Auth> {
    let bearer = fields.secret("bearer_token", "bearer_token_file").map(Auth::Bearer);
    let basic = fields.section("basic_auth").and_then(|mut section| {
        let username = section.required("username");
        let password = section.secret("password", "password_file").unwrap_or_default();
        section.finish();
        Some(Auth::Basic { username: username?, password })
    });
    let (key, auth) = match (basic, bearer) {
        (Some(_), Some(_)) => {
            fields.wrong("bearer_token", "both `basic_auth` and a bearer token are given", "keep one of them");
            return None;
        }
        (Some(basic), None) => ("basic_auth", basic),
        (None, Some(bearer)) => ("bearer_token", bearer),
        (None, None) => return None,
    };
    if auth.header().is_none() {
        fields.wrong(key, "the secret holds characters that no HTTP header can", "check for line breaks in it");
        return None;
    }
    Some(auth)
}

/// Takes `user:password@` out of a URL.
fn without_credentials(mut url: Url) -> (Url, Option<Auth>) {
    let decoded = |text: &str| {
        let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let (username, password) = (decoded(url.username()), url.password().map(decoded));
    // Both cannot fail for a URL with a host, which `page_url` has seen to.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let given = !username.is_empty() || password.is_some();
    let auth = given.then(|| Auth::Basic { username, password: Secret::new(password.unwrap_or_default()) });
    (url, auth)
}

fn host_port(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80))
}
