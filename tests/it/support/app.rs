//! The application: a health page and a metrics page, and a switch that breaks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use super::{Answer, HttpServer};

/// An application with `/health` and `/metrics`.
pub struct HttpApp {
    server: HttpServer,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicU64>,
}

/// What its metrics count: answers by status.
#[derive(Default)]
struct Counts {
    good: AtomicU64,
    failed: AtomicU64,
}

impl HttpApp {
    /// A healthy one.
    pub fn start() -> Self {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU64::new(0)));
        let (answered, counted, counts) = (Arc::clone(&status), Arc::clone(&asked), Counts::default());
        let server = HttpServer::start(move |request| {
            let status = answered.load(Ordering::Relaxed);
            if request.path == "/metrics" {
                return Answer::new(200, "text/plain; version=0.0.4", metrics(&counts));
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let count = if status < 500 { &counts.good } else { &counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            let word = if status == 200 { "ok" } else { "down" };
            Answer::new(
                status,
                "application/json",
                format!(r#"{{"status":"{word}","checks":{{"database":"{word}"}}}}"#),
            )
        });
        Self { server, status, asked }
    }

    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// From now on every answer but `/metrics` has this status.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// How often it was asked for anything but its metrics.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn metrics(counts: &Counts) -> String {
    let (good, failed) = (counts.good.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed));
    let asked = good + failed;
    format!(
        "# HELP http_requests_total Requests answered.\n# TYPE http_requests_total counter\n\
         http_requests_total{{status=\"200\"}} {good}\nhttp_requests_total{{status=\"500\"}} {failed}\n\
         # HELP http_request_duration_seconds How long answers took.\n# TYPE http_request_duration_seconds histogram\n\
         http_request_duration_seconds_bucket{{le=\"0.1\"}} {asked}\n\
         http_request_duration_seconds_bucket{{le=\"2\"}} {asked}\n\
         http_request_duration_seconds_bucket{{le=\"+Inf\"}} {asked}\n\
         http_request_duration_seconds_sum {asked}e-3\nhttp_request_duration_seconds_count {asked}\n\
         # HELP llm_tokens_processed Tokens, as the founding documents' application counts them.\n\
         # TYPE llm_tokens_processed counter\nllm_tokens_processed{{type=\"input\",model=\"gpt-5\"}} 1234\n"
    )
}
