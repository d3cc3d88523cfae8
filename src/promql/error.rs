//! What can be wrong with a query: how it is written, or what its data make of it.

use std::fmt;

/// A text that is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    /// An error at a byte of a query.
    pub(super) fn at(text: &str, at: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, at);
        Self { line, column, message: message.into() }
    }
}

/// Line and column, both from 1, of a byte of a text.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for ParseError {
    /// As Prometheus writes it: `1:5: parse error: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

/// A query that could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The data do not fit the query, such as a label set that would occur twice.
    #[error("{0}")]
    Data(String),
    /// More samples, steps or series than allowed.
    #[error("query processing would load too much: {0}")]
    TooMuch(String),
    /// Whoever asked does not wait any longer.
    #[error("the query was cancelled or ran out of time")]
    Cancelled,
}

impl EvalError {
    /// The closed word for metrics and the API's `errorType`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Data(_) => "execution",
            Self::TooMuch(_) => "too_much",
            Self::Cancelled => "canceled",
        }
    }

    pub(super) fn data(message: impl Into<String>) -> Self {
        Self::Data(message.into())
    }
}
