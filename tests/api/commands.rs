//! `POST /lock`, `POST /unlock`, `/api/v1/devices/{id}/commands` and
//! `/api/v1/commands/{id}`: statuses, outcomes and the wait.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Manner, Server, until};

#[tokio::test]
async fn one_device_that_obeys_is_200_and_confirmed() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let devices = server.post("/lock?device=front-door").await.devices(200);
    assert_eq!(devices.len(), 1);
    let device = &devices[0];
    assert_eq!(device["device"], "front-door");
    assert_eq!(device["verb"], "lock");
    assert_eq!(device["outcome"], "confirmed");
    assert!(device["issued_at"].is_string() && device["ended_at"].is_string(), "{device}");
    assert_eq!(door.count("lock"), 1);
    assert_eq!(server.get("/api/v1/devices/front-door").await.json()["state"], "locked");
    server.stop().await;
}

#[tokio::test]
async fn the_answer_comes_as_soon_as_the_device_has_answered() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let before = Instant::now();
    server.post("/unlock?device=front-door&wait=9").await.devices(200);
    assert!(before.elapsed() < Duration::from_secs(9), "it waited for the whole time");
    server.stop().await;
}

#[tokio::test]
async fn one_device_that_says_nothing_is_202_with_a_link_that_tells_the_end() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 4 } })).await;
    let _door = server.lock("front-door", Manner::Silent).await;
    let answer = server.post("/unlock?device=front-door&wait=0").await;
    let devices = answer.devices(202);
    assert_eq!(devices[0]["outcome"], "pending");
    let link = devices[0]["link"].as_str().unwrap();
    assert_eq!(answer.header("location"), link);
    let ended = until("the command's end", async || {
        let command = server.get(link).await.json();
        (command["outcome"] != "pending").then_some(command)
    })
    .await;
    assert_eq!(ended["outcome"], "unconfirmed", "the door may be open, and it is said: {ended}");
    assert_eq!(server.get("/api/v1/devices/front-door").await.json()["state"], "unlocked");
    server.stop().await;
}

#[tokio::test]
async fn the_wait_does_not_outlast_the_expiry() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 1 } })).await;
    let _door = server.lock("front-door", Manner::Silent).await;
    let before = Instant::now();
    let answer = server.post("/lock?device=front-door&wait=9").await;
    assert!(matches!(answer.status, 202 | 409), "{answer:?}");
    assert!(before.elapsed() < Duration::from_secs(9), "{:?}", before.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn one_device_that_jams_is_409_and_says_so() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Jams).await;
    let devices = server.post("/lock?device=front-door").await.devices(409);
    assert_eq!(devices[0]["outcome"], "failed");
    assert!(devices[0]["detail"].as_str().unwrap().contains("jammed"), "{devices:?}");
    assert_eq!(server.get("/api/v1/devices/front-door").await.json()["state"], "jammed");
    server.stop().await;
}

#[tokio::test]
async fn c4_an_offline_device_is_an_explicit_409_within_the_wait() {
    let server = Server::start().await;
    server.lock("front-door", Manner::Obeys).await.leave(&server).await;
    let devices = server.post("/unlock?device=front-door").await.devices(409);
    assert_eq!(devices[0]["outcome"], "offline");
    server.stop().await;
}

#[tokio::test]
async fn several_are_200_when_all_confirm_and_a_lights_lock_is_off() {
    let server = Server::start().await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let _back = server.lock("back-door", Manner::Obeys).await;
    let hall = server.light("hall", Manner::Obeys).await;
    let devices = server.post("/lock").await.devices(200);
    let verbs: Vec<_> = devices
        .iter()
        .map(|d| (d["device"].as_str().unwrap(), d["verb"].as_str().unwrap()))
        .collect();
    assert_eq!(verbs, [("back-door", "lock"), ("front-door", "lock"), ("hall", "off")]);
    assert_eq!(hall.count("off"), 1);
    server.stop().await;
}

