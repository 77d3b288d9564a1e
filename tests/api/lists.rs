//! `GET /api/v1/actions`, and pages of commands.

use serde_json::json;

use crate::harness::{Manner, Server};

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
