use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;
use crate::collect::TargetSettings as _;
use crate::collect::test_target::{probe_once, read, said};
use crate::runtime::supervise::Supervisor;
use crate::runtime::test_server;

async fn look(url: &str, keys: &str) -> Look {
    probe_once(&Oidc::new(read(url, keys).unwrap()).unwrap(), Duration::from_secs(5)).await
}

/// A provider under `/realm` with one RSA key; `{issuer}` stands for its own URL.
async fn provider(document: &'static str, keys: impl Fn() -> String + Clone + Send + Sync + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let issuer = format!("http://{address}/realm");
    let document = document.replace("{issuer}", &issuer);
    let router = Router::new()
        .route("/realm/.well-known/openid-configuration", get(move || async move { document }))
        .route("/realm/keys", get(move || async move { keys() }));
    Supervisor::new().spawn_once(async move { axum::serve(listener, router).await.unwrap() });
    issuer
}

const DOCUMENT: &str = r#"{"issuer": "{issuer}", "jwks_uri": "{issuer}/keys", "token_endpoint": "{issuer}/token",
    "id_token_signing_alg_values_supported": ["RS256"]}"#;

fn one_key() -> String {
    let n = BASE64_URL_SAFE_NO_PAD.encode([0xa5; 256]);
    format!(r#"{{"keys": [{{"kty": "RSA", "alg": "RS256", "use": "sig", "n": "{n}", "e": "AQAB"}}]}}"#)
}

#[tokio::test]
async fn a_good_provider_shows_its_keys() {
    let issuer = provider(DOCUMENT, one_key).await;
    for url in [issuer.clone(), format!("{issuer}/.well-known/openid-configuration")] {
        let look = look(&url, "expect: {algorithms: [RS256]}").await;
        assert_eq!((look.healthy, said(&look)), (true, vec![]));
        assert_eq!(look.get("probe_oidc_issuer_matches", &[]), Some(1.0));
        assert_eq!(look.get("probe_oidc_keys", &[("kty", "RSA"), ("alg", "RS256")]), Some(1.0));
        assert_eq!(look.get("probe_oidc_usable_keys", &[]), Some(1.0));
        assert_eq!(look.get("probe_oidc_insecure_endpoints", &[]), Some(2.0));
        assert_eq!(look.get("probe_http_status_code", &[]), Some(200.0));
        assert!(look.get("probe_oidc_duration_seconds", &[("phase", "keys")]) > Some(0.0));
    }
}

#[tokio::test]
async fn another_issuer_is_not_the_one_asked_for() {
    let issuer = provider(r#"{"issuer": "{issuer}/", "jwks_uri": "{issuer}/keys"}"#, one_key).await;
    let slash = look(&issuer, "").await;
    let complaint =
        format!("expectation: the discovery document names the issuer \"{issuer}/\", expected \"{issuer}\"");
    assert_eq!(said(&slash), [complaint]);
    assert_eq!(slash.get("probe_oidc_issuer_matches", &[]), Some(0.0));
    assert_eq!(slash.get("probe_oidc_usable_keys", &[]), Some(1.0));
    assert!(look(&format!("{issuer}/"), "").await.healthy);
}

#[tokio::test]
async fn a_provider_whose_tokens_nobody_can_check_is_not_healthy() {
    let empty = look(&provider(DOCUMENT, || r#"{"keys": []}"#.into()).await, "").await;
    assert_eq!(said(&empty), ["expectation: none of the 0 keys can check a token"]);
    let broken = look(&provider(DOCUMENT, || "<html>".into()).await, "").await;
    assert_eq!(broken.failures[0].reason(), Reason::Malformed);
    assert_eq!(broken.get("probe_oidc_usable_keys", &[]), None);
    let elsewhere = look(&provider(r#"{"issuer": "{issuer}", "jwks_uri": "{issuer}/no"}"#, one_key).await, "").await;
    assert_eq!(said(&elsewhere), ["status: the key set is answered with status 404, expected 200"]);
    let other = look(&provider(DOCUMENT, one_key).await, "expect: {algorithms: [ES256]}").await;
    assert_eq!(said(&other), ["expectation: the provider does not sign with ES256"]);
}

#[tokio::test]
async fn no_provider_has_its_reason() {
    let none = test_server::http(Router::new()).await;
    let seen = look(&format!("http://{none}"), "").await;
    assert_eq!(said(&seen), ["status: the discovery document is answered with status 404, expected 200"]);
    assert_eq!(seen.get("probe_oidc_issuer_matches", &[]), None);
    let closed = look(&format!("http://{}", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    assert_eq!(closed.get("probe_http_status_code", &[]), Some(0.0));
}

#[test]
fn an_issuer_is_a_plain_url() {
    assert_eq!(
        read::<Settings>("https://a.test/x/", "").unwrap().discovery.path(),
        "/x/.well-known/openid-configuration"
    );
    assert_eq!(read::<Settings>("https://a.test", "").unwrap().instance(), "https://a.test");
    for url in ["https://u:hunter2@a.test", "https://a.test?x=y", "ftp://a.test"] {
        let said = read::<Settings>(url, "url: x").unwrap_err().concat();
        assert!(!said.contains("hunter2"), "{said}");
    }
}
