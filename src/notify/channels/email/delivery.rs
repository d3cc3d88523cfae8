//! One mail over one connection, so that of an attempt which broke off it is known whether the mail was on its way by then.
//!
//! From RFC 5321: a server answers for a message when it has read the lone dot. If no answer comes, it may have taken it.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::time::{self, Instant};
use tracing::warn;

/// The time to reach the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The time for the mail itself and the answer to it. A server may look for viruses and spam by then; who gives up early sends
/// the mail again, and the reader has it twice. RFC 5321 asks for ten minutes.
const ANSWER_LIMIT: Duration = Duration::from_mins(5);
/// The time to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// The server, and how it is spoken to.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) hello: ClientId,
    pub(super) credentials: Option<Credentials>,
}

pub(super) enum Tls {
    None,
    /// Nothing is said before it is there.
    Starttls(TlsParameters),
    Implicit(TlsParameters),
}

/// An attempt that failed.
pub(super) struct Failed {
    pub(super) why: Why,
    /// The whole mail went out, or began to, and no answer came.
    pub(super) may_have_arrived: bool,
}

pub(super) enum Why {
    /// The server, or the way to it.
    Smtp(Error),
    /// The time was up.
    Late,
    /// The server does not take mails of such a kind.
    Cannot(&'static str),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { why: Why::Smtp(error), may_have_arrived: false }
    }
}

impl Server {
    /// Delivers one mail. The server is ready for it within `limit`.
    pub(super) async fn deliver(&self, envelope: &Envelope, mail: &[u8], limit: Duration) -> Result<(), Failed> {
        let deadline = Instant::now() + limit;
        let late = |may_have_arrived| move |_| Failed { why: Why::Late, may_have_arrived };
        let mut connection = time::timeout_at(deadline, self.ready(envelope, mail)).await.map_err(late(false))??;
        let answer = time::timeout(ANSWER_LIMIT, connection.message(mail)).await.map_err(late(true))?;
        if let Err(error) = answer {
            // A server that answers with a code did not take it.
            let may_have_arrived = error.status().is_none();
            return Err(Failed { may_have_arrived, ..error.into() });
        }
        // The mail is there, whatever becomes of the connection.
        let _ = time::timeout(FAREWELL, connection.abort()).await;
        Ok(())
    }

    /// A connection whose server waits for the mail itself.
    async fn ready(&self, envelope: &Envelope, mail: &[u8]) -> Result<AsyncSmtpConnection, Failed> {
        let mut connection = self.connect().await?;
        let options = options(&connection, envelope, mail)
            .map_err(|what| Failed { why: Why::Cannot(what), may_have_arrived: false })?;
        connection.command(Mail::new(envelope.from().cloned(), options)).await?;
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), Vec::new())).await?;
        }
        connection.command(Data).await?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let implicit = if let Tls::Implicit(parameters) = &self.tls { Some(parameters.clone()) } else { None };
        let at = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(at, Some(CONNECT_LIMIT), &self.hello, implicit, None).await?;
        if let Tls::Starttls(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        let Some(credentials) = &self.credentials else { return Ok(connection) };
        let any = [Mechanism::Plain, Mechanism::Login, Mechanism::Xoauth2];
        if connection.server_info().get_auth_mechanism(&any).is_some() {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        } else {
            // As Alertmanager does; a server that wants a login says so.
            warn!(server = self.host, "the mail server offers no login; the mail goes out without");
        }
        Ok(connection)
    }
}

/// What goes along with the sender: RFC 6152 and 6531.
fn options(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<Vec<MailParameter>, &'static str> {
    let knows = |extension| connection.server_info().supports_feature(extension);
    let mut options = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !knows(Extension::SmtpUtfEight) {
            return Err("an address is not ASCII, and the server does not know SMTPUTF8");
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !mail.is_ascii() {
        if !knows(Extension::EightBitMime) {
            return Err("the mail is not ASCII, and the server does not know 8BITMIME");
        }
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(options)
}
