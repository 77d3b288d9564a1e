//! A device that is quicker than its outside broker.

use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Server, command_of};
use crate::outside_broker::Broker;

#[tokio::test]
async fn what_a_device_says_before_its_broker_has_taken_the_command_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mqtt = json!({ "broker": format!("mqtt://{address}") });
    let begin = json!({ "mqtt": mqtt, "commands": { "expires_in": 60 } });
    let server = tokio::task::spawn_blocking(|| Server::start_with(begin));
    let mut broker = Broker::of(&listener).await;
    let server = server.await.unwrap();
    let online = broker.until("online").await;
    broker.acknowledge(&online).await;
    for (said, outcome) in [("state locked", "confirmed"), ("state jammed", "failed")] {
        broker.hand_shake().await;
        // What it said before it can have heard the command is no answer.
        broker.say("state unlocked").await;
        server.device_when("front", |device| device["state"] == "unlocked").await;
        let (_, answer) = server.post("/lock?device=front&wait=0").await;
        let command = broker.until("lock ").await;
        broker.say(said).await;
        let word = &said["state ".len()..];
        server.device_when("front", |device| device["state"] == word).await;
        let (_, shown) = server.get(&format!("/api/v1/commands/{}", command_of(&answer))).await;
        assert_eq!(shown["status"], "issued", "the broker has not said that it took it");
        broker.acknowledge(&command).await;
        assert_eq!(server.ended(&command_of(&answer)).await["outcome"], outcome);
    }
}
