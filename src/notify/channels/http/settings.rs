//! Prometheus' `http_config` and `tls_config`.

use hyper::header::{HeaderName, HeaderValue};

use crate::model::Secret;
use crate::runtime::http_client::{NoProxy, Proxies, Proxy, basic, bearer};
use crate::runtime::tls::{TlsVersion, Trust};
use crate::yaml::{Fields, Value};

use super::oauth2::OAuth2;

/// Headers that the connection, the body or another key of `http_config` decides; Prometheus refuses the same.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "www-authenticate",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

/// Prometheus' `http_config`, as far as it is built.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpSettings {
    /// The whole value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// Where to get that value instead.
    pub oauth2: Option<Box<OAuth2>>,
    /// From `tls_config`.
    pub trust: Trust,
    /// From `proxy_url` and its kin.
    pub proxies: Proxies,
    /// `http_headers`: sent along with each request.
    pub headers: Vec<(HeaderName, Secret)>,
    /// `follow_redirects: false`.
    pub no_redirects: bool,
    /// `enable_http2: false`.
    pub http1_only: bool,
}

impl HttpSettings {
    /// Reads `http_config` of a receiver or of `global`.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let settings = Self::read_within(&mut fields);
        fields.finish();
        settings
    }

    /// Takes its keys out of a mapping that has others too.
    pub(in crate::notify) fn read_within(fields: &mut Fields<'_>) -> Self {
        let authorization = [basic_auth(fields), authorization(fields), bearer_token(fields)];
        if authorization.iter().flatten().count() > 1 {
            let at = fields.at();
            fields.problems().add(at, "more than one way to authenticate is given", "keep one of them");
        }
        let oauth2 = fields.section("oauth2").and_then(OAuth2::read);
        if oauth2.is_some() && authorization.iter().any(Option::is_some) {
            fields.wrong("oauth2", "more than one way to authenticate is given", "keep one of them");
        }
        let trust = fields.section("tls_config").map(read_tls).unwrap_or_default();
        Self {
            authorization: authorization.into_iter().flatten().next(),
            oauth2: oauth2.map(Box::new),
            trust,
            proxies: read_proxies(fields),
            headers: read_headers(fields),
            no_redirects: fields.bool("follow_redirects") == Some(false),
            http1_only: fields.bool("enable_http2") == Some(false),
        }
    }

    /// What a user who configured this should be reminded of at start.
    pub(in crate::notify) fn caution(&self) -> Option<&'static str> {
        self.trust.insecure_skip_verify.then_some("TLS certificates are not checked")
    }
}

fn basic_auth(fields: &mut Fields<'_>) -> Option<Secret> {
    let mut section = fields.section("basic_auth")?;
    let user = section.secret("username", "username_file").unwrap_or_default();
    let password = section.secret("password", "password_file").unwrap_or_default();
    section.finish();
    Some(basic(user.expose(), &password))
}

fn authorization(fields: &mut Fields<'_>) -> Option<Secret> {
    let mut section = fields.section("authorization")?;
    let scheme = section.text("type").unwrap_or_else(|| "Bearer".into());
    let credentials = section.secret("credentials", "credentials_file");
    section.finish();
    Some(Secret::new(format!("{scheme} {}", credentials?.expose())))
}

fn bearer_token(fields: &mut Fields<'_>) -> Option<Secret> {
    fields.secret("bearer_token", "bearer_token_file").as_ref().map(bearer)
}

/// Reads a `tls_config` for a channel that only chooses whom to trust.
pub(in super::super) fn read_trust(mut fields: Fields<'_>) -> Trust {
    let trust = trust(&mut fields);
    for key in ["cert_file", "key_file", "server_name", "min_version", "max_version"] {
        fields.not_built(key);
    }
    fields.finish();
    trust
}

/// Reads a `tls_config`.
pub(super) fn read_tls(mut fields: Fields<'_>) -> Trust {
    let trust = trust(&mut fields);
    let (certificate, key) = (fields.text("cert_file"), fields.text("key_file"));
    if certificate.is_some() != key.is_some() {
        let given = if certificate.is_some() { "cert_file" } else { "key_file" };
        fields.wrong(given, "a client certificate has a key, and a key its certificate", "give both files, or none");
    }
    let server_name = fields.text("server_name").filter(|name| !name.is_empty());
    let least = fields.parsed("min_version", |text| version(text, true)).flatten();
    let most = fields.parsed("max_version", |text| version(text, false)).flatten();
    if least.is_some() && most.is_some() {
        fields.wrong("max_version", "no version of TLS is left", "remove `min_version` or `max_version`");
    }
    fields.finish();
    Trust { identity: certificate.zip(key), server_name, only: least.or(most), ..trust }
}

