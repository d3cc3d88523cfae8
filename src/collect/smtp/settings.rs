//! What a target of kind `smtp` needs beyond the common keys.

use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::probe::{self, Pattern, read_address, read_expected};
use crate::collect::web::read_trust;
use crate::collect::{Collect, TargetSettings};
use crate::model::Secret;
use crate::runtime::http_client::credentials;
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of kind `smtp` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(super) address: Address,
    pub(super) security: Security,
    pub(super) trust: Trust,
    /// A user and a password to log in with.
    pub(super) login: Option<(String, Secret)>,
    /// What the greeting must match.
    pub(super) banner: Option<Pattern>,
}

/// How a connection becomes a secure one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// By STARTTLS, which must be offered.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

const WAY_OUT: &str = "write smtp://host:port or smtps://host:port";

impl TargetSettings for Settings {
    const KIND: &'static str = "smtp";
    const SCHEMES: &'static [&'static str] = &["smtp", "smtps"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `starttls`, `username`, `password(_file)`, `tls`, `expect: {banner: REGEX}`. The URL may hold
    /// the login and `?tls=off`, so that a mail sender's own URL is understood.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let mut parsed = Url::parse(url).ok().filter(|url| Self::SCHEMES.contains(&url.scheme()));
        let login = read_login(parsed.as_mut().and_then(credentials), fields);
        let starttls = fields.bool("starttls");
        let trust = read_trust(fields);
        let banner = read_expected(fields, "banner");
        let address = parsed.as_ref().and_then(|url| read_address(url, Some(usual_port(url))));
        let Some((url, address)) = parsed.zip(address) else {
            // The text is not repeated: it may hold a password.
            fields.wrong("url", "this URL names no mail server", WAY_OUT);
            return None;
        };
        let security = security(&url, starttls, login.is_some(), fields);
        Some(Self { address, security, trust, login, banner })
    }

    /// `host:port`.
    fn instance(&self) -> String {
        self.address.to_string()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Smtp::new(self)?))
    }
}

impl Settings {
    /// Whether it logs in.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }
}

fn usual_port(url: &Url) -> u16 {
    if url.scheme() == "smtps" { 465 } else { 25 }
}

/// The login of the URL, or that of the keys.
fn read_login(from_url: Option<(String, Secret)>, fields: &mut Fields<'_>) -> Option<(String, Secret)> {
    let user = fields.text("username");
    let password = fields.secret("password", "password_file");
    match (from_url, user, password) {
        (None, Some(user), Some(password)) => Some((user, password)),
        (Some(login), None, None) => Some(login),
        // A URL without a password, as one keeps it in a repository.
        (Some((user, empty)), None, Some(password)) if empty.expose().is_empty() => Some((user, password)),
        (None, None, None) => None,
        (None, user, _) => {
            let missing = if user.is_some() { "password" } else { "username" };
            fields.wrong("url", format!("a login without `{missing}`"), format!("add `{missing}: …`"));
            None
        }
        (Some(_), ..) => {
            let way_out = "keep the user in the URL or `username`, and one password";
            fields.wrong("url", "credentials are given twice", way_out);
            None
        }
    }
}

/// A login asks for TLS unless the user says otherwise: a password in plain is for everybody on the way.
fn security(url: &Url, starttls: Option<bool>, login: bool, fields: &Fields<'_>) -> Security {
    let off = url.query_pairs().any(|(name, value)| name == "tls" && value == "off");
    if url.scheme() == "smtps" {
        if starttls.is_some() {
            fields.wrong("starttls", "`smtps://` is TLS from the first byte", "remove `starttls`, or write smtp://");
        }
        return Security::Implicit;
    }
    if starttls.unwrap_or(login && !off) { Security::StartTls } else { Security::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;

    fn read(url: &str, keys: &str) -> Result<Settings, String> {
        test_target::read(url, keys).map_err(|said| said.concat())
    }

    #[test]
    fn a_login_goes_over_tls_unless_told_otherwise() {
        for (url, keys, security, instance) in [
            ("smtp://mail", "", Security::Plain, "mail:25"),
            ("smtp://mail:1025", "starttls: true", Security::StartTls, "mail:1025"),
            ("smtp://u:p@mail:587", "", Security::StartTls, "mail:587"),
            ("smtp://u:p@mail:587?tls=off", "", Security::Plain, "mail:587"),
            ("smtp://mail", "{username: u, password: p, starttls: false}", Security::Plain, "mail:25"),
            ("smtps://u@mail", "password: p", Security::Implicit, "mail:465"),
        ] {
            let settings = read(url, keys).unwrap();
            assert_eq!((settings.security, settings.instance().as_str()), (security, instance), "{url} {keys}");
        }
        let settings = read("smtp://me%40x:hunter%2F2@mail", "").unwrap();
        assert_eq!(settings.login, Some(("me@x".into(), Secret::new("hunter/2"))));
        assert_eq!(settings.instance(), "mail:25");
        assert!(!format!("{settings:?}").contains("hunter"));
    }

    #[test]
    fn half_a_login_and_two_are_refused() {
        for (url, keys, complaint) in [
            ("smtp://mail", "username: u", "a login without `password`"),
            ("smtp://mail", "password: p", "a login without `username`"),
            ("smtp://u:p@mail", "{username: u, password: p}", "credentials are given twice"),
            ("smtp://u:hunter2@:x", "url: x", "this URL names no mail server"),
            ("smtps://mail", "starttls: true", "`smtps://` is TLS from the first byte"),
        ] {
            let said = read(url, keys).unwrap_err();
            assert!(said.contains(complaint) && !said.contains("hunter2"), "{said}");
        }
    }
}
