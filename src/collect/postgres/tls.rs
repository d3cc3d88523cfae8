//! TLS towards `PostgreSQL`, as libpq's `sslmode` asks for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::collect::dial::{Address, Stream};
use crate::runtime::tls::{self, Trust};

use super::settings::{Settings, TlsMode};

/// Makes the TLS side of connections to one server.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    /// Whom the certificate must name; a Unix socket has nobody and no TLS.
    server: Option<ServerName<'static>>,
    /// How far tokio-postgres shall insist on TLS.
    pub mode: SslMode,
    /// How long the handshake took.
    took: Arc<OnceLock<Duration>>,
}

impl Connector {
    /// Reads the authorities.
    ///
    /// # Errors
    /// The file of authorities cannot be used, or the host cannot be in a certificate.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let config = Arc::new(client_config(settings)?);
        let Address::Tcp { host, .. } = &settings.address else {
            return Ok(Self { config, server: None, mode: SslMode::Disable, took: Arc::default() });
        };
        let server = ServerName::try_from(host.clone()).map_err(|error| format!("the host {host}: {error}"))?;
        let mode = match settings.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        };
        Ok(Self { config, server: Some(server), mode, took: Arc::default() })
    }

    /// The same for one connection, whose handshake is timed.
    pub fn timed(&self) -> Self {
        Self { took: Arc::default(), ..self.clone() }
    }

    /// How long the handshake took, if there was one.
    pub fn took(&self) -> Option<Duration> {
        self.took.get().copied()
    }
}

fn client_config(settings: &Settings) -> Result<ClientConfig, String> {
    let ca_file = settings.root_certificate.clone();
    let checks_authority = match settings.tls {
        TlsMode::Disable | TlsMode::Prefer => false,
        TlsMode::Require => ca_file.is_some(),
        TlsMode::VerifyCa | TlsMode::VerifyFull => true,
    };
    let any_name = settings.tls != TlsMode::VerifyFull;
    tls::client_config(&Trust { ca_file, insecure_skip_verify: !checks_authority, any_name, ..Trust::default() })
}

impl TlsConnect<Stream> for Connector {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Stream) -> Self::Future {
        Box::pin(async move {
            let server = self.server.ok_or_else(|| io::Error::other("a Unix socket has no TLS"))?;
            let began = Instant::now();
            let stream = tokio_rustls::TlsConnector::from(self.config).connect(server, stream).await?;
            // Nobody else sets it: there is one handshake on a connection.
            let _ = self.took.set(began.elapsed());
            Ok(Encrypted(stream))
        })
    }
}

/// The encrypted stream. Channel binding is left out: SCRAM without it is what every server takes.
pub struct Encrypted(tokio_rustls::client::TlsStream<Stream>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
