//! Every device's credentials, in memory and in the database. Reading waits
//! for nothing; a change counts when it is on disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use parking_lot::RwLock;
use sqlx::SqlitePool;
use tokio::sync::{Mutex, watch};

use super::{DeviceCredential, DeviceSecret, rows, secret};
use crate::database::Database;
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

/// Tells that somebody's credentials do not count any more.
pub type Revoked = watch::Receiver<u64>;

struct Inner {
    pool: SqlitePool,
    all: RwLock<HashMap<DeviceId, Arc<DeviceCredential>>>,
    /// Changes come one after the other.
    changing: Mutex<()>,
    /// How often some were revoked or replaced.
    revoked: watch::Sender<u64>,
}

impl DeviceCredentials {
    /// Reads them.
    ///
    /// # Errors
    /// The database does not answer, or has something odd.
    pub async fn open(database: &Database) -> Result<Self, sqlx::Error> {
        let pool = database.pool.clone();
        let all = rows::load(&pool).await?;
        let all = all.into_iter().map(|one| (one.device.clone(), Arc::new(one))).collect();
        Ok(Self(Arc::new(Inner {
            pool,
            all: RwLock::new(all),
            changing: Mutex::default(),
            revoked: watch::Sender::new(0),
        })))
    }

    /// Those of a device, if it has any.
    pub fn get(&self, device: &str) -> Option<Arc<DeviceCredential>> {
        self.0.all.read().get(device).cloned()
    }

    /// The device that this name and this secret belong to, if they do.
    pub fn device(&self, name: &str, shown: &[u8]) -> Option<DeviceId> {
        // The same work for a name that is nobody's.
        let shown = secret::hash(shown);
        let kept = self.get(name);
        let fits = secret::is_same(&shown, &kept.as_ref().map_or([0; 32], |kept| kept.secret));
        kept.filter(|_| fits).map(|kept| kept.device.clone())
    }

    /// Makes credentials for a device, in the place of those that it has; on
    /// disk when this returns. The secret is told here and nowhere else.
    ///
    /// # Errors
    /// They cannot be saved, or the system gives no random numbers.
    pub async fn issue(
        &self,
        device: &DeviceId,
        kind: Option<DeviceKind>,
    ) -> Result<(Arc<DeviceCredential>, DeviceSecret), CredentialsError> {
        let secret = DeviceSecret::generate()?;
        let _changing = self.0.changing.lock().await;
        let mut credential = DeviceCredential {
            device: device.clone(),
            kind,
            created_at: Timestamp::now(),
            secret: secret.hash(),
            since: None,
        };
        rows::replace(&self.0.pool, &credential).await?;
        let mut all = self.0.all.write();
        // Under the lock: later than whoever was let in by the ones before.
        credential.since = all.contains_key(device.as_str()).then(SystemTime::now);
        let credential = Arc::new(credential);
        let before = all.insert(device.clone(), credential.clone());
        drop(all);
        if before.is_some() {
            self.tell();
        }
        Ok((credential, secret))
    }

    /// A device is let in no more, and who is connected by its credentials is
    /// disconnected; false: it has none.
    ///
    /// # Errors
    /// That cannot be saved, and nothing has changed.
    pub async fn revoke(&self, device: &DeviceId) -> Result<bool, CredentialsError> {
        let _changing = self.0.changing.lock().await;
        if self.get(device.as_str()).is_none() {
            return Ok(false);
        }
        rows::delete(&self.0.pool, device).await?;
        self.0.all.write().remove(device.as_str());
        self.tell();
        Ok(true)
    }

    /// Tells, from now on, when credentials were revoked or replaced.
    pub fn revoked(&self) -> Revoked {
        self.0.revoked.subscribe()
    }

    fn tell(&self) {
        self.0.revoked.send_modify(|times| *times += 1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;

    async fn database(folder: &tempfile::TempDir) -> Database {
        Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap()
    }

    #[tokio::test]
    async fn credentials_count_until_they_are_replaced_or_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let credentials = DeviceCredentials::open(&database).await.unwrap();
        let revoked = credentials.revoked();
        let front: DeviceId = "front".parse().unwrap();
        let (kept, first) = credentials.issue(&front, Some(DeviceKind::Lock)).await.unwrap();
        assert!(!kept.may_be_newer_than(SystemTime::UNIX_EPOCH));
        assert!(!revoked.has_changed().unwrap());
        let let_in = |credentials: &DeviceCredentials, secret: &DeviceSecret| {
            credentials.device("front", secret.reveal().as_bytes())
        };
        assert_eq!(let_in(&credentials, &first), Some(front.clone()));
        for (name, secret) in [("front", ""), ("front", "x"), ("back", first.reveal()), ("", "")] {
            assert_eq!(credentials.device(name, secret.as_bytes()), None, "{name} {secret}");
        }

        let (kept, second) = credentials.issue(&front, None).await.unwrap();
        assert!(revoked.has_changed().unwrap());
        assert!(kept.may_be_newer_than(SystemTime::UNIX_EPOCH));
        assert_eq!(let_in(&credentials, &first), None);
        let again = DeviceCredentials::open(&database).await.unwrap();
        assert_eq!(let_in(&again, &second), Some(front.clone()));
        assert!(again.revoke(&front).await.unwrap());
        assert!(!again.revoke(&front).await.unwrap());
        assert_eq!(let_in(&again, &second), None);
        assert!(DeviceCredentials::open(&database).await.unwrap().get("front").is_none());
    }

    #[tokio::test]
    async fn c30_the_database_and_debug_have_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let credentials = DeviceCredentials::open(&database).await.unwrap();
        let (kept, secret) = credentials.issue(&"front".parse().unwrap(), None).await.unwrap();
        database.close().await;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let needle = secret.reveal().as_bytes();
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
        assert!(!format!("{kept:?} {secret:?}").contains("secret: ["));
    }
}
