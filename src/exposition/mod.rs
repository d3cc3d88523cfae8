//! The exposition formats: what `/metrics` pages look like, read and written.
//!
//! In: pages of others ([`parse()`]), the store's current pictures ([`encode()`]), a request's headers ([`negotiate()`]), the
//! agent's own registry ([`gather`]). Out: [`Block`](crate::model::Block)s; pages; the format to answer in.
//!
//! Text 0.0.4 is documented with Prometheus (“Exposition formats”), OpenMetrics 1.0.0 is its own specification.
//!
//! Invariant: what [`encode()`] writes, [`parse()`] reads back as the same values.

mod encode;
mod families;
mod gather;
mod negotiate;
mod parse;

pub use encode::{Options, encode, write_escaped};
pub use gather::gather;
pub use negotiate::{Negotiated, negotiate};
pub use parse::{Limits, ParseError, Parsed, Wrong, parse};

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a scraper that understands both sends as `Accept`.
    pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// The format of an answer with this `Content-Type`. Whatever is not OpenMetrics is tried as text, as Prometheus 2 does.
    pub fn of_content_type(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}
