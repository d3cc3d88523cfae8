//! A Redis target as users write it: a URL and a few keys.

use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::web::read_trust;
use crate::collect::{Collect, TargetSettings};
use crate::model::{Secret, percent_decode};
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::keys::{Wanted, database_of, settings as key_settings};

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the server listens.
    pub address: Address,
    /// The ACL user; without one it is `default`.
    pub user: Option<String>,
    /// From the URL, `password` or `password_file`.
    pub password: Option<Secret>,
    /// Whom to trust, for `rediss://`: the section `tls`, as http targets have it.
    pub tls: Option<Trust>,
    /// Keys, streams and groups of keys: `keys`, `streams`, `key_groups`.
    pub keys: Wanted,
    /// Whether each connection is shown, as the exporter's `export-client-list`.
    pub client_list: bool,
    /// Whether every setting is shown, as the exporter's `include-config-metrics`.
    pub config_metrics: bool,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "redis";
    const SCHEMES: &'static [&'static str] = &["redis", "rediss", "redis+unix", "valkey", "valkeys"];
    const JOB: &'static str = "redis";

    /// Reads the kind's own keys. `url` is the target's URL, already substituted.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let database = database_of(url);
        let keys = key_settings::read(*database.as_ref().unwrap_or(&0), fields);
        let client_list = fields.bool("client_list").unwrap_or(false);
        let config_metrics = fields.bool("config_metrics").unwrap_or(false);
        let password = fields.secret("password", "password_file");
        match database.and_then(|_| Self::from_url(url)) {
            Ok(settings) => {
                // Without TLS the section stays unread, and is reported as a key that means nothing here.
                let tls = settings.tls.map(|marked| {
                    let trust = read_trust(fields);
                    Trust { insecure_skip_verify: trust.insecure_skip_verify || marked.insecure_skip_verify, ..trust }
                });
                Some(Self {
                    password: password.or(settings.password),
                    tls,
                    keys,
                    client_list,
                    config_metrics,
                    ..settings
                })
            }
            Err(what) => {
                fields.take("tls");
                fields.wrong("url", what, "write redis://user:password@host:6379, rediss://… or redis+unix:///path; a database as redis://host:6379/2");
                None
            }
        }
    }

    /// `host:port`, or the socket's path.
    fn instance(&self) -> String {
        self.address.to_string()
    }

    fn build(self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Redis::new(self, supervisor)?))
    }
}

impl Settings {
    /// Reads a URL. The complaint never repeats it, since it may hold a password. Parameters of the
    /// application's own driver are passed over; INFO tells of all databases, whichever the URL names.
    pub(super) fn from_url(text: &str) -> Result<Self, String> {
        // A socket's URL with a user has no host, which URLs in general must have then.
        let text = if text.contains("unix://") { text.replacen("@/", "@localhost/", 1) } else { text.to_owned() };
        let url = Url::parse(&text).map_err(|error| format!("this is not a Redis URL: {error}"))?;
        let parameter = |wanted: [&str; 2]| {
            url.query_pairs().find(|(name, _)| wanted.contains(&&**name)).map(|(_, value)| value.into_owned())
        };
        let (address, encrypted) = match url.scheme() {
            "unix" | "redis+unix" => (Address::Unix(percent_decode(url.path()).into()), false),
            scheme @ ("redis" | "rediss" | "valkey" | "valkeys") => {
                (tcp(&url), scheme.ends_with("ss") || scheme == "valkeys")
            }
            other => return Err(format!("`{other}://` is not Redis' scheme")),
        };
        if url.port() == Some(0) {
            return Err("no server listens at port 0".to_owned());
        }
        // `#insecure` is the mark of Rust's and `ssl_cert_reqs=none` that of Python's client.
        let insecure = url.fragment() == Some("insecure") || parameter(["ssl_cert_reqs"; 2]).as_deref() == Some("none");
        let user = Some(percent_decode(url.username()))
            .filter(|user| !user.is_empty())
            .or_else(|| parameter(["user", "username"]));
        let password = url
            .password()
            .map(percent_decode)
            .or_else(|| parameter(["pass", "password"]))
            .filter(|text| !text.is_empty());
        Ok(Self {
            address,
            user,
            password: password.map(Secret::new),
            tls: encrypted.then_some(Trust { ca_file: None, insecure_skip_verify: insecure, ..Trust::default() }),
            keys: Wanted::default(),
            client_list: false,
            config_metrics: false,
        })
    }
}

