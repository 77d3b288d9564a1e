//! `/api/v1/api-keys`: shown once, kept as a hash.

use serde_json::{Value, json};

use super::{console, problem};
use crate::harness::{Manner, Server};

#[tokio::test]
async fn a_key_shows_its_secret_once() {
    let server = Server::start().await;
    let console = console(&server).await;
    let new = json!({ "name": "heating", "scopes": "devices:read lights:operate" });
    let made = console.post("/api/v1/api-keys", &new).await.unwrap();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("llk_") && secret.len() == 36, "{secret}");
    assert_eq!(made["kind"], "key");
    assert_eq!(made["role"], "member");
    assert_eq!(made["scopes"], "devices:read lights:operate");
    let shown = console.get("/api/v1/api-keys/heating").await.unwrap();
    assert_eq!(shown["secret"], json!(null));
    let list = console.get("/api/v1/api-keys").await.unwrap();
    assert_eq!(list["api_keys"], json!([shown]));

    // Nowhere on disk as it is either.
    let folder = server.stop_and_keep().await;
    for file in std::fs::read_dir(folder.path().join("data")).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "C30: {}", file.path().display());
    }
    let server = Server::start_in(folder).await;
    let console = super::console(&server).await;
    console.delete("/api/v1/api-keys/heating").await.unwrap();
    let gone = console.get("/api/v1/api-keys/heating").await;
    assert_eq!(problem(gone, 404), "there is no such API key");
    server.stop().await;
}

#[tokio::test]
async fn a_key_has_what_it_is_made_for_and_an_owner_is_what_manages_accounts() {
    let server = Server::start().await;
    let console = console(&server).await;
    let camera = json!({ "name": "camera", "scopes": "pictures:write", "grants": [] });
    let camera = console.post("/api/v1/api-keys", &camera).await.unwrap();
    assert_eq!(camera["scopes"], "pictures:write");
    assert_eq!((&camera["role"], &camera["grants"]), (&json!("member"), &json!([])));
    let backup = json!({ "name": "backup", "scopes": "admin" });
    let backup = console.post("/api/v1/api-keys", &backup).await.unwrap();
    assert_eq!(backup["role"], "owner");
    for (body, why) in [
        (json!({ "name": "x", "scopes": "events:read", "grants": [] }), "do not bind the scope"),
        (json!({ "name": "x", "scopes": "admin", "grants": [] }), "do not bind the scope `admin`"),
        (json!({ "name": "x", "scopes": "" }), "scopes: some of devices:read "),
        (json!({ "name": "x", "scopes": "doors" }), "scopes: `doors` is not a scope: "),
        (json!({ "name": "x" }), "missing field `scopes`"),
        (json!({ "name": "camera", "scopes": "admin" }), "there is an account `camera` already"),
        (json!({ "name": "x", "scopes": "admin", "secret": "llk_1" }), "unknown field `secret`"),
        (json!({ "name": "x", "scopes": "admin", "role": "owner" }), "unknown field `role`"),
    ] {
        let said = console.post("/api/v1/api-keys", &body).await.unwrap_err().to_string();
        assert!(said.contains(why), "{body}: {said}");
    }
    // People and keys are found where they are alone.
    assert_eq!(problem(console.delete("/api/v1/users/camera").await, 404), "there is no such user");
    server.stop().await;
}

