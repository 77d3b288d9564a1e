//! Reading the table of events.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{EventError, Filter, Recorded};
use crate::database::{Pool, Row, Statement};

pub(super) async fn page(
    pool: &Pool,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Recorded>, EventError> {
    let mut query = Statement::new("SELECT * FROM events WHERE seq < ");
    query.bind(before.unwrap_or(i64::MAX));
    push(&mut query, filter);
    query.push(" ORDER BY seq DESC LIMIT ").bind(i64::from(limit));
    query.build().fetch_all(pool).await?.iter().map(read).collect()
}

pub(super) async fn after(
    pool: &Pool,
    filter: &Filter,
    after: i64,
    last: i64,
    limit: u32,
) -> Result<Vec<Recorded>, EventError> {
    let mut query = Statement::new("SELECT * FROM events WHERE seq > ");
    query.bind(after).push(" AND seq <= ").bind(last);
    push(&mut query, filter);
    query.push(" ORDER BY seq LIMIT ").bind(i64::from(limit));
    query.build().fetch_all(pool).await?.iter().map(read).collect()
}

pub(super) async fn count(pool: &Pool, filter: &Filter) -> Result<i64, EventError> {
    let mut query = Statement::new("SELECT count(*) FROM events WHERE true");
    push(&mut query, filter);
    Ok(query.scalar().fetch_one(pool).await?)
}

pub(super) async fn get(pool: &Pool, seq: i64) -> Result<Option<Recorded>, EventError> {
    let query = sqlx::query("SELECT * FROM events WHERE seq = $1").bind(seq);
    query.fetch_optional(pool).await?.as_ref().map(read).transpose()
}

pub(super) async fn newest(pool: &Pool) -> Result<i64, EventError> {
    let query = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events");
    Ok(query.fetch_one(pool).await?)
}

pub(super) async fn oldest(pool: &Pool) -> Result<i64, EventError> {
    let query = sqlx::query_scalar("SELECT coalesce(min(seq), 0) FROM events");
    Ok(query.fetch_one(pool).await?)
}

fn push(query: &mut Statement, filter: &Filter) {
    let Filter { actor, kind, device, result, from, to } = filter;
    if let Some(actor) = actor {
        query.push(" AND actor = ").bind(actor.clone());
    }
    if let Some(kind) = kind {
        query.push(" AND kind = ").bind(kind.as_str());
    }
    if let Some(device) = device {
        query.push(" AND device = ").bind(device.to_string());
    }
    if let Some(result) = result {
        query.push(" AND result = ").bind(result.clone());
    }
    if let Some(from) = from {
        query.push(" AND at >= ").bind(from.as_millisecond());
    }
    if let Some(to) = to {
        query.push(" AND at < ").bind(to.as_millisecond());
    }
}

fn read(row: &Row) -> Result<Recorded, EventError> {
    let at: i64 = row.try_get("at")?;
    let at = Timestamp::from_millisecond(at).map_err(|e| EventError(e.to_string().into()))?;
    Ok(Recorded {
        seq: row.try_get("seq")?,
        at,
        kind: row.try_get("kind")?,
        actor: row.try_get("actor")?,
        through: row.try_get("through")?,
        address: row.try_get("address")?,
        device: row.try_get("device")?,
        command: row.try_get("command")?,
        action: row.try_get("action")?,
        result: row.try_get("result")?,
        detail: row.try_get("detail")?,
        times: row.try_get("times")?,
    })
}
