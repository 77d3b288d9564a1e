//! What was taken away is gone at once, whatever token is still valid (C23).

use serde_json::{Value, json};

use crate::harness::{Answer, Manner, Server};

const PASSWORD: &str = "a guest for one week";

/// A guest who may unlock `front`, and an access token of theirs.
async fn guest(server: &Server) -> String {
    let grant = json!({ "actions": ["unlock"], "devices": ["front"] });
    let guest = json!({ "name": "gus", "role": "guest", "password": PASSWORD, "grants": [grant] });
    assert_eq!(server.post_json("/api/v1/users", &guest).await.status, 201);
    let granted = server.sign_in_as("gus", PASSWORD).await;
    granted["access_token"].as_str().unwrap().to_owned()
}

async fn unlock(server: &Server, token: &str) -> Answer {
    let request = server.stranger.post(server.url("/unlock?device=front&wait=5"));
    server.send(request.bearer_auth(token)).await
}

async fn change(server: &Server, change: Value) {
    let request = server.client.patch(server.url("/api/v1/users/gus")).json(&change);
    let answer = server.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn c23_a_grant_that_is_over_or_not_yet_is_no_grant() {
    let server = Server::start().await;
    let front = server.lock("front", Manner::Obeys).await;
    let token = guest(&server).await;
    assert_eq!(unlock(&server, &token).await.status, 200);
    for window in
        [json!({ "until": "2020-01-01T00:00:00Z" }), json!({ "from": "2090-01-01T00:00:00Z" })]
    {
        let grant = json!({ "actions": ["unlock"], "devices": ["front"], "window": window });
        change(&server, json!({ "grants": [grant] })).await;
        unlock(&server, &token).await.problem(404, "not-found");
        assert_eq!(server.get_as(&token, "/api/v1/devices/front").await.status, 404);
        assert_eq!(server.get_as(&token, "/api/v1/devices").await.json()["devices"], json!([]));
        assert_eq!(server.get_as(&token, "/api/v1/devices/front/commands").await.status, 404);
    }
    // To see it is less than to open it.
    let grant = json!({ "actions": [], "devices": ["front"] });
    change(&server, json!({ "grants": [grant] })).await;
    let refused = unlock(&server, &token).await.devices(409).remove(0);
    assert_eq!(refused["outcome"], "refused", "{refused}");
    assert_eq!(front.count("unlock"), 1);
    server.stop().await;
}

#[tokio::test]
async fn c23_whoever_is_shut_out_is_out_at_the_next_request() {
    let server = Server::start().await;
    let front = server.lock("front", Manner::Obeys).await;
    let token = guest(&server).await;
    assert_eq!(unlock(&server, &token).await.status, 200);
    change(&server, json!({ "disabled": true })).await;
    unlock(&server, &token).await.problem(401, "unknown-caller");
    change(&server, json!({ "disabled": false })).await;
    let password = json!({ "password": "another one for gus" });
    let set = server.post_json("/api/v1/users/gus/password", &password).await;
    assert!(set.status < 300, "{set:?}");
    // C6: a new password voids what the old one let in.
    unlock(&server, &token).await.problem(401, "unknown-caller");
    let granted = server.sign_in_as("gus", "another one for gus").await;
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(unlock(&server, token).await.status, 200);
    assert_eq!(server.delete("/api/v1/users/gus").await.status, 204);
    unlock(&server, token).await.problem(401, "unknown-caller");
    let refresh = granted["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(server.post_form("/oauth/token", &form).await.status, 400, "C6");
    assert_eq!(front.count("unlock"), 2);
    server.stop().await;
}

#[tokio::test]
async fn c5_the_same_idempotency_key_of_two_people_is_two_requests() {
    let server = Server::start().await;
    let front = server.lock("front", Manner::Obeys).await;
    let token = guest(&server).await;
    for token in [&server.token, &token] {
        let request = server.stranger.post(server.url("/unlock?device=front&wait=5"));
        let request = request.bearer_auth(token).header("idempotency-key", "the-same");
        let answer = server.send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.headers.contains_key("idempotency-replayed"), "{answer:?}");
    }
    assert_eq!(front.count("unlock"), 2);
    // Nor are they those of another one who has the name later.
    assert_eq!(server.delete("/api/v1/users/gus").await.status, 204);
    let token = guest(&server).await;
    let request = server.stranger.post(server.url("/unlock?device=front&wait=5"));
    let request = request.bearer_auth(&token).header("idempotency-key", "the-same");
    let answer = server.send(request).await;
    assert!(!answer.headers.contains_key("idempotency-replayed"), "{answer:?}");
    server.stop().await;
}
