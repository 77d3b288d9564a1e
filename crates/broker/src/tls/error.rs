//! What may be wrong with certificates and keys.

use std::fmt;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct TlsError {
    /// The file, or what stands for it.
    pub origin: String,
    /// What is wrong with it.
    pub problem: TlsProblem,
}

/// What is wrong with a certificate or a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The file cannot be read.
    Read(std::io::Error),
    /// It is no PEM.
    Pem(String),
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it.
    NoKey,
    /// The private key in it has a passphrase.
    EncryptedKey,
    /// There is no list of revoked certificates in it.
    NoRevocationList,
    /// It is in it, and cannot be used.
    Unusable(String),
    /// The key does not belong to the certificate, whose origin this is.
    KeyMismatch(String),
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(formatter, "it cannot be read: {error}"),
            Self::Pem(why) => write!(formatter, "it is no PEM: {why}"),
            Self::NoCertificate => formatter.write_str("no certificate (PEM) is in it"),
            Self::NoKey => formatter.write_str("no private key (PEM) is in it"),
            Self::EncryptedKey => formatter.write_str(
                "the private key in it has a passphrase; it has to be stored without one",
            ),
            Self::NoRevocationList => {
                formatter.write_str("no list of revoked certificates (PEM) is in it")
            }
            Self::Unusable(why) => write!(formatter, "it cannot be used: {why}"),
            Self::KeyMismatch(certificate) => {
                write!(formatter, "the key does not belong to the certificate in {certificate}")
            }
        }
    }
}
