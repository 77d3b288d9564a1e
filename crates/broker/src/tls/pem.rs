//! PEM files, and what is in them.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::error::{TlsError, TlsProblem};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// PEM, and where it comes from.
pub(super) struct Pem {
    bytes: Vec<u8>,
    origin: String,
}

impl Pem {
    pub(super) fn new(bytes: &[u8], origin: &str) -> Self {
        Self { bytes: bytes.to_vec(), origin: origin.to_owned() }
    }

    /// Reads a file.
    pub(super) fn read(file: &Path) -> Result<Self, TlsError> {
        let origin = file.display().to_string();
        let read = || {
            use std::io::Read as _;
            let mut bytes = Vec::new();
            std::fs::File::open(file)?.take(LARGEST).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Self { bytes, origin }),
            Err(error) => Err(TlsError { origin, problem: TlsProblem::Read(error) }),
        }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn error(&self, problem: TlsProblem) -> TlsError {
        TlsError { origin: self.origin.clone(), problem }
    }

    /// What is in it cannot be used.
    pub(super) fn unusable(&self, error: impl std::fmt::Display) -> TlsError {
        self.error(TlsProblem::Unusable(error.to_string()))
    }

    /// All certificates in it; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.all(TlsProblem::NoCertificate)
    }

    /// All lists of revoked certificates in it; at least one.
    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        self.all(TlsProblem::NoRevocationList)
    }

    /// The first private key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
        let has = |text: &[u8]| self.bytes.windows(text.len()).any(|window| window == text);
        if ENCRYPTED.iter().any(|text| has(text)) {
            return Err(self.error(TlsProblem::EncryptedKey));
        }
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|error| self.pem(error, TlsProblem::NoKey))
    }

    fn all<T: PemObject>(&self, none: TlsProblem) -> Result<Vec<T>, TlsError> {
        let all: Result<Vec<T>, _> = T::pem_slice_iter(&self.bytes).collect();
        match all {
            Ok(all) if all.is_empty() => Err(self.error(none)),
            Ok(all) => Ok(all),
            Err(error) => Err(self.pem(error, none)),
        }
    }

    fn pem(&self, error: pem::Error, none: TlsProblem) -> TlsError {
        // The others would show what is in the file.
        let problem = match error {
            pem::Error::NoItemsFound => none,
            pem::Error::MissingSectionEnd { .. } => TlsProblem::Pem("a section has no end".into()),
            pem::Error::IllegalSectionStart { .. } => {
                TlsProblem::Pem("a section begins wrongly".into())
            }
            _ => TlsProblem::Pem("a section is no base64".into()),
        };
        self.error(problem)
    }
}
