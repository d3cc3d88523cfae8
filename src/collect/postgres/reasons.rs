//! Why a login or a query failed: the driver's errors in our words and classes.

use std::error::Error as _;
use std::io;

use crate::collect::{CollectError, Reason};

/// Puts a driver's error into our words and classes. The server's message is kept, the SQLSTATE becomes the label.
pub fn describe(error: &tokio_postgres::Error, what: &str) -> CollectError {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        return CollectError::new(reason_of(code), format!("{what}: {}", said.message())).with_sqlstate(code);
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let reason = match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) if carries_tls_error(io) => Reason::Tls,
        Some(io) => Reason::of_io(io),
        None if error.is_closed() => Reason::Unreachable,
        None => reason_by_stage(error),
    };
    CollectError::new(reason, format!("{what}: {cause}"))
}

/// Whether the server turned a session away that may not use TLS, most likely because it must; before version 12 it wrote
/// `SSL off`. A server that has no rule at all for the role or address says the same, so its words stay.
pub fn wants_tls(error: &tokio_postgres::Error) -> bool {
    let is_so = |said: &tokio_postgres::error::DbError| {
        let plain = [", no encryption", ", SSL off"].iter().any(|end| said.message().ends_with(end));
        said.code().code() == "28000" && said.message().starts_with("no pg_hba.conf entry") && plain
    };
    error.as_db_error().is_some_and(is_so)
}

fn carries_tls_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// The driver hides at what it failed but for its words.
fn reason_by_stage(error: &tokio_postgres::Error) -> Reason {
    let said = error.to_string();
    if said.contains("TLS") {
        Reason::Tls
    } else if said.contains("authentication") || said.contains("password") || said.contains("configuration") {
        // The only configuration that can be wrong here is a password that the server asks for and nobody gave.
        Reason::Auth
    } else {
        Reason::Malformed
    }
}

/// The class of a SQLSTATE (`PostgreSQL` manual, appendix A).
fn reason_of(code: &str) -> Reason {
    match code {
        // insufficient_privilege
        "42501" => Reason::Permission,
        // query_canceled (statement_timeout), lock_not_available (lock_timeout)
        "57014" | "55P03" => Reason::Timeout,
        // admin_shutdown, crash_shutdown, cannot_connect_now: starting up or going down
        "57P01" | "57P02" | "57P03" => Reason::Unreachable,
        _ if code.starts_with("28") => Reason::Auth,
        _ if code.starts_with("53") => Reason::Limit,
        _ => Reason::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_have_classes() {
        for (code, reason) in [
            ("28P01", Reason::Auth),
            ("28000", Reason::Auth),
            ("53300", Reason::Limit),
            ("3D000", Reason::Query),
            ("42501", Reason::Permission),
            ("55P03", Reason::Timeout),
            ("57P03", Reason::Unreachable),
        ] {
            assert_eq!(reason_of(code), reason, "{code}");
        }
    }
}
