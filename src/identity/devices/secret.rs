//! The secret of a device, as it is told once.

use std::fmt;

use data_encoding::{Encoding, Specification};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How many random bytes a secret has: 160 bits, which nobody guesses.
const BYTES: usize = 20;

/// The secret of a device: 32 of `a-z` and `2-7`, for it is typed into firmware.
/// It is in no log.
#[derive(Clone)]
pub struct DeviceSecret(String);

impl DeviceSecret {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(encoding().encode(&bytes)))
    }

    /// The secret itself: for the one answer that tells it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// As it is kept.
    pub(super) fn hash(&self) -> [u8; 32] {
        hash(self.0.as_bytes())
    }
}

/// What somebody shows, as a secret is kept. Nobody could guess a secret, so
/// that no salt and no slow hash is needed.
pub(super) fn hash(shown: &[u8]) -> [u8; 32] {
    Sha256::digest(shown).into()
}

/// Whether both are the same; it takes as long whatever they have in common.
pub(super) fn is_same(shown: &[u8; 32], kept: &[u8; 32]) -> bool {
    shown.ct_eq(kept).into()
}

fn encoding() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 different symbols")
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_160_bits_is_never_the_same_and_is_not_shown() {
        let (one, another) = (DeviceSecret::generate().unwrap(), DeviceSecret::generate().unwrap());
        assert_eq!(one.reveal().len(), 32);
        assert!(one.reveal().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        assert_ne!(one.reveal(), another.reveal());
        assert!(is_same(&hash(one.reveal().as_bytes()), &one.hash()));
        assert!(!is_same(&another.hash(), &one.hash()));
        assert_eq!(format!("{one:?}"), "DeviceSecret(…)");
    }
}
