//! One item of `email_configs`, and what `global` gives to all of them.

use std::sync::Arc;

use lettre::message::{Mailbox, Mailboxes, header::HeaderName};

use crate::model::Secret;
use crate::notify::channels::http::read_trust;
use crate::notify::channels::{Channel, ChannelSettings, HttpSettings};
use crate::notify::template::Templates;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::Email;

/// The port on which TLS comes before the first word of SMTP.
const SUBMISSIONS: u16 = 465;

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    ImplicitTls,
    /// STARTTLS, or no mail.
    StartTls,
    /// None; `require_tls: false`.
    Plain,
}

/// Where mail goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smarthost {
    /// Name or address.
    pub host: String,
    /// 25, 465, 587, …
    pub port: u16,
}

/// `smtp_*` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    smarthost: Option<Smarthost>,
    from: Option<Mailbox>,
    hello: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    require_tls: Option<bool>,
    implicit_tls: Option<bool>,
    trust: Option<Trust>,
}

impl Defaults {
    fn read(global: &mut Fields<'_>) -> Self {
        Self {
            smarthost: global.parsed("smtp_smarthost", read_smarthost),
            from: global.parsed("smtp_from", read_mailbox),
            hello: global.parsed("smtp_hello", one_line),
            username: global.text("smtp_auth_username"),
            password: global.secret("smtp_auth_password", "smtp_auth_password_file"),
            require_tls: global.bool("smtp_require_tls"),
            implicit_tls: global.bool("smtp_force_implicit_tls"),
            trust: global.section("smtp_tls_config").map(read_trust),
        }
    }
}

/// One item of `email_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The recipients; all in one message.
    pub to: Mailboxes,
    /// The sender.
    pub from: Mailbox,
    /// Where mail goes out.
    pub smarthost: Smarthost,
    /// The name said in EHLO; also the host part of message ids. Default `localhost`, as Alertmanager's.
    pub hello: String,
    /// User and password, if the server wants them.
    pub auth: Option<(String, Secret)>,
    /// How the connection is protected.
    pub security: Security,
    /// Whom to trust over TLS.
    pub trust: Trust,
    /// Further headers; `Subject` replaces ours.
    pub headers: Vec<(String, String)>,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "email";
    const KEY: &'static str = "email_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        Defaults::read(global)
    }

    fn read(fields: &mut Fields<'_>, global: &Defaults, _: &HttpSettings) -> Option<Self> {
        let to = if fields.has("to") { fields.parsed("to", read_mailboxes) } else { required(fields, "to", "to") };
        let from = fields.parsed("from", read_mailbox).or_else(|| global.from.clone());
        let smarthost = fields.parsed("smarthost", read_smarthost).or_else(|| global.smarthost.clone());
        let from = if fields.has("from") { from } else { from.or_else(|| required(fields, "from", "smtp_from")) };
        let smarthost = match smarthost {
            None if !fields.has("smarthost") => required(fields, "smarthost", "smtp_smarthost"),
            given => given,
        };
        let hello = fields.parsed("hello", one_line).or_else(|| global.hello.clone());
        let auth = read_auth(fields, global);
        let require_tls = fields.bool("require_tls").or(global.require_tls).unwrap_or(true);
        let implicit = fields.bool("force_implicit_tls").or(global.implicit_tls);
        let trust = fields.section("tls_config").map(read_trust).or_else(|| global.trust.clone());
        let headers = read_headers(fields);
        for key in ["html", "text", "threading", "auth_secret", "auth_secret_file", "auth_identity"] {
            fields.not_built(key);
        }
        let smarthost = smarthost?;
        Some(Self {
            to: to?,
            from: from?,
            hello: hello.unwrap_or_else(|| "localhost".into()),
            auth,
            security: match implicit.unwrap_or(smarthost.port == SUBMISSIONS) {
                true => Security::ImplicitTls,
                false if require_tls => Security::StartTls,
                false => Security::Plain,
            },
            smarthost,
            trust: trust.unwrap_or_default(),
            headers,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        if self.auth.is_some() && self.security == Security::Plain {
            return Some("the mail server's password goes over a connection without TLS");
        }
        self.trust.insecure_skip_verify.then_some("TLS certificates are not checked")
    }

    fn build(&self, _: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        Ok(Arc::new(Email::new(self)?))
    }
}

fn required<T>(fields: &Fields<'_>, key: &str, global: &str) -> Option<T> {
    let way_out = if key == global {
        format!("add `{key}: …`")
    } else {
        format!("add `{key}: …` here, or `{global}` under `global`")
    };
    fields.problems().add(fields.at(), format!("an email config has no `{key}`"), way_out);
    None
}

fn read_auth(fields: &mut Fields<'_>, global: &Defaults) -> Option<(String, Secret)> {
    let username = fields.text("auth_username").or_else(|| global.username.clone()).filter(|name| !name.is_empty())?;
    let password = fields.secret("auth_password", "auth_password_file").or_else(|| global.password.clone());
    if password.is_none() && !fields.has("auth_password_file") {
        fields.problems().add(
            fields.at(),
            format!("the mail server's user `{username}` has no password"),
            "add `auth_password_file: …` here, or `smtp_auth_password_file` under `global`",
        );
    }
    Some((username, password?))
}

fn read_headers(fields: &mut Fields<'_>) -> Vec<(String, String)> {
    let problems = fields.problems();
    let mut headers = Vec::new();
    for (name, value, at) in fields.text_map("headers") {
        if let Err(complaint) = one_line(&value) {
            problems.add(at, format!("the header `{name}`: {complaint}"), "");
        } else if value.contains("{{") {
            problems.add(
                at,
                format!("the header `{name}` is a template; templates are not built yet"),
                "write plain text",
            );
        } else if HeaderName::new_from_ascii(name.clone()).is_err() {
            problems.add(at, format!("`{name}` is no header's name"), "");
        } else {
            headers.push((name, value));
        }
    }
    headers
}

/// A line break would start a header of its own.
fn one_line(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("line breaks and control characters are not allowed here".into());
    }
    Ok(text.to_owned())
}

fn read_mailbox(text: &str) -> Result<Mailbox, String> {
    one_line(text)?.trim().parse().map_err(|_| format!("`{text}` is not a mail address"))
}

fn read_mailboxes(text: &str) -> Result<Mailboxes, String> {
    let wrong = || format!("`{text}` is not a list of mail addresses; write them with commas between");
    let all: Mailboxes = one_line(text)?.trim().parse().map_err(|_| wrong())?;
    if all.iter().next().is_none() { Err(wrong()) } else { Ok(all) }
}

fn read_smarthost(text: &str) -> Result<Smarthost, String> {
    let wrong = || format!("`{text}` is not a mail server; write host:port, such as mail:587");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() || port == 0 { Err(wrong()) } else { Ok(Smarthost { host: host.to_owned(), port }) }
}
