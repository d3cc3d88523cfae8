//! What a target of kind `oidc` needs beyond the common keys.

use std::sync::Arc;

use url::Url;

use crate::collect::web::{read_trust, read_url, without_credentials};
use crate::collect::{Collect, TargetSettings, probe};
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// Where the document is, behind the issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// What a target of kind `oidc` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// As it was written: tokens and the document must have the very same text.
    pub(super) issuer: String,
    pub(super) discovery: Url,
    pub(super) trust: Trust,
    /// What the provider must be able to sign with.
    pub(super) algorithms: Vec<String>,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "oidc";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `tls`, `expect: {algorithms: [RS256]}`. `url` is the issuer; its discovery document is taken too.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let issuer = url.strip_suffix(WELL_KNOWN).unwrap_or(url);
        let parsed = read_url(issuer, fields);
        let trust = read_trust(fields);
        let algorithms = fields.section("expect").map(|mut section| {
            let algorithms = section.texts("algorithms");
            section.finish();
            algorithms
        });
        let parsed = parsed?;
        let way_out = "write the issuer as it stands in its tokens: https://host/path";
        if without_credentials(issuer) != issuer || parsed.query().is_some() || parsed.fragment().is_some() {
            fields.wrong("url", "an issuer has neither credentials nor a query", way_out);
            return None;
        }
        // A slash at the end belongs to the issuer but is not doubled in the document's address.
        let discovery = Url::parse(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))).ok()?;
        Some(Self { issuer: issuer.to_owned(), discovery, trust, algorithms: algorithms.unwrap_or_default() })
    }

    /// The issuer.
    fn instance(&self) -> String {
        self.issuer.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Oidc::new(self)?))
    }
}
