//! A library with its signature: checked before anything in it is executed.

use bytes::Bytes;
use minisign_verify::{Error, Signature};

use super::claim::Claim;
use super::install_error::InstallError;
use super::library_file;
use super::target::Target;
use crate::config::{PluginName, PluginsSettings, Sha256Hex, SigningKey};

/// The most bytes of a signature as minisign writes it: four lines.
pub(super) const LARGEST_SIGNATURE: usize = 2048;

/// A signature as it came, and what it says.
pub(super) struct Signed {
    /// The four lines.
    pub(super) text: String,
    /// What it says; true if [`Signed::check`] says so.
    pub(super) claim: Claim,
    signature: Signature,
}

/// A library that one of the keys has signed as this plugin, for this server.
pub(super) struct Checked {
    pub(super) claim: Claim,
    pub(super) sha256: Sha256Hex,
    pub(super) signature: String,
    pub(super) bytes: Bytes,
}

impl Signed {
    /// Reads a signature, four lines as minisign writes them.
    pub(super) fn read(text: &str) -> Result<Self, InstallError> {
        let unread = || {
            InstallError::Unfit(
                "the signature cannot be read: it is the whole text of the `.minisig` file"
                    .to_owned(),
            )
        };
        if text.len() > LARGEST_SIGNATURE {
            return Err(unread());
        }
        let signature = Signature::decode(text).map_err(|_| unread())?;
        let claim = signature.trusted_comment().parse().map_err(InstallError::Unfit)?;
        Ok(Self { text: text.to_owned(), claim, signature })
    }

    /// Whether one of these keys has signed these bytes, and the claim.
    pub(super) fn check(&self, bytes: &[u8], keys: &[SigningKey]) -> Result<(), InstallError> {
        self.check_with(bytes, keys, "no key of `plugins.keys`")
    }

    /// The same; `none` says who of the keys has not made the signature.
    pub(super) fn check_with(
        &self,
        bytes: &[u8],
        keys: &[SigningKey],
        none: &str,
    ) -> Result<(), InstallError> {
        let mut made_by_one = false;
        for key in keys {
            match key.key().verify(bytes, &self.signature, false) {
                Ok(()) => return Ok(()),
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => made_by_one = true,
            }
        }
        Err(InstallError::Untrusted(match made_by_one {
            true => "the signature is not of these bytes, or was changed".to_owned(),
            false => format!("{none} has made this signature"),
        }))
    }
}

/// Checks a library before anything in it is executed: who signed it, as
/// what, for which server, and whether it is that.
pub(super) fn check(
    name: &PluginName,
    bytes: Bytes,
    signature: &str,
    settings: &PluginsSettings,
) -> Result<Checked, InstallError> {
    if bytes.len() > settings.max_bytes {
        return Err(InstallError::TooLarge(settings.max_bytes));
    }
    let signed = Signed::read(signature)?;
    signed.check(&bytes, &settings.keys)?;
    signed.claim.check(name)?;
    library_file::check_is_whole(&bytes)?;
    library_file::check_is_plugin(&bytes)?;
    let (target, api) = (Target::of(&bytes)?, library_file::declared_api(&bytes));
    if target != signed.claim.target {
        let why = format!("it was signed for {}, and is for {target}", signed.claim.target);
        return Err(InstallError::Unfit(why));
    }
    if api.is_some_and(|api| api != signed.claim.api) {
        let why = format!("it was signed for API {}, and speaks another", signed.claim.api);
        return Err(InstallError::Unfit(why));
    }
    let sha256 = Sha256Hex::of(&bytes);
    Ok(Checked { claim: signed.claim, sha256, signature: signed.text, bytes })
}

/// The name of an installed library in the plugin folder.
pub(super) fn file_name(name: &str, sha256: &str) -> String {
    format!("{name}-{sha256}.so")
}
