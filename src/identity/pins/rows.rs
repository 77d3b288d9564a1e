//! Codes in the database.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Pin, PinId};
use crate::database::{Connection, Pool, Row};
use crate::identity::AccountId;

/// All of them, in the order in which they were made.
pub(super) async fn all(pool: &Pool) -> Result<Vec<Pin>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM pins ORDER BY id").fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// Those of an account.
pub(super) async fn of(pool: &Pool, account: AccountId) -> Result<Vec<Pin>, sqlx::Error> {
    let select = sqlx::query("SELECT * FROM pins WHERE account = $1 ORDER BY id");
    let rows = select.bind(account.to_string()).fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// One, by its id.
pub(super) async fn get(pool: &Pool, id: PinId) -> Result<Option<Pin>, sqlx::Error> {
    let select = sqlx::query("SELECT * FROM pins WHERE id = $1").bind(id.to_string());
    select.fetch_optional(pool).await?.as_ref().map(read).transpose()
}

/// One, by what its code is kept as; and what that is.
pub(super) async fn find(
    pool: &Pool,
    hmac: &[u8; 32],
) -> Result<Option<(Vec<u8>, Pin)>, sqlx::Error> {
    let select = sqlx::query("SELECT * FROM pins WHERE hmac = $1").bind(hmac.to_vec());
    let Some(row) = select.fetch_optional(pool).await? else { return Ok(None) };
    Ok(Some((row.try_get("hmac")?, read(&row)?)))
}

/// How many there are, of everybody and of an account.
pub(super) async fn count(
    connection: &mut Connection,
    account: AccountId,
) -> Result<(i64, i64), sqlx::Error> {
    let count = sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE account = $1) FROM pins");
    count.bind(account.to_string()).fetch_one(connection).await
}

/// A new one; false: its code is another's.
pub(super) async fn insert(
    connection: &mut Connection,
    hmac: &[u8; 32],
    pin: &Pin,
) -> Result<bool, sqlx::Error> {
    let limits = serde_json::to_string(&pin.limits).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let insert = sqlx::query(
        "INSERT INTO pins (hmac, id, account, name, limits, one_time, used_at, disabled, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, $8) ON CONFLICT (hmac) DO NOTHING",
    );
    let done = insert
        .bind(hmac.to_vec())
        .bind(pin.id.to_string())
        .bind(pin.account.to_string())
        .bind(pin.name.as_str())
        .bind(limits)
        .bind(i64::from(pin.one_time))
        .bind(i64::from(pin.disabled))
        .bind(pin.created_at.as_millisecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A one-time code is used, unless it was before, or is gone meanwhile.
pub(super) async fn use_up(pool: &Pool, id: PinId, now: Timestamp) -> Result<bool, sqlx::Error> {
    let update = sqlx::query(
        "UPDATE pins SET used_at = $1 WHERE id = $2 AND one_time <> 0 AND used_at IS NULL \
         AND disabled = 0",
    );
    let update = update.bind(now.as_millisecond()).bind(id.to_string());
    Ok(update.execute(pool).await?.rows_affected() == 1)
}

/// A one-time code was not used after all.
pub(super) async fn give_back(pool: &Pool, id: PinId) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE pins SET used_at = NULL WHERE id = $1").bind(id.to_string());
    update.execute(pool).await.map(|_| ())
}

/// It is good for nothing, or again; false: there is none.
pub(super) async fn disable(pool: &Pool, id: PinId, disabled: bool) -> Result<bool, sqlx::Error> {
    let update = sqlx::query("UPDATE pins SET disabled = $1 WHERE id = $2");
    let update = update.bind(i64::from(disabled)).bind(id.to_string());
    Ok(update.execute(pool).await?.rows_affected() == 1)
}

/// One that is gone; false: there was none.
pub(super) async fn delete(pool: &Pool, id: PinId) -> Result<bool, sqlx::Error> {
    let delete = sqlx::query("DELETE FROM pins WHERE id = $1").bind(id.to_string());
    Ok(delete.execute(pool).await?.rows_affected() == 1)
}

/// All of an account are good for nothing; how many were good until now.
pub(super) async fn disable_all(pool: &Pool, account: AccountId) -> Result<u64, sqlx::Error> {
    let update = sqlx::query("UPDATE pins SET disabled = 1 WHERE account = $1 AND disabled = 0");
    Ok(update.bind(account.to_string()).execute(pool).await?.rows_affected())
}

/// All of an account are gone; how many there were.
pub(super) async fn delete_all(pool: &Pool, account: AccountId) -> Result<u64, sqlx::Error> {
    let delete = sqlx::query("DELETE FROM pins WHERE account = $1");
    Ok(delete.bind(account.to_string()).execute(pool).await?.rows_affected())
}

/// Those that were used up before this moment are gone.
pub(super) async fn delete_used(
    connection: &mut Connection,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM pins WHERE used_at < $1");
    delete.bind(before.as_millisecond()).execute(connection).await.map(|_| ())
}

fn read(row: &Row) -> Result<Pin, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let used_at: Option<i64> = row.try_get("used_at")?;
    Ok(Pin {
        id: text("id")?.parse().map_err(|e| odd("id", e))?,
        account: text("account")?.parse().map_err(|e| odd("account", e))?,
        name: text("name")?.try_into().map_err(|e| odd("name", e))?,
        limits: serde_json::from_str(&text("limits")?).map_err(|e| odd("limits", e))?,
        one_time: row.try_get::<i64, _>("one_time")? != 0,
        used_at: used_at.map(time).transpose()?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_at: time(row.try_get("created_at")?)?,
    })
}

fn time(milliseconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| odd("a time", error))
}

fn odd(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}
