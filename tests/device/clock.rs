//! The wall clock is set while a command waits.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Device, Server, command_of, configured, program};

/// Long enough for what may not come to have come.
const A_WHILE: Duration = Duration::from_millis(300);

/// What puts a wall clock of its own under a program, where Debian has it.
fn libfaketime() -> PathBuf {
    let triples = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut files = triples.map(|triple| triple.path().join("faketime/libfaketime.so.1"));
    files.find(|file| file.exists()).expect("libfaketime: see script/bootstrap")
}

/// A server whose wall clock is what the file `clock` says, such as `-1h`; its
/// other clock is the system's.
fn start_with_a_clock(settings: serde_json::Value) -> Server {
    let folder = configured(settings);
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    let mut program = program(&folder.path().join("config.json"));
    program
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
    Server::start_by(program, folder)
}

/// C3: nor does it live longer for that.
#[tokio::test]
async fn c3_a_wall_clock_that_is_set_back_gives_no_command_a_longer_life() {
    let server = start_with_a_clock(json!({ "commands": { "expires_in": 8 } }));
    let mut door = Device::join(&server, "front", "lock {\"features\": [\"ack\"]}").await;
    let (_, first) = server.post("/unlock?device=front&wait=0").await;
    assert_eq!(door.hear_command().await.1, command_of(&first));
    let (_, second) = server.post("/unlock?device=front&wait=0").await;
    let shown = format!("/api/v1/commands/{}", command_of(&second));
    assert_eq!(server.get(&shown).await.1["status"], "issued");
    std::fs::write(server.folder.path().join("clock"), "-1h").unwrap();
    door.say(&format!("ack {} ok", command_of(&first))).await;
    let ended = server.ended(&command_of(&first)).await;
    assert!(ended["ended_at"].as_str() < ended["issued_at"].as_str(), "the clock is set: {ended}");
    let heard = door.hear_publish().await;
    let expiry = heard.properties.message_expiry_interval;
    assert!(expiry.is_some_and(|seconds| seconds <= 8), "{expiry:?}");
    assert_eq!(server.ended(&command_of(&second)).await["outcome"], "unconfirmed");
}

/// C5: nor is an old request new again. A machine whose clock is not kept
/// without power is set right while the server runs.
#[tokio::test]
async fn c5_a_wall_clock_that_is_set_forward_makes_no_key_old() {
    let server = start_with_a_clock(json!({}));
    let mut door = Device::join(&server, "front", "lock {\"features\": [\"ack\"]}").await;
    let (first, ()) = tokio::join!(server.post_once("/unlock?device=front", "k"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    std::fs::write(server.folder.path().join("clock"), "+2d").unwrap();
    server.sign_in_anew().await;
    let (_, lock) = server.post("/lock?device=front&wait=0").await;
    let issued = lock["devices"][0]["issued_at"].as_str();
    assert!(issued > first.1["devices"][0]["expires_at"].as_str(), "the clock is set: {lock}");
    assert_eq!(door.hear_command().await.1, command_of(&lock));
    assert_eq!(server.post_once("/unlock?device=front", "k").await, first);
    door.hears_nothing_for(A_WHILE).await;
}
