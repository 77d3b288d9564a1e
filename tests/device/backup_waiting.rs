//! What waits when a backup is made: for the broker, and for a PostgreSQL that
//! is away.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::{Device, PATIENCE, Server, command_of, configured};
use crate::outside_broker::Broker;
use crate::postgres_server::Cluster;

fn run(words: &[&str], paths: &[&Path]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    let Output { status, stdout, stderr } = program.args(words).args(paths).output().unwrap();
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(status.success(), "{said}");
    said
}

/// A server from a backup, in a folder of its own.
async fn restored(words: &[&str], backup: &Path) -> (String, Server) {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("config.json");
    let words = [&["restore"], words, &["--config"]].concat();
    let said = run(&words, &[&config, backup]);
    (said, tokio::task::spawn_blocking(|| Server::start_in(folder)).await.unwrap())
}

/// The payload of the next message that the broker is given.
async fn next_message(broker: &mut Broker) -> String {
    loop {
        let heard = broker.until("").await;
        broker.acknowledge(&heard).await;
        if &*heard.topic == "messages/x" {
            return String::from_utf8(heard.payload.to_vec()).unwrap();
        }
    }
}

async fn states(server: &Server) -> Vec<Value> {
    let (status, page) = server.get("/api/v1/messages").await;
    assert_eq!(status, 200, "{page}");
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|message| json!([message["payload"], message["state"]])).collect()
}

#[tokio::test]
async fn what_waited_for_the_broker_is_sent_by_a_restored_server_only_if_it_is_told_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mqtt = json!({ "broker": format!("mqtt://{}", listener.local_addr().unwrap()) });
    let folder = configured(json!({ "mqtt": mqtt }));
    let server = tokio::task::spawn_blocking(|| Server::start_in(folder)).await.unwrap();
    let message =
        |payload: &str| json!({ "topic": "messages/x", "payload": payload, "queue": true });
    let (status, answer) = server.post_json("/messaging/send", message("old")).await;
    assert_eq!((status, &answer["state"]), (202, &json!("waiting")));
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    run(&["backup", "--config"], &[&server.config_path(), &backup]);
    drop(server.kill());
    drop(listener.accept().await.unwrap());

    let (said, server) = restored(&[], &backup).await;
    assert!(said.contains("1 messages waited for the broker"), "{said}");
    let mut broker = Broker::of(&listener).await;
    let new = message("new");
    let (sent, heard) = tokio::join!(server.post_json("/messaging/send", new), async {
        tokio::time::timeout(PATIENCE, next_message(&mut broker)).await.unwrap()
    });
    assert_eq!((sent.0, &*heard), (201, "new"));
    assert_eq!(states(&server).await, [json!(["new", "sent"]), json!(["old", "failed"])]);
    drop((server.kill(), broker));

    let (said, server) = restored(&["--send-messages"], &backup).await;
    assert!(!said.contains("waited for the broker"), "{said}");
    let mut broker = Broker::of(&listener).await;
    assert_eq!(next_message(&mut broker).await, "old");
    drop(server.kill());
}

#[tokio::test]
async fn c7_what_waits_for_a_postgresql_is_in_the_backup_and_is_written_once() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let server = Server::start_with(json!({ "database": { "url": url } }));
    let mut door = Device::join(&server, "front", "lock {\"features\": [\"ack\"]}").await;
    server.token().await;
    cluster.kill();
    let (answer, ()) = tokio::join!(server.post("/unlock?device=front&wait=10"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    let command = command_of(&answer.1);
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    let said = run(&["backup", "--config"], &[&server.config_path(), &backup]);
    assert!(said.contains("not in it: the database at database.url"), "{said}");
    assert!(!said.contains("what waits"), "{said}");
    assert!(std::fs::read_to_string(backup.join("data/backlog.jsonl")).unwrap().contains(&command));
    drop(server.kill());
    cluster.start_again();
    // The second time the database is newer than the backup.
    for _ in 0..2 {
        let (_, server) = restored(&[], &backup).await;
        let (_, events) = server.get("/api/v1/events?kind=command").await;
        let ends = events["events"].as_array().unwrap().iter();
        let ends: Vec<_> = ends.filter(|event| event["result"] != "issued").collect();
        assert_eq!(ends.len(), 1, "{events}");
        assert_eq!(
            (&ends[0]["command"], &ends[0]["result"]),
            (&json!(command), &json!("confirmed"))
        );
        drop(server.stop());
    }
}
