//! Real servers for the tests of whatever talks over sockets. They end with the test's runtime.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::supervise::Supervisor;

/// Serves an axum router on a free port.
pub async fn http(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Supervisor::new().spawn_once(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Accepts, reads something if `listen`, sends `answer`, hangs up.
pub async fn raw(listen: bool, answer: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        if listen {
            let _ = stream.read(&mut [0; 4096]).await;
        }
        let _ = stream.write_all(answer).await;
    })
    .await
}

/// Accepts and says nothing.
pub async fn silent() -> SocketAddr {
    serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

/// A port where nothing listens.
pub async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Handles each connection.
pub async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let supervisor = Supervisor::new();
    supervisor.clone().spawn_once(async move {
        while let Ok((stream, _)) = listener.accept().await {
            supervisor.spawn_once(handle(stream));
        }
    });
    address
}

/// What makes a connection TLS, with its own certificate (`cert.pem` in `dir`, for `localhost`).
pub fn acceptor(dir: &Path) -> TlsAcceptor {
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    make_certificate(&certificate, &key, Extra::Server);
    let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_file(&key).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// A TLS server with an [`acceptor`] that sends `answer` after a first read.
pub async fn tls(dir: &Path, answer: &'static [u8]) -> SocketAddr {
    let acceptor = acceptor(dir);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// What kind of self-signed certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// A server's.
    Server,
    /// An authority's, as `openssl req -x509` makes it unasked.
    Authority,
}

/// Writes a certificate for `localhost` that is valid for 30 days.
pub fn make_certificate(certificate: &Path, key: &Path, extra: Extra) {
    let constraints = if extra == Extra::Server { "CA:FALSE" } else { "CA:TRUE" };
    let subject = "/C=DE/O=Shop, Inc./OU=a/CN=localhost";
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"])
        .args(["-subj", subject, "-set_serial", "0x0a1b", "-addext", "subjectAltName=DNS:localhost,DNS:shop.test"])
        .args(["-addext", &format!("basicConstraints=critical,{constraints}"), "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
