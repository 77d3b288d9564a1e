//! Accounts in the database.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::{Any, AnyArguments};

use super::{Account, AccountGrant, AccountId, AccountKind, Proof};
use crate::database::{Pool, Row};

type Query<'a> = sqlx::query::Query<'a, Any, AnyArguments>;

/// Every account.
pub(super) async fn load(pool: &Pool) -> Result<Vec<Account>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM accounts").fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// A new account.
pub(super) async fn insert(pool: &Pool, account: &Account) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO accounts (name, role, scopes, grants, password, secret, subject, epoch, \
         disabled, expires_at, id, kind, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    );
    bind(insert, account)?
        .bind(account.id.to_string())
        .bind(account.kind.as_str())
        .bind(account.created_at.as_millisecond())
        .execute(pool)
        .await
        .map(|_| ())
}

/// What can change of one.
pub(super) async fn update(pool: &Pool, account: &Account) -> Result<(), sqlx::Error> {
    let update = sqlx::query(
        "UPDATE accounts SET name = $1, role = $2, scopes = $3, grants = $4, password = $5, \
         secret = $6, subject = $7, epoch = $8, disabled = $9, expires_at = $10 WHERE id = $11",
    );
    bind(update, account)?.bind(account.id.to_string()).execute(pool).await.map(|_| ())
}

/// One that is gone.
pub(super) async fn delete(pool: &Pool, id: AccountId) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM accounts WHERE id = $1");
    delete.bind(id.to_string()).execute(pool).await.map(|_| ())
}

/// In the order of both statements.
fn bind<'a>(query: Query<'a>, account: &Account) -> Result<Query<'a>, sqlx::Error> {
    let grants = written(account).map_err(|e| sqlx::Error::Encode(e.into()))?;
    Ok(query
        .bind(account.name.to_string())
        .bind(account.role.as_str())
        .bind(account.scopes.to_string())
        .bind(grants)
        .bind(account.proof.password.clone())
        .bind(account.proof.secret.map(|secret| secret.to_vec()))
        .bind(account.subject.as_ref().map(ToString::to_string))
        .bind(i64::from(account.epoch))
        .bind(i64::from(account.disabled))
        .bind(account.expires_at.map(Timestamp::as_millisecond)))
}

fn read(row: &Row) -> Result<Account, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let grants = grants(&text("grants")?)?;
    let secret: Option<Vec<u8>> = row.try_get("secret")?;
    let secret = secret.map(<[u8; 32]>::try_from).transpose();
    let subject: Option<String> = row.try_get("subject")?;
    Ok(Account {
        id: text("id")?.parse().map_err(|e| odd("id", e))?,
        name: text("name")?.parse().map_err(|e| odd("name", e))?,
        kind: match text("kind")?.as_str() {
            "key" => AccountKind::Key,
            _ => AccountKind::User,
        },
        role: text("role")?.parse().map_err(|e| odd("role", e))?,
        scopes: text("scopes")?.parse().map_err(|e| odd("scopes", e))?,
        grants,
        proof: Proof {
            password: row.try_get("password")?,
            secret: secret.map_err(|_| odd("secret", std::fmt::Error))?,
        },
        subject: subject.map(|text| text.parse()).transpose().map_err(|e| odd("subject", e))?,
        epoch: u32::try_from(row.try_get::<i64, _>("epoch")?).map_err(|e| odd("epoch", e))?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_at: time(row.try_get("created_at")?)?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(time).transpose()?,
    })
}

/// The grants, each with its `since`, which nobody but the server knows.
fn written(account: &Account) -> Result<String, serde_json::Error> {
    let mut grants = serde_json::to_value(&account.grants)?;
    for (written, grant) in grants.as_array_mut().into_iter().flatten().zip(&account.grants) {
        if let Some(since) = grant.since {
            written["since"] = since.as_millisecond().into();
        }
    }
    Ok(grants.to_string())
}

fn grants(text: &str) -> Result<Vec<AccountGrant>, sqlx::Error> {
    let kept: Vec<serde_json::Map<_, _>> =
        serde_json::from_str(text).map_err(|e| odd("grants", e))?;
    let grant = |mut kept: serde_json::Map<String, serde_json::Value>| {
        let since = kept.remove("since").and_then(|since| since.as_i64()).map(time).transpose()?;
        let grant: AccountGrant =
            serde_json::from_value(kept.into()).map_err(|e| odd("grants", e))?;
        Ok(AccountGrant { since, ..grant })
    };
    kept.into_iter().map(grant).collect()
}

fn time(milliseconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| odd("a time", error))
}

fn odd(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}
