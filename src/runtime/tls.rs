//! TLS for every client in the agent: one provider, one way to trust.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::ClientConfig;
use rustls::ConfigBuilder;
use rustls::RootCertStore;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whom a TLS client trusts, and how it shows itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// A PEM file of authorities to trust instead of the public ones.
    pub ca_file: Option<String>,
    /// Take any certificate. For private test servers; said in the logs by whoever sets it.
    pub insecure_skip_verify: bool,
    /// The authority is checked, the name in the certificate is not: libpq's `verify-ca`.
    pub any_name: bool,
    /// PEM files of the client's own certificate (with what leads to its authority) and key.
    pub identity: Option<(String, String)>,
    /// The name to ask for and to find in the certificate, instead of the host's. Whoever connects heeds it.
    pub server_name: Option<String>,
    /// Only this version of TLS; 1.2 and 1.3 where it is `None`.
    pub only: Option<TlsVersion>,
}

/// The versions that can be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
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
    let versions: &[&rustls::SupportedProtocolVersion] = match trust.only {
        None => rustls::DEFAULT_VERSIONS,
        Some(TlsVersion::Tls12) => &[&rustls::version::TLS12],
        Some(TlsVersion::Tls13) => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    if trust.insecure_skip_verify {
        let verifier = Arc::new(AcceptAny(provider().signature_verification_algorithms));
        return identify(builder.dangerous().with_custom_certificate_verifier(verifier), trust);
    }
    let verifier = match &trust.ca_file {
        None if !trust.any_name => public_verifier()?,
        None => Arc::new(Checked { inner: verifier(public_roots())?, named: Vec::new(), any_name: true }),
        Some(path) => {
            let named = read_certificates(path)?;
            Arc::new(Checked { inner: verifier(roots_of(path, &named)?)?, named, any_name: trust.any_name })
        }
    };
    identify(builder.dangerous().with_custom_certificate_verifier(verifier), trust)
}

fn identify(builder: ConfigBuilder<ClientConfig, WantsClientCert>, trust: &Trust) -> Result<ClientConfig, String> {
    let Some((certificate, key)) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = read_certificates(certificate)?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| format!("cannot read a key from {key}: {error}"))?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| format!("{certificate} and {key} cannot be used together: {error}"))
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    builder.build().map_err(|error| format!("the authorities cannot be used: {error}"))
}

/// The check against the public authorities, shared by all clients in use: the list is large. Read anew once nobody uses it.
fn public_verifier() -> Result<Arc<Checked>, String> {
    static SHARED: Mutex<Weak<Checked>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = shared.upgrade() {
        return Ok(known);
    }
    let fresh = Arc::new(Checked { inner: verifier(public_roots())?, named: Vec::new(), any_name: false });
    *shared = Arc::downgrade(&fresh);
    Ok(fresh)
}

fn roots_of(path: &str, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| format!("{path} holds an unusable certificate: {error}"))?;
    }
    Ok(roots)
}

fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error| format!("cannot read {path}: {error}");
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let certificates = certificates.map_err(failed)?;
    if certificates.is_empty() { Err(format!("{path} holds no certificate")) } else { Ok(certificates) }
}

/// The usual checks, and one case more: a self-signed server certificate that stands in the CA file itself. `openssl req -x509`
/// makes them as authorities, which webpki refuses as servers, though every other TLS library takes them when they are named.
#[derive(Debug)]
struct Checked {
    inner: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
    any_name: bool,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let error = match checked {
            // The name is checked last, so a complaint about it means that everything else holds.
            Err(error) if self.any_name && is_about_name(&error) => return Ok(ServerCertVerified::assertion()),
            Err(error) => error,
            Ok(verified) => return Ok(verified),
        };
        if !is_authority(end_entity) {
            return Err(error);
        }
        // Webpki's own word for it, "CA used as end entity", would not tell users what is wrong.
        if !self.named.iter().any(|named| named == end_entity) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        check_validity(end_entity, now)?;
        if !self.any_name {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_about_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
    )
}

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| certificate.is_ca())
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.timestamp() { Err(CertificateError::Expired.into()) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::runtime::test_server::{Extra, make_certificate};

    fn certificate(dir: &Path, name: &str, extra: Extra) -> CertificateDer<'static> {
        let file = dir.join(name);
        make_certificate(&file, &dir.join("key.pem"), extra);
        CertificateDer::from_pem_file(file).unwrap()
    }

    fn check(
        named: &CertificateDer<'static>,
        sent: &CertificateDer<'static>,
        name: &str,
        days: u64,
    ) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        roots.add(named.clone()).unwrap();
        let verifier = Checked { inner: verifier(roots).unwrap(), named: vec![named.clone()], any_name: false };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() + days * 86_400));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(sent, &[], &name, &[], now).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_self_signed_authority_is_taken_only_where_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ours = certificate(dir.path(), "ours.pem", Extra::Authority);
        let other = certificate(dir.path(), "other.pem", Extra::Authority);
        assert_eq!(check(&ours, &ours, "localhost", 0), Ok(()));
        assert!(check(&ours, &other, "localhost", 0).unwrap_err().contains("UnknownIssuer"));
        assert!(check(&ours, &ours, "example.org", 0).unwrap_err().contains("not valid for name"));
        assert!(check(&ours, &ours, "localhost", 31).unwrap_err().contains("Expired"));
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.pem");
        std::fs::write(&path, "").unwrap();
        let ca_file = Some(path.to_string_lossy().into_owned());
        let error = client_config(&Trust { ca_file, ..Trust::default() }).unwrap_err();
        assert!(error.ends_with("holds no certificate"), "{error}");
    }
}
