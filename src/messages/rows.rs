//! Reading and writing single rows of the table of messages. Pages of them are
//! read in `scan.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use latchlight_mqtt::QoS;
use sqlx::Row as _;

use super::{Message, MessageError, MessageId};
use crate::database::{self, Pool, Row, Statement, Wording, WriteError, Writer};

/// For all that came; `$1` is a JSON array with an array per message.
const INSERT: Wording = Wording {
    sqlite: "INSERT INTO messages \
        (id, state, topic, device, account, sender, qos, retain, content_type, properties, \
         expires_at, ended_at, detail, is_base64, payload) \
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
               value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
               value ->> 12, value ->> 13, value ->> 14 \
        FROM json_each($1)",
    postgres: "INSERT INTO messages \
        (id, state, topic, device, account, sender, qos, retain, content_type, properties, \
         expires_at, ended_at, detail, is_base64, payload) \
        SELECT (value ->> 0)::bigint, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
               value ->> 5, (value ->> 6)::bigint, (value ->> 7)::bigint, value ->> 8, \
               value ->> 9, (value ->> 10)::bigint, (value ->> 11)::bigint, value ->> 12, \
               (value ->> 13)::bigint, value ->> 14 \
        FROM json_array_elements($1::json)",
};

/// For all that have ended.
const MARK: Wording = Wording {
    sqlite: "UPDATE messages SET state = mark.value ->> 1, ended_at = mark.value ->> 2, \
        detail = mark.value ->> 3 \
        FROM json_each($1) AS mark WHERE messages.id = mark.value ->> 0",
    postgres: "UPDATE messages SET state = mark.value ->> 1, \
        ended_at = (mark.value ->> 2)::bigint, detail = mark.value ->> 3 \
        FROM json_array_elements($1::json) AS mark (value) \
        WHERE messages.id = (mark.value ->> 0)::bigint",
};

/// For those that are not kept any longer.
const REMOVE: Wording = Wording {
    sqlite: "DELETE FROM messages WHERE state <> 'waiting' \
        AND id IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM messages WHERE state <> 'waiting' \
        AND id IN (SELECT value::bigint FROM json_array_elements_text($1::json))",
};

/// How a message has ended: its id, its state, when, and why.
pub(super) type Mark<'a> = (i64, &'static str, i64, Option<&'a str>);

/// A message as a row for [`insert`].
pub(super) fn json(message: &Message) -> String {
    serde_json::to_string(&row(message)).expect("numbers and texts are JSON")
}

/// Writes a piece of messages, so many.
pub(super) async fn insert(writer: &Writer, piece: String, count: usize) -> Result<(), WriteError> {
    writer.write(&INSERT, piece, count).await
}

/// Writes how messages have ended; doing that again changes nothing.
pub(super) async fn mark(writer: &Writer, marks: &[Mark<'_>]) -> Result<(), WriteError> {
    let row = |mark| serde_json::to_string(mark).expect("numbers and texts are JSON");
    for (piece, count) in database::pieces(marks.iter().map(row)) {
        writer.write(&MARK, piece, count).await?;
    }
    Ok(())
}

/// The newest id that there is.
pub(super) async fn newest(pool: &Pool) -> Result<MessageId, MessageError> {
    let query = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM messages");
    Ok(MessageId::of_i64(query.fetch_one(pool).await?))
}

/// What an earlier run has accepted and not marked, in its order.
pub(super) async fn waiting(pool: &Pool) -> Result<Vec<Message>, MessageError> {
    let query = sqlx::query("SELECT * FROM messages WHERE state = 'waiting' ORDER BY id");
    query.fetch_all(pool).await?.iter().map(read).collect()
}

pub(super) async fn get(pool: &Pool, id: MessageId) -> Result<Option<Message>, MessageError> {
    let query = sqlx::query("SELECT * FROM messages WHERE id = $1").bind(id.as_i64());
    query.fetch_optional(pool).await?.as_ref().map(read).transpose()
}

/// Those of these ids that are like what `more` adds, in any order.
pub(super) async fn of_ids(
    pool: &Pool,
    ids: &[i64],
    more: impl FnOnce(&mut Statement),
) -> Result<Vec<Message>, MessageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Statement::new("SELECT * FROM messages WHERE id IN (");
    for (place, id) in ids.iter().enumerate() {
        query.push(if place == 0 { "" } else { ", " }).bind(*id);
    }
    query.push(")");
    more(&mut query);
    query.build().fetch_all(pool).await?.iter().map(read).collect()
}

