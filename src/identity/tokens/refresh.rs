//! Refresh tokens: each is good once, and brings the next one. One that comes
//! again was copied, so that whoever has the others is not trusted either
//! (RFC 9700, 4.14.2).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::database::{self, Pool};
use crate::identity::{AccountId, Scopes};

/// After so long without use, a sign-in is over.
pub(in crate::identity) const UNUSED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often an account can be signed in at once; what was used least lately
/// is over when there are more.
const AT_ONCE: i64 = 50;

const PREFIX: &str = "llr_";
const BYTES: usize = 20;

/// A refresh token: `llr_<sign-in>_<secret>`. It is in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    family: Uuid,
    secret: String,
}

/// What was shown is no refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no refresh token")]
pub struct InvalidRefreshToken;

/// The refresh tokens in the database.
pub(in crate::identity) struct RefreshTokens {
    pool: Pool,
}

/// What became of a refresh token that was shown.
pub(in crate::identity) enum Used {
    /// It is used up, and this is the next one.
    Next { token: RefreshToken, account: AccountId, epoch: u32, scopes: Scopes },
    /// It had been used before: the sign-in is over.
    Again,
    /// It is not good any more; the sign-in is over.
    Void,
    /// It stands for no sign-in that is known.
    Unknown,
}

impl RefreshToken {
    fn generate(family: Uuid) -> Result<Self, sqlx::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| sqlx::Error::Io(error.into()))?;
        Ok(Self { family, secret: BASE32_NOPAD.encode(&bytes).to_ascii_lowercase() })
    }

    /// The sign-in that it stands for.
    pub(in crate::identity) fn family(&self) -> Uuid {
        self.family
    }

    /// The token itself, for the one who may have it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.family.simple(), self.secret)
    }

    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret.as_bytes()).to_vec()
    }
}

impl FromStr for RefreshToken {
    type Err = InvalidRefreshToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (family, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(InvalidRefreshToken)?;
        if secret.len() != BYTES * 8 / 5 || family.len() != 32 {
            return Err(InvalidRefreshToken);
        }
        let family = Uuid::try_parse(family).map_err(|_| InvalidRefreshToken)?;
        Ok(Self { family, secret: secret.to_owned() })
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("family", &self.family).finish_non_exhaustive()
    }
}

impl RefreshTokens {
    pub(in crate::identity) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// The first token of a sign-in.
    ///
    /// # Errors
    /// The database does not take it.
    pub(in crate::identity) async fn begin(
        &self,
        account: AccountId,
        epoch: u32,
        scopes: Scopes,
    ) -> Result<RefreshToken, sqlx::Error> {
        database::in_time(&self.pool, self.begin_at_once(account, epoch, scopes)).await
    }

    async fn begin_at_once(
        &self,
        account: AccountId,
        epoch: u32,
        scopes: Scopes,
    ) -> Result<RefreshToken, sqlx::Error> {
        let token = RefreshToken::generate(Uuid::new_v4())?;
        let now = now();
        let mut transaction = database::begin(&self.pool).await?;
        sqlx::query(
            "INSERT INTO refresh_tokens \
             (family, account, hash, epoch, scopes, created_at, used_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(token.family.to_string())
        .bind(account.to_string())
        .bind(token.hash())
        .bind(i64::from(epoch))
        .bind(scopes.to_string())
        .bind(now)
        .bind(now)
        .bind(now + milliseconds(UNUSED_FOR))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM refresh_tokens WHERE family IN (SELECT family FROM refresh_tokens \
             WHERE account = $1 ORDER BY used_at DESC, created_at DESC LIMIT $2 OFFSET $3)",
        )
        .bind(account.to_string())
        .bind(i64::MAX)
        .bind(AT_ONCE)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Uses a token up, if its account `is_let_in` as it was when it signed in.
    ///
    /// # Errors
    /// The database does not answer; then the token is not used up.
    pub(in crate::identity) async fn use_up(
        &self,
        shown: &RefreshToken,
        is_let_in: impl FnOnce(AccountId, u32) -> bool,
    ) -> Result<Used, sqlx::Error> {
        database::in_time(&self.pool, self.use_up_at_once(shown, is_let_in)).await
    }

    async fn use_up_at_once(
        &self,
        shown: &RefreshToken,
        is_let_in: impl FnOnce(AccountId, u32) -> bool,
    ) -> Result<Used, sqlx::Error> {
        let now = now();
        let family = shown.family.to_string();
        let mut transaction = database::begin(&self.pool).await?;
        let row = sqlx::query("SELECT * FROM refresh_tokens WHERE family = $1").bind(&family);
        let row = row.fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(Used::Unknown) };
        let odd = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
        let account: String = row.try_get("account")?;
        let account: AccountId = account.parse().map_err(|error: uuid::Error| odd(error.into()))?;
        let scopes: String = row.try_get("scopes")?;
        let scopes: Scopes =
            scopes.parse().map_err(|error: crate::identity::InvalidScope| odd(error.into()))?;
        let epoch: i64 = row.try_get("epoch")?;
        let epoch = u32::try_from(epoch).map_err(|error| odd(error.into()))?;
        let is_last: bool = row.try_get::<Vec<u8>, _>("hash")?.ct_eq(&shown.hash()).into();
        let is_good = row.try_get::<i64, _>("expires_at")? > now && is_let_in(account, epoch);
        if !(is_last && is_good) {
            let over = sqlx::query("DELETE FROM refresh_tokens WHERE family = $1").bind(&family);
            over.execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(if is_last { Used::Void } else { Used::Again });
        }
        let token = RefreshToken::generate(shown.family)?;
        sqlx::query(
            "UPDATE refresh_tokens SET hash = $1, used_at = $2, expires_at = $3 WHERE family = $4",
        )
        .bind(token.hash())
        .bind(now)
        .bind(now + milliseconds(UNUSED_FOR))
        .bind(&family)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Used::Next { token, account, epoch, scopes })
    }

    /// Ends a sign-in.
    ///
    /// # Errors
    /// The database does not take it.
    pub(in crate::identity) async fn end(&self, family: Uuid) -> Result<(), sqlx::Error> {
        let end = sqlx::query("DELETE FROM refresh_tokens WHERE family = $1");
        end.bind(family.to_string()).execute(&self.pool).await.map(|_| ())
    }

    /// Removes what is over, and what an account's new epoch has made void.
    ///
    /// # Errors
    /// The database does not take it.
    pub(in crate::identity) async fn prune(&self) -> Result<u64, sqlx::Error> {
        let old = sqlx::query(
            "DELETE FROM refresh_tokens WHERE expires_at <= $1 \
             OR epoch <> (SELECT epoch FROM accounts WHERE accounts.id = refresh_tokens.account)",
        );
        Ok(old.bind(now()).execute(&self.pool).await?.rows_affected())
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_shown_and_not_shown_by_accident() {
        let token = RefreshToken::generate(Uuid::new_v4()).unwrap();
        let shown = token.reveal();
        assert_eq!(shown.parse::<RefreshToken>().unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.secret));
        for odd in ["", "llr_", "llr__", &shown[1..], &shown[..shown.len() - 1]] {
            assert!(odd.parse::<RefreshToken>().is_err(), "{odd}");
        }
    }
}
