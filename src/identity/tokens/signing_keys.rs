//! The keys that sign access tokens: a new one every month, while the one
//! before still verifies what it has signed.

use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, EncodingKey};
use openssl::pkey::PKey;
use parking_lot::Mutex;
use std::sync::Arc;
use uuid::Uuid;

use super::LIFETIME;
use crate::key_folder::KeyFolder;

/// For how long a key signs.
const SIGNS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const PREFIX: &str = "token-";
const SUFFIX: &str = ".pem";

/// A key of Ed25519.
pub(super) struct SigningKey {
    /// As in tokens; it has the time in it at which the key was made.
    id: Uuid,
    pub(super) signs: EncodingKey,
    pub(super) verifies: DecodingKey,
}

/// The keys, the newest first; there is always one.
pub(in crate::identity) struct SigningKeys {
    folder: KeyFolder,
    keys: ArcSwap<Vec<Arc<SigningKey>>>,
    changing: Mutex<()>,
}

impl SigningKeys {
    /// Reads the keys, and makes what is missing.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(in crate::identity) fn open(folder: KeyFolder) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        for name in folder.names().context("list the keys")? {
            let Some(id) = id_of(&name) else { continue };
            let Some(pem) = folder.read(&name).context("read a key")? else { continue };
            match SigningKey::read(id, &pem) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(error) => {
                    let kept = folder.keep_aside(&name).context("keep a torn key aside")?;
                    let error = format!("{error:#}");
                    tracing::error!(%error, kept, "a key that signs tokens is torn: kept aside");
                }
            }
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.id));
        let keys = Self { folder, keys: ArcSwap::from_pointee(keys), changing: Mutex::new(()) };
        keys.rotate(Timestamp::now())?;
        Ok(keys)
    }

    /// The key that signs now.
    pub(super) fn newest(&self) -> Arc<SigningKey> {
        self.keys.load().first().expect("there is always a key").clone()
    }

    /// The key of this id, as it stands in a token.
    pub(super) fn get(&self, id: &str) -> Option<Arc<SigningKey>> {
        let id = Uuid::try_parse(id).ok()?;
        self.keys.load().iter().find(|key| key.id == id).cloned()
    }

    /// Makes a new key where the newest has signed for long enough, and removes
    /// those of which no token is left.
    ///
    /// # Errors
    /// The folder does not take it; the keys are as they were.
    pub(in crate::identity) fn rotate(&self, now: Timestamp) -> anyhow::Result<()> {
        let _changing = self.changing.lock();
        let mut keys = Vec::clone(&self.keys.load());
        if keys.first().is_none_or(|newest| newest.made_at() + SIGNS_FOR < now) {
            let key =
                SigningKey::make(&self.folder, now).context("make a key that signs tokens")?;
            tracing::info!(key = %key.id, "access tokens are signed by a new key");
            keys.insert(0, Arc::new(key));
        }
        // A key signs nothing more from when the next one was made.
        let is_needed = |newer: &SigningKey| newer.made_at() + 2 * LIFETIME > now;
        let needed = 1 + keys.iter().take_while(|newer| is_needed(newer)).count();
        for gone in keys.drain(needed.min(keys.len())..) {
            self.folder.remove(&name_of(gone.id)).context("remove an old key")?;
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}

impl SigningKey {
    fn make(folder: &KeyFolder, now: Timestamp) -> anyhow::Result<Self> {
        let since = std::time::SystemTime::from(now).duration_since(std::time::UNIX_EPOCH)?;
        let made_at =
            uuid::Timestamp::from_unix(uuid::NoContext, since.as_secs(), since.subsec_nanos());
        let id = Uuid::new_v7(made_at);
        let pem = PKey::generate_ed25519()?.private_key_to_pem_pkcs8()?;
        folder.write(&name_of(id), &pem)?;
        Self::read(id, &pem)
    }

    fn read(id: Uuid, pem: &[u8]) -> anyhow::Result<Self> {
        let key = PKey::private_key_from_pem(pem).context("read it as PEM")?;
        let signs = EncodingKey::from_ed_der(&key.private_key_to_pkcs8()?);
        let verifies = DecodingKey::from_ed_der(&key.raw_public_key().context("of Ed25519")?);
        Ok(Self { id, signs, verifies })
    }

    /// As in tokens.
    pub(super) fn name(&self) -> String {
        self.id.simple().to_string()
    }

    fn made_at(&self) -> Timestamp {
        let seconds = self.id.get_timestamp().map_or(0, |made_at| made_at.to_unix().0);
        Timestamp::from_second(seconds.cast_signed()).unwrap_or(Timestamp::MIN)
    }
}

fn name_of(id: Uuid) -> String {
    format!("{PREFIX}{}{SUFFIX}", id.simple())
}

fn id_of(name: &str) -> Option<Uuid> {
    Uuid::try_parse(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scene() -> (tempfile::TempDir, KeyFolder) {
        let data = tempfile::tempdir().unwrap();
        let folder = KeyFolder::open(data.path()).unwrap();
        (data, folder)
    }

    #[test]
    fn the_key_is_the_same_after_a_restart() {
        let (_data, folder) = scene();
        let first = SigningKeys::open(folder.clone()).unwrap().newest().name();
        assert_eq!(SigningKeys::open(folder.clone()).unwrap().newest().name(), first);
        assert_eq!(folder.names().unwrap(), [format!("token-{first}.pem")]);
    }

    #[test]
    fn an_older_key_verifies_until_its_tokens_are_dead() {
        let (_data, folder) = scene();
        let keys = SigningKeys::open(folder.clone()).unwrap();
        let first = keys.newest().name();
        let month = Timestamp::now() + SIGNS_FOR + LIFETIME;
        keys.rotate(month).unwrap();
        let second = keys.newest().name();
        assert_ne!(second, first);
        assert!(keys.get(&first).is_some() && keys.get(&second).is_some());
        keys.rotate(month + LIFETIME).unwrap();
        assert!(keys.get(&first).is_some());
        keys.rotate(month + 3 * LIFETIME).unwrap();
        assert!(keys.get(&first).is_none());
        assert_eq!(folder.names().unwrap(), [format!("token-{second}.pem")]);
    }

    #[test]
    fn c28_a_torn_key_is_kept_aside_and_another_one_made() {
        let (_data, folder) = scene();
        let first = SigningKeys::open(folder.clone()).unwrap().newest().name();
        folder.write(&format!("token-{first}.pem"), b"-----BEGIN").unwrap();
        assert_ne!(SigningKeys::open(folder.clone()).unwrap().newest().name(), first);
        let names = folder.names().unwrap();
        assert!(names.iter().any(|name| name.contains(".pem.torn-")), "{names:?}");
    }
}
