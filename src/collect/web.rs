//! What every kind that speaks over the web shares (`http`, `llm`, `prometheus`, and of TLS also `tcp`): how its settings are
//! read, how redirects are followed, how bodies are unpacked, and how an exchange is shown.

mod body;
mod fetch;
mod report;
mod settings;

pub use body::{Bounds, decode};
pub use fetch::{Follow, Journey, fetch};
pub use report::{report_exchange, report_length, report_no_answer};
pub use settings::{is_secret, read_authorization, read_request_headers, read_trust, read_url, without_credentials};
