//! The certificate that a client has shown.

use std::net::IpAddr;

use bytes::Bytes;

/// The certificate that a client has shown in the TLS handshake, where it was
/// verified: an authority that the listener trusts has signed it, it has not
/// expired, and the client has its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's common name; nothing where it has none, or several.
    pub common_name: Option<String>,
    /// The host names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// The mail addresses among them.
    pub email_addresses: Vec<String>,
    /// The URIs among them.
    pub uris: Vec<String>,
    /// The IP addresses among them.
    pub ip_addresses: Vec<IpAddr>,
    /// The SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
    /// The whole certificate, in DER.
    pub der: Bytes,
}

impl ClientCertificate {
    /// The fingerprint as 64 lowercase hexadecimal digits.
    pub fn fingerprint_hex(&self) -> String {
        self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(feature = "tls")]
impl ClientCertificate {
    /// Reads the names of a certificate; nothing: it cannot be read.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        use sha2::{Digest as _, Sha256};
        use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let mut common_names = parsed.subject().iter_common_name();
        let mut certificate = Self {
            // Of several, nobody knows which one was meant.
            common_name: match (common_names.next(), common_names.next()) {
                (Some(name), None) => name.as_str().ok().map(str::to_owned),
                _ => None,
            },
            dns_names: Vec::new(),
            email_addresses: Vec::new(),
            uris: Vec::new(),
            ip_addresses: Vec::new(),
            fingerprint: Sha256::digest(der).into(),
            der: Bytes::copy_from_slice(der),
        };
        let alternatives = parsed.subject_alternative_name().ok()?;
        for name in alternatives.into_iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => certificate.dns_names.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => {
                    certificate.email_addresses.push((*name).to_owned());
                }
                GeneralName::URI(name) => certificate.uris.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => certificate.ip_addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Some(certificate)
    }
}

#[cfg(feature = "tls")]
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
