//! What a target of kind `ws` needs beyond the common keys.

use std::sync::Arc;

use hyper::header::HeaderMap;
use url::Url;

use crate::collect::dial::Address;
use crate::collect::probe::{self, Pattern, read_address, read_expected};
use crate::collect::web::{read_request_headers, read_trust, without_credentials};
use crate::collect::{Collect, TargetSettings};
use crate::model::Secret;
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of kind `ws` needs beyond the common keys.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// Without user and password.
    pub(super) url: Url,
    pub(super) address: Address,
    instance: String,
    /// What the user wants sent, credentials included.
    pub(super) headers: HeaderMap,
    pub(super) trust: Trust,
    /// One of them must be chosen by the server; none when empty.
    pub(super) subprotocols: Vec<String>,
    /// A text message to send first.
    pub(super) send: Option<String>,
    /// A message that must come.
    pub(super) message: Option<Pattern>,
    /// Texts that no message may show, should the target echo them.
    pub(super) secrets: Vec<Secret>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl TargetSettings for Settings {
    const KIND: &'static str = "ws";
    const SCHEMES: &'static [&'static str] = &["ws", "wss"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `headers`, `basic_auth`, `bearer_token`, `tls`, `subprotocols`, `send`, `expect: {message: REGEX}`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let mut parsed = Url::parse(url).ok().filter(|url| Self::SCHEMES.contains(&url.scheme()));
        let address = parsed.as_ref().and_then(|url| read_address(url, None));
        if address.is_none() {
            fields.wrong("url", "this is not a WebSocket's URL", "write ws://host:port/path or wss://host/path");
        }
        let (headers, secrets) = read_request_headers(parsed.as_mut(), fields);
        let trust = read_trust(fields);
        let subprotocols = fields.texts("subprotocols");
        if let Some(wrong) = subprotocols.iter().find(|name| name.is_empty() || !name.bytes().all(is_token)) {
            fields.wrong("subprotocols", format!("`{wrong}` is no name of a subprotocol"), "write e.g. graphql-ws");
        }
        let send = fields.text("send");
        let message = read_expected(fields, "message");
        let instance = without_credentials(url);
        Some(Self { url: parsed?, address: address?, instance, headers, trust, subprotocols, send, message, secrets })
    }

    /// The URL as it was written, without credentials.
    fn instance(&self) -> String {
        self.instance.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::WebSocket::new(self)?))
    }
}

impl Settings {
    /// Whether TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
