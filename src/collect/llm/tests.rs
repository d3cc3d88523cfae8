use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;

use super::*;
use crate::collect::test_target::read;
use crate::runtime::test_server;

fn check(url: &str, keys: &str) -> Llm {
    Llm::new(read(url, keys).unwrap()).unwrap()
}

async fn look(url: &str, keys: &str) -> Look {
    check(url, keys).look(Instant::now() + Duration::from_millis(500)).await
}

fn outcome(look: &Look, provider: &str) -> Vec<&'static str> {
    let seen = |outcome: &&Outcome| {
        let labels = [("provider", provider), ("outcome", outcome.as_str())];
        look.get("llm_provider_outcome", &labels).expect("each outcome has a value") > 0.0
    };
    OF_ANSWERS.iter().filter(seen).map(|outcome| outcome.as_str()).collect()
}

/// Lists two models for the key `good` and refuses the others as `OpenAI` does, with the key in the message.
async fn provider() -> SocketAddr {
    let list = |headers: HeaderMap| async move {
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match sent {
            "Bearer good" => {
                let limits = [("x-ratelimit-remaining-requests", "7"), ("x-ratelimit-limit-requests", "60")];
                (StatusCode::OK, limits, r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#.to_owned())
            }
            other => {
                let body =
                    format!(r#"{{"error":{{"message":"Incorrect API key: {other}","code":"invalid_api_key"}}}}"#);
                (StatusCode::UNAUTHORIZED, [("x-a", ""), ("x-b", "")], body)
            }
        }
    };
    test_server::http(Router::new().route("/v1/models", get(list))).await
}

async fn answering(status: u16, body: &'static str) -> String {
    let answer = move || async move { (StatusCode::from_u16(status).unwrap(), body) };
    format!("http://{}", test_server::http(Router::new().route("/models", get(answer))).await)
}

#[tokio::test]
async fn a_good_key_counts_the_models_and_shows_the_limits() {
    let look = look(&format!("http://{}/v1", provider().await), "{provider: openai, api_key: good}").await;
    assert!(look.healthy, "{:?}", look.failures);
    assert_eq!(outcome(&look, "openai"), ["ok"]);
    assert_eq!(look.get("llm_models_available", &[("provider", "openai")]), Some(2.0));
    let labels = [("provider", "openai"), ("resource", "requests")];
    assert_eq!(look.get("llm_ratelimit_remaining", &labels), Some(7.0));
    assert_eq!(look.get("llm_ratelimit_limit", &labels), Some(60.0));
    assert_eq!(look.get("probe_success", &[]), Some(1.0));
    assert_eq!(look.get("probe_http_status_code", &[]), Some(200.0));
}

#[tokio::test]
async fn a_bad_key_is_unhealthy_for_auth_and_never_shown() {
    let look = look(&format!("http://{}/v1", provider().await), "{provider: openai, api_key: hunter2}").await;
    assert_eq!(look.failures[0].to_string(), "auth: openai does not take the API key (status 401)");
    assert_eq!(outcome(&look, "openai"), ["auth_error"]);
    assert_eq!(look.get("llm_models_available", &[("provider", "openai")]), None);
}

#[tokio::test]
async fn each_trouble_has_its_outcome_and_reason() {
    for (status, body, seen, reason) in [
        (403, "", "auth_error", Reason::Permission),
        (429, "", "rate_limited", Reason::Limit),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#, "quota_exhausted", Reason::Limit),
        (404, "", "client_error", Reason::Status),
        (500, "", "server_error", Reason::Status),
        (503, "", "overloaded", Reason::Status),
        (504, "", "timeout", Reason::Timeout),
        (200, "<html>", "server_error", Reason::Malformed),
    ] {
        let look = look(&answering(status, body).await, "provider: openai_compatible").await;
        assert_eq!(look.failures[0].reason(), reason, "{status}");
        assert_eq!(outcome(&look, "openai_compatible"), [seen], "{status}");
        assert_eq!(look.get("probe_success", &[]), Some(0.0));
    }
}

#[tokio::test]
async fn no_answer_is_told_apart_from_a_late_one() {
    let gone = look(&format!("http://{}", test_server::closed().await), "provider: ollama").await;
    assert_eq!((gone.failures[0].reason(), outcome(&gone, "ollama")), (Reason::Refused, vec!["server_error"]));
    let silent = look(&format!("http://{}", test_server::silent().await), "provider: ollama").await;
    assert_eq!((silent.failures[0].reason(), outcome(&silent, "ollama")), (Reason::Timeout, vec!["timeout"]));
}

#[test]
fn every_providers_list_is_counted() {
    assert_eq!(count_models(br#"{"models":[{"name":"a"}]}"#), Some(1));
    assert_eq!(count_models(br#"[{"id":"a"},{"id":"b"}]"#), Some(2));
    assert_eq!(count_models(br#"{"models":null}"#), Some(0));
    assert_eq!(count_models(br#"{"hello":1}"#), None);
}
