//! Every code, in the database. Each question goes there, so that what was
//! taken away is gone at once.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::key::PinKey;
use super::{NewPin, Pin, PinCode, PinId, PinsThen, ShownCode, rows};
use crate::commands::Verb;
use crate::database::{self, Database, Pool};
use crate::identity::AccountId;
use crate::key_folder::KeyFolder;
use crate::state::DeviceId;

/// How many codes a person has at the most, and how many there are: the more,
/// the likelier a guess is right.
const MOST_OF_ACCOUNT: i64 = 50;
const MOST: i64 = 500;

/// How often a code is made that is somebody's already.
const TRIES: usize = 100;

/// For so long the list shows one-time codes that were used.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Every code; cheap to clone.
#[derive(Clone)]
pub struct Pins(Arc<Inner>);

struct Inner {
    pool: Pool,
    key: PinKey,
}

/// Why no code was made, changed or looked up.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It is somebody's. Who hears this knows a code that opens a door.
    #[error("this code cannot be had: choose another, or none")]
    Taken,
    /// There are too many.
    #[error("there are too many codes: remove some, or have one made of more digits")]
    TooMany,
    /// The account is gone.
    #[error("there is no such account")]
    NoAccount,
    /// The system gives no random numbers.
    #[error("no code can be made: {0}")]
    NotMade(#[from] getrandom::Error),
    /// The database does not answer.
    #[error("the codes cannot be read or saved: {0}")]
    Database(#[from] sqlx::Error),
}

impl Pins {
    /// The codes of this database, under the key of this folder.
    ///
    /// # Errors
    /// The key cannot be read or made, or the database does not answer.
    pub async fn open(database: &Database, keys: &KeyFolder) -> anyhow::Result<Self> {
        let (key, made) = PinKey::open(keys).context("open the key of the PIN codes")?;
        let pool = database.pool.clone();
        let count = rows::all(&pool).await.context("read the PIN codes")?.len();
        if made && count > 0 {
            tracing::error!(
                codes = count,
                "the key of the PIN codes was gone: none of those that were made opens anything \
                 any more; remove them and make new ones"
            );
        }
        Ok(Self(Arc::new(Inner { pool, key })))
    }

    /// All codes, in the order in which they were made.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn all(&self) -> Result<Vec<Pin>, PinError> {
        Ok(rows::all(&self.0.pool).await?)
    }

    /// Those of an account.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn of(&self, account: AccountId) -> Result<Vec<Pin>, PinError> {
        Ok(rows::of(&self.0.pool, account).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn get(&self, id: PinId) -> Result<Option<Pin>, PinError> {
        Ok(rows::get(&self.0.pool, id).await?)
    }

    /// Makes a code; on disk when this returns. The code is told here and
    /// nowhere else.
    ///
    /// # Errors
    /// The one that was chosen is somebody's, there are too many, or it could
    /// not be saved.
    pub async fn make(&self, new: NewPin) -> Result<(Pin, PinCode), PinError> {
        database::in_time(&self.0.pool, self.make_at_once(new)).await
    }

    async fn make_at_once(&self, new: NewPin) -> Result<(Pin, PinCode), PinError> {
        let now = Timestamp::now();
        // As it is kept.
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        let pin = Pin {
            id: PinId(Uuid::now_v7()),
            account: new.account,
            name: new.name,
            limits: new.limits,
            one_time: new.one_time,
            used_at: None,
            disabled: false,
            created_at: now,
        };
        let mut transaction = database::begin(&self.0.pool).await?;
        rows::delete_used(&mut transaction, now - KEPT).await?;
        let (all, of_account) = rows::count(&mut transaction, new.account).await?;
        if all >= MOST || of_account >= MOST_OF_ACCOUNT {
            return Err(PinError::TooMany);
        }
        let tries = if new.chosen.is_some() { 1 } else { TRIES };
        for _ in 0..tries {
            let code = match &new.chosen {
                Some(code) => code.clone(),
                None => PinCode::generate(new.digits)?,
            };
            let hmac = self.0.key.hmac(code.reveal().as_bytes());
            let inserted = rows::insert(&mut transaction, &hmac, &pin).await;
            if inserted.map_err(of_insert)? {
                transaction.commit().await?;
                return Ok((pin, code));
            }
        }
        Err(if new.chosen.is_some() { PinError::Taken } else { PinError::TooMany })
    }

    /// The one of this code.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find(&self, code: &ShownCode) -> Result<Option<Pin>, PinError> {
        let hmac = self.0.key.hmac(code.as_bytes());
        let found = rows::find(&self.0.pool, &hmac).await?;
        Ok(found.filter(|(kept, _)| kept[..].ct_eq(&hmac).into()).map(|(_, pin)| pin))
    }

    /// Whether a code on whose strength a command was given is still for that, now
    /// that the command leaves. A code for one time was used by this very command.
    ///
    /// # Errors
    /// Not, or nobody can say; and why.
    pub async fn may_operate(
        &self,
        id: PinId,
        verb: Verb,
        device: &DeviceId,
    ) -> Result<(), String> {
        let of_code = |why: &dyn fmt::Display| format!("the code {id}: {why}");
        let pin = self.get(id).await.map_err(|error| of_code(&error))?;
        let pin = pin.ok_or_else(|| of_code(&"it was removed"))?;
        pin.may_operate(verb, device, Timestamp::now()).map_err(|why| of_code(&why))
    }

    /// A one-time code is used from now on, and on disk when this returns; false:
    /// it was before, or it is gone.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn use_up(&self, id: PinId) -> Result<bool, PinError> {
        Ok(rows::use_up(&self.0.pool, id, Timestamp::now()).await?)
    }

    /// A one-time code was not used after all.
    ///
    /// # Errors
    /// The database does not answer, and the code stays used.
    pub async fn give_back(&self, id: PinId) -> Result<(), PinError> {
        Ok(rows::give_back(&self.0.pool, id).await?)
    }

    /// A code is good for nothing, or again; false: there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn disable(&self, id: PinId, disabled: bool) -> Result<bool, PinError> {
        Ok(rows::disable(&self.0.pool, id, disabled).await?)
    }

    /// Does this to all codes of an account, whose password is another one now;
    /// how many it was done to.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn then(&self, account: AccountId, then: PinsThen) -> Result<u64, PinError> {
        Ok(match then {
            PinsThen::Keep => rows::of(&self.0.pool, account).await?.len() as u64,
            PinsThen::Disable => rows::disable_all(&self.0.pool, account).await?,
            PinsThen::Remove => rows::delete_all(&self.0.pool, account).await?,
        })
    }

    /// Removes a code; false: there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn remove(&self, id: PinId) -> Result<bool, PinError> {
        Ok(rows::delete(&self.0.pool, id).await?)
    }
}

