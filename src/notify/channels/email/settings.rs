//! One item of `email_configs`, and what `global` gives to all of them.

use std::sync::Arc;

use lettre::message::{Mailbox, Mailboxes, header::HeaderName};

use crate::model::Secret;
use crate::notify::channels::http::read_trust;
use crate::notify::channels::{Channel, ChannelSettings, HttpSettings};
use crate::notify::template::{self, Templates};
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::Email;

const SUBJECT: &str = r#"{{ template "email.default.subject" . }}"#;
const TEXT: &str = r#"{{ template "email.default.text" . }}"#;
const HTML: &str = r#"{{ template "email.default.html" . }}"#;
/// Headers that make a conversation.
const THREAD_HEADERS: [&str; 2] = ["References", "In-Reply-To"];

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

/// Which mails hang together in the readers' programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// All about one group. The default.
    Group,
    /// All of one day (UTC) about one group.
    Daily,
    /// None.
    None,
}

/// `smtp_*` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    smarthost: Option<Smarthost>,
    from: Option<String>,
    hello: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    identity: Option<String>,
    require_tls: Option<bool>,
    implicit_tls: Option<bool>,
    trust: Option<Trust>,
}

impl Defaults {
    fn read(global: &mut Fields<'_>) -> Self {
        Self {
            smarthost: global.parsed("smtp_smarthost", read_smarthost),
            from: global.parsed("smtp_from", sender),
            hello: global.parsed("smtp_hello", one_line),
            username: global.text("smtp_auth_username"),
            password: global.secret("smtp_auth_password", "smtp_auth_password_file"),
            identity: read_mechanism(global, "smtp_auth_secret", "smtp_auth_secret_file", "smtp_auth_identity"),
            require_tls: global.bool("smtp_require_tls"),
            implicit_tls: global.bool("smtp_force_implicit_tls"),
            trust: global.section("smtp_tls_config").map(read_trust),
        }
    }
}

/// One item of `email_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A template of the recipients; all in one message.
    pub to: String,
    /// A template of the sender.
    pub from: String,
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
    /// A template.
    pub subject: String,
    /// Templates of further headers, which replace ours of the same name.
    pub headers: Vec<(String, String)>,
    /// A template of the plain part; empty for none.
    pub text: String,
    /// A template of the HTML part; empty for none.
    pub html: String,
    /// Which mails are one conversation.
    pub thread: Thread,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "email";
    const KEY: &'static str = "email_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        Defaults::read(global)
    }

    fn read(fields: &mut Fields<'_>, global: &Defaults, _: &HttpSettings) -> Option<Self> {
        let to = if fields.has("to") { fields.parsed("to", recipients) } else { required(fields, "to", "to") };
        let from = fields.parsed("from", sender).or_else(|| global.from.clone());
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
        let threading = read_thread(fields);
        let mut headers = read_headers(fields);
        let subject = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("subject"));
        let subject = subject.map_or_else(|| SUBJECT.to_owned(), |at| headers.remove(at).1);
        let own = headers.iter().find(|(name, _)| THREAD_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)));
        if let (Some((name, _)), Some(Thread::Group | Thread::Daily)) = (own, threading) {
            let what = format!("the header `{name}` contradicts `threading`");
            fields.wrong("headers", what, "keep one of them");
        }
        let thread = threading.unwrap_or(if own.is_some() { Thread::None } else { Thread::Group });
        let (text, html) = (read_template(fields, "text", TEXT), read_template(fields, "html", HTML));
        if text.is_empty() && html.is_empty() {
            fields.wrong("html", "the mail has neither a `text` nor an `html`", "remove one of the two keys");
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
            subject,
            headers,
            text,
            html,
            thread,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        if self.auth.is_some() && self.security == Security::Plain {
            return Some("the mail server's password goes over a connection without TLS");
        }
        self.trust.insecure_skip_verify.then_some("TLS certificates are not checked")
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        Ok(Arc::new(Email::new(self, templates)?))
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
    let given = fields.has("auth_identity");
    let own = read_mechanism(fields, "auth_secret", "auth_secret_file", "auth_identity");
    let identity = if given { own } else { global.identity.clone() };
    let username = fields.text("auth_username").or_else(|| global.username.clone()).filter(|name| !name.is_empty())?;
    if let Some(identity) = identity.filter(|identity| *identity != username) {
        let what = format!("the mail server's user `{username}` cannot act as another, `{identity}`");
        fields.problems().add(
            fields.at(),
            what,
            "remove `auth_identity` and `smtp_auth_identity`, or give the user itself",
        );
    }
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
        } else if let Err(complaint) = template::check(&value) {
            problems.add(at, format!("the header `{name}` is no template: {complaint}"), "");
        } else if headers.iter().any(|(other, _): &(String, String)| other.eq_ignore_ascii_case(&name)) {
            problems.add(at, format!("the header `{name}` is given twice"), "");
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

/// An address, or a template of one.
fn sender(text: &str) -> Result<String, String> {
    if text.contains("{{") {
        template::check(text)?;
    } else {
        read_mailbox(text).map(|_| ())?;
    }
    Ok(text.to_owned())
}

/// Addresses, or a template of them.
fn recipients(text: &str) -> Result<String, String> {
    if text.contains("{{") {
        template::check(text)?;
    } else {
        read_mailboxes(text).map(|_| ())?;
    }
    Ok(text.to_owned())
}

fn read_template(fields: &mut Fields<'_>, key: &'static str, default: &str) -> String {
    let parse = |text: &str| match template::check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(complaint) => Err(format!("`{key}` is no template: {complaint}")),
    };
    // `text:` with nothing behind it is none, as `text: ""` is.
    let otherwise = if fields.has(key) { "" } else { default };
    fields.parsed(key, parse).unwrap_or_else(|| otherwise.to_owned())
}

/// Alertmanager's `threading`; `None` where nothing is said.
fn read_thread(fields: &mut Fields<'_>) -> Option<Thread> {
    let mut section = fields.section("threading")?;
    let enabled = section.bool("enabled").unwrap_or(false);
    let by_date = section.parsed("thread_by_date", |text| match text {
        "none" => Ok(Thread::Group),
        "daily" => Ok(Thread::Daily),
        other => Err(format!("`thread_by_date` is either none or daily, not `{other}`")),
    });
    section.finish();
    Some(if enabled { by_date.unwrap_or(Thread::Group) } else { Thread::None })
}

/// What only some ways of logging in need: a secret, which none of ours has, and another identity than the user's.
fn read_mechanism(
    fields: &mut Fields<'_>,
    secret: &'static str,
    secret_file: &'static str,
    identity: &'static str,
) -> Option<String> {
    if fields.has(secret) || fields.has(secret_file) {
        let key = if fields.has(secret) { secret } else { secret_file };
        let what = format!("`{key}` is for CRAM-MD5, which we do not speak");
        fields.wrong(key, what, "give a password: PLAIN and LOGIN are spoken, over TLS");
        fields.take(secret);
        fields.take(secret_file);
    }
    fields.text(identity).filter(|identity| !identity.is_empty())
}

pub(super) fn read_mailbox(text: &str) -> Result<Mailbox, String> {
    one_line(text)?.trim().parse().map_err(|_| format!("`{text}` is not a mail address"))
}

pub(super) fn read_mailboxes(text: &str) -> Result<Mailboxes, String> {
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
