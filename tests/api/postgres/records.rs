//! What is on record in PostgreSQL.

use serde_json::json;

use crate::events::Table;
use crate::harness::{Manner, Server, png};
use crate::postgres_server::shared;

#[tokio::test]
async fn all_that_is_kept_is_there_after_a_restart() {
    let settings = json!({ "database": { "url": shared().new_database().await } });
    let server = Server::start_with(settings).await;
    let door = server.lock("front", Manner::Obeys).await;
    let unlocked = server.post("/unlock?device=front&wait=10").await.devices(200);
    let ann = json!({ "name": "Ann", "role": "member", "password": "another-long-password" });
    assert_eq!(server.post_json("/api/v1/users", &ann).await.status, 201);
    let upload = server.client.post(server.url("/api/v1/pictures"));
    let upload = upload.header("content-type", "image/png").body(png(3, 2));
    assert_eq!(server.send(upload).await.status, 201);
    drop(door);
    let folder = server.stop_and_keep().await;
    assert!(!folder.path().join("data/latchlight.db").exists());
    let server = Server::start_in(folder).await;
    server.sign_in_as("ann", "another-long-password").await;
    let id = unlocked[0]["command"].as_str().unwrap();
    let command = server.get(&format!("/api/v1/commands/{id}")).await.json();
    assert_eq!(command["outcome"], "confirmed", "{command}");
    let pictures = server.get("/api/v1/pictures").await.json();
    assert_eq!(pictures["pictures"][0]["width"], 3, "{pictures}");
    let mut table = Table::of(server.folder()).await;
    assert_eq!(table.ends().await.len(), 1);
    assert_eq!(table.number("SELECT max(seq) - count(*) FROM events").await, 0, "without gaps");
    server.stop().await;
}

#[tokio::test]
async fn events_that_many_write_at_once_have_numbers_without_gaps() {
    let settings = json!({ "database": { "url": shared().new_database().await } });
    let server = Server::start_with(settings).await;
    let mut writers = Vec::new();
    for writer in 0..4 {
        let mut table = Table::of(server.folder()).await;
        writers.push(tokio::spawn(async move {
            for event in 0..50 {
                let add = format!(
                    "INSERT INTO events (at, kind, actor, through, action, result) \
                     VALUES (1, 'test', 'writer:{writer}', 'x', '{event}', 'ok')"
                );
                // One of three is taken back.
                if event % 3 == 0 {
                    table.execute("BEGIN").await.unwrap();
                    table.execute(&add).await.unwrap();
                    table.execute("ROLLBACK").await.unwrap();
                } else {
                    table.execute(&add).await.unwrap();
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut table = Table::of(server.folder()).await;
    assert_eq!(table.events("test").await.len(), 4 * 33);
    assert_eq!(table.number("SELECT max(seq) - count(*) FROM events").await, 0, "without gaps");
    server.stop().await;
}

#[tokio::test]
async fn two_accounts_have_not_the_same_name_in_another_case() {
    let settings = json!({ "database": { "url": shared().new_database().await } });
    let server = Server::start_with(settings).await;
    let mut table = Table::of(server.folder()).await;
    let add = "INSERT INTO accounts SELECT 'x', 'OWNER', kind, role, scopes, grants, password, \
               secret, subject, epoch, disabled, created_at, expires_at FROM accounts";
    let said = table.execute(add).await.unwrap_err();
    assert!(said.contains("accounts_by_name"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn what_the_guide_says_before_a_restored_database_is_used_can_be_said() {
    let settings = json!({ "database": { "url": shared().new_database().await } });
    let server = Server::start_with(settings).await;
    let guide = include_str!("../../../docs/databases.md");
    let statements = guide.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let mut table = Table::of(server.folder()).await;
    let wait = "INSERT INTO messages (id, state, topic, qos, retain, is_base64, payload) \
                VALUES (1, 'waiting', 'messages/x', 1, 0, 0, 'x')";
    table.execute(wait).await.unwrap();
    for statement in statements.split(';').filter(|statement| !statement.trim().is_empty()) {
        table.execute(statement).await.unwrap();
    }
    let failed = "SELECT count(*) FROM messages WHERE state = 'failed' AND ended_at > 0";
    assert_eq!(table.number(failed).await, 1);
    assert_eq!(table.number("SELECT count(*) FROM refresh_tokens").await, 0);
    server.stop().await;
}