fn of_insert(error: sqlx::Error) -> PinError {
    let of_account = error.as_database_error().is_some_and(|e| e.is_foreign_key_violation());
    if of_account { PinError::NoAccount } else { error.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;
    use crate::identity::pins::{Digits, PinName};
    use crate::identity::{Account, AccountGrant, AccountKind, Directory, Proof, Role, Scopes};

    struct House {
        folder: tempfile::TempDir,
        directory: Directory,
        pins: Pins,
        ada: AccountId,
    }

    impl House {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (directory, pins) = open(&folder).await;
            let ada = Account {
                id: AccountId::generate(),
                name: "ada".parse().unwrap(),
                kind: AccountKind::User,
                role: Role::Member,
                scopes: Scopes::all(),
                grants: vec![AccountGrant::everything()],
                proof: Proof::default(),
                subject: None,
                epoch: 0,
                disabled: false,
                created_at: Timestamp::from_millisecond(1_700_000_000_000).unwrap(),
                expires_at: None,
            };
            let ada = directory.add(ada).await.unwrap().id;
            Self { folder, directory, pins, ada }
        }

        fn new_pin(&self, chosen: Option<&str>) -> NewPin {
            let chosen = chosen.map(|code| PinCode::chosen(&code.to_owned().into()).unwrap());
            NewPin {
                account: self.ada,
                name: PinName::try_from("cleaner".to_owned()).unwrap(),
                limits: AccountGrant::everything(),
                one_time: true,
                chosen,
                digits: Digits::try_from(4).unwrap(),
            }
        }
    }

    async fn open(folder: &tempfile::TempDir) -> (Directory, Pins) {
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let keys = KeyFolder::open(folder.path()).unwrap();
        let pins = Pins::open(&database, &keys).await.unwrap();
        (Directory::open(&database).await.unwrap(), pins)
    }

    fn shown(code: &PinCode) -> ShownCode {
        code.reveal().to_owned().into()
    }

    #[tokio::test]
    async fn a_code_is_found_by_itself_alone_also_after_a_restart() {
        let house = House::new().await;
        let (made, code) = house.pins.make(house.new_pin(None)).await.unwrap();
        assert_eq!(house.pins.find(&shown(&code)).await.unwrap(), Some(made.clone()));
        let (_, again) = open(&house.folder).await;
        assert_eq!(again.find(&shown(&code)).await.unwrap(), Some(made.clone()));
        for other in ["", "0000", &code.reveal()[1..], &format!("{}0", code.reveal())] {
            assert_eq!(again.find(&other.to_owned().into()).await.unwrap(), None, "{other}");
        }
        assert!(again.disable(made.id, true).await.unwrap());
        assert!(house.pins.get(made.id).await.unwrap().unwrap().disabled);
        assert!(again.remove(made.id).await.unwrap() && !again.remove(made.id).await.unwrap());
        assert_eq!(house.pins.find(&shown(&code)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn two_have_never_the_same_code() {
        let house = House::new().await;
        let chosen = house.new_pin(Some("7391"));
        house.pins.make(chosen.clone()).await.unwrap();
        assert!(matches!(house.pins.make(chosen).await, Err(PinError::Taken)));
        for _ in 1..MOST_OF_ACCOUNT {
            house.pins.make(house.new_pin(None)).await.unwrap();
        }
        let one_too_many = house.pins.make(house.new_pin(None)).await;
        assert!(matches!(one_too_many, Err(PinError::TooMany)));
        let nobodys = NewPin { account: AccountId::generate(), ..house.new_pin(None) };
        assert!(matches!(house.pins.make(nobodys).await, Err(PinError::NoAccount)));
    }

    #[tokio::test]
    async fn c22_many_at_once_use_a_one_time_code_once() {
        let house = House::new().await;
        let (made, _) = house.pins.make(house.new_pin(None)).await.unwrap();
        let attempts = (0..50).map(|_| house.pins.use_up(made.id));
        let used = futures_util::future::join_all(attempts).await;
        assert_eq!(used.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
        house.pins.give_back(made.id).await.unwrap();
        assert!(house.pins.use_up(made.id).await.unwrap());
        assert!(!house.pins.use_up(made.id).await.unwrap());
    }

    #[tokio::test]
    async fn somebodys_codes_are_good_for_nothing_together_and_nobody_elses() {
        let house = House::new().await;
        let mut bob = Account::clone(&house.directory.get(house.ada).unwrap());
        (bob.id, bob.name) = (AccountId::generate(), "bob".parse().unwrap());
        house.directory.add(bob.clone()).await.unwrap();
        let of_bob = NewPin { account: bob.id, ..house.new_pin(None) };
        let (bobs, _) = house.pins.make(of_bob).await.unwrap();
        for _ in 0..2 {
            house.pins.make(house.new_pin(None)).await.unwrap();
        }
        let then = async |then| house.pins.then(house.ada, then).await.unwrap();
        assert_eq!(then(PinsThen::Keep).await, 2);
        assert!(house.pins.of(house.ada).await.unwrap().iter().all(|pin| !pin.disabled));
        assert_eq!(then(PinsThen::Disable).await, 2);
        assert_eq!(then(PinsThen::Disable).await, 0, "they were before");
        assert!(house.pins.of(house.ada).await.unwrap().iter().all(|pin| pin.disabled));
        assert_eq!(then(PinsThen::Remove).await, 2);
        assert_eq!(house.pins.all().await.unwrap(), [bobs]);
    }

    #[tokio::test]
    async fn who_is_removed_has_no_codes_any_more() {
        let house = House::new().await;
        let (_, code) = house.pins.make(house.new_pin(None)).await.unwrap();
        house.directory.remove(house.ada).await.unwrap();
        assert_eq!(house.pins.find(&shown(&code)).await.unwrap(), None);
        assert_eq!(house.pins.all().await.unwrap(), []);
    }

    #[tokio::test]
    async fn c22_without_the_key_the_database_opens_nothing() {
        let house = House::new().await;
        let (_, code) = house.pins.make(house.new_pin(None)).await.unwrap();
        std::fs::remove_file(house.folder.path().join("keys/pins.key")).unwrap();
        let (_, pins) = open(&house.folder).await;
        assert_eq!(pins.find(&shown(&code)).await.unwrap(), None);
        assert_eq!(pins.all().await.unwrap().len(), 1);
    }
}
