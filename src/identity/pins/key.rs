//! The key under which codes are kept: in the folder of keys, not in the
//! database.

use std::io;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::key_folder::KeyFolder;

/// The key's file in the folder of keys.
const FILE: &str = "pins.key";

/// As long as what it makes.
const BYTES: usize = 32;

/// The key; it is in no log, for nothing here can show it.
pub(super) struct PinKey([u8; BYTES]);

impl PinKey {
    /// The key of this server, made where there is none. The second is whether
    /// it was.
    pub(super) fn open(keys: &KeyFolder) -> io::Result<(Self, bool)> {
        if let Some(bytes) = keys.read(FILE)? {
            if let Ok(key) = bytes.try_into() {
                return Ok((Self(key), false));
            }
            let aside = keys.keep_aside(FILE)?;
            tracing::error!(kept = aside, "the key of the PIN codes is torn, and made anew");
        }
        let mut key = [0; BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        keys.write(FILE, &key)?;
        Ok((Self(key), true))
    }

    /// A code as it is kept. Who does not know the key cannot choose any part
    /// of it, so that how long it takes to look for it tells nothing.
    pub(super) fn hmac(&self, code: &[u8]) -> [u8; 32] {
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("keys of any length are taken");
        hmac.update(code);
        hmac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_and_a_torn_one_is_kept_aside() {
        let data = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(data.path()).unwrap();
        let (key, made) = PinKey::open(&keys).unwrap();
        assert!(made);
        let (again, made) = PinKey::open(&keys).unwrap();
        assert!(!made);
        assert_eq!(key.hmac(b"739155"), again.hmac(b"739155"));
        assert_ne!(key.hmac(b"739155"), key.hmac(b"739156"));
        keys.write(FILE, b"half").unwrap();
        let (new, made) = PinKey::open(&keys).unwrap();
        assert!(made && keys.names().unwrap().len() == 2);
        assert_ne!(key.hmac(b"739155"), new.hmac(b"739155"));
    }

    #[test]
    fn it_is_hmac_sha_256() {
        // RFC 4231, case 2, with the key filled up with zeros, which HMAC does.
        let mut key = [0; BYTES];
        key[..4].copy_from_slice(b"Jefe");
        let hex =
            data_encoding::HEXLOWER.encode(&PinKey(key).hmac(b"what do ya want for nothing?"));
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
