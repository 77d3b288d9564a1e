//! The keys by which devices check what they are told. Each is made of the
//! server's own key, which is not in the database, the device's id, and what
//! is anew each time: so there is nothing to keep that could be taken.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::state::DeviceId;

/// The server's own key in the folder of keys.
pub(super) const FILE: &str = "commands.key";

/// What makes a key another one than that before; no secret.
pub(super) type Generation = [u8; 16];

/// The server's own key; it is in no log, for nothing here can show it.
pub(super) struct CommandKeys([u8; 32]);

/// The key of one device.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandKey([u8; 32]);

impl CommandKeys {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key of a device. No id has the byte that stands between the parts.
    pub(super) fn of(&self, device: &DeviceId, generation: &Generation) -> CommandKey {
        let parts: [&[u8]; 3] = [b"device", device.as_str().as_bytes(), generation];
        CommandKey(hmac(&self.0, &parts.join(&0)))
    }
}

impl CommandKey {
    /// The signature of these bytes: HMAC-SHA-256, as 64 of `0-9a-f`.
    pub fn sign(&self, bytes: &[u8]) -> String {
        HEXLOWER.encode(&hmac(&self.0, bytes))
    }

    /// The key itself, as 64 of `0-9a-f`: for the one answer that tells it.
    pub fn reveal(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandKey(…)")
    }
}

fn hmac(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length are taken");
    hmac.update(bytes);
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_device_and_each_time_has_a_key_of_its_own() {
        let keys = CommandKeys::new([7; 32]);
        let of = |id: &str, generation| keys.of(&id.parse().unwrap(), &[generation; 16]).reveal();
        assert_eq!(of("front", 1), of("front", 1));
        assert_ne!(of("front", 1), of("front", 2));
        assert_ne!(of("front", 1), of("front-1", 1));
        assert_ne!(
            of("front", 1),
            CommandKeys::new([8; 32]).of(&"front".parse().unwrap(), &[1; 16]).reveal()
        );
        assert_eq!(of("front", 1).len(), 64);
        let key = keys.of(&"front".parse().unwrap(), &[1; 16]);
        assert_eq!(format!("{key:?}"), "CommandKey(…)");
    }
}
