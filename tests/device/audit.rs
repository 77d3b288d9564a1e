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
            let token = server.token().await;
            tasks.push(tokio::spawn(async move {
                // Until the server is gone.
                while let Ok(answer) = app.post(&url).bearer_auth(&token).send().await {
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
            let query = "SELECT result FROM events WHERE command = ? AND kind = 'command' \
                         ORDER BY seq";
            let results: Vec<String> =
                sqlx::query_scalar(query).bind(id).fetch_all(&mut record).await.unwrap();
            assert_eq!(results, ["issued", outcome.as_str()], "{id}");
        }
        let ends = "SELECT count(*) FROM commands WHERE ended_at IS NOT NULL";
        let events = "SELECT count(DISTINCT command) FROM events WHERE kind = 'command'";
        let rows = "SELECT count(*) FROM events WHERE kind = 'command'";
        let ends = number(&mut record, ends).await;
        assert_eq!(number(&mut record, events).await, ends);
        assert_eq!(number(&mut record, rows).await, 2 * ends, "each issued once, and ended once");
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

/// Runs the program with these words; gives what it prints.
#[track_caller]
fn latchlight(server: &Server, words: &[&str]) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_latchlight"));
    let output = program.args(words).arg("--config").arg(server.config_path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_line_lists_the_record_and_writes_it_to_a_file() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let (answer, ()) = tokio::join!(server.post("/unlock?device=front"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} failed \u{1b}[31mjammed")).await;
    });
    assert_eq!(outcome_of(&answer.1), "failed");
    let add = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
               INSERT INTO events (at, kind, actor, through, action, result, detail) \
               SELECT 0, 'account', 'app:x', 'http', 'add', 'ok', 'number ' || i FROM n";
    sqlx::query(add).execute(&mut record(&server).await).await.unwrap();

    let list = latchlight(&server, &["audit", "list", "--kind", "command"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert!(lines[0].contains("  command unlock front  failed: "), "{list}");
    assert!(lines[1].ends_with("  command unlock front  issued"), "{list}");
    assert!(!list.contains('\u{1b}'), "nothing that a terminal obeys: {list:?}");
    let list = latchlight(&server, &["audit", "list", "--actor", "app:x", "--limit", "2"]);
    assert!(list.ends_with("account add  ok: number 4999\n"), "{list}");
    let none = latchlight(&server, &["audit", "list", "--device", "attic", "--from", "7d ago"]);
    assert_eq!(none, "nothing is on record that is like this\n");

    let file = server.folder.path().join("record.csv");
    let to = file.to_str().unwrap();
    let said = latchlight(&server, &["audit", "export", "--to", "2026-01-01", "--out", to]);
    assert_eq!(said, "");
    let csv = std::fs::read_to_string(&file).unwrap();
    assert_eq!(csv.lines().count(), 5001);
    assert!(csv.starts_with("seq,at,kind,") && csv.ends_with(",number 5000,1\r\n"));
    let lines = latchlight(&server, &["audit", "export", "--format", "ndjson", "--kind", "device"]);
    let line: serde_json::Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!((&line["action"], &line["device"]), (&json!("join"), &json!("front")));
    // It says who took it away.
    let (_, page) = server.get("/api/v1/events?kind=record").await;
    assert_eq!(page["events"][0]["actor"], "operator", "{page}");
    assert_eq!(page["events"][0]["through"], "console", "{page}");
}
