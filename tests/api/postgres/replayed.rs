//! What waited for a database that was away, when the next server starts.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::away::{server_on, unlock};
use crate::events::Table;
use crate::harness::{Manner, Server};
use crate::postgres_server::Cluster;

/// What a server leaves whose database was killed behind a first command, and
/// who was told of a second one.
async fn left(cluster: &Cluster) -> Arc<tempfile::TempDir> {
    let server = server_on(cluster).await;
    let door = server.lock("front", Manner::Obeys).await;
    unlock(&server).await;
    cluster.kill();
    unlock(&server).await;
    drop(door);
    server.stop_and_keep().await
}

fn backlog(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("data/backlog.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn put_aside(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("data/backlog.refused.jsonl"));
    let text = text.unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_row_that_the_database_refuses_takes_none_of_its_neighbours_along() {
    let cluster = Cluster::start();
    let folder = left(&cluster).await;
    let mut lines = backlog(folder.path());
    let of_events =
        |line: &&mut Value| line["statement"].as_str().unwrap().starts_with("INSERT INTO events");
    let line = lines.iter_mut().find(of_events).expect("the stop");
    let rows: Vec<Value> = serde_json::from_str(line["rows"].as_str().unwrap()).unwrap();
    let row = |at: Value, action: &str| {
        let mut row = rows[0].clone();
        (row[0], row[1], row[7]) = (at, json!("test"), json!(action));
        row
    };
    let mut rows = vec![
        row(json!(1), "first"),
        row(json!("no number"), "bad"),
        row(json!(2), "second"),
        row(Value::Null, "without a time"),
        row(json!(3), "third"),
    ];
    let kept: Vec<Value> = serde_json::from_str(line["rows"].as_str().unwrap()).unwrap();
    rows.extend(kept);
    line["rows"] = Value::String(Value::Array(rows).to_string());
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.path().join("data/backlog.jsonl"), text).unwrap();
    cluster.start_again();
    let server = Server::start_in(folder).await;
    let mut table = Table::of(server.folder()).await;
    let test = table.events("test").await;
    let actions: Vec<_> = test.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["first", "second", "third"]);
    assert_eq!(table.ends().await.len(), 2);
    let aside = put_aside(server.folder());
    let rows: Vec<&str> = aside.iter().map(|line| line["rows"].as_str().unwrap()).collect();
    assert!(rows.len() == 2 && rows[0].contains("\"bad\""), "{aside:?}");
    assert!(rows[1].contains("\"without a time\""), "{aside:?}");
    assert!(aside.iter().all(|line| !line["error"].as_str().unwrap().is_empty()), "{aside:?}");
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("latchlight_database_put_aside_total 2"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn a_file_of_what_waited_that_comes_back_later_is_written_no_second_time() {
    let cluster = Cluster::start();
    let folder = left(&cluster).await;
    let file = folder.path().join("data/backlog.jsonl");
    let old = std::fs::read(&file).unwrap();
    cluster.start_again();
    let folder = Server::start_in(folder).await.stop_and_keep().await;
    // As it was, and as a restored backup has it.
    for _ in 0..2 {
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        std::fs::write(&file, &old).unwrap();
        let server = Server::start_in(folder.clone()).await;
        let mut table = Table::of(server.folder()).await;
        assert_eq!(table.ends().await.len(), 2);
        assert_eq!(table.number("SELECT max(seq) - count(*) FROM events").await, 0);
        server.stop().await;
    }
    let lines = String::from_utf8(old).unwrap().lines().count();
    assert_eq!(put_aside(folder.path()).len(), 2 * lines, "and nothing is lost of it");
}
