//! Every device's credentials, in memory and in the database. Reading waits
//! for nothing; a change counts when it is on disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::{Mutex, watch};

use super::command_key::{self, CommandKeys, Generation};
use super::{CommandKey, DeviceCredential, DeviceSecret, rows, secret};
use crate::database::{Database, Pool};
use crate::key_folder::KeyFolder;
use crate::state::{DeviceId, DeviceKind};

/// Every device's credentials; cheap to clone.
#[derive(Clone)]
pub struct DeviceCredentials(Arc<Inner>);

/// Why a change was not made; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The system gives no random numbers.
    #[error("no secret can be made: {0}")]
    NotMade(#[from] getrandom::Error),
    /// They could not be kept.
    #[error("the credentials cannot be saved: {0}")]
    NotSaved(#[from] sqlx::Error),
}

/// New credentials. What is secret of them is told once.
#[derive(Debug)]
pub struct IssuedCredentials {
    /// What is kept.
    pub kept: Arc<DeviceCredential>,
    /// What the device shows to be let in.
    pub secret: DeviceSecret,
    /// By what it checks its commands, where they are signed.
    pub command_key: Option<CommandKey>,
}

/// Tells that credentials are not as they were: who is connected by those
/// before, or by a client id that is a device's from now on, may be so no more.
pub type Revoked = watch::Receiver<u64>;

struct Inner {
    pool: Pool,
    keys: CommandKeys,
    all: RwLock<HashMap<DeviceId, Arc<DeviceCredential>>>,
    /// Changes come one after the other. Whose were revoked in this run, and are
    /// not made anew: as many as somebody removes by hand.
    changing: Mutex<HashSet<DeviceId>>,
    /// How often some were made, replaced or revoked.
    revoked: watch::Sender<u64>,
}

impl DeviceCredentials {
    /// Reads them.
    ///
    /// # Errors
    /// The database does not answer, or has something odd, or the key by which
    /// commands are signed can be neither read nor made.
    pub async fn open(database: &Database, keys: &KeyFolder) -> anyhow::Result<Self> {
        let pool = database.pool.clone();
        let all = rows::load(&pool).await.context("read the devices' credentials")?;
        let (key, made) = keys.key(command_key::FILE).context("open the key of commands")?;
        let signed = all.iter().filter(|one| one.is_signed()).count();
        if made && signed > 0 {
            tracing::error!(
                devices = signed,
                "the key by which commands are signed was gone: no device that checks them obeys \
                 any more before it has new credentials"
            );
        }
        let all = all.into_iter().map(|one| (one.device.clone(), Arc::new(one))).collect();
        Ok(Self(Arc::new(Inner {
            pool,
            keys: CommandKeys::new(key),
            all: RwLock::new(all),
            changing: Mutex::default(),
            revoked: watch::Sender::new(0),
        })))
    }

    /// Those of a device, if it has any.
    pub fn get(&self, device: &str) -> Option<Arc<DeviceCredential>> {
        self.0.all.read().get(device).cloned()
    }

    /// Those of all devices, or of those behind this one, by device.
    pub fn behind(&self, device: Option<&DeviceId>) -> Vec<Arc<DeviceCredential>> {
        let all = self.0.all.read();
        let is_behind = |one: &&Arc<DeviceCredential>| device.is_none_or(|it| one.device > *it);
        let mut behind: Vec<_> = all.values().filter(is_behind).cloned().collect();
        drop(all);
        behind.sort_unstable_by(|one, other| one.device.cmp(&other.device));
        behind
    }

    /// The device that this name and this secret belong to, if they do.
    pub fn device(&self, name: &str, shown: &[u8]) -> Option<DeviceId> {
        // The same work for a name that is nobody's.
        let shown = secret::hash(shown);
        let kept = self.get(name);
        let fits = secret::is_same(&shown, &kept.as_ref().map_or([0; 32], |kept| kept.secret));
        kept.filter(|_| fits).map(|kept| kept.device.clone())
    }

    /// The key by which a device's commands are signed, if they are.
    pub fn command_key(&self, device: &DeviceId) -> Option<CommandKey> {
        let kept = self.get(device.as_str())?;
        kept.generation.map(|generation| self.0.keys.of(device, &generation))
    }

    /// Makes credentials for a device, in the place of those that it has; on
    /// disk when this returns. The secrets are told here and nowhere else.
    /// Whether its commands are signed stays as it is, unless `signed` says so.
    ///
    /// # Errors
    /// They cannot be saved, or the system gives no random numbers.
    pub async fn issue(
        &self,
        device: &DeviceId,
        kind: Option<DeviceKind>,
        signed: Option<bool>,
    ) -> Result<IssuedCredentials, CredentialsError> {
        let secret = DeviceSecret::generate()?;
        let mut changing = self.0.changing.lock().await;
        let before = self.get(device.as_str());
        let signed =
            signed.unwrap_or_else(|| before.as_ref().is_some_and(|before| before.is_signed()));
        let generation = signed.then(new_generation).transpose()?;
        let mut credential = DeviceCredential {
            device: device.clone(),
            kind,
            created_at: Timestamp::now(),
            generation,
            secret: secret.hash(),
            since: None,
        };
        rows::replace(&self.0.pool, &credential).await?;
        let mut all = self.0.all.write();
        // Under the lock: later than whoever was let in by the ones before, and
        // may not have been disconnected yet where those were revoked just now.
        let had_others = before.is_some() || changing.remove(device);
        credential.since = had_others.then(SystemTime::now);
        let credential = Arc::new(credential);
        all.insert(device.clone(), credential.clone());
        drop(all);
        self.tell();
        let command_key = generation.map(|generation| self.0.keys.of(device, &generation));
        Ok(IssuedCredentials { kept: credential, secret, command_key })
    }

    /// A device is let in no more, and who is connected by its credentials is
    /// disconnected; false: it has none.
    ///
    /// # Errors
    /// That cannot be saved, and nothing has changed.
    pub async fn revoke(&self, device: &DeviceId) -> Result<bool, CredentialsError> {
        let mut changing = self.0.changing.lock().await;
        if self.get(device.as_str()).is_none() {
            return Ok(false);
        }
        rows::delete(&self.0.pool, device).await?;
        self.0.all.write().remove(device.as_str());
        changing.insert(device.clone());
        self.tell();
        Ok(true)
    }

    /// Tells, from now on, when credentials were made, replaced or revoked.
    pub fn revoked(&self) -> Revoked {
        self.0.revoked.subscribe()
    }

    fn tell(&self) {
        self.0.revoked.send_modify(|times| *times += 1);
    }
}

fn new_generation() -> Result<Generation, getrandom::Error> {
    let mut generation = Generation::default();
    getrandom::fill(&mut generation)?;
    Ok(generation)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;

    async fn database(folder: &tempfile::TempDir) -> Database {
        Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap()
    }

    async fn open(database: &Database, folder: &tempfile::TempDir) -> DeviceCredentials {
        let keys = KeyFolder::open(folder.path()).unwrap();
        DeviceCredentials::open(database, &keys).await.unwrap()
    }

    #[tokio::test]
    async fn credentials_count_until_they_are_replaced_or_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let credentials = open(&database, &folder).await;
        let revoked = credentials.revoked();
        let front: DeviceId = "front".parse().unwrap();
        let first = credentials.issue(&front, Some(DeviceKind::Lock), None).await.unwrap();
        assert!(!first.kept.may_be_newer_than(SystemTime::UNIX_EPOCH));
        // Somebody else may sit on its client id.
        assert!(revoked.has_changed().unwrap());
        let first = first.secret;
        let let_in = |credentials: &DeviceCredentials, secret: &DeviceSecret| {
            credentials.device("front", secret.reveal().as_bytes())
        };
        assert_eq!(let_in(&credentials, &first), Some(front.clone()));
        for (name, secret) in [("front", ""), ("front", "x"), ("back", first.reveal()), ("", "")] {
            assert_eq!(credentials.device(name, secret.as_bytes()), None, "{name} {secret}");
        }

        let second = credentials.issue(&front, None, None).await.unwrap();
        assert!(second.kept.may_be_newer_than(SystemTime::UNIX_EPOCH));
        let second = second.secret;
        assert_eq!(let_in(&credentials, &first), None);
        let again = open(&database, &folder).await;
        assert_eq!(let_in(&again, &second), Some(front.clone()));
        assert!(again.revoke(&front).await.unwrap());
        assert!(!again.revoke(&front).await.unwrap());
        assert_eq!(let_in(&again, &second), None);
        let third = again.issue(&front, None, None).await.unwrap();
        assert!(third.kept.may_be_newer_than(SystemTime::UNIX_EPOCH), "revoked, then made anew");
        assert!(again.revoke(&front).await.unwrap());
        assert!(open(&database, &folder).await.get("front").is_none());
    }

    #[tokio::test]
    async fn a_device_stays_signed_by_a_new_key_each_time_until_that_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let credentials = open(&database, &folder).await;
        let front: DeviceId = "front".parse().unwrap();
        let key = async |signed| {
            let issued = credentials.issue(&front, None, signed).await.unwrap();
            assert_eq!(issued.command_key, credentials.command_key(&front));
            issued.command_key
        };
        assert_eq!(key(None).await, None);
        let first = key(Some(true)).await.unwrap();
        let second = key(None).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(open(&database, &folder).await.command_key(&front), Some(second.clone()));
        assert!(credentials.revoke(&front).await.unwrap());
        assert_eq!(credentials.command_key(&front), None);
        assert_ne!(key(Some(true)).await.unwrap(), second);
        assert_eq!(key(Some(false)).await, None);
    }

    #[tokio::test]
    async fn c30_the_database_and_debug_have_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let credentials = open(&database, &folder).await;
        let issued = credentials.issue(&"front".parse().unwrap(), None, Some(true)).await.unwrap();
        database.close().await;
        let key = issued.command_key.as_ref().unwrap().reveal();
        let bytes_of_key = data_encoding::HEXLOWER.decode(key.as_bytes()).unwrap();
        let needles = [issued.secret.reveal().as_bytes(), key.as_bytes(), &bytes_of_key];
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(path).unwrap();
            for needle in needles {
                assert!(!bytes.windows(needle.len()).any(|window| window == needle));
            }
        }
        let debug = format!("{issued:?}");
        assert!(!debug.contains("secret: [") && !debug.contains(&key), "{debug}");
    }
}
