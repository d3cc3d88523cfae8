//! What a target of this kind is told in the configuration.

use crate::collect::{Collect, TargetSettings};
use crate::runtime::supervise::Supervisor;
use hyper::header::HeaderValue;
use std::sync::Arc;
use url::Url;

use crate::collect::web::{read_authorization, read_trust, read_url};
use crate::exposition::Limits;
use crate::runtime::http_client::credentials;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The page, without credentials.
    pub(super) url: Url,
    /// Marked as sensitive, so that it is not printed.
    pub(super) authorization: Option<HeaderValue>,
    /// More samples than this fail the scrape, as Prometheus' `sample_limit`.
    pub(super) sample_limit: usize,
    pub(super) trust: Trust,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "prometheus";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = "prometheus";

    /// Reads the kind's own keys: `basic_auth`, `bearer_token(_file)`, `sample_limit`, `tls`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let mut url = read_url(url, fields);
        let authorization = read_authorization(url.as_mut().and_then(credentials), fields);
        let sample_limit = fields.number("sample_limit").filter(|limit| *limit > 0);
        let trust = read_trust(fields);
        Some(Self {
            url: url?,
            authorization: authorization.map(|(value, _)| value),
            sample_limit: sample_limit.unwrap_or(Limits::default().samples),
            trust,
        })
    }

    fn job<'n>(&self, target: &'n str) -> &'n str {
        target
    }

    /// `host:port`, as Prometheus labels a scraped target.
    fn instance(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or(80))
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Prometheus::new(self)?))
    }
}
