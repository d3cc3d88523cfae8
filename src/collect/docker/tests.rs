//! Looks at an engine that behaves as told.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};

use crate::runtime::test_server;

use super::*;

/// Answers a path; `None` is a request that hangs.
type Script = fn(path: &str, query: &str, nth: usize) -> Option<Response>;

/// An engine with one running container whose answers the script may replace; `nth` counts the looks from 0.
async fn engine(script: Script) -> Docker {
    let looks = Arc::new(AtomicUsize::new(0));
    let answer = move |request: Request| {
        let looks = Arc::clone(&looks);
        async move {
            let path = request.uri().path().to_owned();
            if path.ends_with("/containers/json") {
                looks.fetch_add(1, Ordering::SeqCst);
            }
            let nth = looks.load(Ordering::SeqCst).saturating_sub(1);
            match script(&path, request.uri().query().unwrap_or_default(), nth) {
                Some(response) => response,
                None => std::future::pending().await,
            }
        }
    };
    let address = test_server::http(Router::new().fallback(answer)).await;
    let address = Address::Tcp { host: address.ip().to_string(), port: address.port() };
    // Without discovery the looks alone ask for lists, and so can be counted by them.
    Docker::new(Settings { address, files: None, discover: false }, &Supervisor::new())
}

fn well(path: &str) -> Response {
    let time = (Millis::now() + Duration::from_hours(1)).to_rfc3339();
    match path.rsplit('/').next().unwrap_or_default() {
        "version" => r#"{"ApiVersion": "1.41"}"#.into_response(),
        "info" => format!(r#"{{"NCPU": 4, "SystemTime": "{time}", "CgroupDriver": "systemd"}}"#).into_response(),
        "stats" => r#"{"memory_stats": {"usage": 5, "stats": {}}}"#.into_response(),
        "events" => endless(String::new()),
        "json" if path.ends_with("/containers/json") => {
            r#"[{"Id": "ab", "Names": ["/web"], "Image": "sha256:1", "State": "running", "Status": "Up 4 seconds"}]"#
                .into_response()
        }
        _ => r#"{"Id": "ab", "RestartCount": 2, "Config": {"Image": "shop:1"}, "HostConfig": {"Memory": 7},
            "State": {"Health": {"Status": "healthy"}}}"#
            .into_response(),
    }
}

async fn look_for(docker: &Docker, time: Duration) -> Look {
    docker.look(Instant::now() + time).await
}

async fn look(docker: &Docker) -> Look {
    look_for(docker, Duration::from_secs(5)).await
}

fn web(look: &Look, family: &str) -> Option<f64> {
    look.get(family, &[("id", "/system.slice/docker-ab.scope"), ("name", "web"), ("image", "shop:1")])
}

#[tokio::test]
async fn an_engine_that_would_not_say_what_machine_it_is_is_asked_again() {
    let docker = engine(|path, _, nth| {
        let broken = path.ends_with("/info") && nth == 0;
        Some(if broken { StatusCode::INTERNAL_SERVER_ERROR.into_response() } else { well(path) })
    })
    .await;
    let first = look(&docker).await;
    assert_eq!(first.get("machine_cpu_cores", &[]), None);
    assert_eq!(first.failures.len(), 1, "{:?}", first.failures);
    assert_eq!(first.get("container_scrape_error", &[]), Some(1.0));
    let second = look(&docker).await;
    assert_eq!(second.get("machine_cpu_cores", &[]), Some(4.0));
    assert_eq!(web(&second, "container_memory_usage_bytes"), Some(5.0), "known by the group that systemd names");
    assert!(second.failures.is_empty(), "{:?}", second.failures);
}

#[tokio::test]
async fn a_proxy_that_denies_the_machine_is_counted_once() {
    let docker = engine(|path, _, _| {
        Some(if path.ends_with("/info") { StatusCode::FORBIDDEN.into_response() } else { well(path) })
    })
    .await;
    let first = look(&docker).await;
    assert_eq!(first.failures.iter().map(CollectError::reason).collect::<Vec<_>>(), [Reason::Permission]);
    let second = look(&docker).await;
    assert!(second.up && second.failures.is_empty(), "{:?}", second.failures);
}

