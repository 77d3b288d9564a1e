//! The life of a command, as an app and a device see it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Device, Server, command_of, outcome_of};

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

#[tokio::test]
async fn a_lock_is_confirmed_by_its_own_ack() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let request = server.request(Method::POST, "/lock?device=front&wait=10").await;
    let app = tokio::spawn(async move { request.send().await.unwrap() });
    let (verb, id, expires) = door.hear_command().await;
    assert_eq!(verb, "lock");
    let now = jiff::Timestamp::now().as_second();
    assert!((now + 5..=now + 10).contains(&expires), "{expires} is not 10 s from {now}");
    door.say("state locked").await;
    door.say(&format!("ack {id} ok")).await;
    let answer = app.await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((outcome_of(&answer), command_of(&answer)), ("confirmed", id));
}

#[tokio::test]
async fn a_lock_that_is_jammed_fails_and_says_so() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let (status, answer) = server.post("/unlock?device=front&wait=0").await;
    assert_eq!(status, 202);
    let (_, id, _) = door.hear_command().await;
    door.say(&format!("ack {id} failed jammed")).await;
    let ended = server.ended(&command_of(&answer)).await;
    assert_eq!((&ended["outcome"], &ended["detail"]), (&json!("failed"), &json!("jammed")));
}

#[tokio::test]
async fn a_device_without_ack_confirms_by_the_wanted_state() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock").await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    door.hear_command().await;
    // C8: on its way is not there.
    door.say("state unlocking").await;
    let shown = server.device_when("front", |device| device["state"] == "unlocking").await;
    assert_eq!(shown["state"], "unlocking");
    let (_, command) = server.get(&format!("/api/v1/commands/{}", command_of(&answer))).await;
    assert_eq!(command["ended_at"], json!(null));
    door.say("state unlocked").await;
    assert_eq!(server.ended(&command_of(&answer)).await["outcome"], "confirmed");
}

#[tokio::test]
async fn another_device_cannot_confirm_a_command() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 4 } }));
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut other = Device::join(&server, "other", ACKS).await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let (_, id, _) = door.hear_command().await;
    other.say(&format!("ack {id} ok")).await;
    let ended = server.ended(&command_of(&answer)).await;
    assert_eq!(ended["outcome"], "unconfirmed", "{ended}");
}

#[tokio::test]
async fn an_opposite_command_supersedes_what_still_waits() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let (_, first) = server.post("/lock?device=front&wait=0").await;
    let (_, second) = server.post("/unlock?device=front&wait=0").await;
    let (_, third) = server.post("/lock?device=front&wait=0").await;
    let ended = server.ended(&command_of(&second)).await;
    assert_eq!(ended["outcome"], "superseded");
    // The first one is out; the third one follows when it has ended.
    let (_, id, _) = door.hear_command().await;
    assert_eq!(id, command_of(&first));
    door.hears_nothing_for(Duration::from_millis(200)).await;
    door.say(&format!("ack {id} ok")).await;
    let (_, id, _) = door.hear_command().await;
    assert_eq!(id, command_of(&third));
    door.say(&format!("ack {id} ok")).await;
    assert_eq!(server.ended(&command_of(&third)).await["outcome"], "confirmed");
}

#[tokio::test]
async fn what_one_device_does_holds_up_no_other() {
    let server = Server::start();
    let _silent = Device::join(&server, "silent", ACKS).await;
    let mut quick = Device::join(&server, "quick", ACKS).await;
    let (_, waits) = server.post("/lock?device=silent&wait=0").await;
    let (_, answer) = server.post("/lock?device=quick&wait=0").await;
    let (_, id, _) = quick.hear_command().await;
    quick.say(&format!("ack {id} ok")).await;
    assert_eq!(server.ended(&command_of(&answer)).await["outcome"], "confirmed");
    let (_, still) = server.get(&format!("/api/v1/commands/{}", command_of(&waits))).await;
    assert_eq!(still["ended_at"], json!(null));
}

#[tokio::test]
async fn an_app_over_mqtt_is_told_how_its_command_ended() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let connect = latchlight_mqtt::Connect::new(latchlight_mqtt::ProtocolVersion::V311, "ann");
    let connect = server.as_app(connect).await;
    let mut phone = Device::connect(server.mqtt(), connect).await;
    phone.subscribe("latchlight/apps/ann/down", latchlight_mqtt::QoS::AtLeastOnce).await;
    phone.publish("latchlight/apps/ann/up", "unlock front", false).await;
    let (verb, id, _) = door.hear_command().await;
    assert_eq!(verb, "unlock");
    door.say(&format!("ack {id} ok")).await;
    assert_eq!(phone.hear().await, format!("ok unlock front confirmed {id}"));
    phone.publish("latchlight/apps/ann/up", "unlock back", false).await;
    assert_eq!(phone.hear().await, "error unlock there is no device back");
    let (_, command) = server.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!(command["issuer"], "app:ann");
}

#[tokio::test]
async fn an_app_over_mqtt_that_gives_too_many_commands_is_told_so_and_can_still_lock() {
    let server = Server::start_with(json!({ "commands": { "per_minute": 1 } }));
    let mut door = Device::join(&server, "front", ACKS).await;
    let connect = latchlight_mqtt::Connect::new(latchlight_mqtt::ProtocolVersion::V311, "ann");
    let connect = server.as_app(connect).await;
    let mut phone = Device::connect(server.mqtt(), connect).await;
    phone.subscribe("latchlight/apps/ann/down", latchlight_mqtt::QoS::AtLeastOnce).await;
    for verb in ["unlock", "lock"] {
        phone.publish("latchlight/apps/ann/up", format!("{verb} front"), false).await;
        let (heard, id, _) = door.hear_command().await;
        assert_eq!(heard, verb);
        door.say(&format!("ack {id} ok")).await;
        assert_eq!(phone.hear().await, format!("ok {verb} front confirmed {id}"));
        if verb == "unlock" {
            phone.publish("latchlight/apps/ann/up", "unlock front", false).await;
            let said = phone.hear().await;
            let why = "error unlock app:ann gives more than 1 command a minute: try again in ";
            assert!(said.starts_with(why), "{said}");
        }
    }
}

#[tokio::test]
async fn a_light_that_is_told_lock_goes_off() {
    let server = Server::start();
    let mut light = Device::join(&server, "lamp", "light").await;
    let (_, answer) = server.post("/lock?wait=0").await;
    let (verb, _, _) = light.hear_command().await;
    assert_eq!(verb, "off");
    light.say("state off").await;
    assert_eq!(server.ended(&command_of(&answer)).await["outcome"], "confirmed");
}
