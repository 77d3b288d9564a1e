//! The list of certificates that the house's authority has signed and takes
//! back. It stands beside the authority, empty from the beginning, so that a
//! server that runs has the next entry within seconds.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::authority::{Authority, Signed, replace};
use crate::state::DeviceId;

/// Nobody looks at a list's end here; other programs may.
const LIST_COUNTS: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A certificate that was taken back: its number, and when, in Unix seconds.
struct Revoked {
    serial: Vec<u8>,
    since: u64,
}

impl Authority {
    /// The list's file, for `tls.client_crl`.
    pub fn revocation_list(&self) -> PathBuf {
        self.folder().join("revoked.pem")
    }

    /// Takes a device's certificate back. Its files go, so that another one
    /// can be signed.
    ///
    /// # Errors
    /// There is none, or the list cannot be written.
    pub fn revoke_device(&self, id: &DeviceId) -> anyhow::Result<()> {
        let Signed { certificate, key } = self.of_device(id);
        let pem = match fs::read(&certificate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("there is no certificate of {id} in {}", self.folder().display());
            }
            read => read.with_context(|| format!("read {}", certificate.display()))?,
        };
        let serial =
            serial(&pem).with_context(|| format!("{} is no certificate", certificate.display()))?;
        let mut revoked = self.revoked()?;
        revoked.push(Revoked { serial, since: unix_now()? });
        self.write_list(&revoked)?;
        for file in [key, certificate] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the list where there is none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin_list(&self) -> anyhow::Result<()> {
        if fs::symlink_metadata(self.revocation_list()).is_ok() {
            return Ok(());
        }
        self.write_list(&[])
    }

    fn revoked(&self) -> anyhow::Result<Vec<Revoked>> {
        let file = self.revocation_list();
        let pem = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.with_context(|| format!("read {}", file.display()))?,
        };
        // One that cannot be read is not begun anew: who was on it would be taken again.
        listed(&pem).with_context(|| format!("{} is no list of the revoked", file.display()))
    }

    fn write_list(&self, revoked: &[Revoked]) -> anyhow::Result<()> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let now = unix_now()?;
        let entries = revoked.iter().map(|Revoked { serial, since }| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: epoch + Duration::from_secs(*since),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: epoch + Duration::from_secs(now),
            next_update: epoch + Duration::from_secs(now) + LIST_COUNTS,
            crl_number: SerialNumber::from(now),
            issuing_distribution_point: None,
            revoked_certs: entries.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(self.issuer()).context("sign the list of the revoked")?;
        let pem = list.pem().context("write the list of the revoked as PEM")?;
        replace(&self.revocation_list(), pem.as_bytes(), 0o644)
    }
}

fn unix_now() -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("tell the time")?;
    Ok(now.as_secs())
}

fn serial(pem: &[u8]) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(certificate.raw_serial().to_vec())
}

fn listed(pem: &[u8]) -> Option<Vec<Revoked>> {
    let der = CertificateRevocationListDer::from_pem_slice(pem).ok()?;
    let (_, list) = CertificateRevocationList::from_der(&der).ok()?;
    let entries = list.iter_revoked_certificates();
    let revoked = entries.map(|entry| Revoked {
        serial: entry.raw_serial().to_vec(),
        since: u64::try_from(entry.revocation_date.timestamp()).unwrap_or(0),
    });
    Some(revoked.collect())
}
