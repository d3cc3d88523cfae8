//! A `PostgreSQL` target as users write it: a libpq URL and a few keys.

use crate::collect::{Collect, TargetSettings};
use crate::runtime::supervise::Supervisor;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::model::{Secret, percent_decode};
use crate::yaml::Fields;

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the server listens.
    pub address: Address,
    /// The role to log in as; libpq's `user`.
    pub user: String,
    /// From the URL, `password` or `password_file`.
    pub password: Option<Secret>,
    /// The database to connect to; libpq's default is the user's name.
    pub database: String,
    /// libpq's `sslmode`.
    pub tls: TlsMode,
    /// libpq's `sslrootcert`: a PEM file of authorities to trust instead of the public ones.
    pub root_certificate: Option<String>,
    /// The databases whose own figures are wanted; empty for all.
    pub databases: Vec<String>,
}

/// libpq's `sslmode`: whether to use TLS, and what of the certificate must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server offers it, with any certificate.
    Prefer,
    /// Always, with any certificate (with `sslrootcert`: as `verify-ca`, as libpq does).
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// As before, and for the host's name.
    VerifyFull,
}

impl TlsMode {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "prefer" | "allow" => Self::Prefer,
            // `no-verify` is node-postgres' word for libpq's `require`.
            "require" | "no-verify" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl TargetSettings for Settings {
    const KIND: &'static str = "postgres";
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql"];
    const JOB: &'static str = "postgres";

    /// Reads the kind's own keys. `url` is the target's URL, already substituted.
    ///
    /// URL parameters that are not about reaching the server are passed over: the URL is often the
    /// application's own, with its driver's parameters (`schema`, `connection_limit`, `pgbouncer`).
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let password = fields.secret("password", "password_file");
        let databases = fields.texts("databases");
        match Self::from_url(url) {
            Ok(settings) => Some(Self { password: password.or(settings.password), databases, ..settings }),
            Err((what, way_out)) => {
                fields.wrong("url", what, way_out);
                None
            }
        }
    }

    /// `host:port`, or the socket's path.
    fn instance(&self) -> String {
        self.address.to_string()
    }

    fn build(self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Postgres::new(self, supervisor)?))
    }
}

impl Settings {
    /// Reads a libpq URL. The complaint never repeats the URL, which may hold a password.
    pub(in crate::collect) fn from_url(text: &str) -> Result<Self, (String, String)> {
        let form = || "write postgres://user@host:5432/database".to_owned();
        // libpq takes a user without a host (it is in a parameter then); URLs in general do not.
        let url = Url::parse(&text.replacen("@/", "@localhost/", 1)).map_err(|error| {
            (format!("this is not a PostgreSQL URL: {error}"), format!("{}; one target is one server", form()))
        })?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err((format!("`{}://` is not PostgreSQL's scheme", url.scheme()), form()));
        }
        let parameter =
            |wanted: &str| url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, v)| v.into_owned()).last();
        let nonempty = |text: &str| (!text.is_empty()).then(|| percent_decode(text));
        let user = nonempty(url.username()).or_else(|| parameter("user")).unwrap_or_else(|| "postgres".into());
        let password = url.password().map(percent_decode).or_else(|| parameter("password")).map(Secret::new);
        let path = url.path().trim_start_matches('/');
        let database = nonempty(path).or_else(|| parameter("dbname")).unwrap_or_else(|| user.clone());
        let host =
            parameter("host").or_else(|| url.host_str().and_then(nonempty)).unwrap_or_else(|| "localhost".into());
        if host.contains(',') {
            let what = "the URL names several hosts, of which libpq takes the first that answers".to_owned();
            return Err((what, format!("{}; one target is one server, so write a target for each", form())));
        }
        let port = match url.port() {
            Some(port) => port,
            None => parameter("port").map_or(Ok(5432), |text| text.parse()).map_err(|_| {
                ("the URL's `port` is not a port number".to_owned(), "write a number up to 65535".to_owned())
            })?,
        };
        let tls = parameter("sslmode").unwrap_or_else(|| "prefer".into());
        let tls = TlsMode::read(&tls).ok_or_else(|| {
            (
                format!("`sslmode={tls}` is not known"),
                "use disable, prefer, require, verify-ca or verify-full".to_owned(),
            )
        })?;
        let root_certificate = parameter("sslrootcert").filter(|path| path != "system");
        let address = address(&host, port);
        Ok(Self { address, user, password, database, tls, root_certificate, databases: Vec::new() })
    }

    /// Whether a database's own figures are wanted.
    pub(super) fn wants(&self, database: &str) -> bool {
        self.databases.is_empty() || self.databases.iter().any(|wanted| wanted == database)
    }
}

