//! What a target of kind `mcp` needs beyond the common keys.

use std::sync::Arc;

use hyper::header::HeaderMap;
use url::Url;

use crate::collect::web::{read_request_headers, read_trust, read_url, without_credentials};
use crate::collect::{Collect, TargetSettings, probe};
use crate::model::Secret;
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of kind `mcp` needs beyond the common keys.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// The streamable HTTP endpoint, without user and password.
    pub(super) url: Url,
    instance: String,
    /// What the user wants sent, credentials included.
    pub(super) headers: HeaderMap,
    pub(super) trust: Trust,
    /// Tools that must be offered.
    pub(super) tools: Vec<String>,
    /// Texts that no message may show, should the target echo them.
    pub(super) secrets: Vec<Secret>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl TargetSettings for Settings {
    const KIND: &'static str = "mcp";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `headers`, `basic_auth`, `bearer_token`, `tls`, `expect: {tools: [NAME]}`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let mut parsed = read_url(url, fields);
        let (headers, secrets) = read_request_headers(parsed.as_mut(), fields);
        let trust = read_trust(fields);
        let tools = fields.section("expect").map(|mut section| {
            let tools = section.texts("tools");
            section.finish();
            tools
        });
        let instance = without_credentials(url);
        Some(Self { url: parsed?, instance, headers, trust, tools: tools.unwrap_or_default(), secrets })
    }

    /// The URL as it was written, without credentials.
    fn instance(&self) -> String {
        self.instance.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Mcp::new(self)?))
    }
}
