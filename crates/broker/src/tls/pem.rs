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

    /// What begins at this line cannot be used.
    pub(super) fn unusable_at(&self, line: usize, error: impl std::fmt::Display) -> TlsError {
        self.unusable(format!("{error} (the section at line {line})"))
    }

    /// All certificates in it, each with its line; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<(usize, CertificateDer<'static>)>, TlsError> {
        self.all(TlsProblem::NoCertificate)
    }

    /// All lists of revoked certificates in it; at least one.
    pub(super) fn revocation_lists(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let lists = self.all(TlsProblem::NoRevocationList)?;
        Ok(lists.into_iter().map(|(_, list)| list).collect())
    }

    /// The first private key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
        let has = |text: &[u8]| self.bytes.windows(text.len()).any(|window| window == text);
        if ENCRYPTED.iter().any(|text| has(text)) {
            return Err(self.error(TlsProblem::EncryptedKey));
        }
        let keys = self.all(TlsProblem::NoKey)?;
        keys.into_iter().next().map(|(_, key)| key).ok_or_else(|| self.error(TlsProblem::NoKey))
    }

    fn all<T: PemObject>(&self, none: TlsProblem) -> Result<Vec<(usize, T)>, TlsError> {
        let mut all = Vec::new();
        for (line, section) in self.sections() {
            match T::from_pem_slice(section) {
                Ok(item) => all.push((line, item)),
                // It is something else.
                Err(pem::Error::NoItemsFound) => {}
                Err(error) => return Err(self.error(problem(line, &error))),
            }
        }
        if all.is_empty() { Err(self.error(none)) } else { Ok(all) }
    }

    /// What begins with `-----BEGIN`, each up to where the next one does, with
    /// the line that it begins at.
    fn sections(&self) -> Vec<(usize, &[u8])> {
        let mut sections: Vec<(usize, usize)> = Vec::new();
        let (mut line, mut at) = (1, 0);
        for text in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            if text.starts_with(b"-----BEGIN ") {
                sections.push((line, at));
            }
            (line, at) = (line + 1, at + text.len());
        }
        let ends = sections.iter().skip(1).map(|(_, at)| *at).chain([self.bytes.len()]);
        let bounds = sections.iter().zip(ends);
        bounds.map(|((line, from), to)| (*line, &self.bytes[*from..to])).collect()
    }
}

/// What is wrong with a section; the library's own words would show what is in
/// the file.
fn problem(line: usize, error: &pem::Error) -> TlsProblem {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "has no end",
        pem::Error::IllegalSectionStart { .. } => "begins wrongly",
        _ => "is no base64",
    };
    TlsProblem::Pem(format!("the section at line {line} {what}"))
}