/// As libpq, a host that starts with a slash is the directory of a Unix socket.
fn address(host: &str, port: u16) -> Address {
    if host.starts_with('/') {
        return Address::Unix(Path::new(host).join(format!(".s.PGSQL.{port}")));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Address::Tcp { host: host.to_owned(), port }
}

/// Settings for the tests of other files.
#[cfg(test)]
pub(super) fn example() -> Settings {
    Settings::from_url("postgres://app@db/orders").expect("the URL is right")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;

    fn read(url: &str, keys: &str) -> Result<Settings, String> {
        test_target::read(url, keys).map_err(|said| said.concat())
    }

    #[test]
    fn a_full_url_is_taken_apart() {
        let settings = read("postgresql://app:p%40ss@db:5433/orders?sslmode=verify-full", "").unwrap();
        assert_eq!(settings.instance(), "db:5433");
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("app", "orders"));
        assert_eq!(settings.password.unwrap().expose(), "p@ss");
        assert_eq!(settings.tls, TlsMode::VerifyFull);
    }

    #[test]
    fn what_is_missing_has_libpqs_defaults() {
        let settings = read("postgres://app@[::1]", "").unwrap();
        assert_eq!(settings.instance(), "[::1]:5432");
        assert_eq!((settings.database.as_str(), settings.tls), ("app", TlsMode::Prefer));
    }

    #[test]
    fn an_applications_own_parameters_do_no_harm() {
        assert!(
            read("postgres://a:b@h/d?schema=public&connection_limit=5&pgbouncer=true&options=-c%20x%3D1", "").is_ok()
        );
    }

    #[test]
    fn a_socket_directory_is_a_host() {
        let by_parameter = read("postgres:///orders?host=/run/postgresql&user=a", "").unwrap();
        assert_eq!(by_parameter.instance(), "/run/postgresql/.s.PGSQL.5432");
        for url in ["postgres://a@%2Frun%2Fpostgresql/orders", "postgres://a:b@/orders?host=/run/postgresql"] {
            assert_eq!(read(url, "").unwrap().address, by_parameter.address);
        }
    }

    #[test]
    fn the_key_wins_over_the_url_and_limits_are_read() {
        let settings = read("postgres://a:old@h/d", "{password: new, databases: [orders]}").unwrap();
        assert_eq!(settings.password.as_ref().unwrap().expose(), "new");
        assert!(settings.wants("orders") && !settings.wants("vectors"));
    }

    #[test]
    fn a_list_of_hosts_is_refused() {
        for url in ["postgres://u@h1,h2/db", "postgres://u@h1,h2:5432/db", "postgres:///db?host=h1,h2&user=u"] {
            let complaint = read(url, "url: x").unwrap_err();
            assert!(
                complaint.contains("several hosts") && complaint.contains("one target is one server"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn a_complaint_never_shows_the_password() {
        for url in ["postgres://a:hush@h:99999/d", "postgres://a:hush@h1:1,h2:2/d", "postgres://a:hush@h/d?sslmode=x"] {
            let complaint = read(url, "url: x").unwrap_err();
            assert!(!complaint.contains("hush"), "{complaint}");
        }
    }
}