fn trust(fields: &mut Fields<'_>) -> Trust {
    let ca_file = fields.text("ca_file");
    let insecure_skip_verify = fields.bool("insecure_skip_verify").unwrap_or(false);
    for key in ["ca", "cert", "key"] {
        fields.not_built(key);
    }
    Trust { ca_file, insecure_skip_verify, ..Trust::default() }
}

/// The only version that a bound leaves of the two that are spoken, if it leaves one only.
fn version(text: &str, least: bool) -> Result<Option<TlsVersion>, String> {
    match (text, least) {
        ("TLS10" | "TLS11" | "TLS12", true) | ("TLS13", false) => Ok(None),
        ("TLS13", true) => Ok(Some(TlsVersion::Tls13)),
        ("TLS12", false) => Ok(Some(TlsVersion::Tls12)),
        ("TLS10" | "TLS11", false) => Err(format!("{text} is not spoken; TLS12 and TLS13 are")),
        _ => Err(format!("`{text}` is no version of TLS; write TLS12 or TLS13")),
    }
}

/// Reads `proxy_url`, `no_proxy`, `proxy_from_environment` and `proxy_connect_header`.
pub(super) fn read_proxies(fields: &mut Fields<'_>) -> Proxies {
    let connect_headers = read_connect_headers(fields);
    let from_environment = fields.bool("proxy_from_environment").unwrap_or(false);
    let proxy = fields.parsed("proxy_url", |text| match text.trim() {
        "" => Ok(None),
        text => Proxy::parse(text, connect_headers.clone()).map(Some),
    });
    let proxy = proxy.flatten();
    let no_proxy = fields.text("no_proxy").filter(|list| !list.trim().is_empty());
    if from_environment && (proxy.is_some() || no_proxy.is_some()) {
        let what = "`proxy_from_environment` leaves no room for `proxy_url` and `no_proxy`";
        fields.wrong("proxy_from_environment", what, "keep one of them");
    } else if no_proxy.is_some() && !fields.has("proxy_url") {
        fields.wrong("no_proxy", "`no_proxy` is of no use without `proxy_url`", "add `proxy_url`, or remove it");
    }
    if !from_environment {
        let without = no_proxy.map(|list| NoProxy::parse(&list)).unwrap_or_default();
        return Proxies { http: proxy.clone(), https: proxy, without };
    }
    let of_environment = |name: &str| {
        let proxy = Proxy::parse(&variable(name)?, connect_headers.clone());
        proxy.map_err(|error| fields.wrong("proxy_from_environment", format!("{name}: {error}"), "set another")).ok()
    };
    let (http, https) = (of_environment("HTTP_PROXY"), of_environment("HTTPS_PROXY"));
    Proxies { http, https, without: NoProxy::parse(&variable("NO_PROXY").unwrap_or_default()) }
}

/// A variable of the environment, in large letters or in small ones.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase())).ok()?;
    (!value.trim().is_empty()).then_some(value)
}

fn read_connect_headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, Secret)> {
    let problems = fields.problems();
    let mut headers = Vec::new();
    let Some(section) = fields.take("proxy_connect_header") else {
        return headers;
    };
    let Value::Map(entries) = &section.value else {
        problems.add(&section.at, "`proxy_connect_header` is no mapping", "write `{Name: [value]}`");
        return headers;
    };
    for (name, at, node) in entries {
        let (Ok(name), Value::List(values)) = (name.parse::<HeaderName>(), &node.value) else {
            problems.add(at, format!("`{name}` is no header with a list of values"), "write `Name: [value]`");
            continue;
        };
        for value in values {
            match value.text().filter(|text| HeaderValue::from_str(text).is_ok()) {
                Some(text) => headers.push((name.clone(), Secret::new(text))),
                None => {
                    problems.add(&value.at, format!("the header `{name}` has a value that fits none"), "write a text");
                }
            }
        }
    }
    headers
}

fn read_headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, Secret)> {
    let problems = fields.problems();
    let Some(node) = fields.take("http_headers") else {
        return Vec::new();
    };
    let Value::Map(entries) = &node.value else {
        problems.add(&node.at, "`http_headers` is no mapping", "write `http_headers: {Name: {values: [value]}}`");
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, at, node) in entries {
        let header = name.parse::<HeaderName>().ok().filter(|name| !RESERVED.contains(&name.as_str()));
        let Some(mut section) = Fields::of(node, format!("the header `{name}`"), problems) else {
            continue;
        };
        let mut values = section.texts("values");
        values.extend(section.texts("secrets"));
        for path in section.texts("files") {
            match std::fs::read_to_string(&path) {
                Ok(text) => values.push(text.trim().to_owned()),
                Err(error) => {
                    section.wrong("files", format!("cannot read {path}: {error}"), "check the path and its rights");
                }
            }
        }
        section.finish();
        match header {
            Some(header) => headers.extend(values.into_iter().map(|value| (header.clone(), Secret::new(value)))),
            None => problems.add(at, format!("`{name}` is no header that may be set here"), "remove it"),
        }
    }
    headers
}