/// How many there are, and how many bytes they take, about.
pub(super) async fn total(pool: &Pool) -> Result<(i64, i64), MessageError> {
    let query = sqlx::query_as("SELECT count, bytes FROM messages_total");
    Ok(query.fetch_one(pool).await?)
}

/// Removes some of the oldest that are older than `before` and wait for
/// nothing; gives how many.
pub(super) async fn remove_oldest(
    pool: &Pool,
    writer: &Writer,
    before: MessageId,
    most: i64,
) -> Result<u64, MessageError> {
    let query = sqlx::query_scalar(
        "SELECT id FROM messages WHERE id < $1 AND state <> 'waiting' ORDER BY id LIMIT $2",
    );
    let ids: Vec<i64> = query.bind(before.as_i64()).bind(most).fetch_all(pool).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let json = serde_json::to_string(&ids).map_err(|e| MessageError(e.to_string().into()))?;
    writer.write(&REMOVE, json, ids.len()).await?;
    Ok(ids.len() as u64)
}

/// A message in the order of the columns.
fn row(message: &Message) -> impl serde::Serialize {
    let properties = (!message.properties.is_empty()).then(|| {
        let pairs = message.properties.iter().map(|(name, value)| (name.clone(), value.clone()));
        serde_json::Value::Object(pairs.map(|(name, value)| (name, value.into())).collect())
            .to_string()
    });
    let payload = match message.text() {
        Some(text) => (0, text.to_owned()),
        None => (1, STANDARD.encode(&message.payload)),
    };
    (
        message.id.as_i64(),
        message.state.as_str(),
        message.topic.to_string(),
        message.device.clone(),
        message.account.clone(),
        message.sender.clone(),
        message.qos as u8,
        i32::from(message.retain),
        message.content_type.clone(),
        properties,
        message.expires_at.map(Timestamp::as_millisecond),
        message.ended_at.map(Timestamp::as_millisecond),
        message.detail.clone(),
        payload.0,
        payload.1,
    )
}

fn read(row: &Row) -> Result<Message, MessageError> {
    let odd = |error: String| MessageError(error.into());
    let time = |column: &str| -> Result<Option<Timestamp>, MessageError> {
        let milliseconds: Option<i64> = row.try_get(column)?;
        let time = milliseconds.map(Timestamp::from_millisecond).transpose();
        time.map_err(|error| odd(error.to_string()))
    };
    let payload: String = row.try_get("payload")?;
    let payload = match row.try_get::<i64, _>("is_base64")? {
        0 => payload.into_bytes(),
        _ => STANDARD.decode(payload).map_err(|error| odd(error.to_string()))?,
    };
    let properties: Option<String> = row.try_get("properties")?;
    let properties: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(properties.as_deref().unwrap_or("{}"))
            .map_err(|error| odd(error.to_string()))?;
    let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Message {
        id: MessageId::of_i64(row.try_get("id")?),
        state: row.try_get::<String, _>("state")?.parse().map_err(odd)?,
        topic: row.try_get::<String, _>("topic")?.into(),
        device: row.try_get("device")?,
        account: row.try_get("account")?,
        sender: row.try_get("sender")?,
        payload: payload.into(),
        qos: match row.try_get::<i64, _>("qos")? {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        },
        retain: row.try_get::<i64, _>("retain")? != 0,
        content_type: row.try_get("content_type")?,
        properties: properties.into_iter().map(|(name, value)| (name, text(value))).collect(),
        expires_at: time("expires_at")?,
        ended_at: time("ended_at")?,
        detail: row.try_get("detail")?,
    })
}
