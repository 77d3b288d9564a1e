//! The record of events outlives the server, whenever that is killed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::harness::{Device, Server, command_of, outcome_of};

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

async fn record(server: &Server) -> SqliteConnection {
    let path = server.folder.path().join("data/latchlight.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn number(record: &mut SqliteConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(record).await.unwrap()
}

#[tokio::test]
async fn c27_no_end_of_a_command_that_was_told_is_lost_by_kill_9() {
    let mut server = Server::start();
    let told = Arc::new(Mutex::new(Vec::new()));
    for round in 0..4 {
        let mut tasks = Vec::new();
        for door in ["front", "back", "shed"] {
            let mut device = Device::join(&server, door, ACKS).await;
            tasks.push(tokio::spawn(async move {
                loop {
                    let (_, id, _) = device.hear_command().await;
                    device.say(&format!("ack {id} ok")).await;
                }
            }));
            let url = format!("{}/unlock?device={door}&wait=20", server.http);
            let (app, told) = (reqwest::Client::new(), told.clone());
            tasks.push(tokio::spawn(async move {
                // Until the server is gone.
                while let Ok(answer) = app.post(&url).send().await {
                    let Ok(answer) = answer.json::<serde_json::Value>().await else { return };
                    let ended = (command_of(&answer), outcome_of(&answer).to_owned());
                    told.lock().unwrap().push(ended);
                }
            }));
        }
        let before = told.lock().unwrap().len();
        while told.lock().unwrap().len() < before + 5 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        let folder = server.kill();
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        server = Server::start_in(folder);
        let mut record = record(&server).await;
        let told = told.lock().unwrap().clone();
        for (id, outcome) in &told {
            let query = "SELECT result FROM events WHERE command = ? AND kind = 'command'";
            let results: Vec<String> =
                sqlx::query_scalar(query).bind(id).fetch_all(&mut record).await.unwrap();
            assert_eq!(results, std::slice::from_ref(outcome), "{id}");
        }
        let ends = "SELECT count(*) FROM commands WHERE ended_at IS NOT NULL";
        let events = "SELECT count(DISTINCT command) FROM events WHERE kind = 'command'";
        let rows = "SELECT count(*) FROM events WHERE kind = 'command'";
        let ends = number(&mut record, ends).await;
        assert_eq!(number(&mut record, events).await, ends);
        assert_eq!(number(&mut record, rows).await, ends, "each once");
        let open = "SELECT count(*) FROM commands WHERE ended_at IS NULL";
        assert_eq!(number(&mut record, open).await, 0);
        let gaps = "SELECT max(seq) - min(seq) + 1 - count(*) FROM events";
        assert_eq!(number(&mut record, gaps).await, 0);
    }
}

#[tokio::test]
async fn c27_what_was_under_way_at_kill_9_is_on_record_with_its_end() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    door.hear_command().await;
    let server = Server::start_in(server.kill());
    let path = format!("/api/v1/events?device=front&kind=command&result={}", "unconfirmed");
    let (_, page) = server.get(&path).await;
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{page}");
    assert_eq!(events[0]["command"], json!(command_of(&answer)));
    assert_eq!((&events[0]["through"], &events[0]["action"]), (&json!("http"), &json!("unlock")));
}

#[tokio::test]
async fn c27_a_device_that_was_told_that_it_joined_is_on_record_after_kill_9() {
    let server = Server::start();
    Device::join(&server, "front", ACKS).await;
    assert_eq!(server.delete("/api/v1/devices/front").await, 204);
    let server = Server::start_in(server.kill());
    let (_, page) = server.get("/api/v1/events?kind=device").await;
    let actions: Vec<_> =
        page["events"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert_eq!(actions, ["remove", "join"]);
}
