//! A small authority for a house's own network: what it signs is trusted by
//! who trusts its certificate, and by nobody else. Its key is a file beside
//! it: whoever has that can pass for the server, and for any device.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::ServerName;

use super::LeafCertificate;
use crate::state::DeviceId;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long what is signed counts. Some systems take no server's certificate
/// that counts for more than 825 days.
const AUTHORITY_DAYS: u32 = 3650;
const SERVER_DAYS: u32 = 730;
const DEVICE_DAYS: u32 = 1825;

/// Clocks differ, and a device's may be a little behind.
const BEFORE_NOW: Duration = Duration::from_secs(3600);

const AUTHORITY: &str = "authority";
const SERVER: &str = "server";

/// An authority's folder: `authority.pem`, `authority.key`, and beside them
/// what it has signed.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, which nobody but its owner may read.
    pub key: PathBuf,
}

impl Authority {
    /// A new one in this folder, which is made if there is none.
    ///
    /// # Errors
    /// There is one already, or the folder cannot be written.
    pub fn make(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let files = Signed::named(folder, AUTHORITY);
        if files.exist() {
            bail!("there is an authority already in {}", folder.display());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("make {}", folder.display()))?;
        let mut params = params(name, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("make a key")?;
        let certificate = params.self_signed(&key).context("sign the authority's certificate")?;
        files.write(&certificate.pem(), &key)?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// The one in this folder; nothing: there is none.
    ///
    /// # Errors
    /// Its files cannot be read, or are something else.
    pub fn open(folder: &Path) -> anyhow::Result<Option<Self>> {
        let files = Signed::named(folder, AUTHORITY);
        if !files.exist() {
            return Ok(None);
        }
        let read = |file: &Path| {
            fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
        };
        let key = KeyPair::from_pem(&read(&files.key)?)
            .with_context(|| format!("{} is no key", files.key.display()))?;
        let issuer = Issuer::from_ca_cert_pem(&read(&files.certificate)?, key)
            .with_context(|| format!("{} is no certificate", files.certificate.display()))?;
        Ok(Some(Self { folder: folder.to_owned(), issuer }))
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// The files of a device's certificate, whether there is one or not.
    pub(super) fn of_device(&self, id: &DeviceId) -> Signed {
        Signed::named(&self.folder, &format!("device-{id}"))
    }

    /// The certificate that clients trust.
    pub fn certificate(&self) -> PathBuf {
        Signed::named(&self.folder, AUTHORITY).certificate
    }

    /// Signs a server's certificate for these names and addresses.
    ///
    /// # Errors
    /// There is one already, a name is none, or the folder cannot be written.
    pub fn sign_server(&self, names: &[String]) -> anyhow::Result<Signed> {
        let files = Signed::named(&self.folder, SERVER);
        let (certificate, key) = self.server(names)?;
        files.write(&certificate, &key)?;
        Ok(files)
    }

    /// Signs another one in the place of the one that there is, for the same
    /// names unless there are some here.
    ///
    /// # Errors
    /// There is none, or it cannot be replaced.
    pub fn renew_server(&self, names: &[String]) -> anyhow::Result<Signed> {
        let files = Signed::named(&self.folder, SERVER);
        let there = fs::read(&files.certificate)
            .with_context(|| format!("read {}", files.certificate.display()))?;
        let same = LeafCertificate::of_pem(&there)
            .with_context(|| format!("{} is no certificate", files.certificate.display()))?;
        let names = if names.is_empty() { same.names() } else { names };
        let (certificate, key) = self.server(names)?;
        // A server that runs waits until both are there.
        replace(&files.certificate, certificate.as_bytes(), 0o644)?;
        replace(&files.key, key.serialize_pem().as_bytes(), 0o600)?;
        Ok(files)
    }

    fn server(&self, names: &[String]) -> anyhow::Result<(String, KeyPair)> {
        let Some(first) = names.first() else { bail!("a server needs a name") };
        check_names(names)?;
        let mut params = params(first, SERVER_DAYS)?;
        let alternatives = CertificateParams::new(names.to_vec()).context("read the names")?;
        params.subject_alt_names = alternatives.subject_alt_names;
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Signs a certificate by which a device is known.
    ///
    /// # Errors
    /// The device has one already, or the folder cannot be written.
    pub fn sign_device(&self, id: &DeviceId) -> anyhow::Result<Signed> {
        let files = self.of_device(id);
        let params = params(id.as_str(), DEVICE_DAYS)?;
        let (certificate, key) = self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)?;
        files.write(&certificate, &key)?;
        Ok(files)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<(String, KeyPair)> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("make a key")?;
        let certificate = params.signed_by(&key, &self.issuer).context("sign a certificate")?;
        Ok((certificate.pem(), key))
    }
}

impl Signed {
    fn named(folder: &Path, name: &str) -> Self {
        let file = |ending| folder.join(format!("{name}.{ending}"));
        Self { certificate: file("pem"), key: file("key") }
    }

    fn exist(&self) -> bool {
        // A link that leads nowhere is in the way, too.
        let is_there = |file: &Path| fs::symlink_metadata(file).is_ok();
        is_there(&self.certificate) || is_there(&self.key)
    }

    /// Writes both; what is there already stays.
    fn write(&self, certificate: &str, key: &KeyPair) -> anyhow::Result<()> {
        if self.exist() {
            bail!(
                "{} or its key is there already: `latchlight tls renew` signs another one for the \
                 server, `latchlight tls revoke ID` takes a device's back",
                self.certificate.display()
            );
        }
        create(&self.key, key.serialize_pem().as_bytes(), 0o600)?;
        create(&self.certificate, certificate.as_bytes(), 0o644)
    }
}

/// Whether these are names of hosts, addresses, or all names below one.
///
/// # Errors
/// One of them is none.
pub fn check_names(names: &[String]) -> anyhow::Result<()> {
    for name in names {
        let host = name.strip_prefix("*.").unwrap_or(name);
        if ServerName::try_from(host).is_err() {
            bail!("`{}` is neither a host's name nor an address", name.escape_debug());
        }
    }
    Ok(())
}

/// What all certificates have.
fn params(name: &str, days: u32) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new([]).context("prepare a certificate")?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("tell the time")?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BEFORE_NOW);
    params.not_after = epoch + now + DAY * days;
    Ok(params)
}

fn create(file: &Path, contents: &[u8], mode: u32) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().with_context(|| format!("write {}", file.display()))
}

/// Whoever reads the file sees the old one or the new one.
pub(super) fn replace(file: &Path, contents: &[u8], mode: u32) -> anyhow::Result<()> {
    let aside = file.with_extension("new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", aside.display()));
        }
        _ => {}
    }
    create(&aside, contents, mode)?;
    fs::rename(&aside, file).with_context(|| format!("replace {}", file.display()))
}
