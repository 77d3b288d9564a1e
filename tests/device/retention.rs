//! What is on record is not kept for ever.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server, command_of, configured};

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

/// The database of a server, from outside.
struct Record(SqliteConnection);

impl Record {
    async fn of(folder: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(folder.join("data/latchlight.db"));
        Self(options.connect().await.unwrap())
    }

    /// So many commands that ended so long ago.
    async fn add(&mut self, commands: usize, ended_ago: i64) {
        for _ in 0..commands {
            let ended = now() - ended_ago;
            sqlx::query(
                "INSERT INTO commands (id, device, verb, issuer, status, detail, issued_at, \
                 sent_at, delivered_at, ended_at, expires_at) VALUES \
                 (?, 'front', 'lock', 'app:x', 'confirmed', NULL, ?, NULL, NULL, ?, ?)",
            )
            .bind(uuid::Uuid::now_v7().to_string())
            .bind(ended)
            .bind(ended)
            .bind(ended)
            .execute(&mut self.0)
            .await
            .unwrap();
        }
    }

    async fn add_keys(&mut self, keys: usize, made_ago: i64) {
        for _ in 0..keys {
            let add = "INSERT INTO idempotency_keys VALUES ('x', 'r', ?, x'00', 'run', 200, '', ?)";
            sqlx::query(add)
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(now() - made_ago)
                .execute(&mut self.0)
                .await
                .unwrap();
        }
    }

    /// So many messages of so long ago, each with so many bytes.
    async fn add_messages(&mut self, messages: i64, ago: i64, state: &str, bytes: usize) {
        let first = (now() - ago) << 20;
        for number in 0..messages {
            sqlx::query(
                "INSERT INTO messages (id, state, topic, account, sender, qos, retain, \
                 expires_at, is_base64, payload) \
                 VALUES (?, ?, 'messages/x', 'operator', 'operator', 1, 0, ?, 0, ?)",
            )
            .bind(first + number)
            .bind(state)
            .bind(now() + HOUR)
            .bind("x".repeat(bytes))
            .execute(&mut self.0)
            .await
            .unwrap();
        }
    }

    /// Waits until a table has so many rows.
    async fn until(&mut self, table: &str, rows: i64) {
        let count = format!("SELECT count(*) FROM {table}");
        let end = Instant::now() + PATIENCE;
        loop {
            let count = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count.clone()));
            let count = count.fetch_one(&mut self.0).await.unwrap();
            if count == rows {
                return;
            }
            assert!(Instant::now() < end, "{table} has {count} rows, not {rows}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A folder of a server with these settings that has run before.
fn used(settings: serde_json::Value) -> tempfile::TempDir {
    Server::start_in(configured(settings)).stop()
}

#[tokio::test]
async fn what_is_older_than_the_settings_keep_goes_in_batches() {
    let folder = used(json!({ "commands": { "kept_days": 30 } }));
    let mut record = Record::of(folder.path()).await;
    record.add(1203, 31 * DAY).await;
    record.add(7, 29 * DAY).await;
    record.add_keys(603, DAY + HOUR).await;
    record.add_keys(5, DAY - HOUR).await;
    let _server = Server::start_in(folder);
    record.until("commands", 7).await;
    record.until("idempotency_keys", 5).await;
}

#[tokio::test]
async fn of_too_many_the_oldest_go_but_none_of_the_last_hour_and_none_that_is_open() {
    let folder = used(json!({ "commands": { "kept": 10, "expires_in": 300 } }));
    let server = Server::start_in(folder);
    let mut door = Device::join(&server, "front", "lock {\"features\": [\"ack\"]}").await;
    let (_, answer) = server.post("/lock?device=front&wait=0").await;
    let (_, id, _) = door.hear_command().await;
    let folder = server.kill();
    let mut record = Record::of(folder.path()).await;
    record.add(20, 3 * HOUR).await;
    record.add(6, 2 * HOUR).await;
    record.add(15, HOUR / 2).await;
    let server = Server::start_in(folder);
    // The one of the run before has ended with the start, just now.
    record.until("commands", 16).await;
    assert_eq!(command_of(&answer), id);
    assert_eq!(server.ended(&id).await["outcome"], "unconfirmed");
}

#[tokio::test]
async fn messages_go_by_age_but_none_that_waits() {
    let away = json!({ "broker": "mqtt://127.0.0.1:1" });
    let folder = used(json!({ "mqtt": away, "messages": { "keep_days": 30 } }));
    let mut record = Record::of(folder.path()).await;
    record.add_messages(503, 31 * DAY, "sent", 1).await;
    record.add_messages(2, 32 * DAY, "waiting", 1).await;
    record.add_messages(7, 29 * DAY, "received", 1).await;
    let server = Server::start_in(folder);
    record.until("messages", 9).await;
    let (_, page) = server.get("/api/v1/messages?count=true").await;
    assert_eq!(page["total"], 9);
    let (_, page) = server.get("/api/v1/messages?state=waiting").await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
}

#[tokio::test]
async fn messages_go_by_their_number_the_oldest_first() {
    let folder = used(json!({ "messages": { "keep": 1000 } }));
    let mut record = Record::of(folder.path()).await;
    record.add_messages(450, DAY, "failed", 1).await;
    record.add_messages(1000, HOUR, "sent", 1).await;
    let server = Server::start_in(folder);
    record.until("messages", 1000).await;
    let (_, page) = server.get("/api/v1/messages?state=failed").await;
    assert_eq!(page["messages"], json!([]));
}

#[tokio::test]
async fn messages_go_by_their_bytes() {
    let folder = used(json!({ "messages": { "keep_bytes": 1024 * 1024 } }));
    let mut record = Record::of(folder.path()).await;
    record.add_messages(300, HOUR, "sent", 10_000).await;
    let _server = Server::start_in(folder);
    // Each counts for its payload, twice its topic, and 200.
    record.until("messages", 1024 * 1024 / 10_220).await;
}
