//! Commands on disk: written in batches, one transaction for all that wait.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row as _;
use tokio::sync::{mpsc, oneshot};

use super::{Command, CommandId};
use crate::database::{Database, Pool, Row, Wording, WriteError, Writer};
use crate::identity::Through;
use crate::state::DeviceId;

/// How many writes may wait; who comes later waits for a place.
const WAITING: usize = 1024;

/// For all that waits; `$1` is a JSON array with an array per command. What
/// is new, or has ended by it, becomes an event, by the table's triggers.
/// PostgreSQL does not take a command twice in one statement: the last one
/// counts.
const WRITE: Wording = Wording {
    sqlite: "INSERT INTO commands \
        (id, device, verb, issuer, status, detail, issued_at, sent_at, delivered_at, ended_at, \
         expires_at, through, address) \
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
               value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, \
               value ->> 11, value ->> 12 \
        FROM json_each($1) WHERE true \
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, detail = excluded.detail, \
        sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, \
        ended_at = excluded.ended_at",
    postgres: "INSERT INTO commands \
        (id, device, verb, issuer, status, detail, issued_at, sent_at, delivered_at, ended_at, \
         expires_at, through, address) \
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
               (value ->> 6)::bigint, (value ->> 7)::bigint, (value ->> 8)::bigint, \
               (value ->> 9)::bigint, (value ->> 10)::bigint, value ->> 11, value ->> 12 \
        FROM (SELECT DISTINCT ON (value ->> 0) value, place \
              FROM json_array_elements($1::json) WITH ORDINALITY AS rows (value, place) \
              ORDER BY value ->> 0, place DESC) AS last ORDER BY place \
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, detail = excluded.detail, \
        sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, \
        ended_at = excluded.ended_at",
};

/// The record could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// What was to be written is not there.
    #[error("the record of commands: {0}")]
    Failed(Arc<str>),
    /// It may be there.
    #[error("the record of commands does not answer: nothing was sent, and it may say so later")]
    InDoubt,
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.to_string().into())
    }
}

impl From<WriteError> for JournalError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(error) => error.into(),
            WriteError::InDoubt(_) => Self::InDoubt,
        }
    }
}

/// The record of all commands.
pub(super) struct Journal {
    pool: Pool,
    writer: Writer,
    sender: mpsc::Sender<Entry>,
}

struct Entry {
    commands: Vec<Command>,
    done: oneshot::Sender<Result<(), JournalError>>,
}

impl Journal {
    /// Starts the writer, and ends what an earlier run of the server left
    /// under way: it may have left, and is never sent again.
    pub(super) async fn open(database: &Database) -> Result<Self, JournalError> {
        let pool = database.pool.clone();
        let left = sqlx::query(
            "UPDATE commands SET status = 'unconfirmed', ended_at = $1, \
             detail = 'the server stopped while it was under way' WHERE ended_at IS NULL",
        )
        .bind(Timestamp::now().as_millisecond())
        .execute(&pool)
        .await?;
        if left.rows_affected() > 0 {
            tracing::warn!(
                commands = left.rows_affected(),
                "commands of an earlier run have no known end: recorded as unconfirmed"
            );
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(write_batches(database.writer.clone(), receiver));
        Ok(Self { pool, writer: database.writer.clone(), sender })
    }

    /// Writes these commands as they stand; on disk when this returns.
    pub(super) async fn record(&self, commands: Vec<Command>) -> Result<(), JournalError> {
        let (done, written) = oneshot::channel();
        let gone = || JournalError::Failed("its writer has stopped".into());
        self.sender.send(Entry { commands, done }).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }

    /// One command. While some wait for the database, it is not known whether
    /// there is one: it may be among them.
    pub(super) async fn get(&self, id: CommandId) -> Result<Option<Command>, JournalError> {
        if self.writer.is_away() {
            return Err(JournalError::Failed("the database is away".into()));
        }
        let row = sqlx::query("SELECT * FROM commands WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The commands of a device, newest first, older than `before`.
    pub(super) async fn of_device(
        &self,
        device: &DeviceId,
        before: Option<CommandId>,
        limit: u32,
    ) -> Result<Vec<Command>, JournalError> {
        // No id sorts after this one, so that without `before` all are older.
        let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
        let rows = sqlx::query(
            "SELECT * FROM commands WHERE device = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(device.as_str())
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }
}

async fn write_batches(writer: Writer, mut receiver: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, WAITING).await > 0 {
        let result = write(&writer, &batch).await;
        for entry in batch.drain(..) {
            let _ = entry.done.send(result.clone());
        }
    }
}

async fn write(writer: &Writer, batch: &[Entry]) -> Result<(), JournalError> {
    let commands: Vec<_> = batch.iter().flat_map(|entry| &entry.commands).map(row).collect();
    let rows =
        serde_json::to_string(&commands).map_err(|e| JournalError::Failed(e.to_string().into()))?;
    Ok(writer.write(&WRITE, rows, commands.len()).await?)
}

/// A command in the order of the columns.
fn row(command: &Command) -> impl serde::Serialize {
    let time = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
    (
        command.id.to_string(),
        command.device.as_str(),
        command.verb.as_str(),
        &command.issuer,
        command.status.as_str(),
        &command.detail,
        command.issued_at.as_millisecond(),
        time(command.sent_at),
        time(command.delivered_at),
        time(command.ended_at),
        command.expires_at.as_millisecond(),
        command.through.map(Through::as_str),
        command.address,
    )
}

fn read(row: &Row) -> Result<Command, JournalError> {
    let odd = |error: String| JournalError::Failed(error.into());
    let time = |column: &str| -> Result<Option<Timestamp>, JournalError> {
        let milliseconds: Option<i64> = row.try_get(column)?;
        milliseconds
            .map(|ms| Timestamp::from_millisecond(ms).map_err(|error| odd(error.to_string())))
            .transpose()
    };
    let always =
        |column: &str| time(column)?.ok_or_else(|| odd(format!("a command without {column}")));
    let text = |column: &str| row.try_get::<String, _>(column);
    Ok(Command {
        id: text("id")?.parse().map_err(|_| odd("an id that is none".to_owned()))?,
        device: text("device")?.parse().map_err(|_| odd("a device id that is none".to_owned()))?,
        verb: text("verb")?.parse().map_err(odd)?,
        issuer: text("issuer")?,
        status: text("status")?.parse().map_err(odd)?,
        detail: row.try_get("detail")?,
        issued_at: always("issued_at")?,
        sent_at: time("sent_at")?,
        delivered_at: time("delivered_at")?,
        ended_at: time("ended_at")?,
        expires_at: always("expires_at")?,
        through: row.try_get::<Option<String>, _>("through")?.and_then(|word| word.parse().ok()),
        address: row.try_get::<Option<String>, _>("address")?.and_then(|ip| ip.parse().ok()),
        asked_by: None,
        // What an earlier run left under way has ended.
        deadline: None,
    })
}
