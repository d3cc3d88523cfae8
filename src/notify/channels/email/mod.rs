//! Sends mail over SMTP: implicit TLS on port 465, else STARTTLS, which is required unless the user says otherwise.
//!
//! One message per notification to all recipients. Each attempt at a notification carries the same Message-Id, so
//! that a server which already has the message can drop the second; all messages about a group are one thread.

mod message;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{AsyncTransport as _, Tokio1Executor};
use tokio::time;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::tls::Trust;

use super::{Channel, ChannelError, FailureReason, Receipt};

pub use settings::{Defaults, Security, Settings, Smarthost, Thread};

/// Each command's time.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// The whole attempt's time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The channel.
pub struct Email {
    settings: Settings,
    templates: Arc<Templates>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Email {
    /// Makes the channel; nothing is sent yet.
    ///
    /// # Errors
    /// A CA file that cannot be read.
    pub fn new(settings: &Settings, templates: &Arc<Templates>) -> Result<Self, String> {
        let Smarthost { host, port } = &settings.smarthost;
        let tls = match settings.security {
            Security::ImplicitTls => Tls::Wrapper(parameters(host, &settings.trust)?),
            Security::StartTls => Tls::Required(parameters(host, &settings.trust)?),
            Security::Plain => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.clone())
            .port(*port)
            .tls(tls)
            .hello_name(ClientId::Domain(settings.hello.clone()))
            .timeout(Some(COMMAND_TIMEOUT));
        if let Some((user, password)) = &settings.auth {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { settings: settings.clone(), templates: Arc::clone(templates), transport: builder.build() })
    }

    fn password(&self) -> Option<&Secret> {
        self.settings.auth.as_ref().map(|(_, password)| password)
    }
}

#[async_trait]
impl Channel for Email {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let message = message::compose(&self.settings, &self.templates, notification)
            .map_err(|what| ChannelError::lasting(FailureReason::ClientError, what))?;
        match time::timeout(ATTEMPT_TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error)) => Err(judge(&error, self.password())),
            Err(_) => Err(ChannelError::passing(FailureReason::DeadlineExceeded, "no answer in time")),
        }
    }
}

/// SMTP's 4xx pass, its 5xx last; a server without STARTTLS or a fitting login will not grow one by itself.
fn judge(error: &smtp::Error, password: Option<&Secret>) -> ChannelError {
    let mut what = error.to_string();
    if let Some(password) = password.map(Secret::expose).filter(|password| !password.is_empty()) {
        what = what.replace(password, "***");
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
