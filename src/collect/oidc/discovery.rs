//! The discovery document (OpenID Connect Discovery 1.0, section 3). No I/O.

use serde_json::{Map, Value};
use url::Url;

/// A provider's own words about itself.
#[derive(Debug)]
pub(super) struct Document(Map<String, Value>);

impl Document {
    /// Reads the document; the complaint in words.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| format!("the discovery document is not JSON: {error}"))?;
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err("the discovery document is no JSON object".into()),
        }
    }

    /// Who issues tokens, as it must stand in them.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("issuer")?.as_str()
    }

    /// Where the keys are.
    pub(super) fn keys_url(&self) -> Result<Url, String> {
        let text = self.0.get("jwks_uri").and_then(Value::as_str).ok_or("the discovery document has no jwks_uri")?;
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| "the discovery document's jwks_uri is no HTTP URL".into())
    }

    /// Names of endpoints that are not https.
    pub(super) fn insecure_endpoints(&self) -> Vec<&str> {
        let is_endpoint = |name: &str| name == "jwks_uri" || name.ends_with("_endpoint");
        let is_secure = |url: &str| Url::parse(url).is_ok_and(|url| url.scheme() == "https");
        let endpoints = self.0.iter().filter(|(name, _)| is_endpoint(name));
        let insecure = endpoints.filter(|(_, value)| value.as_str().is_some_and(|url| !is_secure(url)));
        insecure.map(|(name, _)| name.as_str()).take(10).collect()
    }

    /// Whether ID tokens may be signed with an algorithm. A document that does not say leaves all open.
    pub(super) fn signs_with(&self, algorithm: &str) -> bool {
        self.algorithms().is_none_or(|mut all| all.any(|known| known == algorithm))
    }

    /// What ID tokens are signed with.
    pub(super) fn algorithms(&self) -> Option<impl Iterator<Item = &str>> {
        let all = self.0.get("id_token_signing_alg_values_supported")?.as_array()?;
        Some(all.iter().filter_map(Value::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_anybody_can_read_are_named() {
        let document = Document::parse(
            br#"{"issuer": "https://a", "jwks_uri": "http://a/keys", "token_endpoint": "https://a/token",
                "userinfo_endpoint": "nonsense", "service_documentation": "http://a/"}"#,
        )
        .unwrap();
        assert_eq!(document.insecure_endpoints(), ["jwks_uri", "userinfo_endpoint"]);
        assert_eq!(document.keys_url().unwrap().as_str(), "http://a/keys");
        assert!(document.signs_with("RS256"));
    }

    #[test]
    fn what_is_no_document_is_said() {
        assert!(Document::parse(b"<html>").unwrap_err().starts_with("the discovery document is not JSON"));
        assert!(Document::parse(b"[]").unwrap_err().contains("no JSON object"));
        let document = Document::parse(br#"{"jwks_uri": "file:///etc/passwd"}"#).unwrap();
        assert!(document.keys_url().unwrap_err().contains("no HTTP URL"));
        assert_eq!(document.issuer(), None);
    }
}
