//! `/api/v1/api-keys`: shown once, kept as a hash.

use serde_json::json;

use super::{console, problem};
use crate::harness::Server;

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
