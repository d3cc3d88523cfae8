//! Why something could not be seen.

use std::error::Error;
use std::fmt;
use std::io;

use crate::runtime::http_client::HttpError;

/// The closed set of reasons, as they stand in `sidewatch_target_failures_total{reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The host name does not resolve.
    Resolve,
    /// Nothing listens there.
    Refused,
    /// No way there, or the connection broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// The target refused our credentials.
    Auth,
    /// Credentials were taken, but the right is missing.
    Permission,
    /// The target answered with an error status.
    Status,
    /// The answer is not what `expect` asks for.
    Expectation,
    /// The answer cannot be read.
    Malformed,
    /// The target answers that it is at a limit: connections, requests, quota.
    Limit,
    /// A database query failed.
    Query,
    /// The answer is larger than we are willing to hold.
    TooLarge,
    /// The look itself failed: a bug here.
    Internal,
}

impl Reason {
    /// The class of an I/O error on the way to a server or on the connection with it.
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            // A socket file that is not there is what a refused port is: nobody listens.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::PermissionDenied => Self::Permission,
            // What our own readers make of bytes that are not the protocol's.
            io::ErrorKind::InvalidData => Self::Malformed,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Unreachable,
        }
    }

    /// The class of an HTTP client's error.
    fn of_http(error: &HttpError) -> Self {
        match error {
            HttpError::Resolve { .. } => Self::Resolve,
            HttpError::Proxy { .. } => Self::Unreachable,
            HttpError::Connect { source, .. } | HttpError::ConnectUnix { source, .. } => Self::of_io(source),
            HttpError::Tls { .. } => Self::Tls,
            HttpError::Timeout { .. } => Self::Timeout,
            HttpError::Protocol { source, .. } if source.is_parse() => Self::Malformed,
            HttpError::Protocol { source, .. } => io_cause(source).map_or(Self::Unreachable, Self::of_io),
            HttpError::TooLarge { .. } => Self::TooLarge,
            HttpError::Request(_) => Self::Internal,
        }
    }

    /// As it stands in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Status => "status",
            Self::Expectation => "expectation",
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::Query => "query",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
        }
    }
}

/// One thing that a look could not see, and why. The text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectError {
    reason: Reason,
    /// The server's own code: a SQLSTATE. Bounded, because servers have a fixed list.
    code: Option<Box<str>>,
    message: String,
}

impl CollectError {
    /// An error in words: what could not be done, with whom, and the cause.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, code: None, message: message.into() }
    }

    /// The same with the server's own code; `sqlstate_53300` then is the label's value.
    #[must_use]
    pub fn with_sqlstate(mut self, code: &str) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same in another class, where more is known than the error tells.
    #[must_use]
    pub fn of_class(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// The same with other words, made of the present ones.
    #[must_use]
    pub fn reworded(mut self, words: impl FnOnce(&str) -> String) -> Self {
        self.message = words(&self.message);
        self
    }

    /// The class of the error.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The server's own code, where a database gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The value of the label `reason`: the SQLSTATE where a database gave one, else the class.
    pub fn label(&self) -> String {
        self.code.as_ref().map_or_else(|| self.reason.as_str().to_owned(), |code| format!("sqlstate_{code}"))
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)?;
        self.code.as_ref().map_or(Ok(()), |code| write!(f, " (SQLSTATE {code})"))
    }
}

impl Error for CollectError {}

impl From<&HttpError> for CollectError {
    fn from(error: &HttpError) -> Self {
        Self::new(Reason::of_http(error), chain(error))
    }
}

/// An error and its causes in one line, none said twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// The first I/O error in the chain of causes: it alone tells a refused connection from a forbidden one.
pub fn io_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_has_one_class_wherever_it_happens() {
        let connect = |kind: io::ErrorKind| {
            let peer = ([127, 0, 0, 1], 1).into();
            CollectError::from(&HttpError::Connect { peer, source: kind.into() })
        };
        for (kind, reason) in [
            (io::ErrorKind::ConnectionRefused, Reason::Refused),
            (io::ErrorKind::NotFound, Reason::Refused),
            (io::ErrorKind::TimedOut, Reason::Timeout),
            (io::ErrorKind::ConnectionReset, Reason::Unreachable),
            (io::ErrorKind::HostUnreachable, Reason::Unreachable),
            (io::ErrorKind::PermissionDenied, Reason::Permission),
        ] {
            assert_eq!(Reason::of_io(&kind.into()), reason, "{kind}");
            assert_eq!(connect(kind).reason(), reason, "{kind}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot connect: {0}")]
        struct Outer(#[source] io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("cannot look")]
        struct Outermost(#[source] Outer);
        let error = Outermost(Outer(io::Error::other("no route")));
        assert_eq!(chain(&error), "cannot look: cannot connect: no route");
        assert_eq!(io_cause(&error).map(ToString::to_string).as_deref(), Some("no route"));
    }
}
