//! PostgreSQL away, and then the server killed: what was told is on record.

use serde_json::json;

use crate::harness::{Device, Server, outcome_of};
use crate::postgres_server::Cluster;

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

#[tokio::test]
async fn c7_what_was_told_while_the_database_was_away_outlives_kill_9() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let server = Server::start_with(json!({ "database": { "url": url } }));
    let mut device = Device::join(&server, "front", ACKS).await;
    let obeying = tokio::spawn(async move {
        loop {
            let (_, id, _) = device.hear_command().await;
            device.say(&format!("ack {id} ok")).await;
        }
    });
    let token = server.token().await;
    cluster.kill();
    for _ in 0..3 {
        let request = reqwest::Client::new().post(format!("{}/unlock?wait=10", server.http));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(outcome_of(&answer), "confirmed", "{answer}");
    }
    let folder = server.kill();
    obeying.abort();
    cluster.start_again();
    let server = Server::start_in(folder);
    let events = format!("{}/api/v1/events?kind=command", server.http);
    let events = reqwest::Client::new().get(events).bearer_auth(server.token().await);
    let events: serde_json::Value = events.send().await.unwrap().json().await.unwrap();
    let ends = events["events"].as_array().unwrap().iter();
    let ends: Vec<_> = ends.filter(|event| event["result"] != "issued").collect();
    assert_eq!(ends.len(), 3, "{events}");
    assert!(ends.iter().all(|end| end["result"] == "confirmed"), "{events}");
}
