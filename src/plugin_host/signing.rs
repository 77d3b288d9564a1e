//! `latchlight plugin keygen|sign|verify`: what an author does before an owner
//! can install a plugin from afar.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use latchlight_plugin_api::boundary::{API, Outcome, Record};
use minisign::{KeyPair, SecretKey, SecretKeyBox};

use super::claim::Claim;
use super::library_file;
use super::loader::Library;
use super::signed::Signed;
use super::target::Target;
use crate::config::SigningKey;

/// What `latchlight plugin sign` signs a library as, where that is said; what
/// is not said, the library is asked for.
#[derive(Debug, Clone, Default)]
pub struct SignAs {
    /// The plugin's name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// Makes a key pair: the secret key into `file`, the public one beside it, as
/// minisign has them. Gives the public key as it stands in `plugins.keys`.
///
/// # Errors
/// A file is there already, or cannot be written.
pub fn keygen(file: &Path, password: Option<String>) -> anyhow::Result<String> {
    let public = file.with_extension("pub");
    ensure!(public != file, "{}: the secret key needs another ending than .pub", file.display());
    ensure!(!public.exists(), "{} is there already", public.display());
    let is_encrypted = password.is_some();
    let pair = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.context("make a key pair")?;
    let comment =
        if is_encrypted { "latchlight encrypted secret key" } else { "latchlight secret key" };
    let secret = pair.sk.to_box(Some(comment)).context("write the secret key")?;
    write_new(file, 0o600, &secret.to_bytes())?;
    let open = pair.pk.to_box().context("write the public key")?;
    write_new(&public, 0o644, &open.to_bytes())?;
    Ok(pair.pk.to_base64())
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("write {}", path.display()))
}

/// Signs a library with the secret key in a file, `None` for one without a
/// password. Gives the signature's file, beside the library, and what it says.
///
/// # Errors
/// It is no plugin, the key cannot be had, or the signature not be written.
pub fn sign(
    file: &Path,
    key: &Path,
    password: Option<String>,
    sign_as: SignAs,
) -> anyhow::Result<(PathBuf, String)> {
    let bytes = read(file)?;
    let claim = claim(file, &bytes, sign_as)?.to_string();
    let text = std::fs::read_to_string(key).with_context(|| format!("read {}", key.display()))?;
    let secret = SecretKeyBox::from_string(&text).and_then(|boxed| match password {
        Some(password) => SecretKey::from_box(boxed, Some(password)),
        None => SecretKey::from_unencrypted_box(boxed),
    });
    let secret = secret.map_err(|error| anyhow::anyhow!("{}: {error}", key.display()))?;
    let signed = minisign::sign(None, &secret, &*bytes, Some(&claim), Some("latchlight plugin"));
    let signed = signed.map_err(|error| anyhow::anyhow!("sign {}: {error}", file.display()))?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, signed.to_bytes())
        .with_context(|| format!("write {}", beside.display()))?;
    Ok((beside, claim))
}

/// Checks a signature of a library; gives what it says. `public` is a public
/// key, or a file that has one.
///
/// # Errors
/// It is not of this library, or not by this key.
pub fn verify(file: &Path, signature: &Path, public: &str) -> anyhow::Result<String> {
    let bytes = read(file)?;
    let text = std::fs::read_to_string(signature)
        .with_context(|| format!("read {}", signature.display()))?;
    let key = match public.parse::<SigningKey>() {
        Ok(key) => key,
        Err(why) => {
            let file = std::fs::read_to_string(public);
            let file =
                file.map_err(|_| anyhow::anyhow!("{public}: neither a file, nor a key: {why}"))?;
            let key = file.lines().nth(1).unwrap_or_default().trim().parse();
            key.map_err(|why| anyhow::anyhow!("{public}: {why}"))?
        }
    };
    let signed = Signed::read(&text)?;
    signed.check_with(&bytes, &[key], "another key")?;
    Ok(signed.claim.to_string())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let read = library_file::read(file);
    let read = read.and_then(|bytes| library_file::check_is_plugin(&bytes).map(|()| bytes));
    read.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

/// What a library is signed as.
fn claim(file: &Path, bytes: &[u8], sign_as: SignAs) -> anyhow::Result<Claim> {
    let (name, version) = match sign_as {
        SignAs { name: Some(name), version: Some(version) } => (name, version),
        SignAs { name, version } => {
            let record = ask(bytes).with_context(|| format!("ask {} who it is", file.display()))?;
            (name.unwrap_or(record.name), version.unwrap_or(record.version))
        }
    };
    let target = Target::of(bytes)?;
    let api = library_file::declared_api(bytes).unwrap_or(API);
    let wrong = |why: String| anyhow::anyhow!("{}: {why}", file.display());
    Ok(Claim {
        name: name.parse().map_err(wrong)?,
        version: version.parse().map_err(wrong)?,
        target,
        api,
    })
}

/// Loads the library, and has it say its name and version.
fn ask(bytes: &[u8]) -> anyhow::Result<Record> {
    let library = Library::load("plugin.so", bytes)?;
    match library.start() {
        Outcome::Ok(record) => Ok(record),
        Outcome::Error(error) => anyhow::bail!("it did not start: {}", error.message),
        Outcome::Panic(what) => anyhow::bail!("it did not start: it panicked: {what}"),
    }
}