#[tokio::test]
async fn figures_that_come_too_late_cost_the_figures_only_and_are_missed_once() {
    let docker = engine(|path, _, _| (!path.ends_with("/stats")).then(|| well(path))).await;
    let look = look_for(&docker, Duration::from_secs(1)).await;
    assert!(look.up && look.healthy);
    assert_eq!(look.failures.iter().map(CollectError::reason).collect::<Vec<_>>(), [Reason::Timeout]);
    assert_eq!(web(&look, "container_restarts"), Some(2.0));
    assert_eq!(web(&look, "container_memory_usage_bytes"), None);
}

#[tokio::test]
async fn a_container_that_hangs_look_after_look_no_longer_makes_looks_long() {
    let docker = engine(|path, _, _| (!path.ends_with("/stats")).then(|| well(path))).await;
    let mut took = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        let look = look_for(&docker, Duration::from_secs(1)).await;
        took.push(start.elapsed());
        assert!(look.failures.iter().any(|failure| failure.reason() == Reason::Timeout), "each look says it");
        assert!(look.up && look.healthy);
    }
    let long = Duration::from_millis(400);
    assert!(took[0] > long && took[1] > long, "{took:?}");
    assert!(took[2] < long && took[3] < long, "{took:?}");
}

#[tokio::test]
async fn a_failed_inspect_costs_the_verdicts_but_not_the_identity() {
    let docker = engine(|path, _, nth| {
        let inspect = path.ends_with("/ab/json");
        Some(if inspect && nth > 0 { StatusCode::BAD_GATEWAY.into_response() } else { well(path) })
    })
    .await;
    let first = look(&docker).await;
    assert_eq!(web(&first, "container_restarts"), Some(2.0));
    assert_eq!(web(&first, "container_health_state"), Some(1.0));
    let second = look(&docker).await;
    assert_eq!(second.failures.len(), 1, "{:?}", second.failures);
    assert_eq!(web(&second, "container_restarts"), None);
    assert_eq!(web(&second, "container_health_state"), None);
    assert_eq!(web(&second, "container_spec_memory_limit_bytes"), Some(7.0));
    assert_eq!(web(&second, "container_memory_usage_bytes"), Some(5.0));
}

/// An answer that goes on until it is dropped.
fn endless(text: String) -> Response {
    let stream = stream::iter([Ok::<_, std::io::Error>(text)]).chain(stream::pending());
    axum::body::Body::from_stream(stream).into_response()
}