fn tcp(url: &Url) -> Address {
    let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
    let host = percent_decode(host.trim_start_matches('[').trim_end_matches(']'));
    Address::Tcp { host, port: url.port().unwrap_or(6379) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;

    #[test]
    fn urls_are_taken_apart() {
        let plain = Settings::from_url("redis://cache").unwrap();
        assert_eq!((plain.instance().as_str(), &plain.user, &plain.tls), ("cache:6379", &None, &None));
        let full = Settings::from_url("rediss://app:p%40ss@cache:6380/2").unwrap();
        assert_eq!((full.instance().as_str(), full.user.as_deref()), ("cache:6380", Some("app")));
        assert_eq!(full.password.unwrap().expose(), "p@ss");
        assert!(!full.tls.unwrap().insecure_skip_verify);
        let only_password = Settings::from_url("redis://:secret@[::1]:1").unwrap();
        assert_eq!((only_password.instance().as_str(), only_password.user), ("[::1]:1", None));
        for url in ["unix:///run/redis.sock?pass=x", "redis+unix://:x@/run/redis.sock"] {
            let socket = Settings::from_url(url).unwrap();
            assert_eq!((socket.instance().as_str(), socket.password.unwrap().expose()), ("/run/redis.sock", "x"));
        }
    }

    fn read(url: &str, keys: &str) -> Result<Settings, String> {
        test_target::read(url, keys).map_err(|said| said.concat())
    }

    #[test]
    fn a_private_authority_can_be_trusted_over_tls_only() {
        let trust = read("rediss://cache", "tls: {ca_file: /ca.pem}").unwrap().tls.unwrap();
        assert_eq!((trust.ca_file.as_deref(), trust.insecure_skip_verify), (Some("/ca.pem"), false));
        assert!(read("rediss://cache", "tls: {insecure_skip_verify: true}").unwrap().tls.unwrap().insecure_skip_verify);
        assert!(read("rediss://cache#insecure", "url: x").unwrap().tls.unwrap().insecure_skip_verify);
        assert!(read("redis://cache", "tls: {ca_file: /ca.pem}").unwrap_err().contains("tls"));
    }

    #[test]
    fn a_suggested_url_says_its_kind() {
        let complaint = read("http://cache", "url: x").unwrap_err();
        assert!(complaint.contains("redis+unix:///path"), "{complaint}");
        assert_eq!(crate::collect::Kind::of_scheme("redis+unix"), Some("redis"));
    }

    #[test]
    fn keys_are_of_the_urls_database_unless_they_name_another() {
        let keys = "{streams: [chat-events], keys: [db3=queue], key_groups: [\"s:*\", {pattern: \"l:*\", limit: 100}]}";
        let keys = read("redis://cache/2", keys).unwrap().keys;
        assert_eq!((keys.streams[0].database, keys.keys[0].database), (2, 3));
        assert_eq!((keys.groups[0].limit, keys.groups[1].limit), (None, Some(100.0)));
        assert_eq!(keys.groups[1].pattern.name, b"l:*");
        for (wrong, words) in [
            ("{key_groups: [{limit: 5}]}", "pattern"),
            ("{key_groups: [{pattern: a, limit: 0}]}", "limit"),
            ("{key_groups: [a, a]}", "twice"),
            ("{streams: [\"\"]}", "empty"),
            ("{key_groups: [{pattern: \"\"}]}", "empty"),
            ("{key_groups: [\"db1=\"]}", "empty"),
        ] {
            let complaint = read("redis://cache", wrong).unwrap_err();
            assert!(complaint.contains(words), "{wrong}: {complaint}");
        }
    }

    #[test]
    fn a_url_that_leads_nowhere_is_refused() {
        for (url, words) in [
            ("redis://h:6379/abc", "`abc` is not the number of a database"),
            ("redis://h:6379/99999999999", "is not the number of a database"),
            ("redis://h/?db=x", "`x` is not the number of a database"),
            ("redis://h:0", "port 0"),
        ] {
            let complaint = read(url, "url: x").unwrap_err();
            assert!(complaint.contains(words) && complaint.contains("redis://host:6379/2"), "{url}: {complaint}");
        }
    }

    #[test]
    fn a_complaint_never_shows_the_password() {
        for url in ["redis://:hush@h:99999", "http://:hush@h"] {
            assert!(!Settings::from_url(url).unwrap_err().contains("hush"));
        }
    }
}
