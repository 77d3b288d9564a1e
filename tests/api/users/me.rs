//! `/api/v1/me`: what each may know and do of themselves.

use serde_json::{Value, json};

use super::console;
use crate::harness::{Answer, Manner, Server};

async fn change_password(server: &Server, token: &str, body: &Value) -> Answer {
    let request = server.client.post(server.url("/api/v1/me/password"));
    server.send(request.bearer_auth(token).json(body)).await
}

#[tokio::test]
async fn somebody_is_told_what_they_may_do_to_which_devices_now() {
    let server = Server::start().await;
    let console = console(&server).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let _back = server.lock("back", Manner::Obeys).await;
    let _lamp = server.light("lamp", Manner::Obeys).await;
    let over = json!({ "until": "2020-01-01T00:00:00Z" });
    let guest = json!({
        "name": "guest", "role": "guest", "password": "not so secret",
        "grants": [
            { "actions": ["unlock", "on"], "devices": ["front"] },
            { "actions": [], "devices": ["lamp"] },
            { "actions": ["unlock"], "devices": ["back"], "window": over },
        ],
    });
    console.post("/api/v1/users", &guest).await.unwrap();
    let token = server.sign_in_as("guest", "not so secret").await;
    let token = token["access_token"].as_str().unwrap();
    let me = server.get_as(token, "/api/v1/me").await.json();
    assert_eq!((&me["name"], &me["identity"]), (&json!("guest"), &json!("app:guest")));
    assert_eq!(me["role"], "guest");
    assert_eq!(me["scopes"], "devices:read locks:operate lights:operate");
    let devices = json!([
        { "id": "front", "kind": "lock", "actions": ["unlock"] },
        { "id": "lamp", "kind": "light", "actions": [] },
    ]);
    assert_eq!(me["devices"], devices, "{me}");
    let first = server.get_as(token, "/api/v1/me?limit=1").await.json();
    assert_eq!(first["next_cursor"], "front");
    let second = server.get_as(token, "/api/v1/me?limit=1&cursor=front").await.json();
    assert_eq!(second["devices"], json!([devices[1]]));

    let operator = console.get("/api/v1/me").await.unwrap();
    assert_eq!((&operator["name"], &operator["role"]), (&json!("operator"), &json!("owner")));
    assert_eq!(operator["devices"].as_array().unwrap().len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn c23_whoever_changes_their_password_is_out_everywhere_and_knows_the_old_one() {
    let server = Server::start().await;
    let console = console(&server).await;
    let bob = json!({ "name": "bob", "role": "guest", "password": "first of all" });
    console.post("/api/v1/users", &bob).await.unwrap();
    let here = server.sign_in_as("bob", "first of all").await;
    let there = server.sign_in_as("bob", "first of all").await;
    let (here, there) = (&here["access_token"], &there["access_token"]);
    let (here, there) = (here.as_str().unwrap(), there.as_str().unwrap());
    for (body, status, kind) in [
        (json!({ "old": "first of none", "new": "second to none" }), 403, "not-allowed"),
        (json!({ "old": "first of all", "new": "short" }), 422, "invalid"),
        (json!({ "old": "first of all", "new": "bob12345" }), 422, "invalid"),
        (json!({ "new": "second to none" }), 422, "invalid"),
        (json!({ "old": "x", "new": "second to none", "role": "owner" }), 422, "invalid"),
    ] {
        let said = change_password(&server, here, &body).await.problem(status, kind);
        assert!(!said.contains("first") && !said.contains("second"), "C30: {said}");
    }
    let body = json!({ "old": "first of all", "new": "second to none" });
    let changed = change_password(&server, here, &body).await;
    assert_eq!((changed.status, changed.json()), (200, json!({ "pins": "keep", "codes": 0 })));
    for token in [here, there] {
        server.get_as(token, "/api/v1/me").await.problem(401, "unknown-caller");
    }
    server.sign_in_as("bob", "second to none").await;
    server.stop().await;
}

#[tokio::test]
async fn c17_the_old_password_is_not_guessed_by_whoever_has_a_token() {
    let server = Server::start().await;
    let token = server.sign_in().await;
    let token = token["access_token"].as_str().unwrap();
    let mut refused = 0;
    for n in 0..12 {
        let body = json!({ "old": format!("guess {n}"), "new": "a fine new one" });
        let answer = change_password(&server, token, &body).await;
        if answer.status == 429 {
            answer.problem(429, "too-soon");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
            refused += 1;
        } else {
            answer.problem(403, "not-allowed");
        }
    }
    assert!(refused > 0);
    server.stop().await;
}

#[tokio::test]
async fn a_program_has_no_password_to_change_and_is_told_who_it_is() {
    let server = Server::start().await;
    let console = console(&server).await;
    let key = json!({ "name": "heating", "scopes": "lights:operate" });
    let key = console.post("/api/v1/api-keys", &key).await.unwrap();
    let secret = key["secret"].as_str().unwrap();
    let me = server.get_as(secret, "/api/v1/me").await.json();
    assert_eq!((&me["name"], &me["scopes"]), (&json!("heating"), &json!("lights:operate")));
    let body = json!({ "old": secret, "new": "a fine new one" });
    change_password(&server, secret, &body).await.problem(403, "not-allowed");
    console.delete("/api/v1/api-keys/heating").await.unwrap();
    server.get_as(secret, "/api/v1/me").await.problem(401, "unknown-caller");
    server.stop().await;
}
