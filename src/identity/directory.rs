//! Every account, in memory and in the database. Reading waits for nothing;
//! a change counts when it is on disk, and from then on everywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};

use super::oidc::Subject;
use super::rows;
use super::{Account, AccountId, Identity, KeySecret, Role, Scope};
use crate::database::{Database, Pool};

/// Every account; cheap to clone.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    pool: Pool,
    accounts: ArcSwap<Accounts>,
    /// Changes come one after the other.
    changing: Mutex<()>,
    /// How often something has changed.
    changes: watch::Sender<u64>,
}

#[derive(Clone, Default)]
struct Accounts {
    by_id: HashMap<AccountId, Arc<Account>>,
    /// In small letters.
    by_name: HashMap<String, AccountId>,
    by_subject: HashMap<Subject, AccountId>,
    /// By the SHA-256 of their secrets: which nobody can choose, so that how
    /// long it takes to look one up tells nothing of the others.
    by_secret: HashMap<[u8; 32], AccountId>,
    /// Since when they show something else to be let in, or another name, where
    /// that was in this run.
    renewed: HashMap<AccountId, SystemTime>,
}

/// Why a change was not made; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another account has that name.
    #[error("there is an account `{0}` already")]
    NameTaken(Identity),
    /// Another account is that person at the provider.
    #[error("another account belongs to that subject of the OpenID Connect provider")]
    SubjectTaken,
    /// Nobody would be left who may let others in.
    #[error("the last owner who can sign in stays one")]
    LastOwner,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// It could not be kept.
    #[error("the accounts cannot be saved: {0}")]
    NotSaved(#[from] sqlx::Error),
}

impl Directory {
    /// Reads the accounts.
    ///
    /// # Errors
    /// The database does not answer, or has something odd.
    pub async fn open(database: &Database) -> Result<Self, sqlx::Error> {
        let pool = database.pool.clone();
        let mut accounts = Accounts::default();
        for account in rows::load(&pool).await? {
            accounts.put(Arc::new(account));
        }
        let accounts = ArcSwap::from_pointee(accounts);
        let (changing, changes) = (Mutex::default(), watch::Sender::new(0));
        Ok(Self(Arc::new(Inner { pool, accounts, changing, changes })))
    }

    /// The account of this id.
    pub fn get(&self, id: AccountId) -> Option<Arc<Account>> {
        self.0.accounts.load().by_id.get(&id).cloned()
    }

    /// The account of this name.
    pub fn named(&self, name: &str) -> Option<Arc<Account>> {
        let accounts = self.0.accounts.load();
        let id = accounts.by_name.get(&name.to_ascii_lowercase())?;
        accounts.by_id.get(id).cloned()
    }

    /// The account of this person at a provider.
    pub fn of_subject(&self, subject: &Subject) -> Option<Arc<Account>> {
        let accounts = self.0.accounts.load();
        let id = accounts.by_subject.get(subject)?;
        accounts.by_id.get(id).cloned()
    }

    /// The API key of this secret.
    pub fn of_secret(&self, secret: &KeySecret) -> Option<Arc<Account>> {
        let accounts = self.0.accounts.load();
        let id = accounts.by_secret.get(&secret.sha256())?;
        accounts.by_id.get(id).cloned()
    }

    /// All accounts, by name.
    pub fn list(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.0.accounts.load().by_id.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Adds an account; it is on disk when this returns.
    ///
    /// # Errors
    /// Its name is taken, or it could not be saved.
    pub async fn add(&self, mut account: Account) -> Result<Arc<Account>, DirectoryError> {
        let _changing = self.0.changing.lock().await;
        let mut accounts = Accounts::clone(&self.0.accounts.load());
        accounts.check_names(&account)?;
        account.date_grants(None, Timestamp::now());
        rows::insert(&self.0.pool, &account).await?;
        let account = Arc::new(account);
        accounts.put(account.clone());
        self.put_in_force(accounts);
        Ok(account)
    }

    /// Changes an account; on disk when this returns, and true everywhere.
    ///
    /// # Errors
    /// There is none, its new name is taken, it is the last owner and would be
    /// none, or it could not be saved.
    pub async fn change(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account),
    ) -> Result<Arc<Account>, DirectoryError> {
        let _changing = self.0.changing.lock().await;
        let mut accounts = Accounts::clone(&self.0.accounts.load());
        let before = accounts.take(id).ok_or(DirectoryError::Unknown)?;
        let mut account = Account::clone(&before);
        change(&mut account);
        account.date_grants(Some(&before), Timestamp::now());
        accounts.check_names(&account)?;
        let stays = keeps_the_house(&account);
        if keeps_the_house(&before) && !stays && !accounts.has_owner() {
            return Err(DirectoryError::LastOwner);
        }
        rows::update(&self.0.pool, &account).await?;
        // By a new name: who had it before may be there still.
        let is_renamed = account.name != before.name;
        if account.epoch != before.epoch || account.proof != before.proof || is_renamed {
            accounts.renewed.insert(id, SystemTime::now());
        }
        let account = Arc::new(account);
        accounts.put(account.clone());
        self.put_in_force(accounts);
        Ok(account)
    }

    /// Removes an account; all that it was let in by is void.
    ///
    /// # Errors
    /// There is none, it is the last owner, or that could not be saved.
    pub async fn remove(&self, id: AccountId) -> Result<Arc<Account>, DirectoryError> {
        let _changing = self.0.changing.lock().await;
        let mut accounts = Accounts::clone(&self.0.accounts.load());
        let account = accounts.take(id).ok_or(DirectoryError::Unknown)?;
        if keeps_the_house(&account) && !accounts.has_owner() {
            return Err(DirectoryError::LastOwner);
        }
        rows::delete(&self.0.pool, id).await?;
        accounts.renewed.remove(&id);
        self.put_in_force(accounts);
        Ok(account)
    }

