//! The secret of an API key: shown once, kept as its SHA-256. Nobody could
//! guess it, so nothing slower is needed.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

/// What every one begins with, by which those who look for secrets in public
/// places know it.
const PREFIX: &str = "llk_";

/// How many random bytes there are in one.
const BYTES: usize = 20;

/// The secret of an API key, `llk_` and 32 letters and digits. It is shown to
/// whoever made the key, and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

/// What was shown is no secret of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no API key")]
pub struct InvalidKeySecret;

impl KeySecret {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase())))
    }

    /// As it is kept.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The secret itself, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeySecret {
    type Err = InvalidKeySecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let random = text.strip_prefix(PREFIX).ok_or(InvalidKeySecret)?;
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
        if random.len() == BYTES * 8 / 5 && random.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKeySecret)
        }
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_made_and_never_the_same() {
        let secret = KeySecret::generate().unwrap();
        assert_eq!(secret.reveal().len(), 36);
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_ne!(KeySecret::generate().unwrap(), secret);
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        for odd in ["", "llk_", "llk_2", "xyz", &secret.reveal()[1..], &format!("{}a", secret.0)] {
            assert_eq!(odd.parse::<KeySecret>(), Err(InvalidKeySecret), "{odd}");
        }
    }
}
