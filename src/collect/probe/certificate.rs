//! What a certificate says, in the spelling of Go's `crypto/x509`, which blackbox' label values have.

use sha2::{Digest as _, Sha256};
use x509_parser::asn1_rs::Oid;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

use crate::model::hex;

/// The facts of one certificate that probes show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Until when it is valid, as a Unix time in seconds.
    pub not_after: i64,
    /// Whose it is: `CN=example.org,O=Example`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its DNS names, with commas.
    pub alternative_names: String,
    /// Hexadecimal, with the leading zero of a byte but not with zero bytes in front.
    pub serial: String,
    /// SHA-256 of the DER form, hexadecimal.
    pub fingerprint: String,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate; `None` when it is not one.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let serial = certificate.raw_serial();
        let zeros = serial.iter().take_while(|byte| **byte == 0).count();
        Some(Self {
            not_after: certificate.validity().not_after.timestamp(),
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            alternative_names: alternative_names(&certificate),
            serial: hex(&serial[zeros..]),
            fingerprint: hex(Sha256::digest(der)),
            subject_der: certificate.subject().as_raw().to_vec(),
            issuer_der: certificate.issuer().as_raw().to_vec(),
        })
    }
}

/// When the chain stops being valid: the earliest end among the leaf and those that signed for it. The authority itself
/// is not sent by servers, so its own end is not seen; blackbox, which has the root at hand, counts it too.
pub fn last_chain_expiry(chain: &[Certificate]) -> i64 {
    let Some(mut last) = chain.first() else {
        return 0;
    };
    let mut expiry = last.not_after;
    for _ in 1..chain.len() {
        let signs = |c: &&Certificate| c.subject_der == last.issuer_der && c.fingerprint != last.fingerprint;
        let Some(issuer) = chain.iter().find(signs) else {
            break;
        };
        expiry = expiry.min(issuer.not_after);
        last = issuer;
    }
    expiry
}

fn alternative_names(certificate: &X509Certificate<'_>) -> String {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return String::new();
    };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    names.collect::<Vec<_>>().join(",")
}

/// A distinguished name as Go's `pkix.Name.String` writes it: in its own fixed order, several values of a type with `+`,
/// and what Go does not know as `OID=#DER` behind.
fn name(name: &X509Name<'_>) -> String {
    let order: [(&str, Oid<'static>); 9] = [
        ("SERIALNUMBER", oid::OID_X509_SERIALNUMBER),
        ("CN", oid::OID_X509_COMMON_NAME),
        ("OU", oid::OID_X509_ORGANIZATIONAL_UNIT),
        ("O", oid::OID_X509_ORGANIZATION_NAME),
        ("POSTALCODE", oid::OID_X509_POSTAL_CODE),
        ("STREET", oid::OID_X509_STREET_ADDRESS),
        ("L", oid::OID_X509_LOCALITY_NAME),
        ("ST", oid::OID_X509_STATE_OR_PROVINCE_NAME),
        ("C", oid::OID_X509_COUNTRY_NAME),
    ];
    let mut parts = Vec::new();
    for (short, kind) in &order {
        let values = name.iter_attributes().filter(|attribute| attribute.attr_type() == kind);
        let values: Vec<_> = values.map(|value| format!("{short}={}", escaped(value.as_str().unwrap_or("")))).collect();
        // A name has one common name and one serial number: Go keeps the last.
        match *short {
            "CN" | "SERIALNUMBER" => parts.extend(values.into_iter().next_back()),
            _ if values.is_empty() => {}
            _ => parts.push(values.join("+")),
        }
    }
    let unknown = name.iter_attributes().filter(|attribute| !order.iter().any(|(_, oid)| oid == attribute.attr_type()));
    let mut unknown: Vec<_> =
        unknown.map(|other| format!("{}=#{}", other.attr_type(), hex(der_string(other.attr_value().data)))).collect();
    unknown.reverse();
    parts.extend(unknown);
    parts.join(",")
}

/// A text as Go encodes it again: as a `PrintableString` where its characters allow, else as a `UTF8String`.
fn der_string(text: &[u8]) -> Vec<u8> {
    let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let tag = if text.iter().all(printable) { 0x13 } else { 0x0c };
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..=127 => vec![tag, low],
        128..=255 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), text].concat()
}

/// RFC 2253's escapes.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        if special || (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(subject: &str, issuer: &str, not_after: i64) -> Certificate {
        Certificate {
            not_after,
            subject: subject.into(),
            issuer: issuer.into(),
            alternative_names: String::new(),
            serial: "01".into(),
            fingerprint: subject.into(),
            subject_der: subject.into(),
            issuer_der: issuer.into(),
        }
    }

    #[test]
    fn a_stray_certificate_does_not_shorten_the_chain() {
        let chain =
            [certificate("leaf", "ca", 300), certificate("stray", "other", 100), certificate("ca", "root", 200)];
        assert_eq!(last_chain_expiry(&chain), 200);
        assert_eq!(last_chain_expiry(&chain[..1]), 300);
    }

    #[test]
    fn names_are_escaped_as_in_rfc_2253() {
        assert_eq!(escaped("Shop, Inc."), "Shop\\, Inc.");
        assert_eq!(escaped("#1 "), "\\#1\\ ");
    }
}
