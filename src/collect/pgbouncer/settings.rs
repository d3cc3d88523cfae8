//! A PgBouncer target as users write it: a libpq URL of its admin console.

use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::{Collect, TargetSettings, postgres};
use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

/// The database by which PgBouncer gives its console (PgBouncer manual, "Admin console").
const CONSOLE: &str = "pgbouncer";
const WAY_OUT: &str = "write pgbouncer://user@host:6432";

/// What a target of this kind needs beyond the common keys: how to log in to the console.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The same as for a database server: PgBouncer speaks its protocol, and libpq's parameters mean the same.
    pub login: postgres::Settings,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "pgbouncer";
    const SCHEMES: &'static [&'static str] = &["pgbouncer"];
    const JOB: &'static str = "pgbouncer";

    /// Reads the kind's own keys: `password` or `password_file`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.secret("password", "password_file");
        match Self::from_url(url) {
            Ok(mut settings) => {
                settings.login.password = password.or(settings.login.password);
                Some(settings)
            }
            Err((what, way_out)) => {
                fields.wrong("url", what, way_out);
                None
            }
        }
    }

    /// `host:port`, or the socket's path.
    fn instance(&self) -> String {
        self.login.address.to_string()
    }

    fn build(self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::PgBouncer::new(self, supervisor)?))
    }
}

impl Settings {
    /// Reads the URL. The complaint never repeats it, since it may hold a password.
    fn from_url(text: &str) -> Result<Self, (String, String)> {
        let way_out = || WAY_OUT.to_owned();
        let mut url = Url::parse(&text.replacen("@/", "@localhost/", 1))
            .map_err(|error| (format!("this is not a PgBouncer URL: {error}"), way_out()))?;
        if !matches!(url.scheme(), "pgbouncer" | "postgres" | "postgresql") {
            return Err((format!("`{}://` is not PgBouncer's scheme", url.scheme()), way_out()));
        }
        let has = |url: &Url, wanted: &str| url.query_pairs().any(|(name, _)| name == wanted);
        // What is left out has PgBouncer's defaults, not PostgreSQL's.
        if url.port().is_none() && !has(&url, "port") {
            url.query_pairs_mut().append_pair("port", "6432");
        }
        if url.path().trim_matches('/').is_empty() && !has(&url, "dbname") {
            url.query_pairs_mut().append_pair("dbname", CONSOLE);
        }
        if url.username().is_empty() && !has(&url, "user") {
            url.query_pairs_mut().append_pair("user", CONSOLE);
        }
        let rest = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        let login =
            postgres::Settings::from_url(&format!("postgres://{rest}")).map_err(|(what, _)| (what, way_out()))?;
        if login.database != CONSOLE {
            let what = "this URL names a database behind PgBouncer, not its console".to_owned();
            return Err((what, format!("{WAY_OUT}, or a target of kind postgres for the database")));
        }
        Ok(Self { login })
    }

    /// The user, for messages.
    pub(super) fn user(&self) -> &str {
        &self.login.user
    }

    /// Where the console is.
    pub(super) fn address(&self) -> &Address {
        &self.login.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::postgres::TlsMode;

    fn read(url: &str) -> Settings {
        Settings::from_url(url).unwrap()
    }

    #[test]
    fn what_is_missing_has_pgbouncers_defaults() {
        let login = read("pgbouncer://stats@pool").login;
        assert_eq!(login.address.to_string(), "pool:6432");
        assert_eq!((login.user.as_str(), login.database.as_str(), login.tls), ("stats", CONSOLE, TlsMode::Prefer));
        assert_eq!(read("pgbouncer://pool").user(), "pgbouncer");
        assert_eq!(read("pgbouncer://stats@/?host=/run/pgb").instance(), "/run/pgb/.s.PGSQL.6432");
    }

    #[test]
    fn what_is_said_counts() {
        let login = read("pgbouncer://stats:p%40ss@[::1]:6543/pgbouncer?sslmode=require").login;
        assert_eq!(login.address.to_string(), "[::1]:6543");
        assert_eq!((login.password.unwrap().expose(), login.tls), ("p@ss", TlsMode::Require));
        assert_eq!(read("postgres://stats@pool:1/pgbouncer").instance(), "pool:1", "with kind: pgbouncer");
        assert_eq!(read("pgbouncer://stats@pool?port=7").instance(), "pool:7");
    }

    #[test]
    fn a_database_behind_it_is_another_kind_of_target() {
        let (what, way_out) = Settings::from_url("pgbouncer://app:hush@pool/orders").unwrap_err();
        assert!(what.contains("not its console") && way_out.contains("kind postgres"), "{what}; {way_out}");
    }

    #[test]
    fn a_complaint_never_shows_the_password() {
        for url in ["pgbouncer://a:hush@h:99999", "pgbouncer://a:hush@h?sslmode=x", "redis://a:hush@h"] {
            let (what, way_out) = Settings::from_url(url).unwrap_err();
            assert!(!what.contains("hush") && !way_out.contains("hush"), "{what}; {way_out}");
        }
    }
}