async fn look_until(docker: &Docker, family: &str, wanted: f64) -> Look {
    for _ in 0..100 {
        let seen = look(docker).await;
        if web(&seen, family) == Some(wanted) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{family} did not become {wanted}");
}

const KILL: &str = r#"{"Action": "oom", "Actor": {"ID": "ab", "Attributes": {"name": "web", "image": "shop:1"}}, "timeNano": 4102444800000000000}"#;

#[tokio::test]
async fn kills_count_once_over_broken_streams() {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let docker = engine(|path, query, _| {
        if !path.ends_with("/events") {
            return Some(well(path));
        }
        let nth = OPENED.fetch_add(1, Ordering::SeqCst);
        // It breaks off twice and tells the same again, as it is asked for the time since.
        let since = query.contains("since=4102444799.000000000");
        assert_eq!(since, nth > 0, "{query}");
        Some(if nth < 2 { format!("{KILL}\n").into_response() } else { endless(format!("{KILL}\n")) })
    })
    .await;
    look_until(&docker, "container_oom_events_total", 1.0).await;
    while OPENED.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let last = look(&docker).await;
    assert_eq!(web(&last, "container_oom_events_total"), Some(1.0));
    let counted = [("name", "web"), ("image", "shop:1"), ("action", "oom")];
    assert_eq!(last.get("container_events_total", &counted), Some(1.0));
    assert_eq!(last.get("container_event_streams_total", &[]), Some(3.0));
}

#[tokio::test]
async fn a_proxy_that_denies_events_costs_what_they_tell_and_is_counted_once() {
    let docker = engine(|path, _, _| {
        Some(if path.ends_with("/events") { StatusCode::FORBIDDEN.into_response() } else { well(path) })
    })
    .await;
    let mut failures = Vec::new();
    for _ in 0..5 {
        let seen = look(&docker).await;
        assert_eq!(web(&seen, "container_oom_events_total"), None, "absent, not zero");
        assert_eq!(web(&seen, "container_restarts"), Some(2.0));
        failures.extend(seen.failures.iter().map(CollectError::reason));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(failures, [Reason::Permission]);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_down_and_says_why() {
    let address = Address::Unix("/nonexistent/docker.sock".into());
    let docker = Docker::new(Settings { address, files: None, discover: true }, &Supervisor::new());
    let look = docker.look(Instant::now() + Duration::from_secs(1)).await;
    assert!(!look.up && !look.healthy && look.is_empty());
    assert_eq!(look.failures[0].reason(), Reason::Refused, "{}", look.failures[0]);
}

#[tokio::test]
async fn one_container_in_a_state_that_nobody_knows_hides_no_other() {
    let docker = engine(|path, _, _| {
        let two = r#"[{"Id": "ab", "Names": ["/web"], "Image": "sha256:1", "State": "running", "Status": "Up 4 seconds"},
            {"Id": "cd", "Names": ["/odd"], "State": "hibernated", "Mounts": [{"Type": "hologram"}]}]"#;
        Some(if path.ends_with("/containers/json") { two.into_response() } else { well(path) })
    })
    .await;
    let seen = look(&docker).await;
    assert!(seen.up && seen.failures.is_empty(), "{:?}", seen.failures);
    assert_eq!(web(&seen, "container_memory_usage_bytes"), Some(5.0));
}

#[tokio::test]
async fn an_event_too_long_to_read_costs_itself_alone() {
    let docker = engine(|path, _, _| {
        let long = format!(r#"{{"Action": "die", "Actor": {{"ID": "{}"}}}}"#, "x".repeat(3 << 20));
        Some(if path.ends_with("/events") { endless(format!("{long}\n{KILL}\n")) } else { well(path) })
    })
    .await;
    let seen = look_until(&docker, "container_oom_events_total", 1.0).await;
    assert_eq!(seen.get("container_event_streams_total", &[]), Some(1.0), "the stream goes on");
}

#[tokio::test]
async fn a_stream_may_tell_more_than_any_answer_may() {
    let docker = engine(|path, _, _| {
        // Twenty mebibytes of what is nothing to us, then something.
        let line = format!("{{\"Action\": \"exec_start: {}\"}}\n", "x".repeat(64 << 10));
        Some(if path.ends_with("/events") { endless(line.repeat(320) + KILL + "\n") } else { well(path) })
    })
    .await;
    let seen = look_until(&docker, "container_oom_events_total", 1.0).await;
    assert_eq!(seen.get("container_event_streams_total", &[]), Some(1.0));
    assert!(seen.failures.is_empty(), "{:?}", seen.failures);
}

#[tokio::test]
async fn an_endless_list_is_refused() {
    let docker = engine(|path, _, _| {
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(" ".repeat(1 << 16)));
        let endless = axum::body::Body::from_stream(endless);
        Some(if path.ends_with("/containers/json") { endless.into_response() } else { well(path) })
    })
    .await;
    let seen = look(&docker).await;
    assert!(!seen.up);
    assert_eq!(seen.failures[0].reason(), Reason::TooLarge, "{}", seen.failures[0]);
}

#[tokio::test]
async fn what_the_engine_says_to_a_refusal_is_told() {
    let docker = engine(|path, _, _| {
        let refusal = (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message": "disk\tfull"}"#);
        Some(if path.ends_with("/containers/json") { refusal.into_response() } else { well(path) })
    })
    .await;
    let seen = look(&docker).await;
    let said = seen.failures[0].to_string();
    assert!(said.contains("cannot list the containers: it answers 500 Internal Server Error: disk full"), "{said}");
}
