//! The whole notifier against real HTTP servers on loopback.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::*;
use crate::model::{Alert, Labels, Millis, Problems};
use crate::yaml::{Fields, parse};

/// A webhook's receiving end: answers as told, then 200.
struct Hook {
    port: u16,
    answers: StdMutex<VecDeque<(u16, Option<&'static str>)>>,
    heard: StdMutex<Vec<(Instant, HeaderMap, serde_json::Value)>>,
}

impl Hook {
    async fn start(supervisor: &Supervisor, answers: &[(u16, Option<&'static str>)]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = StdMutex::new(answers.iter().copied().collect());
        let hook = Arc::new(Self { port, answers, heard: StdMutex::default() });
        let server = Arc::clone(&hook);
        let app = axum::Router::new().fallback(move |headers: HeaderMap, body: String| {
            let answer = server.answer(headers, &body);
            async move { answer }
        });
        let stop = supervisor.stop_token().clone();
        supervisor.spawn_once(async move {
            let serve = axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
            let _ = serve.await;
        });
        hook
    }

    fn answer(&self, headers: HeaderMap, body: &str) -> impl IntoResponse + use<> {
        let body = serde_json::from_str(body).unwrap();
        self.heard.lock().unwrap().push((Instant::now(), headers, body));
        let (status, after) = self.answers.lock().unwrap().pop_front().unwrap_or((200, None));
        let after = after.map(|after| [("retry-after", after)]);
        (StatusCode::from_u16(status).unwrap(), after, "at /s3cret-path: no")
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    async fn until_heard(&self, count: usize) {
        let limit = Instant::now() + Duration::from_secs(10);
        while self.count() < count {
            assert!(Instant::now() < limit, "heard only {} of {count}", self.count());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn settings(hook: &Hook) -> Settings {
    let text = format!(
        "route: {{receiver: on-call, group_by: [alertname], group_wait: 200ms, group_interval: 1s}}\nreceivers: \
         [{{name: on-call, webhook_configs: [{{url: 'http://u:s3cret-password@127.0.0.1:{}/s3cret-path'}}]}}]",
        hook.port
    );
    let node = parse(&text, "f.yml").unwrap();
    let problems = Problems::new();
    let settings = Settings::read(Fields::of(&node, "`alerting`", &problems).unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    settings
}

fn alert(ends_at: Option<Millis>) -> Alert {
    Alert {
        labels: Labels::new([("alertname", "Down")]),
        annotations: Labels::empty(),
        starts_at: Millis::now(),
        ends_at,
        value: 0.0,
        generator_url: String::new(),
    }
}

struct Rig {
    supervisor: Supervisor,
    hook: Arc<Hook>,
    notifier: Notifier,
    registry: Registry,
}

async fn start(answers: &[(u16, Option<&'static str>)]) -> Rig {
    let supervisor = Supervisor::new();
    let hook = Hook::start(&supervisor, answers).await;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let notifier = Notifier::start(&settings(&hook), metrics, &supervisor, "http://sidewatch:9640").unwrap();
    Rig { supervisor, hook, notifier, registry }
}

impl Rig {
    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    async fn until_metric(&self, line: &str) {
        let limit = Instant::now() + Duration::from_secs(10);
        while !self.metrics().lines().any(|has| has == line) {
            assert!(Instant::now() < limit, "no `{line}` in\n{}", self.metrics());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// For machines that do much else; the exact times are held by the tests of `dispatch`, whose clock stands still.
const SLACK: u64 = 400;
const ON_CALL: &str = r#"receiver="on-call",integration="webhook""#;

#[tokio::test]
async fn a_webhook_arrives_within_the_group_wait_and_the_end_with_the_next_interval() {
    let rig = start(&[]).await;
    let begin = Instant::now();
    rig.notifier.tell(vec![Transition::Firing(alert(None))]);
    rig.hook.until_heard(1).await;
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_millis(200) && waited < Duration::from_millis(300 + SLACK), "{waited:?}");
    rig.notifier.tell(vec![Transition::Resolved(alert(Some(Millis::now())))]);
    rig.hook.until_heard(2).await;
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_millis(1200) && waited < Duration::from_millis(1300 + SLACK), "{waited:?}");
    let heard = rig.hook.heard.lock().unwrap().clone();
    assert_eq!((&heard[0].2["status"], &heard[1].2["status"]), (&"firing".into(), &"resolved".into()));
    assert_eq!(heard[0].1["content-type"], "application/json");
    assert_eq!(heard[0].1["authorization"], "Basic dTpzM2NyZXQtcGFzc3dvcmQ=");
    assert!(heard[0].1["user-agent"].to_str().unwrap().starts_with("sidewatch/"));
    assert_ne!(heard[0].1["idempotency-key"], heard[1].1["idempotency-key"]);
    drop(heard);
    assert!(rig.supervisor.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_failing_server_is_tried_again_with_the_same_key() {
    let rig = start(&[(503, None)]).await;
    rig.notifier.tell(vec![Transition::Firing(alert(None))]);
    rig.until_metric(&format!("sidewatch_notifications_total{{{ON_CALL}}} 1")).await;
    let heard = rig.hook.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].1["idempotency-key"], heard[1].1["idempotency-key"]);
    let wait = heard[1].0 - heard[0].0;
    assert!(wait >= Duration::from_millis(250) && wait < Duration::from_millis(900), "{wait:?}");
    let metrics = rig.metrics();
    assert!(metrics.contains(&format!("sidewatch_notification_requests_failed_total{{{ON_CALL}}} 1")), "{metrics}");
    assert!(metrics.contains(&format!("sidewatch_notifications_failed_total{{{ON_CALL},reason=\"serverError\"}} 0")));
    assert!(metrics.contains("sidewatch_notification_last_success_timestamp_seconds{"), "{metrics}");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let rig = start(&[(429, Some("2"))]).await;
    rig.notifier.tell(vec![Transition::Firing(alert(None))]);
    rig.hook.until_heard(2).await;
    let heard = rig.hook.heard.lock().unwrap();
    let wait = heard[1].0 - heard[0].0;
    assert!(wait >= Duration::from_secs(2) && wait < Duration::from_millis(2300), "{wait:?}");
}

#[tokio::test]
async fn a_refusal_is_given_up_until_the_next_interval() {
    let rig = start(&[(400, None)]).await;
    rig.notifier.tell(vec![Transition::Firing(alert(None))]);
    rig.until_metric(&format!("sidewatch_notifications_failed_total{{{ON_CALL},reason=\"clientError\"}} 1")).await;
    sleep(Duration::from_millis(700)).await;
    assert_eq!(rig.hook.count(), 1);
    rig.hook.until_heard(2).await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<StdMutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_logs_nor_metrics_hold_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let rig = start(&[(500, None), (404, None)]).await;
    rig.notifier.tell(vec![Transition::Firing(alert(None))]);
    rig.until_metric(&format!("sidewatch_notifications_failed_total{{{ON_CALL},reason=\"clientError\"}} 1")).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("answered 404 Not Found: at ***: no"), "{log}");
    assert!(!log.contains("s3cret") && !rig.metrics().contains("s3cret"), "{log}");
}
