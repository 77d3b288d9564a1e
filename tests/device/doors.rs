//! A device joins, says its state, and is shown.

use latchlight_mqtt::{Connect, ProtocolVersion, QoS, ReasonCode};
use serde_json::{Value, json};

use crate::harness::{Device, PATIENCE, Server};

#[tokio::test]
async fn a_device_joins_and_is_unknown_until_it_speaks() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    let shown = server.device_when("front", |device| device["online"] == true).await;
    assert_eq!((&shown["kind"], &shown["state"]), (&json!("lock"), &json!("unknown")));
    door.say("state locked {\"battery\": 71}").await;
    let shown = server.device_when("front", |device| device["state"] == "locked").await;
    assert_eq!(shown["battery"], 71);
    // The roster was on disk before it was told ok.
    let saved: Value =
        serde_json::from_str(&std::fs::read_to_string(server.config_path()).unwrap()).unwrap();
    assert_eq!(saved["state"]["devices"]["front"]["kind"], "lock");
}

#[tokio::test]
async fn the_state_is_retained_for_everyone_and_goes_with_the_device() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    door.say("state unlocked").await;
    server.device_when("front", |device| device["state"] == "unlocked").await;
    let watcher = Connect::new(ProtocolVersion::V311, "watcher");
    let mut watcher = Device::connect(server.mqtt(), server.as_app(watcher).await).await;
    watcher.subscribe("latchlight/devices/+/state", QoS::AtLeastOnce).await;
    let kept = loop {
        // It may come once more while the server is still publishing it.
        let kept = watcher.hear_publish().await;
        let body: Value = serde_json::from_slice(&kept.payload).unwrap();
        if body["state"] == "unlocked" {
            break body;
        }
    };
    assert_eq!((&kept["kind"], &kept["online"]), (&json!("lock"), &json!(true)));
    assert_eq!(server.delete("/api/v1/devices/front").await, 204);
    while !watcher.hear_publish().await.payload.is_empty() {}
}

#[tokio::test]
async fn words_that_make_no_sense_are_answered_plainly_or_not_at_all() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    for (said, answer) in [
        ("frobnicate", "unknown frobnicate"),
        ("LOCK", "unknown LOCK"),
        (
            "hand_shake",
            "error hand_shake say what you are: `hand_shake lock`, light, camera or other",
        ),
        (
            "hand_shake light",
            "error hand_shake front is known as a lock: remove it, then join it anew as a light",
        ),
        ("hand_shake lock {\"base\" 1}", "error hand_shake expected `:` at line 1 column 9"),
        (
            "lock_all_the_things_with_a_first_word_that_is_longer_than_64_bytes!",
            "unknown lock_all_the_things_with_a_first_word_that_is_longer_than_64_by",
        ),
    ] {
        door.say(said).await;
        assert!(door.hear().await.starts_with(answer), "{said}");
    }
    // Two servers, or an echo, must not talk for ever.
    for silent in ["ok x", "error x", "unknown x", "ack", "ack 1 ok", "state", "state open"] {
        door.say(silent).await;
    }
    door.say("last").await;
    assert_eq!(door.hear().await, "unknown last");
}

#[tokio::test]
async fn a_base_topic_of_its_own_is_taken_unless_it_is_somebody_elses() {
    let server = Server::start();
    let hand_shake = "lock {\"base\": \"yard/garage\"}";
    let mut garage = Device::join(&server, "garage", hand_shake).await;
    garage.subscribe("yard/garage/down", QoS::AtLeastOnce).await;
    garage.publish("yard/garage/up", "state locked", false).await;
    server.device_when("garage", |d| d["state"] == "locked" && d["online"] == true).await;
    let mut thief = Device::join(&server, "thief", "other").await;
    for base in ["yard/garage", "latchlight/devices/garage", "$SYS/x", "a/+/b", ""] {
        thief.say(&format!("hand_shake other {{\"base\": \"{base}\"}}")).await;
        let answer = thief.hear().await;
        assert!(answer.starts_with("error hand_shake"), "{base}: {answer}");
    }
}

#[tokio::test]
async fn a_device_has_one_base_topic_and_who_is_not_taken_in_has_none() {
    let server = Server::start();
    let mut garage = Device::join(&server, "garage", "lock").await;
    let mut shed = Device::join(&server, "shed", "light").await;
    let offer = |base: &str| format!("{{\"base\": \"{base}\"}}");
    garage.say(&format!("hand_shake lock {}", offer("yard/one"))).await;
    assert_eq!(garage.hear().await, "ok hand_shake");
    garage.subscribe("yard/one/down", QoS::AtLeastOnce).await;
    // It is a lock: as a light, it is not taken in, and its topics stay.
    garage.say(&format!("hand_shake light {}", offer("yard/two"))).await;
    assert!(garage.hear().await.starts_with("error hand_shake"));
    garage.publish("yard/one/up", "state locked", false).await;
    server.device_when("garage", |device| device["state"] == "locked").await;
    // What it does not have, or has no more, another may take.
    for base in ["yard/two", "shed/two"] {
        shed.say(&format!("hand_shake light {}", offer(base))).await;
        server.device_when("shed", |device| device["base_topic"] == base).await;
    }
    garage.say(&format!("hand_shake lock {}", offer("yard/two"))).await;
    assert_eq!(garage.hear().await, "ok hand_shake");
    assert_eq!(
        garage.publish("yard/one/up", "state unlocked", false).await,
        ReasonCode::NotAuthorized
    );
    garage.publish("yard/two/up", "state jammed", false).await;
    server.device_when("garage", |device| device["state"] == "jammed").await;
}

#[tokio::test]
async fn who_is_removed_while_joining_is_in_with_its_base_topic_or_not_at_all() {
    const HAND_SHAKE: &str = "hand_shake lock {\"base\": \"yard/garage\"}";
    let server = Server::start();
    for _ in 0..20 {
        let mut garage = Device::connect(server.mqtt(), server.device("garage").await).await;
        garage.listen(QoS::AtLeastOnce).await;
        garage.say(HAND_SHAKE).await;
        while garage.hear().await != "ok hand_shake" {}
        let up = "latchlight/devices/garage/up";
        let (removed, ()) = tokio::join!(
            server.delete("/api/v1/devices/garage"),
            garage.publish_at_once(vec![(up.to_owned(), HAND_SHAKE.into())]),
        );
        assert_eq!(removed, 204);
        // Its credentials are gone with it (C11).
        while garage.connection.receive_within(PATIENCE).await.is_ok() {}
        let mut garage = Device::connect(server.mqtt(), server.device("garage").await).await;
        garage.listen(QoS::AtLeastOnce).await;
        if server.get("/api/v1/devices/garage").await.0 == 200 {
            garage.publish("yard/garage/up", "state locked", false).await;
            server.device_when("garage", |device| device["state"] == "locked").await;
        } else {
            let refused = garage.publish("yard/garage/up", "state locked", false).await;
            assert_eq!(refused, ReasonCode::NotAuthorized);
        }
    }
}

#[tokio::test]
async fn a_device_that_leaves_is_offline() {
    let server = Server::start();
    let door = Device::join(&server, "front", "lock").await;
    server.device_when("front", |device| device["online"] == true).await;
    door.connection.abort();
    server.device_when("front", |device| device["online"] == false).await;
    let (status, answer) = server.post("/lock?device=front").await;
    assert_eq!((status, &answer["devices"][0]["outcome"]), (409, &json!("offline")));
}
