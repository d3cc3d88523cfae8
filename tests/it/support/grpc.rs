//! A gRPC server that answers health checks, on `h2`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::process::run;

/// The server as a whole and `shop.v1.Orders` are serving, `shop.v1.Search` is not; others are not known.
pub struct GrpcServer {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl GrpcServer {
    /// Starts it without TLS.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// Starts it behind TLS, with a certificate for `localhost` that is written into the folder (`cert.pem`).
    pub fn start_tls(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"]);
        openssl.arg(&key).arg("-out").arg(&certificate);
        run(&mut openssl);
        let chain = vec![CertificateDer::from_pem_file(&certificate).expect("written above")];
        let key = PrivateKeyDer::from_pem_file(&key).expect("written above");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).expect("they belong together");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))))
    }

    #[expect(clippy::disallowed_methods, reason = "the runtime is this server's own and ends with it")]
    fn listen(tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, _runtime: runtime }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut answers = Vec::new();
    // The connection must be polled for a request's body to arrive, so each is answered by a task.
    while let Some(Ok((request, respond))) = connection.accept().await {
        #[expect(clippy::disallowed_methods, reason = "the runtime is this server's own and ends with it")]
        answers.push(tokio::spawn(answer(request, respond)));
    }
}

async fn answer(request: hyper::Request<h2::RecvStream>, mut respond: h2::server::SendResponse<bytes::Bytes>) {
    let mut body = request.into_body();
    let mut message = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        message.extend_from_slice(&piece);
    }
    // Five bytes of prefix, the tag, the length, then the name.
    let service = message.get(7..).map(String::from_utf8_lossy).unwrap_or_default();
    let status: Option<u8> = match &*service {
        "" | "shop.v1.Orders" => Some(1),
        "shop.v1.Search" => Some(2),
        _ => None,
    };
    let mut head = hyper::Response::new(());
    head.headers_mut().insert("content-type", "application/grpc".parse().expect("a header"));
    let Some(status) = status else {
        head.headers_mut().insert("grpc-status", "5".parse().expect("a header"));
        head.headers_mut().insert("grpc-message", "unknown service".parse().expect("a header"));
        let _ = respond.send_response(head, true);
        return;
    };
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    let _ = stream.send_data(vec![0, 0, 0, 0, 2, 8, status].into(), false);
    let mut trailers = hyper::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a header"));
    let _ = stream.send_trailers(trailers);
}
