//! The key under which codes are kept: in the folder of keys, not in the
//! database.

use std::io;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::key_folder::KeyFolder;

/// The key's file in the folder of keys.
const FILE: &str = "pins.key";

/// The key; it is in no log, for nothing here can show it.
pub(super) struct PinKey([u8; 32]);

impl PinKey {
    /// The key of this server, made where there is none. The second is whether
    /// it was.
    pub(super) fn open(keys: &KeyFolder) -> io::Result<(Self, bool)> {
        let (key, made) = keys.key(FILE)?;
        Ok((Self(key), made))
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
    fn it_is_hmac_sha_256() {
        // RFC 4231, case 2, with the key filled up with zeros, which HMAC does.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hex =
            data_encoding::HEXLOWER.encode(&PinKey(key).hmac(b"what do ya want for nothing?"));
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
