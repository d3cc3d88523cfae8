//! What a target of kind `grpc` needs beyond the common keys.

use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::probe::{self, read_address};
use crate::collect::web::read_trust;
use crate::collect::{Collect, TargetSettings};
use crate::model::percent_decode;
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of kind `grpc` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(super) address: Address,
    /// The service to ask for; empty for the server as a whole.
    pub(super) service: String,
    /// Present for `grpcs://`.
    pub(super) trust: Option<Trust>,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "grpc";
    const SCHEMES: &'static [&'static str] = &["grpc", "grpcs"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own key: `tls`, for `grpcs://`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let parsed = Url::parse(url).ok().filter(|url| Self::SCHEMES.contains(&url.scheme()));
        let secure = parsed.as_ref().is_some_and(|url| url.scheme() == "grpcs");
        let trust = secure.then(|| read_trust(fields));
        let settings = parsed.as_ref().and_then(|url| {
            let service = percent_decode(url.path().trim_start_matches('/'));
            Some(Self { address: read_address(url, None)?, service, trust })
        });
        if settings.is_none() {
            let way_out = "write grpc://host:port or grpc://host:port/service, grpcs:// for TLS";
            fields.wrong("url", "this URL names no gRPC server's host and port", way_out);
        }
        settings
    }

    /// `host:port`.
    fn instance(&self) -> String {
        self.address.to_string()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Grpc::new(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;

    fn read(url: &str, keys: &str) -> Result<Settings, String> {
        test_target::read(url, keys).map_err(|said| said.concat())
    }

    #[test]
    fn the_path_is_the_service() {
        let whole = read("grpc://vector:50051", "").unwrap();
        assert_eq!((whole.instance().as_str(), whole.service.as_str(), &whole.trust), ("vector:50051", "", &None));
        let one = read("grpcs://[::1]:50051/shop.v1.Search", "tls: {insecure_skip_verify: true}").unwrap();
        assert_eq!((one.instance().as_str(), one.service.as_str()), ("[::1]:50051", "shop.v1.Search"));
        assert!(one.trust.unwrap().insecure_skip_verify);
    }

    #[test]
    fn a_port_is_needed_and_tls_belongs_to_grpcs() {
        assert!(read("grpc://vector", "url: x").unwrap_err().contains("names no gRPC server's host and port"));
        assert!(read("grpc://vector:1", "tls: {}").unwrap_err().contains("unknown key `tls`"));
    }
}
