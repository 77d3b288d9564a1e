//! `GET /api/v1/actions`, and pages of commands.

use serde_json::{Value, json};

use crate::harness::{Manner, Server, png};

#[tokio::test]
async fn actions_are_listed_with_who_may_call_them() {
    let server = Server::start().await;
    let actions = server.get("/api/v1/actions").await.json();
    let actions = actions["actions"].as_array().unwrap();
    let names: Vec<_> = actions.iter().map(|action| action["name"].as_str().unwrap()).collect();
    for name in ["hand_shake", "lock", "unlock", "on", "off", "state", "ack", "find_stranger"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let lock = actions.iter().find(|action| action["name"] == "lock").unwrap();
    assert_eq!(lock["origin"], "built-in");
    assert!(!lock["description"].as_str().unwrap().is_empty());
    assert!(lock["callers"].is_object(), "{lock}");
    server.stop().await;
}

#[tokio::test]
async fn the_broker_is_told_with_its_address_and_prefix() {
    let server = Server::start_with(json!({ "mqtt": { "prefix": "house/one" } })).await;
    let broker = server.get("/api/v1/broker").await.json();
    let url = format!("mqtt://{}", server.mqtt);
    assert_eq!(broker, json!({ "embedded": true, "url": url, "prefix": "house/one" }));
    server.stop().await;
}

#[tokio::test]
async fn a_devices_commands_are_paged_newest_first() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    for verb in ["on", "off", "on"] {
        let body = json!({ "verb": verb });
        server.post_json("/api/v1/devices/hall/commands", &body).await.devices(200);
    }
    let first = server.get("/api/v1/devices/hall/commands?limit=2").await.json();
    assert_eq!(first["commands"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = format!("/api/v1/devices/hall/commands?limit=2&cursor={cursor}");
    let second = server.get(&second).await.json();
    assert_eq!(second["commands"].as_array().unwrap().len(), 1);
    assert!(second["next_cursor"].is_null());
    server.get("/api/v1/devices/attic/commands").await.problem(404, "not-found");
    server.stop().await;
}

/// Every moment in an answer, wherever it stands.
fn moments(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::String(text) if text.len() > 10 && text.starts_with("20") && text.ends_with('Z') => {
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| moments(item, found)),
        Value::Object(members) => members.values().for_each(|member| moments(member, found)),
        _ => {}
    }
}

#[tokio::test]
async fn moments_have_milliseconds_in_all_answers() {
    let server = Server::start().await;
    let _hall = server.light("hall", Manner::Obeys).await;
    let picture = server.client.post(server.url("/api/v1/pictures"));
    let picture = picture.header("Content-Type", "image/png").body(png(4, 4));
    let mut found = Vec::new();
    for answer in [
        server.post("/lock").await,
        server.send(picture).await,
        server.get("/api/v1/devices/hall").await,
        server.get("/api/v1/devices/hall/commands").await,
    ] {
        moments(&answer.json(), &mut found);
    }
    assert!(found.len() >= 11, "{found:?}");
    for moment in found {
        assert_eq!(moment.len(), "2026-05-04T18:03:09.120Z".len(), "{moment}");
    }
    server.stop().await;
}
