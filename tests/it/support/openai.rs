//! A model provider with the shape of `OpenAI`'s API: the list of models, for those who bring the key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Answer, HttpServer};

/// The only key it takes. No secret: it opens nothing.
pub const KEY: &str = "sk-test-key-of-the-fake-provider";

/// The provider.
pub struct OpenAiServer {
    server: HttpServer,
    asked_for_money: Arc<AtomicBool>,
}

impl OpenAiServer {
    pub fn start() -> Self {
        let asked_for_money = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked_for_money);
        let server = HttpServer::start(move |request| {
            if request.header("authorization") != Some(&format!("Bearer {KEY}")) {
                return Answer::new(
                    401,
                    "application/json",
                    r#"{"error":{"code":"invalid_api_key","type":"invalid_request_error"}}"#,
                );
            }
            if request.method != "GET" || !request.path.starts_with("/v1/models") {
                noted.store(true, Ordering::Relaxed);
                return Answer::new(404, "application/json", r#"{"error":{"code":"not_found"}}"#);
            }
            let models =
                r#"{"object":"list","data":[{"id":"gpt-5","object":"model","created":1,"owned_by":"openai"}]}"#;
            Answer::new(200, "application/json", models)
        });
        Self { server, asked_for_money }
    }

    /// The base URL, as a target of kind `llm` has it.
    pub fn url(&self) -> String {
        self.server.url("/v1")
    }

    /// Whether anything but the free list of models was asked for.
    pub fn asked_for_more_than_models(&self) -> bool {
        self.asked_for_money.load(Ordering::Relaxed)
    }
}
