//! The stop: what is in hand is finished, and nobody is waited for for ever.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::harness::{Manner, Server, raw_request, raw_response, until};

#[tokio::test]
async fn a_request_in_hand_is_answered_before_the_server_stops() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 2 } })).await;
    let door = server.lock("front-door", Manner::Silent).await;
    let request = server.client.post(server.url("/lock?device=front-door&wait=1")).send();
    let waiting = tokio::spawn(request);
    until("the command to leave", async || (door.count("lock") == 1).then_some(())).await;
    server.begin_to_stop();
    let answer = waiting.await.unwrap().expect("an answer");
    assert_eq!(answer.status().as_u16(), 202);
    server.stopped().await;
}

#[tokio::test]
async fn a_long_wait_is_cut_short_by_the_stop_and_still_answered() {
    let settings =
        json!({ "http": { "shutdown_timeout_ms": 2000 }, "commands": { "expires_in": 60 } });
    let server = Server::start_with(settings).await;
    let door = server.lock("front-door", Manner::Silent).await;
    let request = server.client.post(server.url("/lock?device=front-door&wait=60")).send();
    let waiting = tokio::spawn(request);
    until("the command to leave", async || (door.count("lock") == 1).then_some(())).await;
    server.begin_to_stop();
    let answer = waiting.await.unwrap().expect("an answer");
    assert_eq!(answer.status().as_u16(), 202);
    server.stopped().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let server = Server::start().await;
    let mut idle = raw_request(&server, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let silent = raw_request(&server, "").await;
    let before = Instant::now();
    server.stop().await;
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
    raw_response(idle).await;
    raw_response(silent).await;
}
