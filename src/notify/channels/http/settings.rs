//! Prometheus' `http_config` and `tls_config`.

use hyper::header::HeaderName;

use crate::model::Secret;
use crate::runtime::http_client::{basic, bearer};
use crate::runtime::tls::Trust;
use crate::yaml::{Fields, Value};

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
    /// From `tls_config`.
    pub trust: Trust,
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
        let authorization = [basic_auth(&mut fields), authorization(&mut fields), bearer_token(&mut fields)];
        if authorization.iter().flatten().count() > 1 {
            let at = fields.at();
            fields.problems().add(at, "more than one way to authenticate is given", "keep one of them");
        }
        let trust = fields.section("tls_config").map(read_trust).unwrap_or_default();
        for key in ["oauth2", "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header"] {
            fields.not_built(key);
        }
        let settings = Self {
            authorization: authorization.into_iter().flatten().next(),
            trust,
            headers: read_headers(&mut fields),
            no_redirects: fields.bool("follow_redirects") == Some(false),
            http1_only: fields.bool("enable_http2") == Some(false),
        };
        fields.finish();
        settings
    }

    /// What a user who configured this should be reminded of at start.
    pub(in super::super) fn caution(&self) -> Option<&'static str> {
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

/// Reads a `tls_config`.
pub(in super::super) fn read_trust(mut fields: Fields<'_>) -> Trust {
    let ca_file = fields.text("ca_file");
    let insecure_skip_verify = fields.bool("insecure_skip_verify").unwrap_or(false);
    for key in ["ca", "cert", "cert_file", "key", "key_file", "server_name", "min_version", "max_version"] {
        fields.not_built(key);
    }
    fields.finish();
    Trust { ca_file, insecure_skip_verify, ..Trust::default() }
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
                    section.wrong("files", format!("cannot read {path}: {error}"), "check the path and its rights")
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