#[tokio::test]
async fn c23_what_a_change_takes_from_a_key_is_gone_at_once() {
    let server = Server::start().await;
    let console = console(&server).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let _back = server.lock("back", Manner::Obeys).await;
    let new = json!({ "name": "gate", "scopes": "devices:read locks:operate events:read" });
    let made = console.post("/api/v1/api-keys", &new).await.unwrap();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let form =
        [("grant_type", "client_credentials"), ("client_id", "gate"), ("client_secret", &*secret)];
    let token = server.post_form("/oauth/token", &form).await.json();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let both = [secret.as_str(), token.as_str()];
    let unlock = async |bearer: &str, device: &str| {
        let path = format!("/unlock?device={device}&wait=10");
        server.send(server.client.post(server.url(&path)).bearer_auth(bearer)).await
    };
    let change = async |body: Value| console.patch("/api/v1/api-keys/gate", &body).await.unwrap();
    for bearer in both {
        assert_eq!(unlock(bearer, "front").await.status, 200);
        assert_eq!(server.get_as(bearer, "/api/v1/events").await.status, 200);
    }
    let mut stream = server.stream_as(&token, "").await;
    change(json!({ "scopes": "devices:read locks:operate" })).await;
    for bearer in both {
        server.get_as(bearer, "/api/v1/events").await.problem(403, "insufficient-scope");
    }
    change(json!({ "grants": [{ "actions": ["unlock"], "devices": ["front"] }] })).await;
    for bearer in both {
        assert_eq!(unlock(bearer, "front").await.status, 200);
        unlock(bearer, "back").await.problem(404, "not-found");
    }
    change(json!({ "scopes": "devices:read" })).await;
    for bearer in both {
        unlock(bearer, "front").await.problem(403, "insufficient-scope");
    }
    let changed = change(json!({ "name": "door", "expires_at": "2090-01-01T00:00:00Z" })).await;
    assert_eq!((&changed["name"], &changed["id"]), (&json!("door"), &made["id"]));
    assert_eq!(changed["secret"], json!(null));
    assert_eq!(server.get_as(&secret, "/api/v1/me").await.json()["identity"], "app:door");
    let over = json!({ "expires_at": "2020-01-01T00:00:00Z" });
    console.patch("/api/v1/api-keys/door", &over).await.unwrap();
    for bearer in both {
        server.get_as(bearer, "/api/v1/me").await.problem(401, "unknown-caller");
    }
    // The stream showed less and less, and ends now.
    let mut said = stream.event().await;
    while said.event != "end" {
        said = stream.event().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_not_changed_into_what_could_not_be_made() {
    let server = Server::start().await;
    let console = console(&server).await;
    let grant = json!([{ "actions": ["unlock"], "devices": ["front"] }]);
    let new = json!({ "name": "gate", "scopes": "locks:operate", "grants": grant });
    console.post("/api/v1/api-keys", &new).await.unwrap();
    let before = console.get("/api/v1/api-keys/gate").await.unwrap();
    for (body, status, why) in [
        (json!({ "scopes": "" }), 422, "scopes: some of devices:read "),
        (json!({ "scopes": "admin" }), 422, "do not bind the scope `admin`"),
        (json!({ "scopes": "locks:operate events:read" }), 422, "do not bind the scope"),
        (json!({ "grants": [{ "actions": [], "devices": [] }] }), 422, "grants[0].devices"),
        (json!({ "name": "a b" }), 422, "name: "),
        (json!({ "name": "OWNER" }), 409, "there is an account `OWNER` already"),
        (json!({ "role": "owner" }), 422, "unknown field `role`"),
        (json!({ "secret": "llk_1" }), 422, "unknown field `secret`"),
    ] {
        let said = problem(console.patch("/api/v1/api-keys/gate", &body).await, status);
        assert!(said.contains(why), "{body}: {said}");
        assert_eq!(console.get("/api/v1/api-keys/gate").await.unwrap(), before, "{body}");
    }
    assert_eq!(
        problem(console.patch("/api/v1/api-keys/owner", &json!({})).await, 404),
        "there is no such API key"
    );
    let wide = json!({ "scopes": "admin", "grants": null });
    let changed = console.patch("/api/v1/api-keys/gate", &wide).await.unwrap();
    assert_eq!((&changed["role"], &changed["scopes"]), (&json!("owner"), &json!("admin")));
    // Nothing binds it now, and that stays so.
    let renamed = console.patch("/api/v1/api-keys/gate", &json!({ "name": "all" })).await.unwrap();
    assert_eq!((&renamed["name"], &renamed["grants"]), (&json!("all"), &changed["grants"]));
    server.stop().await;
}
