//! TLS for every client in the agent: one provider, one way to trust.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Whom a TLS client trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// A PEM file of authorities to trust instead of the public ones.
    pub ca_file: Option<String>,
    /// Take any certificate. For private test servers; said in the logs by whoever sets it.
    pub insecure_skip_verify: bool,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The public authorities: the system's (`SSL_CERT_FILE` is honoured) and, for an image without any, the compiled-in ones.
pub fn public_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (_added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// A client configuration without ALPN; callers set their own.
///
/// # Errors
/// The CA file cannot be read or holds no certificate.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if trust.insecure_skip_verify {
        let verifier = Arc::new(AcceptAny(provider().signature_verification_algorithms));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let roots = match &trust.ca_file {
        None => public_roots(),
        Some(path) => read_roots(path)?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities in a PEM file.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn read_roots(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("cannot read {path}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{path} holds an unusable certificate: {error}"))?;
    }
    if roots.is_empty() { Err(format!("{path} holds no certificate")) } else { Ok(roots) }
}

/// Takes any certificate but still checks that the peer owns its key.
#[derive(Debug)]
struct AcceptAny(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
