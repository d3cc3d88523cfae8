//! What a target of kind `http` needs beyond the common keys.

use crate::collect::{Collect, TargetSettings, probe};
use crate::runtime::supervise::Supervisor;
use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

use crate::collect::web::{read_request_headers, read_trust, read_url, without_credentials};
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
    /// Connect there instead of to the URL's host.
    pub(super) unix_socket: Option<PathBuf>,
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

impl TargetSettings for Settings {
    const KIND: &'static str = "http";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `method`, `headers`, `body`, `expect`, `follow_redirects`, `basic_auth`, `bearer_token`, `tls`,
    /// `unix_socket`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let mut parsed = read_url(url, fields);
        let method = fields.parsed("method", |text| {
            Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is no HTTP method"))
        });
        let (headers, secrets) = read_request_headers(parsed.as_mut(), fields);
        let body = fields.text("body").map(Bytes::from).unwrap_or_default();
        let follow_redirects = fields.bool("follow_redirects").unwrap_or(true);
        let trust = read_trust(fields);
        let unix_socket = fields.text("unix_socket").map(PathBuf::from);
        let expect = fields.section("expect").map(Expect::read).unwrap_or_default();
        let method = method.unwrap_or(Method::GET);
        let instance = without_credentials(url);
        Some(Self {
            url: parsed?,
            instance,
            method,
            headers,
            body,
            expect,
            follow_redirects,
            trust,
            unix_socket,
            secrets,
        })
    }

    /// The URL as it was written, without credentials.
    fn instance(&self) -> String {
        self.instance.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Http::new(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::AUTHORIZATION;

    use crate::model::Problems;
    use crate::runtime::http_client::basic;
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
        assert_eq!(settings.headers[AUTHORIZATION], basic("me", &Secret::new("s/cret")).expose());
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
