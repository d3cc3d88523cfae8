//! Sends mail over SMTP: implicit TLS on port 465, else STARTTLS, which is required unless the user says otherwise.
//!
//! One message per notification to all recipients. Each attempt at a notification carries the same Message-Id, so
//! that a server which already has the message can drop the second; a second that may be one says so. All messages about a
//! group are one thread.

mod delivery;
mod message;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::tls::Trust;

use super::{Channel, ChannelError, FailureReason, Receipt};

use delivery::{Server, Tls, Why};
pub use settings::{Defaults, Security, Settings, Smarthost, Thread};

/// The time until the server takes the mail itself.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The channel.
pub struct Email {
    settings: Settings,
    templates: Arc<Templates>,
    server: Server,
}

impl Email {
    /// Makes the channel; nothing is sent yet.
    ///
    /// # Errors
    /// A CA file that cannot be read.
    pub fn new(settings: &Settings, templates: &Arc<Templates>) -> Result<Self, String> {
        let Smarthost { host, port } = &settings.smarthost;
        let tls = match settings.security {
            Security::ImplicitTls => Tls::Implicit(parameters(host, &settings.trust)?),
            Security::StartTls => Tls::Starttls(parameters(host, &settings.trust)?),
            Security::Plain => Tls::None,
        };
        let login = |(user, password): &(String, Secret)| Credentials::new(user.clone(), password.expose().to_owned());
        let server = Server {
            host: host.clone(),
            port: *port,
            tls,
            hello: ClientId::Domain(settings.hello.clone()),
            credentials: settings.auth.as_ref().map(login),
        };
        Ok(Self { settings: settings.clone(), templates: Arc::clone(templates), server })
    }

    /// The texts that nobody may read: the password, and what goes over the wire in its place.
    fn secrets(&self) -> Vec<String> {
        let Some((user, password)) = &self.settings.auth else { return Vec::new() };
        let password = password.expose();
        if password.is_empty() {
            return Vec::new();
        }
        vec![
            BASE64_STANDARD.encode(format!("\0{user}\0{password}")),
            BASE64_STANDARD.encode(password),
            password.to_owned(),
        ]
    }
}

#[async_trait]
impl Channel for Email {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let message = message::compose(&self.settings, &self.templates, notification)
            .map_err(|what| ChannelError::lasting(FailureReason::ClientError, what))?;
        let delivered = self.server.deliver(message.envelope(), &message.formatted(), READY_LIMIT).await;
        delivered.map(|()| None).map_err(|failed| {
            let error = match &failed.why {
                Why::Smtp(error) => judge(error, &self.secrets()),
                Why::Late => ChannelError::passing(FailureReason::DeadlineExceeded, "no answer in time"),
                Why::Cannot(what) => ChannelError::lasting(FailureReason::ClientError, *what),
            };
            ChannelError { may_have_arrived: failed.may_have_arrived, ..error }
        })
    }
}

/// SMTP's 4xx pass, its 5xx last; a server without STARTTLS or a fitting login will not grow one by itself.
fn judge(error: &Error, secrets: &[String]) -> ChannelError {
    let mut what = error.to_string();
    for secret in secrets {
        what = what.replace(secret, "***");
    }
    let what = what.replace(char::is_control, " ");
    let code = error.status().map(u16::from);
    match code {
        Some(530 | 534 | 535 | 538) => ChannelError::lasting(FailureReason::AuthError, what),
        Some(500..) => ChannelError::lasting(FailureReason::ClientError, what),
        Some(_) => ChannelError::passing(FailureReason::ServerError, what),
        None if error.is_client() => ChannelError::lasting(FailureReason::ClientError, what),
        None if error.is_timeout() => ChannelError::passing(FailureReason::DeadlineExceeded, what),
        None => ChannelError::passing(FailureReason::Other, what),
    }
}

fn parameters(host: &str, trust: &Trust) -> Result<TlsParameters, String> {
    let mut builder =
        TlsParameters::builder(host.to_owned()).dangerous_accept_invalid_certs(trust.insecure_skip_verify);
    match &trust.ca_file {
        // The compiled-in authorities, which lettre starts with, and the system's.
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                if let Ok(certificate) = Certificate::from_der(certificate.to_vec()) {
                    builder = builder.add_root_certificate(certificate);
                }
            }
        }
        Some(path) => {
            builder = builder.certificate_store(CertificateStore::None);
            let pem = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
            let wrong = |error| format!("{path} is not a PEM file of certificates: {error}");
            builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(wrong)?);
        }
    }
    builder.build().map_err(|error| format!("cannot set up TLS for {host}: {error}"))
}

#[cfg(test)]
mod tests;