    /// Whether somebody who began to sign in by this name at this moment may have
    /// shown what does not count any more, or may have been another.
    pub fn may_be_newer_than(&self, name: &str, sign_in: SystemTime) -> bool {
        let accounts = self.0.accounts.load();
        let account = accounts.by_name.get(&name.to_ascii_lowercase());
        let account = account.and_then(|id| accounts.by_id.get(id));
        account.is_none_or(|account| {
            let renewed = accounts.renewed.get(&account.id);
            // A session of an earlier run: nobody knows when it began.
            let is_of_this_run = sign_in > SystemTime::UNIX_EPOCH;
            is_of_this_run && SystemTime::from(account.created_at) > sign_in
                || renewed.is_some_and(|renewed| sign_in <= *renewed)
        })
    }

    /// Tells, from now on, when an account was added, changed or removed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn put_in_force(&self, accounts: Accounts) {
        self.0.accounts.store(Arc::new(accounts));
        self.0.changes.send_modify(|times| *times += 1);
    }

    /// Whether there is an owner who can sign in.
    pub fn has_owner(&self) -> bool {
        self.0.accounts.load().has_owner()
    }
}

/// Whether somebody is an owner who can sign in for good, and let others in.
fn keeps_the_house(account: &Account) -> bool {
    account.role == Role::Owner
        && account.allowed_scopes().has(Scope::Admin)
        && account.proof.password.is_some()
        && !account.disabled
        && account.expires_at.is_none()
}

impl Accounts {
    fn put(&mut self, account: Arc<Account>) {
        self.by_name.insert(account.name.as_str().to_ascii_lowercase(), account.id);
        if let Some(subject) = &account.subject {
            self.by_subject.insert(subject.clone(), account.id);
        }
        if let Some(secret) = account.proof.secret {
            self.by_secret.insert(secret, account.id);
        }
        self.by_id.insert(account.id, account);
    }

    fn take(&mut self, id: AccountId) -> Option<Arc<Account>> {
        let account = self.by_id.remove(&id)?;
        self.by_name.remove(&account.name.as_str().to_ascii_lowercase());
        if let Some(subject) = &account.subject {
            self.by_subject.remove(subject);
        }
        if let Some(secret) = &account.proof.secret {
            self.by_secret.remove(secret);
        }
        Some(account)
    }

    fn check_names(&self, account: &Account) -> Result<(), DirectoryError> {
        if self.by_name.contains_key(&account.name.as_str().to_ascii_lowercase()) {
            return Err(DirectoryError::NameTaken(account.name.clone()));
        }
        match &account.subject {
            Some(subject) if self.by_subject.contains_key(subject) => {
                Err(DirectoryError::SubjectTaken)
            }
            _ => Ok(()),
        }
    }

    fn has_owner(&self) -> bool {
        self.by_id.values().any(|account| keeps_the_house(account))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;
    use crate::identity::{AccountGrant, AccountKind, Proof, Scopes};

    fn account(name: &str, role: Role) -> Account {
        Account {
            id: AccountId::generate(),
            name: name.parse().unwrap(),
            kind: AccountKind::User,
            role,
            scopes: Scopes::all(),
            grants: vec![AccountGrant::everything()],
            proof: Proof { password: Some("$argon2id$…".to_owned()), secret: None },
            subject: None,
            epoch: 0,
            disabled: false,
            created_at: Timestamp::from_millisecond(1_700_000_000_000).unwrap(),
            expires_at: None,
        }
    }

    #[tokio::test]
    async fn accounts_are_there_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let directory = Directory::open(&database).await.unwrap();
        let owner = directory.add(account("Ada", Role::Owner)).await.unwrap();
        let mut key = account("heating", Role::Member);
        key.kind = AccountKind::Key;
        let secret = KeySecret::generate().unwrap();
        key.proof = Proof { password: None, secret: Some(secret.sha256()) };
        key.expires_at = Some(Timestamp::from_millisecond(1_900_000_000_000).unwrap());
        let key = directory.add(key).await.unwrap();
        let taken = directory.add(account("ADA", Role::Guest)).await.unwrap_err();
        assert_eq!(taken.to_string(), "there is an account `ADA` already");
        directory.change(key.id, |key| key.revoke_tokens()).await.unwrap();

        let again = Directory::open(&database).await.unwrap();
        assert_eq!(again.named("ada"), Some(owner));
        assert_eq!(again.get(key.id).unwrap().epoch, 1);
        assert_eq!(again.of_secret(&secret), again.get(key.id));
        assert_eq!(again.list(), directory.list());
        again.remove(key.id).await.unwrap();
        assert_eq!(again.of_secret(&secret), None);
        assert_eq!(again.named("heating"), None);
        assert_eq!(Directory::open(&database).await.unwrap().list().len(), 1);
    }

    #[tokio::test]
    async fn the_last_owner_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let directory = Directory::open(&database).await.unwrap();
        let ada = directory.add(account("ada", Role::Owner)).await.unwrap();
        let last = |result: Result<_, DirectoryError>| {
            assert!(matches!(result, Err(DirectoryError::LastOwner)), "{result:?}");
        };
        last(directory.remove(ada.id).await);
        last(directory.change(ada.id, |ada| ada.disabled = true).await);
        last(directory.change(ada.id, |ada| ada.role = Role::Member).await);
        last(directory.change(ada.id, |ada| ada.scopes = Scopes::default()).await);
        assert_eq!(directory.get(ada.id), Some(ada.clone()));
        let bob = directory.add(account("bob", Role::Owner)).await.unwrap();
        directory.remove(ada.id).await.unwrap();
        last(directory.remove(bob.id).await);
    }
}