#[tokio::test]
async fn several_are_202_while_some_are_pending_and_207_when_all_have_ended() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 8 } })).await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Silent).await;
    let devices = server.post("/lock?wait=4").await.devices(202);
    let outcomes: Vec<_> = devices.iter().map(|d| d["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["pending", "confirmed"]);
    back.leave(&server).await;
    until("the back door's command to end", async || {
        let link = devices[0]["link"].as_str().unwrap();
        (server.get(link).await.json()["outcome"] != "pending").then_some(())
    })
    .await;
    let devices = server.post("/lock").await.devices(207);
    let outcomes: Vec<_> = devices.iter().map(|d| d["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["offline", "confirmed"]);
    server.stop().await;
}

#[tokio::test]
async fn a_kind_selects_the_devices_of_that_kind() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let hall = server.light("hall", Manner::Obeys).await;
    let devices = server.post("/unlock?kind=light").await.devices(200);
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0]["verb"], "on");
    assert_eq!((door.told().len(), hall.count("on")), (0, 1));
    server.stop().await;
}

#[tokio::test]
async fn no_device_that_matches_is_404() {
    let server = Server::start().await;
    for path in ["/lock", "/unlock", "/lock?device=attic", "/unlock?kind=lock"] {
        let detail = server.post(path).await.problem(404, "not-found");
        assert!(detail.contains("there is no"), "{path}: {detail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_names_a_device_is_refused_so_that_not_all_doors_open() {
    let server = Server::start().await;
    let front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Obeys).await;
    let answer = server.post_json("/unlock", &json!({ "device": "front-door" })).await;
    assert!(answer.problem(422, "invalid").contains("?device="));
    server.post_json("/lock", &json!({})).await.devices(200);
    assert_eq!((front.count("unlock"), back.count("unlock")), (0, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_get_operates_nothing_unless_the_setting_says_so() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    for path in ["/lock", "/unlock", "/%75nlock"] {
        let answer = server.get(path).await;
        answer.problem(405, "wrong-method");
        assert_eq!(answer.header("allow"), "POST");
        let head = server.send(server.client.head(server.url(path))).await;
        assert_eq!(head.status, 405);
    }
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_get_operates_where_the_setting_says_so_and_a_head_never() {
    let server = Server::start_with(json!({ "http": { "get_commands": true } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    server.get("/lock?device=front-door").await.devices(200);
    assert_eq!(door.count("lock"), 1);
    let head = server.send(server.client.head(server.url("/lock?device=front-door"))).await;
    assert_eq!(head.status, 405);
    assert_eq!(door.count("lock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_command_is_posted_to_a_device_and_found_by_its_link_and_in_its_list() {
    let server = Server::start().await;
    let hall = server.light("hall", Manner::Obeys).await;
    let on = server.post_json("/api/v1/devices/hall/commands", &json!({ "verb": "on" })).await;
    let on = on.devices(200).remove(0);
    let off = server.post_json("/api/v1/devices/hall/commands", &json!({ "verb": "off" })).await;
    let off = off.devices(200).remove(0);
    assert_eq!((hall.count("on"), hall.count("off")), (1, 1));
    let found = server.get(on["link"].as_str().unwrap()).await.json();
    assert_eq!(found["command"], on["command"]);
    let list = server.get("/api/v1/devices/hall/commands").await.json();
    let ids: Vec<_> = list["commands"].as_array().unwrap().iter().map(|c| &c["command"]).collect();
    assert_eq!(ids, [&off["command"], &on["command"]], "newest first");
    server.stop().await;
}

#[tokio::test]
async fn c5_the_same_command_id_acts_once() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let body = json!({ "verb": "unlock", "id": uuid::Uuid::now_v7() });
    let first = server.post_json("/api/v1/devices/front-door/commands", &body).await;
    let second = server.post_json("/api/v1/devices/front-door/commands", &body).await;
    assert_eq!(first.devices(200)[0]["command"], second.devices(200)[0]["command"]);
    assert_eq!(door.count("unlock"), 1);
    let other = json!({ "verb": "lock", "id": body["id"] });
    let other = server.post_json("/api/v1/devices/front-door/commands", &other).await;
    assert!(other.problem(422, "invalid").contains("belongs to another command"));
    server.stop().await;
}

#[tokio::test]
async fn there_is_no_toggle_and_no_verb_of_another_kind() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let path = "/api/v1/devices/front-door/commands";
    let toggle = server.post_json(path, &json!({ "verb": "toggle" })).await;
    assert!(toggle.problem(422, "invalid").contains("verb"));
    let on = server.post_json(path, &json!({ "verb": "on" })).await;
    assert!(on.problem(422, "invalid").contains("is a lock"));
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
}
