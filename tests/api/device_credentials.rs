//! `/api/v1/devices/{id}/credentials`, and the list of all.

use serde_json::json;

use crate::harness::{Manner, Server};

const FRONT: &str = "/api/v1/devices/front/credentials";

#[tokio::test]
async fn credentials_are_told_once_with_all_that_goes_into_the_device() {
    let server = Server::start().await;
    let answer = server.post_json(FRONT, &json!({ "kind": "lock" })).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("location"), FRONT);
    let issued = answer.json();
    let password = issued["password"].as_str().unwrap();
    assert_eq!(password.len(), 32);
    let topics = json!({
        "up": "latchlight/devices/front/up",
        "down": "latchlight/devices/front/down",
        "online": "latchlight/devices/front/online",
        "picture": "latchlight/devices/front/picture",
    });
    let rest = json!({
        "device": "front", "kind": "lock", "username": "front", "password": password,
        "client_id": "front", "topics": topics,
    });
    assert_eq!(issued, rest);

    let kept = server.get(FRONT).await;
    assert_eq!((&kept.json()["device"], &kept.json()["kind"]), (&"front".into(), &"lock".into()));
    assert!(!String::from_utf8_lossy(&kept.body).contains(password), "c30");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_kind_or_no_device_gets_none() {
    let server = Server::start().await;
    server.post_json(FRONT, &json!({ "kind": "door" })).await.problem(422, "invalid");
    let owner = json!({ "kind": "lock", "secret": "mine" });
    server.post_json(FRONT, &owner).await.problem(422, "invalid");
    let nobody = "/api/v1/devices/Front/credentials";
    server.post_json(nobody, &json!({})).await.problem(404, "not-found");
    server.get(FRONT).await.problem(404, "not-found");
    server.delete(FRONT).await.problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn a_device_tells_whether_it_has_credentials_and_loses_them_when_it_is_removed() {
    let server = Server::start().await;
    server.lock("front", Manner::Obeys).await.leave(&server).await;
    let light = server.post_json(FRONT, &json!({ "kind": "light" })).await;
    assert!(light.problem(422, "invalid").contains("has joined as a lock"));
    assert_eq!(server.post_json(FRONT, &json!({ "kind": "lock" })).await.status, 201);
    let device = server.get("/api/v1/devices/front").await.json();
    assert_eq!(device["credentials"]["kind"], "lock");
    assert_eq!(server.delete("/api/v1/devices/front").await.status, 204);
    server.get(FRONT).await.problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn c30_signed_credentials_have_a_key_that_is_told_once_and_is_another_each_time() {
    let server = Server::start().await;
    let signed = server.post_json(FRONT, &json!({ "kind": "lock", "signed": true })).await.json();
    let key = signed["command_key"].as_str().unwrap().to_owned();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let again = server.post_json(FRONT, &json!({})).await.json();
    assert_ne!(again["command_key"].as_str().unwrap(), key);
    let kept = server.get(FRONT).await;
    assert_eq!(kept.json()["signed"], true);
    assert!(!String::from_utf8_lossy(&kept.body).contains("command_key"));
    let plain = server.post_json(FRONT, &json!({ "signed": false })).await.json();
    assert_eq!(plain.get("command_key"), None);
    assert_eq!(server.get(FRONT).await.json()["signed"], false);
    let odd = json!({ "signed": "yes" });
    server.post_json(FRONT, &odd).await.problem(422, "invalid");
    server.stop().await;
}

#[tokio::test]
async fn all_that_are_let_in_are_listed_and_whether_they_have_come() {
    const LIST: &str = "/api/v1/credentials";
    let server = Server::start().await;
    server.lock("front", Manner::Obeys).await.leave(&server).await;
    for id in ["shed", "attic", "barn"] {
        let path = format!("/api/v1/devices/{id}/credentials");
        let asked = json!({ "kind": "light", "signed": id == "barn" });
        let issued = server.post_json(&path, &asked).await.json();
        let listed = server.get(LIST).await;
        let listed = String::from_utf8_lossy(&listed.body).into_owned();
        assert!(!listed.contains(issued["password"].as_str().unwrap()), "c30");
    }
    let ids = async |query: &str| {
        let page = server.get(&format!("{LIST}{query}")).await.json();
        let ids = page["credentials"].as_array().unwrap().iter().map(|one| one["device"].clone());
        (ids.collect::<serde_json::Value>(), page["next_cursor"].clone())
    };
    let none = serde_json::Value::Null;
    assert_eq!(ids("").await, (json!(["attic", "barn", "front", "shed"]), none.clone()));
    assert_eq!(ids("?joined=true").await, (json!(["front"]), none.clone()));
    assert_eq!(ids("?joined=false&limit=2").await, (json!(["attic", "barn"]), json!("barn")));
    let last = ids("?joined=false&limit=1&cursor=barn").await;
    assert_eq!(last, (json!(["shed"]), none.clone()));
    let barn = server.get(&format!("{LIST}?cursor=attic&limit=1")).await.json();
    let barn = &barn["credentials"][0];
    assert_eq!(
        (&barn["kind"], &barn["signed"], &barn["joined"]),
        (&json!("light"), &json!(true), &json!(false))
    );
    assert_eq!(server.delete("/api/v1/devices/shed/credentials").await.status, 204);
    assert_eq!(ids("?joined=false&cursor=barn").await, (json!([]), none));
    let odd = server.get(&format!("{LIST}?joined=perhaps")).await;
    assert!(odd.problem(400, "malformed").contains("joined"));
    server.stop().await;
}
