//! What stands in a certificate, for people to read.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The certificate that a file begins with: for whom it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafCertificate {
    names: Vec<String>,
    expires: Timestamp,
}

impl LeafCertificate {
    /// Reads a PEM file's content; nothing: it begins with no certificate.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.into_iter().flat_map(|names| &names.value.general_names);
        let mut names: Vec<String> = names.filter_map(shown).collect();
        if names.is_empty() {
            let common = certificate.subject().iter_common_name();
            names.extend(common.filter_map(|name| name.as_str().ok()).map(str::to_owned));
        }
        let expires = certificate.validity().not_after.timestamp();
        Some(Self { names, expires: Timestamp::from_second(expires).ok()? })
    }

    /// The host names and addresses that it is for; the common name, where it
    /// has neither.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for LeafCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "for {}; until {}", self.names.join(", "), self.expires)
    }
}

fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
